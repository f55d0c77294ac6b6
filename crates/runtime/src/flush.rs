//! When what was decided has to be committed.

use nebula_execution::{CompensationInput, Fact, ItemOutcome};
use serde_json::Value;

use crate::drive::Drive;

impl Drive {
    /// Whether what waits has grown to what one step should hold, or has waited for long enough: a
    /// crash costs no more pure work than that. What says how the execution ended goes with its
    /// status, in the last step, however much that has.
    pub(crate) fn must_flush(&self) -> bool {
        let config = &self.shared.config;
        let last = self.pending.last();
        let ends = last.is_some_and(|last| last.fact.is_terminal());
        #[cfg(sim_bug)]
        let ends = ends && !nebula_core::sim_bug::is_awake("end-is-a-step-by-itself");
        if last.is_none() || ends {
            return false;
        }
        let age = || {
            self.shared
                .ports
                .clock
                .monotonic()
                .saturating_sub(self.pending_since)
        };
        self.pending.len() >= config.flush_entries
            || self.pending_bytes >= config.flush_bytes.as_usize()
            || age() >= config.flush_after
    }
}

/// About how many bytes the results in a fact have; what else is in it is small.
pub(crate) fn weight(fact: &Fact) -> usize {
    let mut bytes = 0;
    each_value(fact, &mut |value| bytes += value_weight(value));
    bytes
}

/// Calls `found` for every value in a fact that may be large.
pub(crate) fn each_value(fact: &Fact, found: &mut impl FnMut(&Value)) {
    match fact {
        Fact::AttemptSucceeded { output, .. }
        | Fact::CompensationSucceeded { output, .. }
        | Fact::ChildEnded {
            output: Some(output),
            ..
        } => found(output),
        Fact::CompensationRegistered {
            input: CompensationInput::Parameters(input),
            ..
        } => found(input),
        Fact::SignalReceived(signal) | Fact::SignalSent { signal, .. } => found(&signal.payload),
        Fact::EventEmitted { payload, .. } => found(payload),
        Fact::ItemsSettled { outcomes, .. } => {
            for outcome in outcomes {
                if let ItemOutcome::Ok(value) = outcome {
                    found(value);
                }
            }
        }
        _ => {}
    }
}

pub(crate) fn value_weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(value_weight).sum(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| key.len() + value_weight(value))
            .sum(),
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_weighs_what_is_in_it() {
        assert_eq!(value_weight(&json!("four")), 4);
        assert_eq!(value_weight(&json!([true, 7, "four"])), 8 + 8 + 4);
        assert_eq!(
            value_weight(&json!({ "abc": "four", "de": { "f": null } })),
            (3 + 4) + (2 + (1 + 8))
        );
    }
}
