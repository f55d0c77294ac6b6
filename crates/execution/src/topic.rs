//! What an execution announces to the triggers that listen.

use std::fmt;

use crate::{End, Fact, Started, Status, control::RESPONSE_EVENT};

/// What an entry of a journal is announced as. Text: `ended:failed`, `parked`, `asked`, `event:order.paid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic<'t> {
    /// The execution has ended so.
    Ended(Status),
    /// A person must decide how it goes on.
    Parked,
    /// A node asks people.
    Asked,
    /// An event of this name was emitted.
    Event(&'t str),
}

impl<'t> Topic<'t> {
    /// What a fact of an execution that began so is announced as; `None` if it is not. What somebody
    /// only tries announces nothing, and the end of a child is not announced where its caller waits for
    /// it: that one hears of it, and decides what it means.
    #[must_use]
    pub fn of(fact: &'t Fact, started: &Started) -> Option<Self> {
        if started.trial.is_some() {
            return None;
        }
        match fact {
            // Whoever called hears of that.
            Fact::EventEmitted { name, .. } if name == RESPONSE_EVENT => None,
            Fact::EventEmitted { name, .. } => Some(Self::Event(name)),
            // Of those nobody else hears, whoever called.
            Fact::Parked { .. } => Some(Self::Parked),
            Fact::ApprovalAsked { .. } => Some(Self::Asked),
            fact => {
                let awaited = started.parent.as_ref().is_some_and(|parent| parent.waits);
                let end = fact.is_terminal().then(|| End::of(fact)).flatten();
                end.filter(|_| !awaited).map(|end| Self::Ended(end.status))
            }
        }
    }
}

impl fmt::Display for Topic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(status) => write!(f, "ended:{status}"),
            Self::Parked => f.write_str("parked"),
            Self::Asked => f.write_str("asked"),
            Self::Event(name) => write!(f, "event:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Taken;

    #[test]
    fn what_answers_a_caller_is_announced_to_nobody() {
        let digest = nebula_core::Digest::of(b"plan");
        let started = json!({ "workflow": "called", "version": 1, "plan": digest, "input": null });
        let started: Started = serde_json::from_value(started).unwrap();
        let emitted = |name: &str| Fact::EventEmitted {
            instance: "a".parse().unwrap(),
            name: name.into(),
            payload: Value::Null.into(),
            taken: Taken::All,
        };
        let other = emitted("order.paid");
        assert_eq!(
            Topic::of(&other, &started),
            Some(Topic::Event("order.paid"))
        );
        assert_eq!(Topic::of(&emitted(RESPONSE_EVENT), &started), None);
    }
    /// Whoever waits for a child hears of its end, and not that it needs somebody.
    #[test]
    fn that_somebody_is_needed_is_announced_whoever_called() {
        let digest = nebula_core::Digest::of(b"plan");
        let started = json!({ "workflow": "called", "version": 1, "plan": digest, "input": null });
        let mut called: Started = serde_json::from_value(started).unwrap();
        called.parent = Some(Box::new(crate::Parent {
            execution: nebula_core::ExecutionId::from_bytes([1; 16]),
            instance: "call".parse().unwrap(),
            depth: 1,
            waits: true,
            deadline: None,
        }));
        let parked = Fact::Parked {
            reason: crate::ParkReason::Poison { grants: 10 },
        };
        assert_eq!(Topic::of(&parked, &called), Some(Topic::Parked));
        assert_eq!(Topic::Parked.to_string(), "parked");
        let question = json!({ "quorum": 1, "rejections": 1 });
        let asked = Fact::ApprovalAsked {
            instance: "sign".parse().unwrap(),
            question: serde_json::from_value(question).unwrap(),
        };
        assert_eq!(Topic::of(&asked, &called), Some(Topic::Asked));
        assert_eq!(Topic::Asked.to_string(), "asked");
        assert_eq!(Topic::of(&Fact::ExecutionTimedOut, &called), None);
    }
}
