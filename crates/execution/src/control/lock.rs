//! What control actions want that run their body while they hold a slot.

use std::time::Duration;

use nebula_action::ActionError;
use nebula_core::parse_duration;
use serde_json::Value;

use super::ControlOutcome;
use crate::{MAX_LOCK_NAME, MAX_PERMITS, SlotScope, SlotWanted, WhenLost};

/// How long one waits that does not say: two executions that wait for each other must not for ever.
const LOCK_TIMEOUT: Duration = Duration::from_hours(1);
/// The shortest time for which one may wait: what is free comes with a commit.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

pub(super) fn mutex(input: &Value) -> Result<ControlOutcome, ActionError> {
    wanted("mutex", 1, input)
}

pub(super) fn semaphore(input: &Value) -> Result<ControlOutcome, ActionError> {
    let permits = input.get("permits").and_then(Value::as_u64);
    let permits = permits.and_then(|permits| u32::try_from(permits).ok());
    let Some(permits) = permits.filter(|permits| (1..=MAX_PERMITS).contains(permits)) else {
        let message = format!("`permits` must be a whole number from 1 to {MAX_PERMITS}");
        return Err(wrong("/permits", message));
    };
    wanted("semaphore", permits, input)
}

fn wanted(kind: &str, permits: u32, input: &Value) -> Result<ControlOutcome, ActionError> {
    let name = input.get("name").and_then(Value::as_str).unwrap_or("");
    if name.is_empty() || name.len() > MAX_LOCK_NAME || name.chars().any(char::is_control) {
        let message = format!(
            "`name` must be a text of 1 to {MAX_LOCK_NAME} bytes without control characters"
        );
        return Err(wrong("/name", message));
    }
    let wait = span(input, "lock_timeout")?.unwrap_or(LOCK_TIMEOUT);
    if wait < SHORTEST_WAIT {
        let least = nebula_core::duration_text(SHORTEST_WAIT);
        let message = format!("`lock_timeout` must be {least} or more");
        return Err(wrong("/lock_timeout", message));
    }
    let is = |field: &str, word: &str| input.get(field).is_some_and(|value| value == word);
    Ok(ControlOutcome::Claim(SlotWanted {
        key: format!("{kind}/{name}").into(),
        permits,
        scope: if is("scope", "execution") {
            SlotScope::Execution
        } else {
            SlotScope::Tenant
        },
        wait,
        timeout: span(input, "timeout")?,
        when_lost: if is("when_lost", "fail") {
            WhenLost::Fail
        } else {
            WhenLost::Wait
        },
    }))
}

fn span(input: &Value, field: &str) -> Result<Option<Duration>, ActionError> {
    let Some(Value::String(span)) = input.get(field) else {
        return Ok(None);
    };
    let span = parse_duration(span);
    span.map(Some)
        .map_err(|error| wrong(&format!("/{field}"), error.to_string()))
}

fn wrong(pointer: &str, message: String) -> ActionError {
    ActionError::invalid_input("LOCK_INVALID", pointer, message)
}
