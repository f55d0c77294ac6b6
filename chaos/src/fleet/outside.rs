//! The outside of a fleet: a server that honours keys, and a folder of files. What arrives goes into the same
//! book as what embedded workers send.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use nebula_action::EffectClass;
use nebula_core::NodeId;
use serde_json::{Value, json};

use super::{base::Base, flows};
use crate::{
    ledger::Book,
    wire::{Answer, Effect},
};

/// How long a caller may take to say what it wants.
const SAYS: Duration = Duration::from_secs(5);

/// What stands for an attempt that never began.
const NO_ATTEMPT: u32 = u32::MAX;

/// The outside, as a server.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    book: Arc<Mutex<Book>>,
    /// Which attempts of a key have arrived.
    seen: Arc<Mutex<BTreeMap<String, BTreeSet<u32>>>>,
    /// How many writes have arrived.
    pub(crate) count: Arc<AtomicU64>,
    base: Arc<Base>,
    address: SocketAddr,
}

impl Outside {
    /// Begins to listen; ends with the program.
    pub(crate) fn listen(base: Arc<Base>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let outside = Self {
            book: Arc::default(),
            seen: Arc::default(),
            count: Arc::default(),
            base,
            address: listener.local_addr()?,
        };
        let here = outside.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), here) = (stream, here.clone()) else {
                    continue;
                };
                // Who was killed in the middle of its question needs no answer.
                thread::spawn(move || here.serve(&stream));
            }
        });
        Ok(outside)
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One connection with one request.
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(SAYS))?;
        let mut reader = BufReader::new(stream);
        let (mut key, mut length, mut line) = (String::new(), 0, String::new());
        reader.read_line(&mut line)?;
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "idempotency-key" => key = value.trim().to_owned(),
                "content-length" => length = value.trim().parse().unwrap_or(0),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let answer = self.effect(key, &serde_json::from_slice(&body)?);
        let (status, body) = match answer {
            Answer::Done(result) => ("200 OK", result),
            _ => ("503 Service Unavailable", json!({})),
        };
        let (body, mut stream) = (body.to_string(), stream);
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes())
    }

    /// It happens when it is there, whether or not its sender hears of it.
    fn effect(&self, key: String, sent: &Value) -> Answer {
        let label = sent["label"].as_str().unwrap_or_default().to_owned();
        let Some(execution) = sent["execution"].as_str().and_then(|it| it.parse().ok()) else {
            let what = format!("`{label}` came from no execution: {sent}");
            self.book().complaints.push(what);
            return Answer::Refused;
        };
        // The database must know of it before it happens, whoever dies then.
        let started = self.base.started(execution, &key);
        let (attempt, started) = match started {
            Ok(attempts) => {
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                let attempt = witnessed(seen.entry(key.clone()).or_default(), &attempts);
                (attempt.unwrap_or(NO_ATTEMPT), Ok(attempt.is_some()))
            }
            Err(error) => (NO_ATTEMPT, Err(error)),
        };
        let node = label.split('/').nth(1).unwrap_or("none");
        let effect = Effect {
            execution,
            node: NodeId::new(node).unwrap_or_else(|_| NodeId::new("none").expect("it is a name")),
            attempt,
            key,
            class: flows::CLASS,
            input: flows::parameters(&self.host(), sent),
            value: sent["value"].as_i64().unwrap_or(-1),
            fails: sent["fails"].as_u64().unwrap_or(0),
            label,
        };
        let late = effect.value.rem_euclid(4).unsigned_abs();
        let answer = self.book().apply(effect, started);
        self.count.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(late * 2));
        answer
    }

    /// Writes into the book what stands in the file of lines.
    pub(crate) fn read_lines(&self, work: &Path) -> io::Result<()> {
        let mut book = self.book();
        for line in lines(work)? {
            match line.split_once(' ') {
                Some((label, value)) if value.parse::<u64>().is_ok() => {
                    let piece = book.pieces.entry(label.to_owned()).or_default();
                    piece.class = Some(EffectClass::AtMostOnce);
                    piece.applied += 1;
                }
                _ => book.complaints.push(format!("a broken line: `{line}`")),
            }
        }
        Ok(())
    }
}

/// Which of the attempts that have begun this arrival is of: a request does not say so, but each of them arrives
/// once at most. None, if more arrive than have begun.
fn witnessed(seen: &mut BTreeSet<u32>, begun: &[u32]) -> Option<u32> {
    let attempt = begun.iter().copied().find(|it| !seen.contains(it))?;
    seen.insert(attempt);
    Some(attempt)
}

/// What was appended.
pub(crate) fn lines(work: &Path) -> io::Result<Vec<String>> {
    match fs::read_to_string(work.join(flows::LINES)) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_arrive_than_have_begun() {
        let mut seen = BTreeSet::new();
        assert_eq!(witnessed(&mut seen, &[]), None);
        assert_eq!(witnessed(&mut seen, &[1, 2]), Some(1));
        assert_eq!(witnessed(&mut seen, &[1, 2]), Some(2));
        assert_eq!(witnessed(&mut seen, &[1, 2]), None);
        assert_eq!(witnessed(&mut seen, &[1, 2, 3]), Some(3));
    }
}
