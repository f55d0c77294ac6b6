//! `nebula doctor`: what this machine is like, and what is wrong with it.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use nebula_api::{DutyLine, ServerState};
use nebula_core::{ByteSize, Clock as _, Timestamp};
use nebula_system::{Host, SystemClock};
use serde::Serialize;

use crate::{
    arguments::{Global, Target},
    commands::doctor_server,
    compose,
    console::{Console, Paint},
    failure::{Exit, Failure, reason},
    settings::{self, FILE_NAME, Loaded, Place},
};

/// How often the disk is asked to sync.
const SYNCS: usize = 8;
/// A sync that takes longer makes every step of every execution slow.
const SLOW_SYNC: Duration = Duration::from_millis(50);
/// A clock before this is not set: 2025-01-01.
const EARLIEST: Timestamp = Timestamp::from_millis(1_735_689_600_000);

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Ok,
    Warning,
    Failed,
}

/// One line of the result. JSON: `{ "check", "verdict", "detail", "advice" }`.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    check: &'static str,
    verdict: Verdict,
    detail: String,
    advice: Option<String>,
}

/// JSON: `{ "healthy": true, "checks": [...], "state": null }`; `state` is that of a server, as
/// `GET /api/v1/state` gives it.
#[derive(Debug, Serialize)]
struct Document<'a> {
    healthy: bool,
    checks: &'a [Check],
    state: Option<ServerState>,
}

impl Check {
    pub(crate) fn new(check: &'static str, verdict: Verdict, detail: impl Into<String>) -> Self {
        Self {
            check,
            verdict,
            detail: detail.into(),
            advice: None,
        }
    }

    pub(crate) fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, detail)
    }

    pub(crate) fn failed(check: &'static str, failure: Failure) -> Self {
        Self {
            advice: failure.advice.map(String::from),
            ..Self::new(check, Verdict::Failed, failure.message)
        }
    }

    pub(crate) fn advice(mut self, advice: &str) -> Self {
        self.advice = Some(advice.to_owned());
        self
    }
}

/// Runs `nebula doctor`. Exit code 3 if something is broken.
pub(crate) async fn run(
    global: &Global,
    target: &Target,
    console: &Console,
) -> Result<Exit, Failure> {
    let version = format!(
        "nebula {}, {}-{}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS
    );
    let mut checks = vec![Check::ok("version", version)];
    let loaded = settings::load_for(global, target);
    let mut state = None;
    match &loaded {
        Ok(loaded) => checks.push(settings_file(loaded)),
        Err(failure) => {
            let advice = failure.advice.clone().map(String::from);
            let check = Check::new("settings", Verdict::Failed, failure.message.clone());
            checks.push(Check { advice, ..check });
        }
    }
    if let Ok(loaded) = &loaded
        && let Place::Server(url) = &loaded.place
    {
        let (found, stands) = doctor_server::checks(loaded, url).await;
        checks.extend(found);
        state = stands;
    } else if let Ok(loaded) = &loaded {
        let folder = data_folder(loaded);
        checks.push(folder_check(&folder));
        checks.push(sync_check(&folder));
        checks.extend(database_checks(loaded).await);
        checks.push(secrets_check(loaded).await);
        checks.extend(keys_check(loaded).await);
        checks.push(http_check(loaded));
    }
    checks.push(clock_check());
    let host = Host::read();
    checks.push(Check::ok(
        "cores",
        format!("{} threads run at once", host.cores),
    ));
    checks.push(memory_check(&host));
    let healthy = checks.iter().all(|check| check.verdict != Verdict::Failed);
    if console.json {
        let checks = &checks;
        console.document(&Document {
            healthy,
            checks,
            state,
        })?;
    } else {
        for check in &checks {
            console.line(&line(check, console))?;
        }
    }
    Ok(if healthy {
        Exit::Completed
    } else {
        Exit::Environment
    })
}

fn line(check: &Check, console: &Console) -> String {
    let mark = match check.verdict {
        Verdict::Ok => console.out.paint(Paint::Green, "✓"),
        Verdict::Warning => console.out.paint(Paint::Yellow, "!"),
        Verdict::Failed => console.out.paint(Paint::Red, "✗"),
    };
    let mut text = format!("{mark} {:<9} {}", check.check, check.detail);
    if let Some(advice) = &check.advice {
        let label = console.out.paint(Paint::Cyan, "what to do:");
        text.push_str(&format!("\n            {label} {advice}"));
    }
    text
}

