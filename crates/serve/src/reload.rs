//! The settings of a server that runs, read again: after SIGHUP, and when their file has changed.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use nebula::Nebula;
use nebula_api::{Api, ApiConfig};
use nebula_core::Clock;
use nebula_program::{console::Console, failure::Failure};
use nebula_runtime::HttpPolicy;
use nebula_system::Hangups;
use nebula_telemetry::{LogFilter, NewFilter};
use serde_json::Value;

/// How often the file is looked at.
const LOOK_AT_FILE: Duration = Duration::from_secs(5);
/// Where the limits of the API are among the settings.
const LIMITS: &str = "serve.limits.";
/// What is changed beside [`ApiConfig::LIVE`] of the limits.
const FILTER: &str = "log.filter";
/// Where the limits of requests of workflows are among the settings.
const OUTWARD: &str = "http.";
/// What of them waits for the next start: what a breaker has seen is counted by its own numbers.
const OUTWARD_WAITS: [&str; 3] = ["use_breaker", "breaker.", "max_destinations"];

/// What tells one state of the file from the next: its length, and when it was changed.
type Seen = Option<(u64, SystemTime)>;

/// What of the settings may hold while a server runs, and what is told of all of them.
#[derive(Debug, Clone)]
pub struct Live {
    /// All of them, without secrets: `{ key: { "value", "source" } }`.
    pub told: Value,
    /// What is logged: a level, or levels for parts of the program.
    pub filter: String,
    /// What requests of workflows keep to.
    pub http: HttpPolicy,
    /// The limits of the API.
    pub limits: ApiConfig,
}

/// Reads the settings as they are now.
type Read<'a> = dyn Fn() -> Result<Live, Failure> + Send + Sync + 'a;

/// The settings that hold.
pub struct Reload<'a> {
    read: Box<Read<'a>>,
    /// What is told of those with which the server started.
    at_start: Value,
    /// What is told of them.
    told: Value,
    log: Option<LogFilter>,
    file: PathBuf,
    seen: Seen,
    console: &'a Console,
}

impl<'a> Reload<'a> {
    /// From what is told of those with which the server starts; `read` reads them all again, which is done
    /// when `file` changes.
    pub fn new(
        (at_start, log): (Value, Option<LogFilter>),
        file: PathBuf,
        read: impl Fn() -> Result<Live, Failure> + Send + Sync + 'a,
        console: &'a Console,
    ) -> Self {
        Self {
            read: Box::new(read),
            told: at_start.clone(),
            at_start,
            log,
            seen: seen(&file),
            file,
            console,
        }
    }

    /// What is told of the settings now.
    pub(crate) fn told(&self) -> Value {
        self.told.clone()
    }

    /// Reads them again as they change, for ever. What cannot be used is told, and those before stay.
    pub(crate) async fn run(
        mut self,
        (api, nebula): (&Api, &Nebula),
        mut hangups: Hangups,
        clock: &dyn Clock,
    ) -> Infallible {
        loop {
            let asked = tokio::select! {
                biased;
                () = hangups.heard() => true,
                () = clock.sleep(LOOK_AT_FILE) => false,
            };
            let now = seen(&self.file);
            if !asked && now == self.seen {
                continue;
            }
            self.seen = now;
            match self.again(api, nebula) {
                Ok(text) => self.console.note(&text),
                Err(failure) => self.console.error_text(&format!(
                    "warning[{}]: {}; the settings before stay",
                    failure.code, failure.message
                )),
            }
        }
    }

    /// Reads them again, and says what of it holds now: all of it, or nothing.
    fn again(&mut self, api: &Api, nebula: &Nebula) -> Result<String, Failure> {
        let read = (self.read)()?;
        let wrong = |error: String| Failure::invalid("SETTINGS", error);
        let filter = NewFilter::read(&read.filter);
        let filter = filter.map_err(|error| wrong(format!("`{FILTER}`: {error}")))?;
        let outward = &read.http;
        outward.check().map_err(|error| wrong(error.to_string()))?;
        let (at_start, wanted) = (&self.at_start, &read.told);
        let told = merged(at_start, wanted);
        let holds = different(&self.told, &told, |_| true);
        let waits = different(at_start, wanted, |key| !is_live(key));
        let limits = &read.limits;
        let reloaded = api.reload(limits, told.clone());
        reloaded.map_err(|error| wrong(format!("serve.limits: {error}")))?;
        // It was checked before, so this refuses nothing.
        let adjusted = nebula.adjust_http(outward.clone());
        adjusted.map_err(|error| wrong(error.to_string()))?;
        if let Some(log) = &self.log {
            log.set(filter);
        }
        let said = said(&holds, &waits);
        self.told = told;
        Ok(said)
    }
}

fn entries(told: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let all = told.as_object().into_iter().flatten();
    all.map(|(key, shown)| (key.as_str(), shown))
}

/// What is live as it is wanted, and the rest as it was at the start.
fn merged(at_start: &Value, wanted: &Value) -> Value {
    let stays = entries(at_start).filter(|(key, _)| !is_live(key));
    let live = entries(wanted).filter(|(key, _)| is_live(key));
    let all = stays.chain(live);
    let mut all: serde_json::Map<_, _> = all
        .map(|(key, shown)| (key.to_owned(), shown.clone()))
        .collect();
    all.sort_keys();
    all.into()
}

/// The keys whose values are others, or that only one of them has, in their order.
fn different(old: &Value, new: &Value, of: impl Fn(&str) -> bool) -> Vec<String> {
    let all: BTreeSet<_> = entries(old)
        .chain(entries(new))
        .map(|(key, _)| key)
        .collect();
    let differ = |key: &&str| old[*key]["value"] != new[*key]["value"];
    let keys = all.into_iter().filter(|key| of(key)).filter(differ);
    keys.map(str::to_owned).collect()
}

/// Whether a setting may change while the server runs. Who may do what, where it listens and what
/// workflows may reach may not.
fn is_live(key: &str) -> bool {
    if let Some(limit) = key.strip_prefix(LIMITS) {
        return ApiConfig::LIVE.contains(&limit);
    }
    if let Some(limit) = key.strip_prefix(OUTWARD) {
        return !OUTWARD_WAITS.iter().any(|it| limit.starts_with(it));
    }
    key == FILTER
}

fn said(holds: &[String], waits: &[String]) -> String {
    let mut text = match holds {
        [] => "the settings were read again; none that holds at once has changed".to_owned(),
        _ => format!(
            "the settings were read again; changed: {}",
            holds.join(", ")
        ),
    };
    if !waits.is_empty() {
        text.push_str("; these hold from the next start on: ");
        text.push_str(&waits.join(", "));
    }
    text
}

fn seen(path: &Path) -> Seen {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}
