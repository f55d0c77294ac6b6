//! Clients of the server: each has a connection, and asks again when it was answered.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode, body::Incoming, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use nebula_core::Clock;
use nebula_system::SystemClock;
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinSet};

use crate::{
    Samples,
    engine::Failed,
    process::{self, Usage},
    server::Listens,
    work::Work,
};

/// Starts, and waits for the end.
const START: &str = "/api/v1/executions?wait=30s";

/// A server in a process of its own; stopped when it is dropped.
#[derive(Debug)]
pub struct Server {
    process: Child,
    /// Its end is the sign to stop.
    input: Option<ChildStdin>,
    listens: Listens,
}

/// An API key of a service account that may start workflows.
#[derive(Debug, Clone)]
pub struct Key(String);

/// What a server spent since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Processor time of all its threads, in milliseconds.
    pub cpu_ms: u64,
    /// Bytes that it gave to the disk.
    pub written: u64,
    /// Memory in use now, in bytes.
    pub rss: u64,
    /// Commits of its database.
    pub commits: u64,
}

impl Spent {
    /// What was spent since `earlier`; memory is that of now.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            cpu_ms: self.cpu_ms - earlier.cpu_ms,
            written: self.written - earlier.written,
            rss: self.rss,
            commits: self.commits - earlier.commits,
        }
    }
}

/// What many requests gave.
#[derive(Debug)]
pub struct Loaded {
    /// From the first request to the last answer.
    pub took: Duration,
    /// Of each request.
    pub latency: Samples,
    /// What the server spent meanwhile.
    pub spent: Spent,
}

/// An open connection, and what is shown on it.
#[derive(Debug)]
pub struct Connection {
    send: SendRequest<Full<Bytes>>,
    bearer: String,
    /// Drives it.
    _open: JoinSet<hyper::Result<()>>,
}

impl Server {
    /// Starts `program` over the database in `folder`, and comes back when it listens.
    ///
    /// # Errors
    /// It does not start, or says nothing.
    pub fn start(program: &Path, folder: &Path) -> Result<Self, Failed> {
        let mut process = Command::new(program)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take();
        let output = process.stdout.take().ok_or("its output is not piped")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        Ok(Self {
            process,
            input,
            listens: serde_json::from_str(&line)?,
        })
    }

    /// The id of its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Publishes the workflows, and makes a key with which a program starts them.
    ///
    /// # Errors
    /// It refuses something, or does not answer.
    pub async fn prepare(&self) -> Result<Key, Failed> {
        let mut local = self.connect(&self.listens.token).await?;
        for work in Work::ALL {
            let path = format!("/api/v1/workflows/{}", work.id());
            let saved = local.json(Method::PUT, &path, &work.source()).await?;
            let version = json!({ "version": saved["version"] });
            let path = format!("{path}/publish");
            local.json(Method::POST, &path, &version).await?;
        }
        let account = json!({ "kind": "service", "login": "load" });
        let account = local.json(Method::POST, "/api/v1/users", &account).await?;
        let user = account["user"].as_str().ok_or("it has no id")?;
        let role = json!({ "to": "operator" });
        let path = format!("/api/v1/members/{user}");
        local.json(Method::PUT, &path, &role).await?;
        let key = json!({ "name": "load", "lasts": "24h" });
        let path = format!("/api/v1/users/{user}/keys");
        let made = local.json(Method::POST, &path, &key).await?;
        let secret = made["secret"].as_str().ok_or("it has no secret")?;
        Ok(Key(secret.to_owned()))
    }

    /// Asks for `count` executions of `work`, `clients` at a time, and holds each answer against what it
    /// must be.
    ///
    /// # Errors
    /// The connection broke, or an answer was wrong.
    pub async fn load(
        &self,
        key: &Key,
        work: Work,
        count: u64,
        clients: u64,
    ) -> Result<Loaded, Failed> {
        let clock = Arc::new(SystemClock::default());
        let mut connections = Vec::new();
        for _ in 0..clients {
            connections.push(self.connect(&key.0).await?);
        }
        let before = self.spent().await?;
        let (begin, next) = (clock.monotonic(), Arc::new(AtomicU64::new(0)));
        let mut tasks = JoinSet::new();
        for mut connection in connections {
            let (clock, next) = (clock.clone(), next.clone());
            tasks.spawn(async move {
                let (mut latency, wanted) = (Samples::default(), wanted(work));
                while next.fetch_add(1, Ordering::Relaxed) < count {
                    let from = clock.monotonic();
                    let asked = connection.ask(Method::POST, START, wanted.clone());
                    let output = asked.await?;
                    latency.add(clock.monotonic().saturating_sub(from));
                    check(work, &output)?;
                }
                Ok::<_, Failed>(latency)
            });
        }
        let mut latency = Samples::default();
        while let Some(client) = tasks.join_next().await {
            latency.extend(client??);
        }
        let took = clock.monotonic().saturating_sub(begin);
        Ok(Loaded {
            took,
            latency,
            spent: self.spent().await?.since(before),
        })
    }

    /// Asks for one execution over a connection of its own, and for nothing else.
    ///
    /// # Errors
    /// The connection broke, or the answer was wrong.
    pub async fn ask_once(&self, key: &Key, work: Work) -> Result<(), Failed> {
        self.client(key).await?.execute(work).await
    }

    /// Opens a connection with `key`.
    ///
    /// # Errors
    /// The server takes none.
    pub async fn client(&self, key: &Key) -> Result<Connection, Failed> {
        self.connect(&key.0).await
    }

