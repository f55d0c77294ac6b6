//! `nebula serve`, as a program that asks it sees it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Stdio},
};

use serde_json::{Value, json};

use crate::support::User;

const GREET: &str = "id: greet\nnodes:\n  - { id: hello, action: data.set, parameters: { text: 'Hi {{ $input.name }}' } }\n";

/// A server that is stopped when it is dropped.
pub(crate) struct Serving {
    pub(crate) process: Child,
    pub(crate) address: String,
    pub(crate) token: String,
    /// The file with the token that makes the first person.
    pub(crate) setup: Option<PathBuf>,
}

impl Serving {
    pub(crate) fn start(user: &User) -> Self {
        Self::start_with(user, &[])
    }

    pub(crate) fn start_with(user: &User, more: &[&str]) -> Self {
        let mut process = user
            .command(&[&["serve", "--listen", "127.0.0.1:0"], more].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        let url = told["url"].as_str().unwrap();
        let address = url.split_once("://").unwrap().1.to_owned();
        let token = fs::read_to_string(told["token_file"].as_str().unwrap()).unwrap();
        Self {
            process,
            address,
            token: token.trim().to_owned(),
            setup: told["setup_file"].as_str().map(PathBuf::from),
        }
    }

    /// The status and the document of an answer.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, Value) {
        let token = format!("authorization: Bearer {}\r\n{headers}", self.token);
        let (head, body) = self.ask_without(method, path, &token, body);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        // Some say nothing but their status.
        let body = if body.is_empty() { "null" } else { &body };
        (status, serde_json::from_str(body).unwrap())
    }

