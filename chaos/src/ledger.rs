//! The outside: it honours keys, remembers every arrival, and hands out what is to be started.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, BufRead as _, BufReader},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use nebula_action::EffectClass;
use nebula_core::ExecutionId;
use serde_json::{Value, json};

use crate::{
    flows, store,
    wire::{Answer, Ask, Effect, send},
};

/// How many executions are open at a time, so that there is always work and never a heap of it.
const OPEN: u64 = 16;

/// What is known under one key.
#[derive(Debug, Clone, Default)]
struct Kept {
    tries: u64,
    result: Option<Value>,
}

/// What was done of one piece of work.
#[derive(Debug, Clone, Default)]
pub(crate) struct Piece {
    /// Under which keys it came.
    pub(crate) keys: BTreeSet<String>,
    /// How often it was done.
    pub(crate) applied: u64,
    pub(crate) class: Option<EffectClass>,
}

/// Everything that the outside knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book {
    pub(crate) arrivals: Vec<Effect>,
    pub(crate) pieces: BTreeMap<String, Piece>,
    kept: BTreeMap<String, Kept>,
    /// Arrivals that found their key done already.
    pub(crate) repeats: u64,
    /// Arrivals that were held against the database before they were let in.
    pub(crate) looked: u64,
    pub(crate) complaints: Vec<String>,
    /// Which executions were accepted, by number.
    pub(crate) accepted: BTreeMap<u64, ExecutionId>,
    /// Which were given out, and to whom.
    given: BTreeMap<u64, u32>,
    /// Those that were given to a process that has died.
    orphans: Vec<u64>,
    next: u64,
    /// How many are given out at most.
    limit: u64,
}

/// The outside, as a server.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    book: Arc<Mutex<Book>>,
    /// How many executions have not ended, as somebody looked last.
    pub(crate) open: Arc<AtomicU64>,
    /// How many writes have arrived.
    pub(crate) count: Arc<AtomicU64>,
    database: Arc<Path>,
}

impl Ledger {
    /// Begins to listen; ends with the program.
    pub(crate) fn listen(socket: &Path, database: &Path) -> io::Result<Self> {
        let ledger = Self {
            book: Arc::default(),
            open: Arc::default(),
            count: Arc::default(),
            database: database.into(),
        };
        let (listener, here) = (UnixListener::bind(socket)?, ledger.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), here) = (stream, here.clone()) else {
                    return;
                };
                // Who was killed in the middle of its question needs no answer.
                thread::spawn(move || here.serve(stream));
            }
        });
        Ok(ledger)
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets executions be given out until there were so many.
    pub(crate) fn give_out(&self, limit: u64) {
        self.book().limit = limit;
    }

    /// What was given to a process that has died is given to others.
    pub(crate) fn bury(&self, process: u32) {
        let mut book = self.book();
        let book = &mut *book;
        let lost = book
            .given
            .iter()
            .filter(|(number, to)| **to == process && !book.accepted.contains_key(*number));
        book.orphans.extend(lost.map(|(number, _)| *number));
        book.given.retain(|_, to| *to != process);
    }

    fn serve(&self, mut stream: UnixStream) -> io::Result<()> {
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line)?;
        let answer = match serde_json::from_str(&line)? {
            Ask::Effect(effect) => self.effect(effect),
            Ask::Known { key } => {
                let known = self.book().known(&key);
                known.map_or(Answer::Nothing, Answer::Done)
            }
            Ask::Next { process } => self.next(process),
            Ask::Accepted { number, id } => {
                self.book().accept(number, id);
                Answer::Nothing
            }
        };
        send(&mut stream, &answer)
    }

    fn next(&self, process: u32) -> Answer {
        let open = self.open.load(Ordering::Relaxed);
        let mut book = self.book();
        let under_way = book
            .given
            .keys()
            .filter(|number| !book.accepted.contains_key(*number));
        if open + under_way.count() as u64 >= OPEN {
            return Answer::Nothing;
        }
        let number = match book.orphans.pop() {
            Some(number) => number,
            None if book.next < book.limit => {
                book.next += 1;
                book.next - 1
            }
            None => return Answer::Nothing,
        };
        book.given.insert(number, process);
        let (workflow, _) = flows::kind(number);
        Answer::Start {
            number,
            workflow: workflow.to_owned(),
            input: flows::input(number),
        }
    }

    fn effect(&self, effect: Effect) -> Answer {
        // The disk must know of it before it happens, whoever dies then.
        let started = store::has_started(&self.database, &effect);
        let late = effect.value.rem_euclid(4);
        let started = started.map_err(|error| error.to_string());
        let answer = self.book().apply(effect, started);
        self.count.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(late.unsigned_abs() * 2));
        answer
    }
}

impl Book {
    /// What became of this key.
    pub(crate) fn known(&self, key: &str) -> Option<Value> {
        self.kept.get(key).and_then(|kept| kept.result.clone())
    }

    /// Somebody was told that this execution is accepted.
    pub(crate) fn accept(&mut self, number: u64, id: ExecutionId) {
        let before = self.accepted.insert(number, id);
        if let Some(before) = before.filter(|before| *before != id) {
            let what = format!("execution {number} was created as {before} and as {id}");
            self.complaints.push(what);
        }
    }

    /// Lets an effect in; `started` says whether the database has the start of its attempt, or why nobody
    /// knows.
    pub(crate) fn apply(&mut self, effect: Effect, started: Result<bool, String>) -> Answer {
        match started {
            Ok(true) => self.looked += 1,
            Ok(false) => {
                let Effect {
                    execution,
                    attempt,
                    key,
                    label,
                    ..
                } = &effect;
                self.complaints.push(format!(
                    "{execution}: `{label}` came under {key}, attempt {attempt}, whose start is not in the database"
                ));
            }
            Err(error) => {
                let what = format!("the database cannot be read: {error}");
                self.complaints.push(what);
            }
        }
        let kept = self.kept.entry(effect.key.clone()).or_default();
        kept.tries += 1;
        if kept.tries <= effect.fails {
            return Answer::Refused;
        }
        let piece = self.pieces.entry(effect.label.clone()).or_default();
        piece.keys.insert(effect.key.clone());
        piece.class = Some(effect.class);
        if effect.class == EffectClass::Keyed && kept.result.is_some() {
            self.repeats += 1;
        } else {
            piece.applied += 1;
        }
        let result = json!({ "v": flows::result(effect.value) });
        kept.result = Some(result.clone());
        self.arrivals.push(effect);
        Answer::Done(result)
    }
}
