//! `cargo xtask schemathesis`: asks a real `nebula serve` all that its OpenAPI document allows, and much
//! that it does not, and holds each answer against the document.
//!
//! [Schemathesis](https://schemathesis.readthedocs.io) makes the requests, from a seed; pip brings it
//! into a folder of its own below the target folder. The server has workflows and an execution, so that
//! half of the requests find something; the other half ask for what is not there.

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
};

use serde_json::{Value, json};

use crate::stage::{Outcome, beside, cargo, passes, root, shout};

const VERSION: &str = "4.32.5";

/// What is held against each answer. Not: that what fits the document is accepted, since it cannot say
/// which ids there are.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,missing_required_header,unsupported_method,allow_header_conformance,ignored_auth";

/// What never ends is looked at by tests.
const ENDLESS: [&str; 3] = [
    "/api/v1/events",
    "/api/v1/changes",
    "/api/v1/approvals/events",
];

/// Workflows that are there.
const WORKFLOWS: [(&str, &str); 3] = [
    ("greet", "action: data.set, parameters: { text: Hi }"),
    ("waits", "action: flow.wait, parameters: { signal: paid }"),
    ("asks", "action: flow.approval, parameters: { title: Go }"),
];

pub(crate) fn run(rest: &[&str]) -> ExitCode {
    let (mut examples, mut seed) = ("50", "1");
    let mut rest = rest.iter();
    while let Some(flag) = rest.next() {
        match (*flag, rest.next()) {
            ("--examples", Some(value)) => examples = value,
            ("--seed", Some(value)) => seed = value,
            _ => {
                shout("usage: cargo xtask schemathesis [--examples N] [--seed S]");
                return ExitCode::from(2);
            }
        }
    }
    let build = cargo("build --package nebula-desktop --bins");
    let there = passes(build) == Outcome::Ok && (is_there() || fetch());
    match there && asked(examples, seed) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// A few requests for each operation, the same every time.
pub(crate) fn stage() -> Outcome {
    if !is_there() {
        shout("schemathesis is not there. `cargo xtask schemathesis` fetches it.");
        return Outcome::Skipped;
    }
    match asked("15", "1") {
        true => Outcome::Ok,
        false => Outcome::Failed,
    }
}

/// Whether the pinned version is there.
pub(crate) fn is_there() -> bool {
    folder().join("done").is_file()
}

/// Brings it; says why it could not.
pub(crate) fn fetch() -> bool {
    let folder = folder();
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--upgrade", "--target"])
        .arg(&folder)
        .arg(format!("schemathesis=={VERSION}"));
    passes(pip) == Outcome::Ok && fs::write(folder.join("done"), VERSION).is_ok()
}

fn folder() -> PathBuf {
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join(format!("tmp/schemathesis-{VERSION}"))
}

/// Asks a new server, once about what is there and once about anything.
fn asked(examples: &str, seed: &str) -> bool {
    let asked = Server::start().and_then(|server| {
        let known = server.fill()?;
        let all = [("what is there", Some(known)), ("anything", None)];
        let mut right = true;
        for (about, known) in all {
            println!("   asking about {about}");
            right &= server.asked(examples, seed, known.as_deref())?;
        }
        Ok(right)
    });
    asked.unwrap_or_else(|error| {
        shout(&format!("the server: {error}"));
        false
    })
}

/// A server over a new database; it ends with this.
struct Server {
    process: Child,
    folder: PathBuf,
    address: String,
    token: String,
}

impl Server {
    fn start() -> io::Result<Self> {
        let nebula = beside("nebula").ok_or_else(|| io::Error::other("it is not built"))?;
        let folder = env::temp_dir().join(format!("nebula-schemathesis-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let mut process = Command::new(nebula)
            .args(["serve", "--listen", "127.0.0.1:0", "--json", "--db"])
            .arg(folder.join("n.db"))
            .env("NEBULA_HOME", &folder)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let out = process.stdout.take().expect("standard output is piped");
        let mut server = Self {
            process,
            folder,
            address: String::new(),
            token: String::new(),
        };
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let told: Value = serde_json::from_str(&line)?;
        let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
        server.address = text("url").replace("http://", "");
        server.token = fs::read_to_string(text("token_file"))?.trim().to_owned();
        Ok(server)
    }

    /// Publishes the workflows and starts one, makes a project and somebody in it; gives the values of the
    /// parameters by which all that is found.
    fn fill(&self) -> io::Result<String> {
        for (id, node) in WORKFLOWS {
            let path = format!("/api/v1/workflows/{id}");
            let definition = format!("id: {id}\nnodes: [{{ id: node, {node} }}]\n");
            self.ask("PUT", &path, "application/yaml", &definition)?;
            let path = format!("{path}/publish");
            self.ask("POST", &path, "application/json", "{\"version\":1}")?;
        }
        let start = json!({ "workflow": "greet" }).to_string();
        let started = self.ask("POST", "/api/v1/executions", "application/json", &start)?;
        let json = "application/json";
        let project = json!({ "name": "Shop", "version": 1 }).to_string();
        self.ask("PUT", "/api/v1/projects/shop", json, &project)?;
        let user = json!({ "kind": "service", "login": "robot" }).to_string();
        let user = self.ask("POST", "/api/v1/users", json, &user)?;
        let text = |value: &Value, key: &str| {
            let found = value[key].as_str().map(str::to_owned);
            found.ok_or_else(|| io::Error::other(format!("there is no `{key}` in {value}")))
        };
        let user = text(&user, "user")?;
        let key = json!({ "name": "one", "lasts": "1h" }).to_string();
        let key = self.ask("POST", &format!("/api/v1/users/{user}/keys"), json, &key)?;
        Ok(format!(
            "\"path.execution\" = \"{}\"\n\"path.user\" = \"{user}\"\n\"path.key\" = \"{}\"\n",
            text(&started, "execution")?,
            text(&key, "key")?
        ))
    }

    fn ask(&self, method: &str, path: &str, kind: &str, body: &str) -> io::Result<Value> {
        let mut stream = TcpStream::connect(&self.address)?;
        let (token, length) = (&self.token, body.len());
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-type: {kind}\r\ncontent-length: {length}\r\nif-match: *\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Ok(serde_json::from_str(body)?)
    }

    fn asked(&self, examples: &str, seed: &str, known: Option<&str>) -> io::Result<bool> {
        let mut config = format!(
            "headers = {{ Authorization = \"Bearer {}\" }}\n",
            self.token
        );
        if let Some(known) = known {
            config.push_str(&format!(
                "[parameters]\n{known}\"path.credential\" = \"till\"\n\"path.secret\" = \"till\"\n\"path.workflow\" = \"greet\"\n\"path.version\" = 1\n\
                 \"path.action\" = \"data.set\"\n\"path.project\" = \"shop\"\n"
            ));
        }
        let file = self.folder.join("schemathesis.toml");
        fs::write(&file, config)?;
        let document = format!("http://{}/api/v1/openapi.json", self.address);
        let outcome = passes(program(&self.folder, &file, &document, examples, seed));
        Ok(outcome == Outcome::Ok)
    }
}

fn program(at: &Path, config: &Path, document: &str, examples: &str, seed: &str) -> Command {
    let mut program = Command::new("python3");
    program
        .args([
            "-c",
            "from schemathesis.cli import schemathesis; schemathesis()",
        ])
        .arg("--config-file")
        .arg(config)
        .args(["run", document, "--seed", seed, "--max-examples", examples])
        .args(ENDLESS.iter().flat_map(|path| ["--exclude-path", path]))
        .args(["--checks", CHECKS])
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--continue-on-failure",
        ])
        .args(["--request-timeout", "30", "--warnings", "off"])
        .args(["--suppress-health-check", "all"])
        .env("PYTHONPATH", folder())
        .env("PYTHONWARNINGS", "ignore")
        .current_dir(at);
    program
}

impl Drop for Server {
    fn drop(&mut self) {
        // What is wrong with it shows in what it answered.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
