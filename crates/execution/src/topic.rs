//! What an execution announces to the triggers that listen.

use std::fmt;

use crate::{End, Fact, Started, Status, control::RESPONSE_EVENT};

/// What an entry of a journal is announced as. Text: `ended:failed`, `event:order.paid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic<'t> {
    /// The execution has ended so.
    Ended(Status),
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
}
