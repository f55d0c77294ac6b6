//! What control actions decide, as pure functions of their parameters.

use compact_str::CompactString;
use indexmap::IndexMap;
use nebula_action::{ActionError, ControlKind, Deferred};
use nebula_core::{Timestamp, parse_duration};
use serde_json::Value;

/// What a control action decided.
#[derive(Debug, Clone, PartialEq)]
pub enum ControlOutcome {
    /// `$json` goes on through this port.
    Pass {
        /// The port.
        port: CompactString,
    },
    /// Nothing happens before then.
    WaitUntil(Timestamp),
    /// The execution completes with this output.
    Stop(Value),
}

/// Decides for a control action whose parameters are resolved.
///
/// `deferred` are its parameters that are programs, by path; `ready_at` is the instance's time.
///
/// # Errors
/// [`ActionError`]: a parameter is wrong, or the action is `flow.fail`.
pub fn decide(
    kind: ControlKind,
    input: &Value,
    deferred: &IndexMap<String, Deferred>,
    ready_at: Timestamp,
) -> Result<ControlOutcome, ActionError> {
    match kind {
        ControlKind::If => match input.get("condition") {
            Some(Value::Bool(holds)) => Ok(pass(if *holds { "true" } else { "false" })),
            _ => Err(ActionError::invalid_input(
                "CONDITION_NOT_BOOLEAN",
                "/condition",
                "`condition` must be true or false; compare with something, or write `!!` before the value",
            )),
        },
        ControlKind::Switch => {
            for (path, case) in deferred {
                let Some(port) = path.strip_prefix("cases/") else {
                    continue;
                };
                let holds = case.holds(&Value::Null, 0).map_err(|error| {
                    let message = format!("case `{port}`: {}", error.message);
                    ActionError::invalid_input(error.code, format!("/cases/{port}"), message)
                })?;
                if holds {
                    return Ok(pass(port));
                }
            }
            Ok(pass("default"))
        }
        ControlKind::Wait => wait(input, ready_at).map(ControlOutcome::WaitUntil),
        ControlKind::Fail => {
            let text = |key: &str| input.get(key).and_then(Value::as_str);
            let message = text("message").unwrap_or("the workflow failed here on purpose");
            Err(ActionError::fatal(
                text("code").unwrap_or("FLOW_FAIL"),
                message,
            ))
        }
        ControlKind::Stop => Ok(ControlOutcome::Stop(
            input.get("output").cloned().unwrap_or(Value::Null),
        )),
    }
}

fn pass(port: &str) -> ControlOutcome {
    ControlOutcome::Pass { port: port.into() }
}

fn wait(input: &Value, ready_at: Timestamp) -> Result<Timestamp, ActionError> {
    let wrong =
        |pointer: &str, message: String| ActionError::invalid_input("WAIT_TIME", pointer, message);
    match (input.get("for"), input.get("until")) {
        (Some(Value::String(span)), None) => {
            let span = parse_duration(span).map_err(|error| wrong("/for", error.to_string()))?;
            Ok(ready_at.plus(span))
        }
        (None, Some(Value::String(until))) => until
            .parse()
            .map_err(|error: nebula_core::TimestampError| wrong("/until", error.to_string())),
        _ => Err(wrong(
            "",
            "write either `for`, a span such as `10s`, or `until`, a point in time".to_owned(),
        )),
    }
}
