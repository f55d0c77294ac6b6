//! Who uses the API of a fleet: starts executions, and decides what is parked.

use std::{
    collections::BTreeSet,
    fs, io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use nebula_core::ExecutionId;
use nebula_execution::InstanceId;
use serde_json::{Value, json};

use super::{
    base::Base,
    flows, http,
    outside::{self, Outside},
};
use crate::Failed;

/// How long an answer may take; then nobody knows whether it was done.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// How long is waited before what failed is asked again.
const AGAIN: Duration = Duration::from_millis(50);

/// How long it may take until somebody takes a pause.
const PAUSED: Duration = Duration::from_secs(60);

/// How many executions are open at a time, so that there is always work and never a heap of it.
const OPEN: u64 = 20;

/// How often somebody looks for decisions that are open.
const DECIDE_AGAIN: Duration = Duration::from_millis(250);

/// Every so many executions, one is asked for once more, though the answer was there.
const TWICE: u64 = 5;

/// The way to the API.
#[derive(Debug)]
pub(crate) struct Client<'f> {
    addresses: Vec<SocketAddr>,
    /// Which of them is asked.
    at: AtomicUsize,
    pub(crate) token_file: PathBuf,
    pub(crate) base: &'f Base,
    pub(crate) outside: &'f Outside,
    pub(crate) work: PathBuf,
    next: AtomicU64,
    limit: AtomicU64,
    under_way: Mutex<BTreeSet<u64>>,
    over: AtomicBool,
    /// Starts whose first answer never came.
    pub(crate) unknown: AtomicU64,
    /// Starts that were asked for again and answered with the first one.
    pub(crate) replayed: AtomicU64,
    /// How many executions have not ended, as somebody looked last.
    pub(crate) open: AtomicU64,
}

impl<'f> Client<'f> {
    pub(crate) fn new(
        addresses: Vec<SocketAddr>,
        (token_file, work): (PathBuf, PathBuf),
        base: &'f Base,
        outside: &'f Outside,
    ) -> Self {
        Self {
            addresses,
            at: AtomicUsize::new(0),
            token_file,
            base,
            outside,
            work,
            next: AtomicU64::new(0),
            limit: AtomicU64::new(0),
            under_way: Mutex::default(),
            over: AtomicBool::new(false),
            unknown: AtomicU64::new(0),
            replayed: AtomicU64::new(0),
            open: AtomicU64::new(0),
        }
    }

    /// Lets executions be started until there were so many.
    pub(crate) fn start_up_to(&self, limit: u64) {
        self.limit.store(limit, SeqCst);
    }

    /// Starts no more.
    pub(crate) fn start_no_more(&self) {
        self.limit.store(0, SeqCst);
    }

    /// Whether everything has ended of which a start was ever asked for.
    pub(crate) fn all_ended(&self) -> bool {
        let waiting = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len();
        self.look() == Some(0) && waiting == 0
    }

    /// Lets [`Client::start_all`] and [`Client::decide_all`] end.
    pub(crate) fn stop(&self) {
        self.over.store(true, SeqCst);
    }

    /// Counts what is open.
    pub(crate) fn look(&self) -> Option<u64> {
        let open = self.base.open_executions()?;
        self.open.store(open, SeqCst);
        Some(open)
    }

    fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    /// Asks once. An error says nothing of whether it was done.
    pub(crate) fn ask(
        &self,
        (method, path): (&str, &str),
        headers: &str,
        body: &str,
    ) -> io::Result<(u16, Value)> {
        let token = fs::read_to_string(&self.token_file)?;
        let headers = format!("authorization: Bearer {}\r\n{headers}", token.trim());
        let at = self.at.load(SeqCst);
        let address = self.addresses[at % self.addresses.len()];
        let asked = http::ask(address, (method, path), &headers, body, PATIENCE);
        if asked.is_err() {
            // The next time, another one is asked.
            let _ = self.at.compare_exchange(at, at + 1, SeqCst, SeqCst);
        }
        let (status, body) = asked?;
        let body = serde_json::from_str(&body).unwrap_or(Value::Null);
        Ok((status, body))
    }

    /// Saves a workflow and publishes it, while nobody disturbs anything.
    pub(crate) fn publish(&self, id: &str, text: &str) -> Result<(), Failed> {
        let path = format!("/api/v1/workflows/{id}");
        let yaml = "content-type: application/yaml\r\n";
        let (status, saved) = self.ask(("PUT", &path), yaml, text)?;
        if status != 201 {
            return Err(format!("{id} is not saved: {status} {saved}").into());
        }
        let change = "content-type: application/json\r\nif-match: \"1\"\r\n";
        let path = format!("{path}/publish");
        let (status, said) = self.ask(("POST", &path), change, "{\"version\":1}")?;
        match status {
            200 => Ok(()),
            _ => Err(format!("{id} is not published: {status} {said}").into()),
        }
    }

    /// Lets triggers start nothing more; whoever does not answer is asked again.
    pub(crate) fn pause_ticks(&self) -> Result<(), Failed> {
        let path = format!("/api/v1/workflows/{}/triggers/t/pause", flows::TICKS);
        let begun = Instant::now();
        loop {
            let json = "content-type: application/json\r\n";
            match self.ask(("POST", &path), json, "null") {
                Ok((200, _)) => return Ok(()),
                other if begun.elapsed() > PAUSED => {
                    return Err(format!("the trigger is not paused: {other:?}").into());
                }
                _ => thread::sleep(AGAIN),
            }
        }
    }

    /// Starts what is wanted, one after the other, until [`Client::stop`].
    pub(crate) fn start_all(&self) {
        while !self.is_over() {
            match self.take() {
                Some(number) => self.start(number),
                None => thread::sleep(AGAIN / 5),
            }
        }
    }

