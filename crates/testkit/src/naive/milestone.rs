//! Whether something happens between the ends of two others.

use std::collections::BTreeMap;

use nebula_core::ParamValue;
use nebula_workflow::{MAIN, NodeDefinition};
use serde_json::Value;

use super::{Ambiguous, Ended, Result, SAME, Time};

/// When a milestone lets go who asks at `at`, and by which port.
pub(super) fn milestone(
    node: &NodeDefinition,
    ends: &BTreeMap<String, (Time, Ended)>,
    at: Time,
) -> Result<(Time, &'static str)> {
    let end = |field: &str| match node.parameters.get(field) {
        Some(ParamValue::Literal(Value::String(id))) => {
            Some(*ends.get(id).expect("it asks about what has been computed"))
        }
        _ => None,
    };
    // What is skipped ends nothing.
    let unsaid = |field| end(field).is_some_and(|(_, ended)| ended == Ended::Unsaid);
    if unsaid("reached") || unsaid("until") {
        return Err(Ambiguous);
    }
    let over = end("until").filter(|(_, ended)| *ended != Ended::Skipped);
    let (known, holds) = match end("reached") {
        None => (at, true),
        Some((reached, ended)) => (at.max(reached), ended == Ended::Succeeded),
    };
    match over {
        Some((over, _)) if over.abs_diff(known) < SAME && holds => Err(Ambiguous),
        // It may be over before it is known whether it was ever reached.
        Some((over, _)) if over < known => Ok((at.max(over), "expired")),
        _ if holds => Ok((known, MAIN)),
        _ => Ok((known, "expired")),
    }
}
