//! What an execution spent its time with, read from its journal entry by entry.

use std::{collections::BTreeMap, time::Duration};

use crate::{Entry, Fact, InstanceId};
use nebula_core::Timestamp;
use serde::{Deserialize, Serialize};

/// How many stretches are kept: the first ones, and those that are open.
pub const MAX_STRETCHES: usize = 1_000;

/// With what a stretch of time was spent. JSON: snake case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spent {
    /// Nobody drove the execution yet: from its creation to its first entry by a worker.
    Queue,
    /// An attempt was made.
    Attempt,
    /// An attempt had failed, and the next one was due later.
    Retry,
    /// A point in time was waited for.
    Timer,
    /// A signal was waited for.
    Signal,
    /// People were asked.
    Approval,
    /// A slot was waited for.
    Slot,
    /// A milestone was waited for.
    Milestone,
    /// Another execution was waited for.
    Call,
    /// A body ran.
    Body,
    /// An effect was undone.
    Compensation,
    /// Somebody had paused the execution.
    Pause,
    /// A person had to decide.
    Parked,
}

/// A stretch of time. JSON: `{ "spent", "instance", "attempt", "from", "to", "note" }`; `to` is null where it
/// is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// With what.
    pub spent: Spent,
    /// By which instance; none is the execution itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// By which of its tries, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Since when.
    pub from: String,
    /// Until when.
    pub to: Option<String>,
    /// What there is to say: the code of an error, the name of a signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What an execution spent its time with. JSON: `{ "stretches", "truncated" }`, in the order of their
/// beginnings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// The stretches.
    pub stretches: Vec<Stretch>,
    /// How many more there were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub truncated: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands it over like this"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Reads a timeline from a journal, entry by entry.
#[derive(Debug, Clone, Default)]
pub struct Times {
    began: Option<Timestamp>,
    queued: bool,
    done: Vec<Spell>,
    open: BTreeMap<(Option<InstanceId>, u8), Spell>,
    truncated: u64,
}

/// A stretch of time, as it is read from a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spell {
    /// With what it was spent.
    pub spent: Spent,
    /// By which instance; none is the execution itself.
    pub instance: Option<InstanceId>,
    /// By which of its tries, from 1.
    pub attempt: Option<u32>,
    /// Since when.
    pub from: Timestamp,
    /// Until when, if it is over.
    pub to: Option<Timestamp>,
    /// What there is to say: the code of an error, the name of a signal.
    pub note: Option<String>,
}

impl From<Spell> for Stretch {
    fn from(it: Spell) -> Self {
        Self {
            spent: it.spent,
            instance: it.instance.map(|it| it.to_string()),
            attempt: it.attempt,
            from: it.from.to_string(),
            to: it.to.map(|it| it.to_string()),
            note: it.note,
        }
    }
}

