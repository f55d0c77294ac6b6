//! The settings of a server that runs, read again: after SIGHUP, and when their file has changed.

use std::{convert::Infallible, fs, path::Path, path::PathBuf, time::Duration, time::SystemTime};

use nebula_api::{Api, ApiConfig};
use nebula_core::Clock;
use nebula_system::Hangups;
use nebula_telemetry::NewFilter;
use serde_json::Value;

use crate::{
    arguments::{Database, Global},
    commands::config,
    console::Console,
    failure::Failure,
    settings::{self, FILE_NAME, Loaded},
};

/// How often the file is looked at.
const LOOK_AT_FILE: Duration = Duration::from_secs(5);
/// Where the limits of the API are among the settings.
const LIMITS: &str = "serve.limits.";
/// What is changed beside [`ApiConfig::LIVE`] of the limits.
const FILTER: &str = "log.filter";

/// What tells one state of the file from the next: its length, and when it was changed.
type Seen = Option<(u64, SystemTime)>;

/// The settings that hold.
pub(crate) struct Reload<'a> {
    flags: (&'a Global, &'a Database),
    started: Loaded,
    /// What is told of them.
    told: Value,
    file: PathBuf,
    seen: Seen,
    console: &'a Console,
}

impl<'a> Reload<'a> {
    /// From those with which the server starts.
    pub(crate) fn new(
        flags: (&'a Global, &'a Database),
        started: Loaded,
        console: &'a Console,
    ) -> Self {
        let file = started.folders.config.join(FILE_NAME);
        Self {
            flags,
            told: config::of_server(&started),
            seen: seen(&file),
            file,
            started,
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
        api: &Api,
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
            match self.again(api) {
                Ok(text) => self.console.note(&text),
                Err(failure) => self.console.error_text(&format!(
                    "warning[{}]: {}; the settings before stay",
                    failure.code, failure.message
                )),
            }
        }
    }

    /// Reads them again, and says what of it holds now: all of it, or nothing.
    fn again(&mut self, api: &Api) -> Result<String, Failure> {
        let (global, database) = self.flags;
        let read = settings::load(global, Some(database))?;
        let wrong = |error: String| Failure::invalid("SETTINGS", error);
        let filter = NewFilter::read(&read.settings.log.filter);
        let filter = filter.map_err(|error| wrong(format!("`{FILTER}`: {error}")))?;
        let (at_start, wanted) = (config::of_server(&self.started), config::of_server(&read));
        let (mut told, mut holds, mut waits) = (at_start.clone(), Vec::new(), Vec::new());
        for (key, shown) in entries(&wanted) {
            if is_live(key) {
                if self.told[key]["value"] != shown["value"] {
                    holds.push(key);
                }
                told[key] = shown.clone();
            } else if at_start[key]["value"] != shown["value"] {
                waits.push(key);
            }
        }
        let gone = entries(&at_start).filter(|(key, _)| wanted.get(key).is_none());
        waits.extend(gone.map(|(key, _)| key));
        let limits = &read.settings.serve.limits;
        let reloaded = api.reload(limits, told.clone());
        reloaded.map_err(|error| wrong(format!("serve.limits: {error}")))?;
        if let Some(log) = &self.started.log {
            log.set(filter);
        }
        self.told = told;
        Ok(said(&holds, &waits))
    }
}

fn entries(told: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let all = told.as_object().into_iter().flatten();
    all.map(|(key, shown)| (key.as_str(), shown))
}

/// Whether a setting may change while the server runs. Who may do what, where it listens and what
/// workflows may reach may not.
fn is_live(key: &str) -> bool {
    let limit = key.strip_prefix(LIMITS);
    key == FILTER || limit.is_some_and(|limit| ApiConfig::LIVE.contains(&limit))
}

fn said(holds: &[&str], waits: &[&str]) -> String {
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
