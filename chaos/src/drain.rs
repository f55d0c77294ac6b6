//! SIGTERM at random moments: what is under way ends, nothing is abandoned, nothing stays held.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nebula_execution::{Fact, InstanceId};
use nebula_testkit::{SeededEntropy, simulation::Audit};

use crate::{
    Failed, Told, Wanted,
    commands::{self, User},
    process::{until, words},
    store,
};

/// How many files or lines each execution writes: more than a drain comes upon.
const ITEMS: u64 = 150;

/// How long a command may take to begin, and to end once it is told to: the grace period and what is
/// around it.
const BOUND: Duration = Duration::from_secs(30);

/// The exit code of a command that a SIGTERM has ended.
const TERMINATED: i32 = 143;

/// Drains `nebula run` and `nebula resume` so many times.
pub(crate) fn run(folder: &Path, wanted: &Wanted, drains: u64) -> Result<Told, Failed> {
    let (user, mut told) = (User::new(&wanted.nebula, folder)?, Told::default());
    let chance = SeededEntropy::new(wanted.seed ^ 0xD0);
    let (mut starts, mut open) = (0, None::<String>);
    while told.drains < drains {
        let name = format!("drain-{}-{starts}", told.drains);
        let mut process = match &open {
            Some(id) => user.begin(&["resume", id], &name)?,
            None => {
                let (file, input) = (
                    format!("{}.yaml", commands::flow(starts)),
                    commands::input(starts, ITEMS),
                );
                starts += 1;
                let arguments = ["run", &file, "--grant-requested", "--input-json", &input];
                user.begin(&arguments, &name)?
            }
        };
        let mut id = None;
        until(BOUND, || {
            let said = fs::read_to_string(&process.said).unwrap_or_default();
            let named = said
                .lines()
                .find_map(|line| line.strip_prefix("execution "));
            id = named.map(str::to_owned);
            id.is_some() || process.ended().is_some()
        });
        thread::sleep(Duration::from_micros(chance.below(60_000)));
        let at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        process.signal("TERM")?;
        let Some(status) = process.ends_within(BOUND) else {
            told.wrong(format!(
                "{name} does not end within {BOUND:?} of its SIGTERM"
            ));
            return Ok(told);
        };
        told.drains += 1;
        open = match status.code() {
            Some(TERMINATED) => id,
            // It had come to its end before.
            Some(0) => None,
            _ => {
                let (said, how) = (fs::read_to_string(&process.said)?, words(status));
                told.wrong(format!("{name} ended with {how} after SIGTERM: {said}"));
                None
            }
        };
        settled(&user, &name, u64::try_from(at)?, &mut told)?;
    }
    let output = user.nebula(&["resume"])?;
    if output.status.code() != Some(0) {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        told.wrong(format!(
            "resume ended with {}: {said}",
            words(output.status)
        ));
    }
    commands::examine(&user, starts, ITEMS, &mut told)?;
    if told.decisions > 0 {
        let what = format!("{} effects were abandoned in doubt", told.decisions);
        told.wrong(what);
    }
    Ok(told)
}

/// Whatever began has its end in the journal, and nobody holds anything.
fn settled(user: &User, name: &str, at: u64, told: &mut Told) -> Result<(), Failed> {
    let all = store::read(&user.database(), &mut Audit::default())?;
    let mut busy = false;
    for (id, became) in &all {
        let mut under_way = BTreeSet::<(&InstanceId, u32)>::new();
        for stored in &became.entries {
            match &stored.entry.fact {
                Fact::AttemptStarted {
                    instance, attempt, ..
                } => {
                    under_way.insert((instance, *attempt));
                }
                Fact::AttemptSucceeded {
                    instance, attempt, ..
                } => {
                    busy |= stored.entry.at.as_millis() >= i64::try_from(at)?;
                    under_way.remove(&(instance, *attempt));
                }
                fact @ (Fact::AttemptFailed { .. } | Fact::AttemptIndeterminate { .. }) => {
                    told.wrong(format!("{name}: {id} has {fact:?}"));
                }
                _ => {}
            }
        }
        for (instance, attempt) in under_way {
            told.wrong(format!(
                "{name}: attempt {attempt} of `{instance}` of {id} was abandoned"
            ));
        }
    }
    told.busy += u64::from(busy);
    if let Some(held) = store::held(&user.database()).filter(|held| *held > 0) {
        told.wrong(format!("{name}: {held} executions are still held"));
    }
    Ok(())
}