impl Times {
    /// Takes the next entry in.
    pub fn take(&mut self, entry: &Entry) {
        let at = entry.at;
        match &entry.fact {
            Fact::ExecutionStarted(_) => {
                self.began = Some(at);
                return;
            }
            // The queue ends with the first thing that a worker decided or asked.
            Fact::CancellationRequested { .. } | Fact::PauseRequested { .. } => {}
            fact => self.leave_queue(at, fact),
        }
        match &entry.fact {
            Fact::AttemptStarted {
                instance, attempt, ..
            } => {
                self.close(Some(instance), Spent::Retry, at);
                self.open(Some(instance), Spent::Attempt, at, Some(*attempt), None);
            }
            Fact::AttemptSucceeded {
                instance,
                attempt,
                micros,
                ..
            }
            | Fact::AttemptSpilled {
                instance,
                attempt,
                micros,
                ..
            } => {
                self.ended(instance, *attempt, (at, *micros), None);
            }
            Fact::AttemptFailed {
                instance,
                attempt,
                error,
                retry_at,
                ..
            } => {
                let code = Some(error.code.to_string());
                self.ended(instance, *attempt, (at, 0), code);
                if let Some(due) = retry_at {
                    let note = Some(format!("until {due}"));
                    self.open(Some(instance), Spent::Retry, at, None, note);
                }
            }
            Fact::AttemptIndeterminate {
                instance,
                attempt,
                error,
            } => {
                let code = Some(error.code.to_string());
                self.ended(instance, *attempt, (at, 0), code);
            }
            Fact::TimerSet { instance, due } => {
                let note = Some(format!("until {due}"));
                self.open(Some(instance), Spent::Timer, at, None, note);
            }
            Fact::TimerFired { instance, .. } => self.close(Some(instance), Spent::Timer, at),
            Fact::SignalAwaited { instance, name, .. } => {
                let note = Some(name.to_string());
                self.open(Some(instance), Spent::Signal, at, None, note);
            }
            Fact::SignalTaken { instance, .. } => self.close(Some(instance), Spent::Signal, at),
            Fact::ApprovalAsked { instance, question } => {
                self.open(
                    Some(instance),
                    Spent::Approval,
                    at,
                    None,
                    question.title.clone(),
                );
            }
            Fact::SlotClaimed { instance, wanted } => {
                let note = Some(wanted.key.to_string());
                self.open(Some(instance), Spent::Slot, at, None, note);
            }
            Fact::SlotGranted { instance } => self.close(Some(instance), Spent::Slot, at),
            Fact::MilestoneAwaited { instance, reached } => {
                let note = Some(reached.to_string());
                self.open(Some(instance), Spent::Milestone, at, None, note);
            }
            Fact::ChildStarted {
                instance,
                child,
                workflow,
                detached: false,
                ..
            } => {
                let note = Some(format!("{workflow} {child}"));
                self.open(Some(instance), Spent::Call, at, None, note);
            }
            Fact::ChildEnded { instance, .. } => self.close(Some(instance), Spent::Call, at),
            Fact::PartStarted {
                instance,
                from,
                child,
                ..
            } => {
                let part = instance.of_item(*from);
                let note = Some(child.to_string());
                self.open(Some(&part), Spent::Call, at, None, note);
            }
            Fact::PartEnded { instance, from, .. } => {
                self.close(Some(&instance.of_item(*from)), Spent::Call, at);
            }
            Fact::BodyOpened { instance, .. } => {
                self.open(Some(instance), Spent::Body, at, None, None);
            }
            Fact::BodyClosed { instance } | Fact::BodyTimedOut { instance } => {
                self.close(Some(instance), Spent::Body, at);
            }
            Fact::CompensationStarted {
                instance, attempt, ..
            } => {
                self.open(
                    Some(instance),
                    Spent::Compensation,
                    at,
                    Some(*attempt),
                    None,
                );
            }
            Fact::CompensationSucceeded { instance, .. }
            | Fact::CompensationFailed { instance, .. } => {
                self.close(Some(instance), Spent::Compensation, at);
            }
            Fact::InstanceCancelled { instance } => self.close_all(instance, at),
            Fact::PauseRequested { .. } => self.open(None, Spent::Pause, at, None, None),
            Fact::Resumed => self.close(None, Spent::Pause, at),
            Fact::Parked { .. } => self.open(None, Spent::Parked, at, None, None),
            Fact::Unparked { .. } => self.close(None, Spent::Parked, at),
            Fact::ExecutionCompleted { .. }
            | Fact::ExecutionFailed { .. }
            | Fact::ExecutionCancelled { .. }
            | Fact::ExecutionTimedOut => {
                for (_, mut open) in std::mem::take(&mut self.open) {
                    open.to = Some(at);
                    self.keep(open);
                }
            }
            _ => {}
        }
    }

    /// The first entry by a worker says when the queue ended: at the beginning of what it tells of.
    fn leave_queue(&mut self, at: Timestamp, fact: &Fact) {
        let Some(began) = self.began.filter(|_| !self.queued) else {
            return;
        };
        self.queued = true;
        let micros = match fact {
            Fact::AttemptSucceeded { micros, .. } | Fact::AttemptSpilled { micros, .. } => *micros,
            _ => 0,
        };
        self.keep(Spell {
            spent: Spent::Queue,
            instance: None,
            attempt: None,
            from: began,
            to: Some(before(at, micros).max(began)),
            note: None,
        });
    }

