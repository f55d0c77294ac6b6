//! Whether a fact is too large to stand in a journal.

use nebula_execution::{CompensationInput, Fact, ItemOutcome, UnparkDecision};
use serde_json::Value;

/// Whether a value takes more than `limit` bytes as JSON, as [`exceeds`] counts.
pub(crate) fn is_over(value: &Value, limit: usize) -> bool {
    !Left(limit).take(value)
}

/// Whether the values of a fact take more than `limit` bytes as JSON, without escapes and white
/// space. Looks no further than that: a small fact costs a look at each of its values.
///
/// Facts that hold no value of a workflow's are small. The first fact of a journal is too: stores read
/// it, and an input has a limit of its own.
pub(crate) fn exceeds(fact: &Fact, limit: usize) -> bool {
    let mut left = Left(limit);
    let within = match fact {
        Fact::AttemptSucceeded { output, .. } | Fact::ExecutionCompleted { output } => {
            left.take(output)
        }
        // Its result lies in a blob already.
        Fact::AttemptSpilled {
            lineage: Some(lineage),
            ..
        } => left.bytes(lineage.len().saturating_mul(INDEX_BYTES)),
        Fact::BodyOpened { json, .. } => left.take(json),
        Fact::ChildEnded {
            output: Some(output),
            ..
        }
        | Fact::StopRequested { output, .. }
        | Fact::CompensationSucceeded { output, .. }
        | Fact::CompensationRegistered {
            input: CompensationInput::Parameters(output),
            ..
        }
        | Fact::Unparked {
            decision: UnparkDecision::Succeeded(output),
            ..
        } => left.take(output),
        Fact::EventEmitted { payload, .. } => left.take(payload),
        Fact::SignalSent { signal, .. } => left.take(&signal.payload),
        Fact::SignalReceived(signal) => left.take(&signal.payload),
        Fact::ItemsSettled { outcomes, .. } => outcomes.iter().all(|outcome| match outcome {
            ItemOutcome::Ok(value) => left.take(value),
            ItemOutcome::Error(_) | ItemOutcome::Apart(_) => true,
        }),
        _ => true,
    };
    !within
}

/// About how many bytes the index of an element has in a lineage, with its comma.
const INDEX_BYTES: usize = 6;

/// How many bytes may still come.
struct Left(usize);

impl Left {
    /// Takes what a value has; says whether there was room.
    fn take(&mut self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.bytes(text.len() + 2),
            Value::Array(items) => self.bytes(2) && items.iter().all(|item| self.item(item)),
            Value::Object(entries) => {
                let mut entries = entries.iter();
                self.bytes(2)
                    && entries.all(|(key, value)| self.bytes(key.len() + 3) && self.item(value))
            }
            // A number has some digits, and the others are words.
            _ => self.bytes(4),
        }
    }

    fn item(&mut self, value: &Value) -> bool {
        self.bytes(1) && self.take(value)
    }

    fn bytes(&mut self, count: usize) -> bool {
        match self.0.checked_sub(count) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn check(value: &Value) {
        let length = value.to_string().len();
        let fact = Fact::ExecutionCompleted {
            output: Arc::new(value.clone()),
        };
        assert!(!exceeds(&fact, length + 8), "{value}");
        assert!(exceeds(&fact, length.saturating_sub(8)), "{value}");
    }

    #[test]
    fn a_fact_weighs_what_its_json_does() {
        check(&json!("x".repeat(100)));
        check(&json!([["ab", "cd"], ["ef"], [], "g", "some more text"]));
        check(&json!({ "a": { "b": "c", "d": ["e", {}] }, "f": true, "and": "some more" }));
        check(&json!([1234, 2345, 3456, 4567, null, true]));
    }

    #[test]
    fn items_weigh_together() {
        let value = Arc::new(json!("x".repeat(40)));
        let outcomes = vec![ItemOutcome::Ok(value); 3];
        let fact = Fact::ItemsSettled {
            instance: "price".parse().unwrap(),
            from: 0,
            outcomes,
        };
        assert!(exceeds(&fact, 100) && !exceeds(&fact, 130));
    }
}
