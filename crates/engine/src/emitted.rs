//! Events that a workflow emitted, as reports show them.

use nebula_execution::{Fact, StoredEntry};
use serde_json::{Value, json};

/// How many events of an execution are shown.
const MAX_EVENTS: usize = 1_000;

/// What an execution has told its watchers so far, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Emitted {
    shown: Vec<Value>,
    more: usize,
    /// The last entry that came from the execution which this one goes over again: that one told it.
    copied: u64,
}

impl Emitted {
    /// Keeps what this entry told, if it did.
    pub(crate) fn keep(&mut self, entry: &StoredEntry) {
        let (instance, name, payload) = match &entry.entry.fact {
            Fact::ExecutionStarted(started) => {
                let copied = started.repeats.as_ref().map_or(0, |it| it.copied);
                self.copied = entry.seq + copied;
                return;
            }
            Fact::EventEmitted {
                instance,
                name,
                payload,
                ..
            } if entry.seq > self.copied => (instance, name, payload),
            _ => return,
        };
        if self.shown.len() == MAX_EVENTS {
            self.more += 1;
            return;
        }
        self.shown.push(json!({
            "seq": entry.seq,
            "at": entry.entry.at.to_string(),
            "instance": instance.to_string(),
            "event": name,
            "payload": payload,
        }));
    }

    /// All that is shown, and how many are not.
    pub(crate) fn into_list(mut self) -> Vec<Value> {
        if self.more > 0 {
            self.shown.push(json!({ "truncated": self.more }));
        }
        self.shown
    }
}
