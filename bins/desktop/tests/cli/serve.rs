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
    process: Child,
    pub(crate) address: String,
    pub(crate) token: String,
    /// The file with the token that makes the first person.
    pub(crate) setup: Option<PathBuf>,
}

impl Serving {
    pub(crate) fn start(user: &User) -> Self {
        let mut process = user
            .command(&["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        let address = told["url"].as_str().unwrap().replace("http://", "");
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
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let (token, length) = (&self.token, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        // Some say nothing but their status.
        let body = if body.is_empty() { "null" } else { body };
        (status, serde_json::from_str(body).unwrap())
    }

    fn terminate(&self) {
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
}
