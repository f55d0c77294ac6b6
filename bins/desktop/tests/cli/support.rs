//! A user with a home and a folder of workflows, both empty at first.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take that a test waits for.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

pub(crate) struct User {
    folder: TempDir,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// The only document on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_str(&self.out) {
            Ok(value) => value,
            Err(error) => panic!("{error}: {self:#?}"),
        }
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// The error's code, in the document that exits 2 and 3 give.
    #[track_caller]
    pub(crate) fn error_code(&self) -> String {
        let document = self.json();
        assert!(document["execution"].is_null(), "{self:#?}");
        assert!(document["diagnostics"].is_array(), "{self:#?}");
        assert!(self.err.contains("error["), "{self:#?}");
        document["error"]["code"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.err.contains(text), "{text:?} is not in {self:#?}");
        self
    }
}

impl User {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("work")).unwrap();
        Self { folder }
    }

    /// The folder with workflows, in which commands run. Without links in its path.
    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("work")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.home().join("data/nebula.db")
    }

    #[track_caller]
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.work().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// The command, with this user's home and nothing of the tester's settings.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nebula"));
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

    #[track_caller]
    pub(crate) fn nebula(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments).output().unwrap())
    }

    /// The same with something on standard input.
    #[track_caller]
    pub(crate) fn nebula_with(&self, arguments: &[&str], input: &str) -> Said {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that needs no more input may have ended.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        said(child.wait_with_output().unwrap())
    }

    /// Starts `run` or `resume`, and waits until it names its execution: it is driven from then on.
    #[track_caller]
    pub(crate) fn begin(&self, arguments: &[&str]) -> Running {
        self.begin_with(arguments, "LANG", "C")
    }

    /// The same with one more variable.
    #[track_caller]
    pub(crate) fn begin_with(&self, arguments: &[&str], variable: &str, value: &str) -> Running {
        let mut command = self.command(arguments);
        let mut child = command.env(variable, value).spawn().unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        err.read_line(&mut line).unwrap();
        let Some(id) = line.trim().strip_prefix("execution ") else {
            let mut rest = String::new();
            err.read_to_string(&mut rest).unwrap();
            panic!("{line}{rest}");
        };
        let id = id.to_owned();
        Running { child, err, id }
    }
}

pub(crate) fn said(output: std::process::Output) -> Said {
    Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A command that works in the background.
pub(crate) struct Running {
    child: Child,
    err: BufReader<ChildStderr>,
    pub(crate) id: String,
}

impl Running {
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// The next line on standard error.
    pub(crate) fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.err.read_line(&mut line).unwrap();
        line
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// SIGKILL: nothing of it runs on.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn ends(mut self) -> Said {
        let (mut out, mut err) = (String::new(), String::new());
        let mut stdout = self.child.stdout.take().unwrap();
        stdout.read_to_string(&mut out).unwrap();
        self.err.read_to_string(&mut err).unwrap();
        let code = self.child.wait().unwrap().code();
        Said { code, out, err }
    }
}

/// Polls, because a file or a store of another process tells nobody that it has changed.
#[track_caller]
pub(crate) fn wait_until(what: &str, holds: impl FnMut() -> bool) {
    wait_until_within(BOUND, what, holds);
}

/// The same for what takes longer by its nature.
#[track_caller]
#[expect(
    clippy::disallowed_methods,
    reason = "another process is awaited: there is no event to wait for, and no clock to move"
)]
pub(crate) fn wait_until_within(bound: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < bound, "{what}: not within {bound:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The lines of a file that may not be there yet.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// One node that gives an object.
pub(crate) const SMALL: &str = "nodes: [{ id: greet, action: data.set, parameters: { text: \"Hi {{ $input.name ?? 'you' }}\" } }]\n";

/// It waits for longer than any test runs.
pub(crate) const WAITS: &str = "nodes:\n  - { id: first, action: data.set, parameters: { n: 1 } }\n  - { id: wait, action: flow.wait, parameters: { for: 1h } }\n";

/// A write whose time is up before it can have ended: nobody knows whether it happened.
pub(crate) fn in_doubt() -> String {
    let content = "{{ $nodes.big.result.t }}".repeat(16);
    format!(
        "nodes:\n  - {{ id: big, action: data.set, parameters: {{ t: \"{{{{ 'x'.repeat(900000) }}}}\" }} }}\n  \
         - {{ id: out, action: file.write, timeout: 1ms, parameters: {{ path: out.txt, mode: append, content: \"{content}\" }} }}\n"
    )
}
