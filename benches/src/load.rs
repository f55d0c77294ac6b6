//! Clients of the front: each has a connection, and asks again when it was answered.

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
use hyper::{Method, Request, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use nebula_core::Clock;
use nebula_system::SystemClock;
use tokio::{net::TcpStream, task::JoinSet};

use crate::{Samples, engine::Failed, front::Spent, work::Work};

/// A front in a process of its own; stopped when it is dropped.
#[derive(Debug)]
pub struct Front {
    process: Child,
    /// Its end is the sign to stop.
    input: Option<ChildStdin>,
    port: u16,
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

type Connection = SendRequest<Full<Bytes>>;

impl Front {
    /// Starts `program` over a new database in `folder`, and comes back when it listens.
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
        let mut front = Self {
            process,
            input,
            port: 0,
        };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        front.port = line.trim().parse()?;
        Ok(front)
    }

    /// The id of its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Asks for `count` executions of `work`, `clients` at a time, and holds each answer against what it
    /// must be.
    ///
    /// # Errors
    /// The connection broke, or an answer was wrong.
    pub async fn load(&self, work: Work, count: u64, clients: u64) -> Result<Loaded, Failed> {
        let clock = Arc::new(SystemClock::default());
        let mut connections = Vec::new();
        let mut open = JoinSet::new();
        for _ in 0..clients {
            connections.push(self.connect(&mut open).await?);
        }
        let before = self.spent().await?;
        let (begin, next) = (clock.monotonic(), Arc::new(AtomicU64::new(0)));
        let mut tasks = JoinSet::new();
        for mut connection in connections {
            let (clock, next) = (clock.clone(), next.clone());
            tasks.spawn(async move {
                let (mut latency, input) =
                    (Samples::default(), Bytes::from(work.input().to_string()));
                while next.fetch_add(1, Ordering::Relaxed) < count {
                    let from = clock.monotonic();
                    let output = ask(
                        &mut connection,
                        Method::POST,
                        &format!("/start/{}", work.name()),
                        input.clone(),
                    )
                    .await?;
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

    /// What the server spent since it began.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn spent(&self) -> Result<Spent, Failed> {
        let mut open = JoinSet::new();
        let mut connection = self.connect(&mut open).await?;
        let answer = ask(&mut connection, Method::GET, "/usage", Bytes::new()).await?;
        Ok(serde_json::from_slice(&answer)?)
    }

    /// A connection, which lives as long as its task in `open`.
    async fn connect(&self, open: &mut JoinSet<hyper::Result<()>>) -> Result<Connection, Failed> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
        let (sender, connection) = handshake.await?;
        open.spawn(connection);
        Ok(sender)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.process.wait();
    }
}

async fn ask(
    connection: &mut Connection,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Bytes, Failed> {
    connection.ready().await?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "127.0.0.1")
        .header("content-type", "application/json")
        .body(Full::new(body))?;
    let answer = connection.send_request(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    match status.is_success() {
        true => Ok(body),
        false => Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into()),
    }
}

fn check(work: Work, output: &[u8]) -> Result<(), Failed> {
    let output: serde_json::Value = serde_json::from_slice(output)?;
    match output == work.output() {
        true => Ok(()),
        false => Err(format!("{} gave {output}", work.name()).into()),
    }
}
