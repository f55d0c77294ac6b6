//! About how many bytes of memory values take.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;

use crate::{
    Activation, ExecutionState, Given, ItemOutcome, Runs,
    list::{List, Outcomes},
};

/// An entry of an object: its hash, its key and its value.
const ENTRY_BYTES: usize = size_of::<u64>() + size_of::<String>() + size_of::<Value>();
/// A place in the index of an object's entries, of which about half are free.
const PLACE_BYTES: usize = 2 * (size_of::<usize>() + 1);
/// The fewest entries for which an object has room.
const LEAST_ENTRIES: usize = 4;

/// About how many bytes of memory a value takes, without what the allocator adds.
#[must_use]
pub fn footprint(value: &Value) -> usize {
    size_of::<Value>() + behind(value)
}

/// What a value takes beside itself.
fn behind(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(footprint).sum(),
        Value::Object(entries) if entries.is_empty() => 0,
        Value::Object(entries) => {
            let room = entries.len().max(LEAST_ENTRIES) * (ENTRY_BYTES + PLACE_BYTES);
            let within = entries.iter().map(|(key, value)| key.len() + behind(value));
            room + within.sum::<usize>()
        }
        _ => 0,
    }
}

/// Counts the memory of values; what is shared counts once.
///
/// ```
/// # use std::sync::Arc;
/// # use nebula_execution::{Footprint, footprint};
/// let (text, mut all) = (Arc::new("x".repeat(100).into()), Footprint::default());
/// all.value(&text);
/// all.value(&text.clone());
/// assert_eq!(all.bytes(), footprint(&text));
/// ```
#[derive(Debug, Default)]
pub struct Footprint {
    seen: BTreeSet<usize>,
    bytes: usize,
}

impl Footprint {
    /// All that was counted so far.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A value, unless it was counted before.
    pub fn value(&mut self, value: &Arc<Value>) {
        if self.seen.insert(Arc::as_ptr(value).addr()) {
            self.bytes += footprint(value);
        }
    }

    /// What somebody gave.
    pub fn given(&mut self, given: &Given) {
        match given {
            Given::Value(value) => self.value(value),
            Given::List(list) => self.list(list),
            // Whoever reads it counts it for as long as it is at hand.
            Given::Blob(_) => {}
            Given::Made(made) => made.givens().for_each(|given| self.given(given)),
        }
    }

    /// A long list, of which only the text is held.
    fn list(&mut self, list: &List) {
        list.texts().for_each(|text| self.text(text));
        list.apart().values().for_each(|given| self.given(given));
    }

    fn text(&mut self, text: &str) {
        if self.seen.insert(text.as_ptr().addr()) {
            self.bytes += text.len();
        }
    }

    /// The values that an execution holds: its input, results and items, what bodies began with,
    /// and signals that nobody has taken.
    pub fn state(&mut self, state: &ExecutionState) {
        if let Some(started) = state.started() {
            self.given(&started.given());
            self.bytes += footprint(&started.vars);
            // In a blob, it is null here.
            self.bytes += footprint(&started.trigger);
            if let Some(part) = &started.part {
                self.value(&part.elements);
            }
        }
        for signal in state.signals() {
            self.value(&signal.payload);
        }
        for (_, frame) in state.frames.iter() {
            if let Some(json) = frame.json() {
                self.given(&json);
            }
            let activations = frame.nodes().flat_map(|(_, node)| &node.activations);
            activations.for_each(|activation| self.activation(activation));
        }
    }

    fn activation(&mut self, activation: &Activation) {
        if let Some(given) = activation.given() {
            self.given(&given);
        }
        let runs = activation.runs.as_deref();
        if let Some(last) = runs.and_then(Runs::given) {
            self.given(&last);
        }
        if let Some(items) = activation.items.as_deref() {
            self.outcomes(&items.outcomes);
            for added in &items.added {
                self.value(&added.payload);
            }
        }
    }

    fn outcomes(&mut self, outcomes: &Outcomes) {
        for outcome in outcomes.loose() {
            match outcome {
                ItemOutcome::Ok(value) => self.value(value),
                ItemOutcome::Error(error) => self.bytes += error.message.len(),
                ItemOutcome::Apart(_) => {}
            }
        }
        outcomes.apart().for_each(|(_, given)| self.given(given));
        outcomes.texts().for_each(|text| self.text(text));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_in_a_value_counts() {
        let value = size_of::<Value>();
        assert_eq!(footprint(&json!(7)), value);
        assert_eq!(footprint(&json!("abc")), value + 3);
        assert_eq!(footprint(&json!([1, "abc"])), 3 * value + 3);
        let room = LEAST_ENTRIES * (ENTRY_BYTES + PLACE_BYTES);
        assert_eq!(footprint(&json!({ "ab": "abc" })), value + room + 5);
        assert_eq!(footprint(&json!({})), value);
    }
}
