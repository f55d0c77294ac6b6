//! When what was decided has to be committed.

use nebula_execution::{CompensationInput, Fact, ItemOutcome};
use serde_json::Value;

use crate::drive::Drive;

impl Drive {
    /// Whether what waits has grown to what one step should hold, or has waited for long enough: a
    /// crash costs no more pure work than that.
    pub(crate) fn must_flush(&self) -> bool {
        let config = &self.shared.config;
        if self.pending.is_empty() {
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
    match fact {
        Fact::AttemptSucceeded { output, .. }
        | Fact::CompensationSucceeded { output, .. }
        | Fact::ChildEnded {
            output: Some(output),
            ..
        } => value_weight(output),
        Fact::CompensationRegistered {
            input: CompensationInput::Parameters(input),
            ..
        } => value_weight(input),
        Fact::SignalReceived(signal) | Fact::SignalSent { signal, .. } => {
            value_weight(&signal.payload)
        }
        Fact::EventEmitted { payload, .. } => value_weight(payload),
        Fact::ItemsSettled { outcomes, .. } => {
            let results = outcomes.iter().map(|outcome| match outcome {
                ItemOutcome::Ok(value) => value_weight(value),
                ItemOutcome::Error(error) => error.message.len(),
            });
            results.sum()
        }
        _ => 0,
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
