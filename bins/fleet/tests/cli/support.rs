//! A home with a database, programs over it, and what they say.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    ops::Deref,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Once,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http;

/// How long anything may take that a test waits for.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

pub(crate) const WORKER: &str = "nebula-worker";
pub(crate) const CONTROL_PLANE: &str = "nebula-control-plane";
pub(crate) const SERVER: &str = "nebula-server";

/// Where the programs lie: beside the folder of this test's own.
fn binary(name: &str) -> PathBuf {
    static BUILT: Once = Once::new();
    let here = std::env::current_exe().unwrap();
    let folder = here.ancestors().nth(2).unwrap().to_owned();
    let all = [WORKER, CONTROL_PLANE, SERVER];
    BUILT.call_once(|| {
        let missing = all.iter().filter(|name| !folder.join(name).exists());
        for name in missing {
            let mut build = Command::new(env!("CARGO"));
            build.args(["build", "-p", name, "--offline", "--locked"]);
            if folder.ends_with("release") {
                build.arg("--release");
            }
            assert!(build.status().unwrap().success(), "{name}");
        }
    });
    folder.join(name)
}

/// One machine.
pub(crate) struct Machine {
    folder: TempDir,
}

/// What a program said until it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.err.contains(text), "{text:?} is not in {self:#?}");
        self
    }
}

impl Machine {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("work")).unwrap();
        Self { folder }
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Writes a file into the folder of settings.
    pub(crate) fn setting(&self, name: &str, text: &str) -> PathBuf {
        let folder = self.home().join("config");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A program with this machine's home and nothing of the tester's settings. A lease is short, so that what
    /// a dead worker had is soon another's.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary(program));
        command
            .args(arguments)
            .current_dir(self.work())
            .env_clear()
            .env("NEBULA_HOME", self.home())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn ends(&self, program: &str, arguments: &[&str]) -> Said {
        let output = self.command(program, arguments).output().unwrap();
        Said {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts it, and reads the line by which it says that it is there.
    #[track_caller]
    fn begin(&self, program: &str, arguments: &[&str]) -> (Child, Value) {
        let mut command = self.command(program, arguments);
        let mut process = command.stderr(Stdio::inherit()).spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let told = serde_json::from_str(&line);
        let told = told.unwrap_or_else(|error| panic!("{program}: {error}: {line:?}"));
        // Whatever it prints later has a reader.
        process.stdout = Some(out.into_inner());
        (process, told)
    }

    #[track_caller]
    pub(crate) fn worker(&self, more: &[&str]) -> Worker {
        let quick = ["--quiet", "--health", "127.0.0.1:0"];
        let (process, told) = self.begin(WORKER, &[&quick, more].concat());
        let health = address(&told["health"]);
        Worker {
            process: Process(process),
            health,
            told,
        }
    }

    #[track_caller]
    pub(crate) fn control_plane(&self) -> Serving {
        self.serving(CONTROL_PLANE, &[])
    }

    #[track_caller]
    pub(crate) fn serving(&self, program: &str, more: &[&str]) -> Serving {
        let quick = ["--quiet", "--listen", "127.0.0.1:0"];
        let (process, told) = self.begin(program, &[&quick, more].concat());
        let token = fs::read_to_string(told["token_file"].as_str().unwrap()).unwrap();
        Serving {
            process: Process(process),
            asks: Asks {
                address: address(&told["url"]),
                token: token.trim().to_owned(),
            },
        }
    }
}

fn address(url: &Value) -> String {
    let url = url.as_str().unwrap();
    url.split_once("://").unwrap().1.to_owned()
}

/// A program that is stopped when it is dropped.
pub(crate) struct Process(Child);

impl Process {
    #[track_caller]
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// Its exit code, once it has ended.
    #[track_caller]
    pub(crate) fn ends(mut self) -> Option<i32> {
        wait_until("the program has ended", || self.has_ended());
        let mut rest = String::new();
        let mut out = self.0.stdout.take().unwrap();
        out.read_to_string(&mut rest).unwrap();
        self.0.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) struct Worker {
    pub(crate) process: Process,
    pub(crate) health: String,
    pub(crate) told: Value,
}

impl Worker {
    /// The status and the body of an answer.
    #[track_caller]
    pub(crate) fn asks(&self, path: &str) -> (u16, String) {
        http::ask(&self.health, "GET", path, "", "")
    }

    /// What a metric without labels says.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.asks("/metrics");
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{name} ")));
        let line = line.unwrap_or_else(|| panic!("{name} is not in {text}"));
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }
}

/// Something that answers over HTTP.
pub(crate) struct Serving {
    pub(crate) process: Process,
    /// As whoever sits at the machine.
    asks: Asks,
}

impl Deref for Serving {
    type Target = Asks;

    fn deref(&self) -> &Asks {
        &self.asks
    }
}

/// Somebody who asks a program.
#[derive(Clone)]
pub(crate) struct Asks {
    pub(crate) address: String,
    pub(crate) token: String,
}

impl Asks {
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, Value) {
        let headers = format!("authorization: Bearer {}\r\n{headers}", self.token);
        let (status, body) = http::ask(&self.address, method, path, &headers, body);
        let body = if body.is_empty() { "null" } else { &body };
        let body = serde_json::from_str(body);
        (
            status,
            body.unwrap_or_else(|error| panic!("{path}: {error}")),
        )
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, "", "");
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let json = "content-type: application/json\r\n";
        self.ask("POST", path, json, &body.to_string())
    }

    /// Saves a workflow and publishes it.
    #[track_caller]
    pub(crate) fn publish(&self, id: &str, text: &str) {
        let yaml = "content-type: application/yaml\r\n";
        let path = format!("/api/v1/workflows/{id}");
        let (status, saved) = self.ask("PUT", &path, yaml, text);
        assert_eq!(status, 201, "{saved}");
        let change = "content-type: application/json\r\nif-match: \"1\"\r\n";
        let path = format!("{path}/publish");
        let (status, said) = self.ask("POST", &path, change, "{\"version\":1}");
        assert_eq!(status, 200, "{said}");
    }

    /// The events of a stream, as they come.
    #[track_caller]
    pub(crate) fn events(&self, path: &str) -> impl Iterator<Item = Value> + use<> {
        let headers = format!("authorization: Bearer {}\r\n", self.token);
        http::events(&self.address, path, &headers)
    }

    /// Starts an execution and gives its id.
    #[track_caller]
    pub(crate) fn start(&self, workflow: &str, input: &Value) -> String {
        let wanted = json!({ "workflow": workflow, "input": input });
        let (status, started) = self.post("/api/v1/executions", &wanted);
        assert!(matches!(status, 201 | 202), "{status}: {started}");
        started["execution"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn status(&self, execution: &str) -> String {
        let shown = self.get(&format!("/api/v1/executions/{execution}"));
        shown["status"].as_str().unwrap().to_owned()
    }

    /// Waits until each has one of these statuses.
    #[track_caller]
    pub(crate) fn become_one_of(&self, executions: &[String], statuses: &[&str]) {
        for execution in executions {
            wait_until(&format!("{execution} is one of {statuses:?}"), || {
                statuses.contains(&self.status(execution).as_str())
            });
        }
    }
}

#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + BOUND;
    while !is_so() {
        assert!(Instant::now() < end, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn exists(path: &Path) -> bool {
    path.exists()
}
