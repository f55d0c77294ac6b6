//! A server on which workflows have effects, and which remembers each.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::JoinHandle,
    time::Duration,
};

/// What came, as `METHOD /path`: the idempotency key of each.
type Ledger = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

pub(crate) struct Effects {
    address: SocketAddr,
    ledger: Ledger,
    /// Held answers wait until it is so.
    answers: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Effects {
    /// Answers each request after `delay`, and each below `/held` not before [`Effects::answer`].
    pub(crate) fn after(delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (ledger, answers, over): (Ledger, Arc<AtomicBool>, Arc<AtomicBool>) =
            Default::default();
        let (seen, open, ends) = (ledger.clone(), answers.clone(), over.clone());
        let thread = std::thread::spawn(move || {
            let mut talks = Vec::new();
            for stream in listener.incoming() {
                if ends.load(SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let (seen, open, ends) = (seen.clone(), open.clone(), ends.clone());
                talks.push(std::thread::spawn(move || {
                    talk(stream, &seen, (&open, &ends), delay);
                }));
            }
        });
        Self {
            address,
            ledger,
            answers,
            over,
            thread: Some(thread),
        }
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn answer(&self) {
        self.answers.store(true, SeqCst);
    }

    /// How often this came.
    pub(crate) fn count(&self, request: &str) -> usize {
        let ledger = self.ledger.lock().unwrap();
        ledger.get(request).map_or(0, Vec::len)
    }

    /// How many different times it was meant: the receiver of an idempotency key acts once for each.
    pub(crate) fn keys(&self, request: &str) -> BTreeSet<String> {
        let ledger = self.ledger.lock().unwrap();
        ledger.get(request).into_iter().flatten().cloned().collect()
    }

    /// How much came in all.
    pub(crate) fn all(&self) -> usize {
        self.ledger.lock().unwrap().values().map(Vec::len).sum()
    }
}

impl Drop for Effects {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
        drop(TcpStream::connect(self.address));
        let _ = self.thread.take().unwrap().join();
    }
}

/// One connection with one request.
fn talk(
    mut stream: TcpStream,
    seen: &Ledger,
    (open, ends): (&AtomicBool, &AtomicBool),
    delay: Duration,
) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else {
        return;
    };
    let request = first
        .rsplit_once(' ')
        .map_or(first.as_str(), |(it, _)| it)
        .to_owned();
    let mut key = String::new();
    for line in lines {
        match line {
            Ok(line) if !line.is_empty() => {
                let (name, value) = line.split_once(':').unwrap_or((&line, ""));
                if name.eq_ignore_ascii_case("idempotency-key") {
                    key = value.trim().to_owned();
                }
            }
            _ => break,
        }
    }
    // It happens when it is there, whether or not its sender hears of it.
    let mut ledger = seen.lock().unwrap();
    ledger.entry(request.clone()).or_default().push(key);
    drop(ledger);
    while request.contains(" /held") && !open.load(SeqCst) && !ends.load(SeqCst) {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(delay);
    // Who has gone away need not hear it.
    let _ = stream.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
    );
}