    /// An attempt ended. Of one that is free of effects, nothing was said before.
    fn ended(
        &mut self,
        instance: &InstanceId,
        attempt: u32,
        (at, micros): (Timestamp, u64),
        note: Option<String>,
    ) {
        let key = (Some(instance.clone()), Spent::Attempt as u8);
        let known = self
            .open
            .remove(&key)
            .filter(|it| it.attempt == Some(attempt));
        self.close(Some(instance), Spent::Retry, before(at, micros));
        // What waits ends with what it gave, too.
        for spent in [Spent::Approval, Spent::Milestone] {
            self.close(Some(instance), spent, at);
        }
        self.keep(Spell {
            spent: Spent::Attempt,
            instance: Some(instance.clone()),
            attempt: Some(attempt),
            from: known.map_or_else(|| before(at, micros), |it| it.from),
            to: Some(at),
            note,
        });
    }

    fn open(
        &mut self,
        instance: Option<&InstanceId>,
        spent: Spent,
        from: Timestamp,
        attempt: Option<u32>,
        note: Option<String>,
    ) {
        let instance = instance.cloned();
        let key = (instance.clone(), spent as u8);
        let known = Spell {
            spent,
            instance,
            attempt,
            from,
            to: None,
            note,
        };
        // Of an attempt that was lost with its worker, the next one tells.
        if let Some(mut lost) = self.open.insert(key, known) {
            lost.to = Some(from);
            self.keep(lost);
        }
    }

    fn close(&mut self, instance: Option<&InstanceId>, spent: Spent, at: Timestamp) {
        if let Some(mut known) = self.open.remove(&(instance.cloned(), spent as u8)) {
            known.to = Some(at.max(known.from));
            self.keep(known);
        }
    }

    fn close_all(&mut self, instance: &InstanceId, at: Timestamp) {
        let instance = Some(instance.clone());
        let keys: Vec<_> = self
            .open
            .keys()
            .filter(|(it, _)| *it == instance)
            .cloned()
            .collect();
        for key in keys {
            if let Some(mut known) = self.open.remove(&key) {
                known.to = Some(at);
                self.keep(known);
            }
        }
    }

    fn keep(&mut self, known: Spell) {
        match self.done.len() < MAX_STRETCHES {
            true => self.done.push(known),
            false => self.truncated += 1,
        }
    }

    /// What was spent so far, in the order of beginnings, and how many stretches more there were.
    #[must_use]
    pub fn into_spells(self) -> (Vec<Spell>, u64) {
        let mut spells = self.done;
        let room = 2 * MAX_STRETCHES - spells.len();
        let truncated = self.truncated + self.open.len().saturating_sub(room) as u64;
        spells.extend(self.open.into_values().take(room));
        spells.sort_by_key(|it| it.from);
        (spells, truncated)
    }

    /// The same, to be shown.
    #[must_use]
    pub fn into_timeline(self) -> Timeline {
        let (spells, truncated) = self.into_spells();
        Timeline {
            stretches: spells.into_iter().map(Stretch::from).collect(),
            truncated,
        }
    }
}