    /// What the server spent since it began.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn spent(&self) -> Result<Spent, Failed> {
        let mut connection = self.connect(&self.listens.token).await?;
        let metrics = connection
            .ask(Method::GET, "/metrics", Bytes::new())
            .await?;
        let metrics = String::from_utf8(metrics.to_vec())?;
        let mut lines = metrics.lines();
        let commits = lines.find_map(|line| line.strip_prefix("nebula_commits_total "));
        let Usage { cpu, written } = process::usage_of(self.pid());
        Ok(Spent {
            cpu_ms: u64::try_from(cpu.as_millis())?,
            written,
            rss: process::rss_of(self.pid()),
            commits: commits.ok_or("the metrics have no commits")?.parse()?,
        })
    }

    /// A connection on which `token` is shown.
    async fn connect(&self, token: &str) -> Result<Connection, Failed> {
        let stream = TcpStream::connect(("127.0.0.1", self.listens.port)).await?;
        stream.set_nodelay(true)?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
        let (send, connection) = handshake.await?;
        let mut open = JoinSet::new();
        open.spawn(connection);
        Ok(Connection {
            send,
            bearer: format!("Bearer {token}"),
            _open: open,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.process.wait();
    }
}

impl Connection {
    async fn json(&mut self, method: Method, path: &str, body: &Value) -> Result<Value, Failed> {
        let answer = self.ask(method, path, body.to_string().into()).await?;
        match answer.is_empty() {
            true => Ok(Value::Null),
            false => Ok(serde_json::from_slice(&answer)?),
        }
    }

    /// Starts `work`, waits for its end, and holds what it gave against what it must be.
    ///
    /// # Errors
    /// The connection broke, or the answer was wrong.
    pub async fn execute(&mut self, work: Work) -> Result<(), Failed> {
        let output = self.ask(Method::POST, START, wanted(work)).await?;
        check(work, &output)
    }

    /// What there is at `path`.
    ///
    /// # Errors
    /// The connection broke, or the answer is none of success.
    pub async fn get(&mut self, path: &str) -> Result<Bytes, Failed> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    /// Watches the executions of `work`, from now on.
    ///
    /// # Errors
    /// The connection broke, or the server refuses.
    pub async fn watch(self, work: Work) -> Result<Watching, Failed> {
        let path = format!("/api/v1/events?workflow={}", work.id());
        self.open(&path, |line| line == b"event: ended").await
    }

    /// Follows what changes among the executions of `work`, from now on.
    ///
    /// # Errors
    /// The connection broke, or the server refuses.
    pub async fn watch_changes(self, work: Work) -> Result<Watching, Failed> {
        let path = format!("/api/v1/changes?workflow={}", work.id());
        let ended = |line: &[u8]| {
            let data = line.strip_prefix(b"data: ");
            let data = data.and_then(|it| serde_json::from_slice::<Value>(it).ok());
            data.is_some_and(|it| it["execution"]["status"] == "completed")
        };
        self.open(&path, ended).await
    }

    /// Opens a stream on which a line for which `ended` holds tells the end of an execution.
    async fn open(mut self, path: &str, ended: fn(&[u8]) -> bool) -> Result<Watching, Failed> {
        let request = self.request(&Method::GET, path, Bytes::new())?;
        let answer = self.send.send_request(request).await?;
        match answer.status() {
            StatusCode::OK => Ok(Watching {
                ended,
                body: answer.into_body(),
                line: Vec::new(),
                _connection: self,
            }),
            status => Err(format!("{path}: {status}").into()),
        }
    }

    async fn ask(&mut self, method: Method, path: &str, body: Bytes) -> Result<Bytes, Failed> {
        self.send.ready().await?;
        let request = self.request(&method, path, body)?;
        let answer = self.send.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        match status.is_success() {
            true => Ok(body),
            false => {
                let body = String::from_utf8_lossy(&body);
                Err(format!("{method} {path}: {status}: {body}").into())
            }
        }
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Failed> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1")
            .header("authorization", &self.bearer)
            .header("content-type", "application/json");
        if path.starts_with("/api/v1/workflows/") {
            request = request.header("if-match", "*");
        }
        Ok(request.body(Full::new(body))?)
    }
}

/// A stream of events that is open.
#[derive(Debug)]
pub struct Watching {
    /// Whether a line says that an execution has ended.
    ended: fn(&[u8]) -> bool,
    body: Incoming,
    /// What there is of a line that has not ended yet.
    line: Vec<u8>,
    _connection: Connection,
}

impl Watching {
    /// Reads until the end of an execution was told: how many events that took, of which none were lost.
    ///
    /// # Errors
    /// The stream ended, or events were lost.
    pub async fn until_ended(&mut self) -> Result<u64, Failed> {
        let (mut events, mut ended) = (0, false);
        while !ended {
            let frame = self.body.frame().await.ok_or("the stream ended")??;
            for byte in frame.data_ref().into_iter().flatten() {
                if *byte != b'\n' {
                    self.line.push(*byte);
                    continue;
                }
                let name = self.line.strip_prefix(b"event: ");
                events += u64::from(name.is_some());
                if name == Some(b"lost") {
                    return Err("events were lost".into());
                }
                ended |= (self.ended)(&self.line);
                self.line.clear();
            }
        }
        Ok(events)
    }
}

fn wanted(work: Work) -> Bytes {
    let wanted = json!({ "workflow": work.id(), "input": work.input() });
    wanted.to_string().into()
}

/// 202 says that it has not ended, and so has no output.
fn check(work: Work, answer: &[u8]) -> Result<(), Failed> {
    let answer: Value = serde_json::from_slice(answer)?;
    match answer["output"] == work.output() {
        true => Ok(()),
        false => Err(format!("{} gave {answer}", work.name()).into()),
    }
}
