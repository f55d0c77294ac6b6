//! Servers that answer byte by byte as a test says, and see what they were sent.

use std::{io, net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// How much of one request a server takes in.
const MAX_REQUEST: usize = 1024 * 1024;

/// What a server does next on a connection.
#[derive(Debug, Clone)]
pub enum Act {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends these bytes again and again, until the client hangs up.
    Endless(Vec<u8>),
    /// The same, one by one, yielding in between.
    Drip(Vec<u8>),
    /// Waits until the client hangs up.
    Stall,
    /// Closes the connection.
    Close,
}

/// One request as a server saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The first line and the headers.
    pub head: String,
    /// What followed, as long as the headers say.
    pub body: Vec<u8>,
}

impl Seen {
    /// The first line: `GET /path HTTP/1.1`.
    #[must_use]
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The path and query that were asked for.
    #[must_use]
    pub fn path(&self) -> &str {
        self.line().split(' ').nth(1).unwrap_or_default()
    }

    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A server on a free port; it ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    log: Arc<Mutex<Log>>,
    _serving: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Log {
    connections: usize,
    seen: Vec<Seen>,
}

type Script = dyn Fn(&Seen) -> Vec<Act> + Send + Sync;

impl Server {
    /// Listens on 127.0.0.1 and answers each request as `script` says.
    pub async fn start(script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0", script)
            .await
            .expect("127.0.0.1 can be bound")
    }

    /// The same on another address.
    ///
    /// # Errors
    /// The address cannot be bound here.
    pub async fn at(
        address: &str,
        script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let log = Arc::new(Mutex::new(Log::default()));
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&log), Arc::new(script)));
        Ok(Self {
            address,
            log,
            _serving: serving,
        })
    }

    /// One that must see nothing.
    ///
    /// # Errors
    /// The address cannot be bound here.
    pub async fn sentinel(address: &str) -> io::Result<Self> {
        Self::at(address, |_| ok(b"the sentinel answered")).await
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `http://127.0.0.1:…` and this path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The grant that opens it, by its address.
    #[must_use]
    pub fn grant(&self) -> String {
        format!("net:{}", self.address)
    }

    /// Every request so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.log.lock().seen.clone()
    }

    /// How many connections were made, also without a request.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.log.lock().connections
    }
}

async fn serve(listener: TcpListener, log: Arc<Mutex<Log>>, script: Arc<Script>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        log.lock().connections += 1;
        let (log, script) = (Arc::clone(&log), Arc::clone(&script));
        connections.spawn(async move {
            // A client that hangs up ends it.
            let _ = converse(stream, &log, &*script).await;
        });
    }
}

async fn converse(mut stream: TcpStream, log: &Mutex<Log>, script: &Script) -> io::Result<()> {
    loop {
        let Some(seen) = read(&mut stream).await? else {
            return Ok(());
        };
        let acts = script(&seen);
        log.lock().seen.push(seen);
        for act in acts {
            match act {
                Act::Send(bytes) => stream.write_all(&bytes).await?,
                Act::Endless(bytes) => loop {
                    stream.write_all(&bytes).await?;
                },
                Act::Drip(bytes) => loop {
                    for byte in &bytes {
                        stream.write_all(&[*byte]).await?;
                        tokio::task::yield_now().await;
                    }
                },
                Act::Stall => {
                    let mut rest = [0; 1024];
                    while stream.read(&mut rest).await? > 0 {}
                    return Ok(());
                }
                Act::Close => return Ok(()),
            }
        }
    }
}

/// Reads one request; `None` if the client is done.
async fn read(stream: &mut TcpStream) -> io::Result<Option<Seen>> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = find(&bytes, b"\r\n\r\n") {
            break end;
        }
        if !more(stream, &mut bytes).await? {
            return Ok(None);
        }
    };
    let body = bytes.split_off(head + 4);
    let mut seen = Seen {
        head: String::from_utf8_lossy(&bytes).into_owned(),
        body,
    };
    if let Some(length) = seen.header("content-length") {
        let length = length.parse::<usize>().unwrap_or(0).min(MAX_REQUEST);
        while seen.body.len() < length && more(stream, &mut seen.body).await? {}
    } else if seen.header("transfer-encoding").is_some() {
        while !seen.body.ends_with(b"0\r\n\r\n") && more(stream, &mut seen.body).await? {}
        seen.body = unchunked(&seen.body);
    }
    Ok(Some(seen))
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<bool> {
    if bytes.len() > MAX_REQUEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(stream.read_buf(bytes).await? > 0)
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = find(rest, b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).ok();
        let size = size
            .and_then(|it| usize::from_str_radix(it, 16).ok())
            .unwrap_or(0);
        let Some(part) = rest.get(end + 2..end + 2 + size) else {
            break;
        };
        body.extend_from_slice(part);
        rest = rest.get(end + 4 + size..).unwrap_or_default();
    }
    body
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// The answer 200 with this body.
#[must_use]
pub fn ok(body: &[u8]) -> Vec<Act> {
    answer(200, "", body)
}

/// An answer with this status, these further header lines (each with its line end), and this body.
#[must_use]
pub fn answer(status: u16, headers: &str, body: &[u8]) -> Vec<Act> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Status\r\nContent-Length: {length}\r\n{headers}\r\n");
    vec![Act::Send([head.as_bytes(), body].concat())]
}

/// These bytes, then the end of the connection.
#[must_use]
pub fn raw(bytes: impl AsRef<[u8]>) -> Vec<Act> {
    vec![Act::Send(bytes.as_ref().to_vec()), Act::Close]
}