fn settings_file(loaded: &Loaded) -> Check {
    let path = loaded.folders.config.join(FILE_NAME);
    let shown = path.display();
    if path.exists() {
        Check::ok("settings", format!("{shown}"))
    } else {
        Check::ok(
            "settings",
            format!("{shown} is not there; every setting has its default"),
        )
    }
}

/// What requests keep to. How they stand now is known to the process that sends them: `--server` asks it.
fn http_check(loaded: &Loaded) -> Check {
    let policy = &loaded.settings.http;
    if let Err(error) = policy.check() {
        return Check::new("http", Verdict::Failed, error.to_string())
            .advice("correct it; every key is listed in bins/desktop/README.md");
    }
    let breaker = match policy.use_breaker {
        true => "a breaker",
        false => "no breaker",
    };
    let detail = format!(
        "{} requests at a time to a host, {breaker}, limits of their own for {} hosts and {} credentials; \
         each process counts for itself",
        policy.concurrency,
        policy.hosts.len(),
        policy.credentials.len()
    );
    Check::ok("http", detail)
}

/// The folder of the database, or the nearest one around it that is there.
fn data_folder(loaded: &Loaded) -> PathBuf {
    let wanted = match &loaded.place {
        Place::Named(path) | Place::Usual(path) => path.parent().unwrap_or(path),
        Place::Memory | Place::Server(_) => &loaded.folders.data,
    };
    let there = wanted.ancestors().find(|folder| folder.exists());
    there.unwrap_or(Path::new("/")).to_owned()
}

fn folder_check(folder: &Path) -> Check {
    match tempfile::NamedTempFile::new_in(folder) {
        Ok(_) => Check::ok("folder", format!("{} can be written", folder.display())),
        Err(error) => {
            let detail = format!("{} cannot be written: {}", folder.display(), reason(&error));
            Check::new("folder", Verdict::Failed, detail)
                .advice("make it writable, or choose another database with --db")
        }
    }
}

/// Every commit waits for the disk: how long is that here?
fn sync_check(folder: &Path) -> Check {
    match sync_times(folder) {
        Ok(times) => {
            let (middle, slowest) = (times[times.len() / 2], times[times.len() - 1]);
            let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
            let detail = format!(
                "a sync takes {:.2} ms, the slowest of {SYNCS} {:.2} ms",
                millis(middle),
                millis(slowest)
            );
            if middle > SLOW_SYNC {
                Check::new("disk", Verdict::Warning, detail)
                    .advice("put the database on a faster disk: each step waits for a sync")
            } else {
                Check::ok("disk", detail)
            }
        }
        Err(error) => {
            let detail = format!("{} cannot be synced: {}", folder.display(), reason(&error));
            Check::new("disk", Verdict::Failed, detail).advice("choose a disk that can, with --db")
        }
    }
}

fn sync_times(folder: &Path) -> std::io::Result<Vec<Duration>> {
    let clock = SystemClock::default();
    let mut file = tempfile::tempfile_in(folder)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&[0; 4096])?;
        let begun = clock.monotonic();
        file.sync_data()?;
        times.push(clock.monotonic() - begun);
    }
    times.sort_unstable();
    Ok(times)
}

/// Opening a database checks it; one that is not there is not made.
async fn database_checks(loaded: &Loaded) -> Vec<Check> {
    let Some(path) = loaded.place.path() else {
        return vec![Check::ok("database", "in memory")];
    };
    let shown = path.display();
    if !path.exists() {
        return vec![Check::ok(
            "database",
            format!("{shown} is not there yet; the first run makes it"),
        )];
    }
    let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let composed = match compose::compose(loaded).await {
        Ok(composed) => composed,
        Err(failure) => return vec![Check::failed("database", failure)],
    };
    let tenant = nebula_core::TenantId::local();
    let database = match composed.nebula.engine().unfinished(&tenant).await {
        Ok(left) => Check::ok(
            "database",
            format!(
                "{shown} is sound, {size} bytes, {} unfinished",
                crate::definition::counted(left.len(), "execution")
            ),
        ),
        Err(error) => Check::failed("database", error.into()),
    };
    let duties = match composed.elector.duties().await {
        Ok(duties) => duties_check(duties.into_iter().map(DutyLine::from)),
        Err(error) => Check::failed("duties", error.into()),
    };
    vec![database, duties]
}

