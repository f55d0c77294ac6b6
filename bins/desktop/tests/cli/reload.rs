//! Settings that hold while `nebula serve` runs.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::ChildStderr,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{serve::Serving, support::User};

const STATE: &str = "/api/v1/settings";

/// A server, what it says, and the file of its settings.
struct Told {
    serving: Serving,
    err: BufReader<ChildStderr>,
    user: User,
}

impl Told {
    fn start() -> Self {
        let user = User::new();
        let mut serving = Serving::start(&user);
        let err = BufReader::new(serving.process.stderr.take().unwrap());
        Self { serving, err, user }
    }

    /// Writes the settings, and what the server says once it has read them. Lines of the log come before.
    fn reload(&mut self, settings: &str) -> (String, String) {
        let folder = self.user.home().join("config");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("nebula.toml"), settings).unwrap();
        let process = Pid::from_child(&self.serving.process);
        kill_process(process, Signal::HUP).unwrap();
        let mut before = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.err.read_line(&mut line).unwrap(), 0, "{before}");
            if line.contains("settings were read again") || line.contains("warning[") {
                return (before, line);
            }
            before.push_str(&line);
        }
    }

    /// Reads on until the log has said so often that something was answered, `before` and what comes now: a
    /// thread of its own writes it, and may be behind what the server says itself.
    fn answered(&mut self, before: &str, times: usize) {
        let mut seen = before.matches("answered").count();
        while seen < times {
            let mut line = String::new();
            assert_ne!(self.err.read_line(&mut line).unwrap(), 0, "{before}");
            seen += line.matches("answered").count();
        }
    }

    fn policy(&self) -> String {
        let token = format!("authorization: Bearer {}\r\n", self.serving.token);
        let (head, _) = self.serving.ask_without("GET", STATE, &token, "");
        let policy = head
            .lines()
            .find(|line| line.starts_with("ratelimit-policy"));
        policy.unwrap().to_owned()
    }
}

#[test]
fn the_log_and_the_limits_of_a_server_change_while_it_runs() {
    let mut told = Told::start();
    assert!(told.policy().contains("q=2000;"));
    let settings = "[log]\nfilter = \"info\"\n[serve.limits]\nmax_requests = 50\nmax_headers = 90\n\
                    [worker]\nlease_ttl = \"50s\"\n";
    let (log, said) = told.reload(settings);
    assert!(!log.contains("answered"), "{log}");
    assert!(
        said.contains("changed: log.filter, serve.limits.max_requests; these hold from the next start on: serve.limits.max_headers, worker.lease_ttl"),
        "{said}"
    );
    assert!(told.policy().contains("q=50;"));
    let (_, shown) = told.serving.ask("GET", STATE, "", "");
    let shown = &shown["settings"];
    assert_eq!(shown["serve.limits.max_requests"]["value"], 50, "{shown}");
    assert_eq!(shown["serve.limits.max_headers"]["value"], 100, "{shown}");
    assert_eq!(shown["log.filter"]["value"], "info", "{shown}");

    // What was asked since is in the log, and the next settings end that.
    let (log, said) = told.reload("[log]\nfilter = \"error\"\n");
    told.answered(&log, 2);
    assert!(
        said.contains("changed: log.filter, serve.limits.max_requests\n"),
        "{said}"
    );
    assert!(told.policy().contains("q=2000;"));
    let (log, said) = told.reload("[log]\nfilter = \"error\"\n");
    assert!(!log.contains("answered"), "{log}");
    assert!(
        said.contains("none that holds at once has changed"),
        "{said}"
    );
}

