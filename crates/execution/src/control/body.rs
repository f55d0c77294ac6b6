//! What control actions with a body decide.

use std::{sync::Arc, time::Duration};

use compact_str::CompactString;
use indexmap::IndexMap;
use nebula_action::{ActionError, Deferred};
use nebula_core::{Timestamp, parse_duration};
use serde_json::Value;

use super::{name_of, no_list};
use crate::{Elements, Given};

/// The elements for which the body of `flow.for_each` runs, a list as it is or a range of whole
/// numbers, and the name of the signals that bring more, if any does.
///
/// `input` has its parameters; a long list is no part of it, but `items`.
///
/// # Errors
/// There is no list, the range is none or too long, or the name is none.
pub fn items(
    mut input: Value,
    items: Option<Given>,
) -> Result<(Elements, Option<CompactString>), ActionError> {
    let more = match input.get("more") {
        Some(_) => Some(name_of(&input, "more")?),
        None => None,
    };
    if let Some(range) = input.get("range") {
        return Ok((numbers(range)?, more));
    }
    let given = items.or_else(|| {
        let items = input.get_mut("items").filter(|items| items.is_array())?;
        Some(Given::Value(Arc::new(items.take())))
    });
    match given {
        Some(items) => Ok((Elements::Given(items), more)),
        None => Err(ActionError::invalid_input(
            "FOR_EACH_NOT_A_LIST",
            "/items",
            no_list(input.get("items")),
        )),
    }
}

/// The numbers from `from` up to `to`, without it, by `step`.
fn numbers(range: &Value) -> Result<Elements, ActionError> {
    let wrong = |pointer: &str, message: &str| {
        ActionError::invalid_input("FOR_EACH_RANGE", format!("/range{pointer}"), message)
    };
    let number = |key: &str, default: i64| match range.get(key) {
        None => Ok(default),
        Some(value) => value
            .as_i64()
            .ok_or_else(|| wrong(&format!("/{key}"), "a range has whole numbers")),
    };
    let (from, to, step) = (number("from", 0)?, number("to", 0)?, number("step", 1)?);
    if step == 0 {
        return Err(wrong("/step", "the step of a range must not be 0"));
    }
    let span = i128::from(to) - i128::from(from);
    let count = span.signum() * i128::from(step.signum()) * span.abs();
    let count = u64::try_from(count.max(0)).unwrap_or(u64::MAX);
    let count = count.div_ceil(step.unsigned_abs());
    let count = u32::try_from(count).map_err(|_| {
        let message = format!("the range has {count} numbers, more than any list may have");
        ActionError::limit("FOR_EACH_TOO_LONG", message)
    })?;
    Ok(Elements::Range { from, step, count })
}

/// When a body is given up.
pub(super) fn timeout(
    input: &Value,
    ready_at: Timestamp,
) -> Result<Option<Timestamp>, ActionError> {
    let Some(Value::String(span)) = input.get("timeout") else {
        return Ok(None);
    };
    let span = parse_duration(span).map_err(|error| {
        ActionError::invalid_input("BODY_TIMEOUT", "/timeout", error.to_string())
    })?;
    Ok(Some(ready_at.plus(span)))
}

/// The most rounds of a loop that names no number.
pub const DEFAULT_ROUNDS: u32 = 1_000;

/// The most rounds that a loop may ask for.
pub const MAX_ROUNDS: u32 = 1_000_000;

/// Whether there is another round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoundOutcome {
    /// There is one, now.
    Enter,
    /// There is one, after so long.
    Delay(Duration),
    /// There is none.
    Over,
}

/// Decides about round `index`, from 0, of a loop whose parameters are resolved; `waited` says that
/// its delay is over.
///
/// The loop goes on while `while` holds, until `until` holds after a round, and for `times` rounds
/// at most, whichever comes first.
///
/// # Errors
/// A condition has no value that is true or false; the loop goes on after `max_rounds`.
pub fn round(
    input: &Value,
    deferred: &IndexMap<String, Deferred>,
    index: u32,
    waited: bool,
) -> Result<RoundOutcome, ActionError> {
    let number = |key: &str| input.get(key).and_then(Value::as_u64);
    let holds = |key: &str| match deferred.get(key) {
        Some(condition) => condition.holds(&Value::Null, 0).map(Some).map_err(|error| {
            let message = format!("`{key}`: {}", error.message);
            ActionError::invalid_input(error.code, format!("/{key}"), message)
        }),
        None => Ok(None),
    };
    // What was decided before the delay stands after it.
    if waited {
        return Ok(RoundOutcome::Enter);
    }
    if number("times").is_some_and(|times| u64::from(index) >= times)
        || holds("while")? == Some(false)
        || index > 0 && holds("until")? == Some(true)
    {
        return Ok(RoundOutcome::Over);
    }
    let most = number("max_rounds").unwrap_or_else(|| DEFAULT_ROUNDS.into());
    if number("times").is_none() && u64::from(index) >= most {
        let message = format!("the loop goes on after {most} rounds; `max_rounds` allows no more");
        return Err(ActionError::limit("LOOP_TOO_LONG", message));
    }
    match input.get("delay") {
        Some(Value::String(span)) if index > 0 => {
            let span = parse_duration(span).map_err(|error| {
                ActionError::invalid_input("LOOP_DELAY", "/delay", error.to_string())
            })?;
            Ok(RoundOutcome::Delay(span))
        }
        _ => Ok(RoundOutcome::Enter),
    }
}