/// Who does what one process at a time does.
pub(crate) fn duties_check(duties: impl IntoIterator<Item = DutyLine>) -> Check {
    let each = duties.into_iter().map(|it| match (it.leader, it.until) {
        (Some(leader), Some(until)) => format!(
            "{} is done by the process {leader}, in term {}, until {until} or longer",
            it.duty, it.term
        ),
        _ => format!(
            "{} is done by nobody now; its last term was {}",
            it.duty, it.term
        ),
    });
    let each: Vec<_> = each.collect();
    Check::ok(
        "duties",
        match each.is_empty() {
            true => "no server has done any here yet".to_owned(),
            false => each.join("; "),
        },
    )
}

/// Whether the key opens the secrets.
async fn secrets_check(loaded: &Loaded) -> Check {
    let secrets = match compose::secrets(loaded).await {
        Ok(secrets) => secrets,
        Err(failure) => return Check::failed("secrets", failure),
    };
    let shown = secrets.path.display();
    match secrets.state().await {
        Ok(None) => Check::ok(
            "secrets",
            format!("{shown} is not there yet; the first one makes it"),
        ),
        Ok(Some((key, count))) => {
            let count = crate::definition::counted(count, "secret");
            Check::ok(
                "secrets",
                format!("{shown} has {count}, encrypted with the key {key}"),
            )
        }
        Err(failure) => Check::failed("secrets", failure),
    }
}

/// Whether the secrets have the master keys of the credentials. Nothing where the database or the
/// secrets cannot be opened: that is said already.
async fn keys_check(loaded: &Loaded) -> Option<Check> {
    const CHECK: &str = "keys";
    loaded.place.path().filter(|path| path.exists())?;
    let composed = compose::vault(loaded).await.ok()?;
    let keys = match composed.vault.keys(&nebula_core::TenantId::local()).await {
        Ok(keys) => keys,
        Err(error) => return Some(Check::failed(CHECK, error.into())),
    };
    if let Some(failure) = keys.iter().find_map(compose::key_failure) {
        return Some(Check::failed(CHECK, failure));
    }
    Some(match &keys[..] {
        [] => Check::ok(CHECK, "no credential was added yet"),
        [only] => Check::ok(
            CHECK,
            format!("credentials are encrypted with {}", only.key),
        ),
        [newest, ..] => Check::new(
            CHECK,
            Verdict::Warning,
            format!(
                "a rotation to {} has not come to its end; everything can be read",
                newest.key
            ),
        )
        .advice("`nebula credentials rotate --keys` goes on with it"),
    })
}

fn clock_check() -> Check {
    let now = SystemClock::default().now();
    if now < EARLIEST {
        return Check::new(
            "clock",
            Verdict::Failed,
            format!("it is {now}, which cannot be"),
        )
        .advice("set the machine's clock");
    }
    Check::ok("clock", now.to_string())
}

/// What memory there is, and whether anything waits for it.
fn memory_check(host: &Host) -> Check {
    let Some(memory) = host.memory else {
        return Check::ok("memory", "this system does not say how much there is");
    };
    let mib = |size: ByteSize| format!("{} MiB", size.as_u64() >> 20);
    let mut detail = format!(
        "{} of {} are available",
        mib(memory.available),
        mib(memory.usable())
    );
    if memory.limit.is_some_and(|limit| limit < memory.machine) {
        detail += &format!(
            ", the limit of its control group; the machine has {}",
            mib(memory.machine)
        );
    }
    if let Some(stalled) = host.stalled {
        detail += &format!(
            "; of the last 10 s, something waited for memory in {:.1} %",
            stalled.some
        );
    }
    if host.is_short_of_memory() {
        Check::new("memory", Verdict::Warning, detail)
            .advice("while this lasts, a worker takes up no execution beside those under way; give it more memory, or lower `memory` of the worker in the settings")
    } else {
        Check::ok("memory", detail)
    }
}