fn before(at: Timestamp, micros: u64) -> Timestamp {
    let span = Duration::from_micros(micros).as_millis();
    Timestamp::from_millis(at.as_millis() - i64::try_from(span).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::Taken;
    use nebula_action::{ActionError, ErrorClass};
    use nebula_core::Digest;
    use serde_json::Value;

    use super::*;

    const BEGAN: i64 = 1_000_000;

    /// What a journal says, as `spent instance/attempt from-to note`, in milliseconds since the beginning.
    fn check(facts: Vec<(i64, Fact)>, expected: &[&str]) {
        let mut times = Times {
            began: Some(Timestamp::from_millis(BEGAN)),
            ..Times::default()
        };
        for (at, fact) in facts {
            let at = Timestamp::from_millis(BEGAN + at);
            times.take(&Entry { at, fact });
        }
        let timeline = times.into_timeline();
        let since = |text: &String| text.parse::<Timestamp>().unwrap().as_millis() - BEGAN;
        let shown: Vec<_> = timeline
            .stretches
            .iter()
            .map(|it| {
                let spent = serde_json::to_value(it.spent).unwrap();
                let who = it.instance.clone().unwrap_or_default();
                let attempt = it.attempt.map(|it| format!("/{it}")).unwrap_or_default();
                let to = it
                    .to
                    .as_ref()
                    .map_or("…".to_owned(), |it| since(it).to_string());
                let note = it.note.clone().unwrap_or_default();
                let text = format!(
                    "{} {who}{attempt} {}-{to} {note}",
                    spent.as_str().unwrap(),
                    since(&it.from)
                );
                text.split_whitespace().collect::<Vec<_>>().join(" ")
            })
            .collect();
        assert_eq!(shown, expected);
    }

    fn node(name: &str) -> InstanceId {
        name.parse().unwrap()
    }

    fn begins(attempt: u32) -> Fact {
        Fact::AttemptStarted {
            instance: node("a"),
            attempt,
            key: "k".to_owned(),
            input: Digest::of(b""),
            deadline: Timestamp::MAX,
        }
    }

    fn succeeds(attempt: u32, micros: u64) -> Fact {
        Fact::AttemptSucceeded {
            instance: node("a"),
            attempt,
            output: Arc::new(Value::Null),
            port: "main".into(),
            lineage: None,
            taken: Taken::All,
            micros,
        }
    }

    fn fails(attempt: u32, retry_at: Option<i64>) -> Fact {
        Fact::AttemptFailed {
            instance: node("a"),
            attempt,
            error: ActionError::new("HTTP_503", "busy", ErrorClass::Retryable { after: None }),
            retry_at: retry_at.map(|at| Timestamp::from_millis(BEGAN + at)),
            counts: true,
            taken: Taken::All,
        }
    }

    #[test]
    fn an_attempt_that_only_tells_its_end_began_as_long_before_as_it_took() {
        check(
            vec![(30, succeeds(1, 20_000))],
            &["queue 0-10", "attempt a/1 10-30"],
        );
    }

    #[test]
    fn attempts_and_the_waits_between_them_follow_each_other() {
        let facts = vec![
            (5, begins(1)),
            (25, fails(1, Some(125))),
            (126, begins(2)),
            (150, succeeds(2, 20_000)),
        ];
        let until = Timestamp::from_millis(BEGAN + 125);
        let retry = format!("retry a 25-126 until {until}");
        let expected = [
            "queue 0-5",
            "attempt a/1 5-25 HTTP_503",
            &retry,
            "attempt a/2 126-150",
        ];
        check(facts, &expected);
    }

    #[test]
    fn what_is_not_over_is_open_until_the_end() {
        let awaited = Fact::SignalAwaited {
            instance: node("wait"),
            name: "go".into(),
            due: None,
        };
        check(
            vec![(5, awaited.clone())],
            &["queue 0-5", "signal wait 5-… go"],
        );
        let facts = vec![(5, awaited), (9, Fact::ExecutionTimedOut)];
        check(facts, &["queue 0-5", "signal wait 5-9 go"]);
    }

    #[test]
    fn an_attempt_that_was_lost_ends_with_the_next_one() {
        let facts = vec![(5, begins(1)), (50, begins(2)), (60, succeeds(2, 9_000))];
        check(
            facts,
            &["queue 0-5", "attempt a/1 5-50", "attempt a/2 50-60"],
        );
    }

    #[test]
    fn only_so_many_are_kept() {
        let mut times = Times::default();
        for n in 0..MAX_STRETCHES as i64 + 7 {
            let at = Timestamp::from_millis(n);
            times.take(&Entry {
                at,
                fact: succeeds(1, 0),
            });
        }
        let timeline = times.into_timeline();
        assert_eq!(
            (timeline.stretches.len(), timeline.truncated),
            (MAX_STRETCHES, 7)
        );
    }
}
