//! Requests that leave the machine's real program for real servers.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use serde_json::json;

use crate::support::User;

/// One request as a server saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// When it was read.
    pub(crate) at: Instant,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Has a server stop when it goes.
struct Ends<'a>(&'a AtomicBool, SocketAddr);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.1));
    }
}

/// Answers while `work` goes on; gives what was seen. `script` gets the requests so far, the last
/// one included, and gives the whole answer.
pub(crate) fn serving(
    script: impl Fn(&[Seen]) -> String + Sync,
    work: impl FnOnce(SocketAddr),
) -> Vec<Seen> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                let Ok(Some(request)) = read(&stream) else {
                    continue;
                };
                let mut seen = seen.lock().unwrap();
                seen.push(request);
                // A client that has gone away has what it deserves.
                let _ = stream.write_all(script(&seen).as_bytes());
            }
        });
        // Also where the work fails, which is to be told.
        let _ends = Ends(&over, address);
        work(address);
    });
    seen.into_inner().unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "when a request came is told by the server's own clock"
)]
pub(crate) fn read(stream: &TcpStream) -> io::Result<Option<Seen>> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        match header.trim().split_once(": ") {
            Some((name, value)) => headers.push((name.to_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let mut seen = Seen {
        line: line.trim().to_owned(),
        headers,
        body: String::new(),
        at: Instant::now(),
    };
    let length = seen.header("content-length").and_then(|it| it.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    seen.body = String::from_utf8(body).unwrap();
    Ok(Some(seen))
}

pub(crate) fn answer(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    )
}

/// Three pages; the first try of the first is refused, that of the second is cut. A note is taken at
/// its second try.
fn flaky(seen: &[Seen]) -> String {
    let last = seen.last().unwrap();
    let tries = seen.iter().filter(|it| it.line == last.line).count();
    match (last.line.as_str(), tries) {
        ("GET /items?page=1 HTTP/1.1", 1) => answer(503, "Retry-After: 0\r\n", "{}"),
        ("GET /items?page=2 HTTP/1.1", 2) => {
            let whole = answer(200, "", r#"{"items":["c"],"more":true}"#);
            whole[..whole.len() - 5].to_owned()
        }
        ("POST /notes HTTP/1.1", 1) => answer(500, "", "{}"),
        ("GET /items?page=1 HTTP/1.1", _) => answer(200, "", r#"{"items":["a","b"],"more":true}"#),
        ("GET /items?page=2 HTTP/1.1", _) => answer(200, "", r#"{"items":["c"],"more":true}"#),
        ("GET /items?page=3 HTTP/1.1", _) => answer(200, "", r#"{"items":["d"],"more":false}"#),
        ("POST /notes HTTP/1.1", _) => answer(201, "", r#"{"id":7}"#),
        _ => answer(404, "", "{}"),
    }
}

const PAGES: &str = r#"
nodes:
  - id: all
    action: http.request
    parameters:
      url: ORIGIN/items
      page: { parameter: page }
      items: $item.body.items
      until: "!$item.body.more"
    retry: { max_attempts: 5, initial: 1ms, jitter: none }
  - id: note
    action: http.request
    parameters:
      method: POST
      url: ORIGIN/notes
      body: { json: { found: "{{ $nodes.all.result.body.join('') }}" } }
    retry: { max_attempts: 5, initial: 1ms, jitter: none }
connections: [{ from: all, to: note }]
"#;

#[test]
fn a_workflow_pages_through_a_flaky_server_and_writes_once() {
    let user = User::new();
    let seen = serving(flaky, |address| {
        let origin = format!("http://{address}");
        user.write("w.yaml", &PAGES.replace("ORIGIN", &origin));
        let said = user.nebula(&["run", "w.yaml"]).exits(2);
        assert_eq!(said.error_code(), "GRANTS_MISSING");
        let grant = format!("net:{address}");
        let said = said.says(&format!("--grant {grant}"));
        assert_eq!(said.json()["diagnostics"].as_array().unwrap().len(), 1);
        let said = user.nebula(&["run", "w.yaml", "--grant", &grant]).exits(0);
        let output = &said.json()["output"];
        assert_eq!(
            (&output["status"], &output["body"]),
            (&json!(201), &json!({ "id": 7 }))
        );
    });
    let lines: Vec<_> = seen
        .iter()
        .map(|seen| seen.line.split(' ').nth(1).unwrap())
        .collect();
    let pages = ["/items?page=1", "/items?page=1", "/items?page=2"];
    assert_eq!(
        lines[..3],
        pages,
        "the first page is asked for again, then the second"
    );
    let notes: Vec<_> = seen
        .iter()
        .filter(|seen| seen.line.starts_with("POST"))
        .collect();
    assert_eq!(notes.len(), 2);
    let keys: Vec<_> = notes
        .iter()
        .map(|it| it.header("idempotency-key").unwrap())
        .collect();
    assert_eq!(keys[0], keys[1], "one key for every attempt");
    assert_eq!(notes[1].body, r#"{"found":"abcd"}"#);
    assert!(
        seen.iter()
            .all(|it| it.line.starts_with("POST") || it.header("idempotency-key").is_none())
    );
}

#[test]
fn a_wide_grant_leads_neither_to_this_machine_nor_through_a_proxy() {
    let user = User::new();
    let proxied = serving(
        |_| answer(200, "", "\"the proxy\""),
        |proxy| {
            let seen = serving(
                |_| answer(200, "", "\"inside\""),
                |address| {
                    let port = address.port();
                    let run = |url: &str, grants: &[&str]| {
                        let node = format!(
                            "{{ id: ask, action: http.request, parameters: {{ url: \"{{{{ $input.url }}}}\" }}, requires: {} }}",
                            json!(grants)
                        );
                        user.write("w.yaml", &format!("nodes: [{node}]\n"));
                        let input = format!("url={url}");
                        let mut command = user.command(&[
                            "run",
                            "w.yaml",
                            "--grant-requested",
                            "--input",
                            &input,
                        ]);
                        for name in [
                            "HTTP_PROXY",
                            "http_proxy",
                            "ALL_PROXY",
                            "all_proxy",
                            "HTTPS_PROXY",
                        ] {
                            command.env(name, format!("http://{proxy}"));
                        }
                        let said = command.output().unwrap();
                        serde_json::from_slice::<serde_json::Value>(&said.stdout).unwrap()
                    };
                    for host in [
                        "127.0.0.1",
                        "2130706433",
                        "localhost",
                        "[::ffff:127.0.0.1]",
                        "0x7f.1",
                    ] {
                        let said = run(&format!("http://{host}:{port}/"), &["net:*"]);
                        assert_eq!(said["error"]["code"], "CAPABILITY_DENIED", "{said}");
                    }
                    let said = run(&format!("http://{address}/"), &[&format!("net:{address}")]);
                    assert_eq!(said["output"]["body"], "inside", "{said}");
                },
            );
            assert_eq!(seen.len(), 1, "only the request that was granted arrived");
        },
    );
    assert!(proxied.is_empty(), "{proxied:?}");
}

#[test]
fn the_page_of_an_action_says_what_it_takes() {
    let user = User::new();
    let said = user.nebula(&["actions", "show", "http.request"]).exits(0);
    let page = said.json();
    assert_eq!(page["parameters"]["properties"]["method"]["default"], "GET");
    assert_eq!(
        page["capabilities"],
        json!([{ "url": { "parameter": "url" } }])
    );
}