    /// Head and body of an answer to a request that shows nothing but these headers.
    pub(crate) fn ask_without(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> (String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    /// What it tells Prometheus.
    pub(crate) fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let token = &self.token;
        let request = format!(
            "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub(crate) fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_server_starts_drives_and_stops_and_goes_on_later() {
    let user = User::new();
    let mut serving = Serving::start(&user);
    let yaml = "content-type: application/yaml\r\n";
    let (status, saved) = serving.ask("PUT", "/api/v1/workflows/greet", yaml, GREET);
    assert_eq!((status, &saved["version"]), (201, &json!(1)), "{saved}");
    let change = "content-type: application/json\r\nif-match: \"1\"\r\n";
    let publish = "/api/v1/workflows/greet/publish";
    let (status, _) = serving.ask("POST", publish, change, "{\"version\":1}");
    assert_eq!(status, 200);
    let start = json!({ "workflow": "greet", "input": { "name": "Ada" } }).to_string();
    let json = "content-type: application/json\r\n";
    let (status, done) = serving.ask("POST", "/api/v1/executions?wait=30s", json, &start);
    assert_eq!((status, &done["output"]["text"]), (200, &json!("Hi Ada")));

    // Other commands see the same database, and what they leave is driven here.
    let listed = user.nebula(&["executions", "list"]).exits(0).json();
    assert_eq!(listed["executions"][0]["execution"], done["execution"]);

    serving.terminate();
    assert_eq!(serving.process.wait().unwrap().code(), Some(0));
    let token = serving.token.clone();
    let again = Serving::start(&user);
    assert_eq!(again.token, token);
    let path = format!("/api/v1/executions/{}", done["execution"].as_str().unwrap());
    let (status, shown) = again.ask("GET", &path, "", "");
    assert_eq!((status, &shown["status"]), (200, &json!("completed")));
}

/// The certificates of the tests of connections: of `localhost`, by an authority of their own.
fn certificate(name: &str) -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.join("../../drivers/http-reqwest/tests/certificates")
        .join(name)
}

#[test]
fn over_tls_a_server_is_asked_by_those_who_trust_its_certificate() {
    let (host, user) = (User::new(), User::new());
    let (chain, key) = (certificate("leaf.pem"), certificate("leaf.key"));
    let (own_chain, own_key) = (host.work().join("chain.pem"), host.work().join("key.pem"));
    fs::copy(&chain, &own_chain).unwrap();
    fs::copy(&key, &own_key).unwrap();
    let files = ["--tls-cert", "chain.pem", "--tls-key", "key.pem"];
    let serving = Serving::start_with(&host, &files);
    let port = serving.address.split_once(':').unwrap().1;
    let url = format!("https://localhost:{port}");
    let login = ["login", &url];
    let unknown = user.nebula_with(&login, &serving.token).exits(3);
    assert_eq!(unknown.error_code(), "SERVER_UNREACHABLE");
    unknown.says("no secure connection");
    fs::create_dir_all(user.home().join("config")).unwrap();
    let trust = format!("[connections]\nca_files = [{:?}]\n", certificate("ca.pem"));
    fs::write(user.home().join("config/nebula.toml"), trust).unwrap();
    user.nebula_with(&login, &serving.token).exits(0);
    user.nebula(&["workflows", "list", "--server", &url])
        .exits(0);
    // Without TLS nobody is answered.
    let mut plain = TcpStream::connect(&serving.address).unwrap();
    plain
        .write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
    drop(serving);

    let refused = |more: &[&str], code: i32, name: &str| {
        let said = host.nebula(&[&["serve", "--listen", "127.0.0.1:0"], more].concat());
        assert_eq!(said.exits(code).error_code(), name, "{more:?}");
    };
    host.nebula(&["serve", "--tls-cert", "chain.pem"])
        .exits(2)
        .says("--tls-key");
    refused(
        &["--tls-cert", "none.pem", "--tls-key", "key.pem"],
        3,
        "FILE_UNUSABLE",
    );
    refused(
        &["--tls-cert", "key.pem", "--tls-key", "key.pem"],
        3,
        "TLS_UNUSABLE",
    );
    refused(
        &["--tls-cert", "chain.pem", "--tls-key", "chain.pem"],
        3,
        "TLS_UNUSABLE",
    );
    // A certificate with the key of another one.
    fs::copy(certificate("ca.pem"), &own_chain).unwrap();
    refused(&files, 3, "TLS_UNUSABLE");
}

#[test]
fn what_cannot_be_served_is_told_before_anything_is_made() {
    let user = User::new();
    let open = user.nebula(&["serve", "--listen", "0.0.0.0:0"]).exits(2);
    assert_eq!(open.error_code(), "LISTEN_OPEN");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let taken = user.nebula(&["serve", "--listen", &address]).exits(3);
    assert_eq!(taken.error_code(), "PORT_UNUSABLE");
    assert!(taken.err.contains("--listen"), "{}", taken.err);
    // A file with something else is not written over, and opens nothing.
    let token = user.home().join("data/nebula.db-token");
    fs::write(&token, "something else\n").unwrap();
    let other = user.nebula(&["serve", "--listen", "127.0.0.1:0"]).exits(3);
    assert_eq!(other.error_code(), "TOKEN_FILE");
    assert_eq!(fs::read_to_string(&token).unwrap(), "something else\n");
}

const SLOW: &str = "id: slow\nnodes:\n  - { id: wait, action: flow.wait, parameters: { for: SPAN } }\n  - { id: last, action: data.set, parameters: { n: 1 } }\nconnections: [ wait -> last ]\n";

/// A server of which somebody asks for the end of an execution that takes so long, once it has been told to stop.
fn stopping(span: &str, and_then: impl FnOnce(&mut Serving)) -> (u16, Value) {
    let user = User::new();
    let mut serving = Serving::start(&user);
    let yaml = "content-type: application/yaml\r\nif-match: *\r\n";
    let path = "/api/v1/workflows/slow";
    let slow = SLOW.replace("SPAN", span);
    assert_eq!(serving.ask("PUT", path, yaml, &slow).0, 201);
    let mut err = BufReader::new(serving.process.stderr.take().unwrap());
    let (address, token) = (serving.address.clone(), serving.token.clone());
    std::thread::scope(|scope| {
        let asked = scope.spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            let body = "{\"workflow\":\"slow\",\"version\":1}";
            let length = body.len();
            let request = format!(
                "POST /api/v1/executions?wait=30s HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                 authorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            // One that is stopped at once answers nothing.
            let _ = stream.read_to_string(&mut answer);
            let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
            let status = head.split(' ').nth(1).map_or(0, |it| it.parse().unwrap());
            (status, serde_json::from_str(body).unwrap_or_default())
        });
        crate::support::wait_until("it has begun", || {
            let (_, list) = serving.ask("GET", "/api/v1/executions", "", "");
            list["executions"]
                .as_array()
                .is_some_and(|it| it.len() == 1)
        });
        serving.terminate();
        let mut line = String::new();
        while !line.contains("stopping: ") {
            line.clear();
            assert_ne!(err.read_line(&mut line).unwrap(), 0);
        }
        and_then(&mut serving);
        asked.join().unwrap()
    })
}

/// Guards: executions are driven until those who wait for them have their answers.
#[test]
fn who_waits_for_an_end_has_it_before_a_server_stops() {
    let (status, answer) = stopping("1500ms", |serving| {
        assert_eq!(serving.process.wait().unwrap().code(), Some(0));
    });
    assert_eq!(
        (status, &answer["output"]),
        (200, &json!({ "n": 1 })),
        "{answer}"
    );
}

#[test]
fn the_second_signal_ends_a_server_as_it_is() {
    let (status, _) = stopping("1h", |serving| {
        serving.terminate();
        assert_eq!(serving.process.wait().unwrap().code(), Some(143));
    });
    assert_eq!(status, 0, "nobody is answered any more");
}