/// Guards: the rates of requests that workflows send change, those of what was limited before as well, and
/// nothing of a file of which anything cannot be used.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the server that is asked answers beside the test"
)]
fn the_limits_of_requests_of_workflows_change_while_a_server_runs() {
    let served = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = served.local_addr().unwrap();
    // It answers each request, on a connection of its own, for as long as the test goes on.
    std::thread::spawn(move || {
        for stream in served.incoming() {
            let mut stream = stream.unwrap();
            let mut read = [0; 4096];
            let _ = stream.read(&mut read);
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let mut told = Told::start();
    let limits = |burst: u32, more: &str| {
        format!(
            "[http.hosts.\"{address}\"]\nrate = {{ limit = 1, per = \"1h\", burst = {burst} }}\n{more}"
        )
    };
    let url = format!("http://{}", told.serving.address);
    told.user
        .nebula_with(&["login", &url], &told.serving.token)
        .exits(0);
    let definition = format!(
        "id: ask\nnodes:\n  - {{ id: a, action: http.request, parameters: {{ url: 'http://{address}/' }}, retry: {{ max_attempts: 1 }} }}\n"
    );
    let file = told.user.write("ask.yaml", &definition);
    let server = ["--server", url.as_str()];
    let push = ["workflows", "push", file.to_str().unwrap(), "--publish"];
    told.user.nebula(&[&push[..], &server].concat()).exits(0);
    // What is held for an hour waits, and does not end.
    let ask = |told: &Told, ends: bool| {
        let run = ["run", "ask", "--detach"];
        let said = told.user.nebula(&[&run[..], &server].concat()).exits(0);
        let id = said.json()["execution"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/executions/{id}");
        crate::support::wait_until("it has ended, or waits", || {
            let (_, it) = told.serving.ask("GET", &path, "", "");
            match ends {
                true => it["status"] == "completed",
                false => it["status"] == "waiting" && it["wake_at"].is_string(),
            }
        });
    };
    let (_, said) = told.reload(&limits(1, ""));
    let named = format!("http.hosts.{address}.rate.burst");
    assert!(
        said.contains("changed: ") && said.contains(&named),
        "{said}"
    );
    ask(&told, true);
    ask(&told, false);
    let (_, said) = told.reload(&limits(2, "[http]\nuse_breaker = false\nwait = \"1s\"\n"));
    assert!(
        said.contains("changed: ") && said.contains("http.wait"),
        "{said}"
    );
    assert!(said.contains("next start on: http.use_breaker"), "{said}");
    ask(&told, true);
    ask(&told, true);
    ask(&told, false);
    let (_, said) = told.reload(&limits(0, "[http]\nwait = \"2s\"\n"));
    assert!(said.contains("warning[SETTINGS]"), "{said}");
    ask(&told, false);
    let (_, shown) = told.serving.ask("GET", STATE, "", "");
    assert_eq!(shown["settings"]["http.wait"]["value"], "1s");
    // Without an entry there is no limit.
    let (_, said) = told.reload("[log]\nfilter = \"info\"\n");
    assert!(said.contains(&named), "{said}");
    for _ in 0..3 {
        ask(&told, true);
    }
    let (_, shown) = told.serving.ask("GET", STATE, "", "");
    assert_eq!(shown["settings"][&named], serde_json::Value::Null);
}

#[test]
fn settings_that_cannot_be_used_are_told_and_those_before_stay() {
    let mut told = Told::start();
    told.reload("[log]\nfilter = \"info\"\n[serve.limits]\nmax_requests = 50\n");
    for (bad, why) in [
        ("[log]\nfilter = \"off\"\nlevel = 1\n", "log.level"),
        (
            "[log]\nfilter = \"off\"\n[serve.limits]\nmax_page = 0\n",
            "`max_page` is zero",
        ),
        (
            "[log]\nfilter = \"a=loud\"\n[serve.limits]\nmax_requests = 9\n",
            "no log filter",
        ),
    ] {
        let (_, said) = told.reload(bad);
        assert!(
            said.contains("warning[SETTINGS]") && said.contains(why),
            "{said}"
        );
        assert!(said.contains("the settings before stay"), "{said}");
        assert!(told.policy().contains("q=50;"), "{bad}");
        // Also of the log: the request before is in it.
        let (log, _) = told.reload(bad);
        told.answered(&log, 1);
    }
}

#[test]
fn the_file_is_looked_at_without_a_signal() {
    let mut told = Told::start();
    let folder = told.user.home().join("config");
    fs::create_dir_all(&folder).unwrap();
    fs::write(
        folder.join("nebula.toml"),
        "[serve.limits]\nmax_requests = 50\n",
    )
    .unwrap();
    let mut line = String::new();
    while !line.contains("changed: serve.limits.max_requests") {
        line.clear();
        assert_ne!(told.err.read_line(&mut line).unwrap(), 0);
    }
    assert!(told.policy().contains("q=50;"));
}
