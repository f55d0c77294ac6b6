//! What a program finds when it looks at itself and its machine.

use std::{io::Write as _, path::Path, time::Duration};

use nebula_core::{ByteSize, Clock as _, Timestamp};
use nebula_system::{Host, SystemClock};
use serde::Serialize;

use crate::{
    console::{Console, Paint},
    failure::{Failure, reason},
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
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and may get worse.
    Warning,
    /// It does not work.
    Failed,
}

/// One line of the result. JSON: `{ "check", "verdict", "detail", "advice" }`.
#[derive(Debug, Serialize)]
pub struct Check {
    /// What was looked at.
    pub check: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
    /// What to do.
    pub advice: Option<String>,
}

impl Check {
    /// What was found.
    pub fn new(check: &'static str, verdict: Verdict, detail: impl Into<String>) -> Self {
        Self {
            check,
            verdict,
            detail: detail.into(),
            advice: None,
        }
    }

    /// It is as it should be.
    pub fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, detail)
    }

    /// It does not work, because of this.
    #[must_use]
    pub fn failed(check: &'static str, failure: Failure) -> Self {
        Self {
            advice: failure.advice.map(String::from),
            ..Self::new(check, Verdict::Failed, failure.message)
        }
    }

    /// Says what to do.
    #[must_use]
    pub fn advice(mut self, advice: &str) -> Self {
        self.advice = Some(advice.to_owned());
        self
    }
}

/// A check in words, for people.
#[must_use]
pub fn line(check: &Check, console: &Console) -> String {
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

/// Whether files can be made in a folder.
#[must_use]
pub fn folder_check(folder: &Path) -> Check {
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
#[must_use]
pub fn sync_check(folder: &Path) -> Check {
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

/// Whether the clock is set.
#[must_use]
pub fn clock_check() -> Check {
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
#[must_use]
pub fn memory_check(host: &Host) -> Check {
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

/// How many threads run at once.
#[must_use]
pub fn cores_check(host: &Host) -> Check {
    Check::ok("cores", format!("{} threads run at once", host.cores))
}

/// Whether nothing is broken.
#[must_use]
pub fn healthy(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.verdict != Verdict::Failed)
}
