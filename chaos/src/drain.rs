//! SIGTERM at random moments: what is under way ends, nothing is abandoned, nothing stays held.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nebula_execution::{Fact, InstanceId, StoredEntry};
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
        settled(&user.database(), &name, i64::try_from(at)?, &mut told)?;
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
fn settled(database: &Path, name: &str, at: i64, told: &mut Told) -> Result<(), Failed> {
    let all = store::read(database, &mut Audit::default())?;
    let mut busy = false;
    for (id, became) in &all {
        busy |= ended_since(at, &became.entries);
        for what in unsettled(&became.entries) {
            told.wrong(format!("{name}: {id}: {what}"));
        }
    }
    told.busy += u64::from(busy);
    if let Some(held) = store::held(database).filter(|held| *held > 0) {
        told.wrong(format!("{name}: {held} executions are still held"));
    }
    Ok(())
}

/// Whether an attempt still ended after a moment.
fn ended_since(at: i64, entries: &[StoredEntry]) -> bool {
    entries.iter().any(|stored| {
        let ended = matches!(stored.entry.fact, Fact::AttemptSucceeded { .. });
        ended && stored.entry.at.as_millis() >= at
    })
}

/// Attempts that have no end, or not the one that they would have had.
fn unsettled(entries: &[StoredEntry]) -> Vec<String> {
    let (mut found, mut under_way) = (Vec::new(), BTreeSet::<(&InstanceId, u32)>::new());
    for stored in entries {
        match &stored.entry.fact {
            Fact::AttemptStarted {
                instance, attempt, ..
            } => {
                under_way.insert((instance, *attempt));
            }
            Fact::AttemptSucceeded {
                instance, attempt, ..
            } => {
                under_way.remove(&(instance, *attempt));
            }
            fact @ (Fact::AttemptFailed { .. } | Fact::AttemptIndeterminate { .. }) => {
                found.push(format!("it has {fact:?}"));
            }
            _ => {}
        }
    }
    let abandoned = under_way.iter();
    found.extend(
        abandoned.map(|(of, attempt)| format!("attempt {attempt} of `{of}` was abandoned")),
    );
    found
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nebula_action::ActionError;
    use nebula_core::{Digest, Timestamp};
    use nebula_execution::{Entry, Taken};

    use super::*;
    use crate::workers::tests::copy_after;

    fn entries(facts: Vec<Fact>) -> Vec<StoredEntry> {
        let facts = (1..).zip(facts);
        let stored = facts.map(|(seq, fact)| StoredEntry {
            seq,
            epoch: 1,
            entry: Entry {
                at: Timestamp::from_millis(1_000),
                fact,
            },
        });
        stored.collect()
    }

    fn starts(attempt: u32) -> Fact {
        Fact::AttemptStarted {
            instance: "write[3]".parse().unwrap(),
            attempt,
            key: String::new(),
            input: Digest::of_json(&serde_json::Value::Null),
            deadline: Timestamp::default(),
        }
    }

    fn succeeds(attempt: u32) -> Fact {
        Fact::AttemptSucceeded {
            instance: "write[3]".parse().unwrap(),
            attempt,
            output: Arc::default(),
            port: "main".into(),
            lineage: None,
            taken: Taken::default(),
            micros: 0,
        }
    }

    #[test]
    fn an_attempt_without_its_end_is_found() {
        assert_eq!(unsettled(&entries(vec![starts(1), succeeds(1)])), [""; 0]);
        let found = unsettled(&entries(vec![starts(1), succeeds(1), starts(2)]));
        assert_eq!(found, ["attempt 2 of `write[3]` was abandoned"]);
    }

    #[test]
    fn an_attempt_that_was_broken_off_is_found() {
        let (instance, attempt) = ("write[3]".parse().unwrap(), 1);
        let error = ActionError::retryable("TIMEOUT", "too late");
        let failed = Fact::AttemptFailed {
            instance,
            attempt,
            error: error.clone(),
            retry_at: None,
            counts: true,
            taken: Taken::default(),
        };
        let instance = "write[3]".parse().unwrap();
        let unknown = Fact::AttemptIndeterminate {
            instance,
            attempt,
            error,
        };
        for fact in [failed, unknown] {
            let found = unsettled(&entries(vec![starts(1), fact, succeeds(1)]));
            assert!(found[0].starts_with("it has Attempt"), "{found:?}");
        }
    }

    #[test]
    fn what_ended_after_the_signal_was_under_way() {
        let ended = entries(vec![starts(1), succeeds(1)]);
        let since = |at| ended_since(at, &ended);
        assert_eq!(
            (since(999), since(1_000), since(1_001)),
            (true, true, false)
        );
        assert!(!ended_since(0, &ended[..1]));
    }

    #[test]
    fn what_is_still_held_is_found() {
        let held = |sql: &str| {
            let (_folder, database) = copy_after(sql);
            let mut told = Told::default();
            settled(&database, "drain", 0, &mut told).unwrap();
            let held = |what: &&String| what.ends_with("executions are still held");
            told.violations.iter().find(held).cloned()
        };
        let nothing = "UPDATE executions SET lease_until = NULL";
        assert_eq!(held(nothing), None);
        let one = "UPDATE executions SET lease_until = 1 WHERE n = 1";
        let found = "drain: 1 executions are still held".to_owned();
        assert_eq!(held(one), Some(found));
    }
}