    fn take(&self) -> Option<u64> {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let open = self.open.load(SeqCst) + under_way.len() as u64;
        let number = self.next.load(SeqCst);
        if open >= OPEN || number >= self.limit.load(SeqCst) {
            return None;
        }
        self.next.store(number + 1, SeqCst);
        under_way.insert(number);
        Some(number)
    }

    /// Asks for the same start under the same key until it is accepted.
    fn start(&self, number: u64) {
        let (workflow, _) = flows::kind(number);
        let wanted = json!({ "workflow": workflow, "input": flows::input(number) }).to_string();
        let headers =
            format!("content-type: application/json\r\nidempotency-key: chaos-{number}\r\n");
        let mut answered = 0;
        while !self.is_over() {
            match self.ask(("POST", "/api/v1/executions"), &headers, &wanted) {
                Ok((200..=299, started)) => {
                    let id = started["execution"].as_str().and_then(|it| it.parse().ok());
                    let mut book = self.outside.book();
                    match id {
                        Some(id) => book.accept(number, id),
                        None => book.complaints.push(format!("accepted as {started}")),
                    }
                    self.replayed.fetch_add(answered, SeqCst);
                    answered += 1;
                    if answered > u64::from(number.is_multiple_of(TWICE)) {
                        break;
                    }
                }
                // It says that it cannot now, or did not do it.
                Ok((408 | 429 | 500..=599, _)) => thread::sleep(AGAIN),
                Ok((status, said)) => {
                    let what = format!("the start of {number} is refused: {status} {said}");
                    self.outside.book().complaints.push(what);
                    break;
                }
                Err(error) => {
                    // Where nobody listens, nothing was asked.
                    let is_unknown = error.kind() != io::ErrorKind::ConnectionRefused;
                    self.unknown.fetch_add(u64::from(is_unknown), SeqCst);
                    thread::sleep(AGAIN);
                }
            }
        }
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        under_way.remove(&number);
    }

    /// Decides like a person who looks at the outside: what is there has happened, all else shall be done
    /// again.
    pub(crate) fn decide_all(&self) {
        while !self.is_over() {
            for status in ["parked", "compensating"] {
                let path = format!("/api/v1/executions?status={status}&limit=200");
                let Ok((200, listed)) = self.ask(("GET", &path), "", "") else {
                    continue;
                };
                for parked in listed["executions"].as_array().into_iter().flatten() {
                    let id = parked["execution"].as_str().unwrap_or_default();
                    // Who does not answer now is asked again.
                    let _ = self.decide(id);
                }
            }
            thread::sleep(DECIDE_AGAIN);
        }
    }

    fn decide(&self, id: &str) -> Result<(), Failed> {
        let shown = self.ask(("GET", &format!("/api/v1/executions/{id}/report")), "", "")?;
        let path = format!("/api/v1/executions/{id}/unpark");
        for waiting in shown.1["waiting"].as_array().into_iter().flatten() {
            let instance = waiting["instance"].as_str().unwrap_or_default();
            let decision = match waiting["for"].as_str() {
                Some("poison") => Some(json!({ "decision": "retry" })),
                Some("decision") => self.about(id.parse()?, instance, false)?,
                Some("compensation_decision") => self.about(id.parse()?, instance, true)?,
                _ => None,
            };
            if let Some(decision) = decision {
                let json = "content-type: application/json\r\n";
                let said = self.ask(("POST", &path), json, &decision.to_string())?;
                // Whoever has decided before, or ended, needs nothing; who cannot now is asked again.
                if !matches!(said.0, 200..=299 | 409 | 408 | 429 | 500..=599) {
                    let what = format!("{id}: {decision} is refused: {said:?}");
                    self.outside.book().complaints.push(what);
                }
            }
        }
        Ok(())
    }

    /// What somebody finds who looks whether it happened.
    fn about(&self, id: ExecutionId, named: &str, undoing: bool) -> Result<Option<Value>, Failed> {
        let instance: InstanceId = named.parse()?;
        let number = self.base.number(id)?;
        let retry = json!({ "decision": "retry", "instance": named });
        let succeeded =
            |output| json!({ "decision": "succeeded", "instance": named, "output": output });
        let line = |label: String| -> io::Result<Option<Value>> {
            let lines = outside::lines(&self.work)?;
            let found = lines
                .iter()
                .find(|it| it.starts_with(&format!("{number}/{label} ")));
            Ok(found.map(|line| json!({ "bytes": line.len() + 1 })))
        };
        let of_list = named
            .strip_prefix("made[")
            .and_then(|it| it.strip_suffix(']'));
        let result = match named {
            "c" | "after" => line(named.to_owned())?,
            _ if undoing => line(format!("unmade/{}", of_list.unwrap_or_default()))?,
            "d" | "e" => {
                let path = self
                    .work
                    .join(flows::MADE)
                    .join(format!("{number}-{named}.txt"));
                match fs::read_to_string(&path) {
                    Ok(text) if text.ends_with(" true") => Some(json!({ "bytes": text.len() })),
                    // What was cut off is taken away, so that it can be made.
                    Ok(_) => fs::remove_file(&path).map(|()| None)?,
                    Err(_) => None,
                }
            }
            _ => {
                let key = self.base.key(id, &instance, undoing)?;
                let key = key.ok_or_else(|| format!("! {id}: {named} never began"))?;
                let known = self.outside.book().known(&key);
                known.map(|body| json!({ "status": 200, "headers": {}, "body": body }))
            }
        };
        Ok(Some(result.map_or(retry, succeeded)))
    }
}
