//! What control actions decide, as pure functions of their parameters.

mod approval;
mod batches;
mod body;
mod lock;

pub use approval::question;
pub use batches::{Batch, MAX_BATCH, batch};
use std::time::Duration;

pub use body::{DEFAULT_ROUNDS, MAX_ROUNDS, RoundOutcome, items, round};

use compact_str::CompactString;
use indexmap::IndexMap;
use nebula_action::{ActionError, ControlKind, Deferred, PORT_MAIN};
use nebula_core::{ExecutionId, NodeId, Timestamp, parse_duration};
use serde_json::Value;

use crate::{Question, SlotWanted, is_signal_name};

/// What a value is, in the words of messages.
#[must_use]
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Says that `items` gave something else than a list.
fn no_list(found: Option<&Value>) -> String {
    let found = found.map_or("nothing", kind);
    format!("`items` must give a list, and gave {found}")
}

/// The event that `flow.respond` emits; its payload is `{ status, headers, body }`.
pub const RESPONSE_EVENT: &str = "nebula.response";

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
    /// Nothing happens before a signal of this name comes.
    AwaitSignal {
        /// The signal's name.
        name: CompactString,
        /// When the node gives up.
        due: Option<Timestamp>,
    },
    /// A signal goes to another execution, and `$json` goes on.
    Send {
        /// To which execution.
        to: ExecutionId,
        /// The signal's name.
        name: CompactString,
        /// What it brings.
        payload: Value,
        /// Whether it is kept until a node takes it.
        keep: bool,
    },
    /// People are asked, and nothing happens before they have decided.
    Ask(Box<Question>),
    /// Whoever watches is told, and `$json` goes on.
    Emit {
        /// The event's name.
        name: CompactString,
        /// What it says.
        payload: Value,
    },
    /// Another workflow runs on this input.
    Call {
        /// Its input.
        input: Value,
        /// Whether the node waits for its end.
        waits: bool,
        /// How long it waits at most.
        timeout: Option<Duration>,
    },
    /// The execution completes with this output.
    Stop(Value),
    /// These nodes are given up, and `$json` goes on.
    Cancel(Vec<NodeId>),
    /// The execution is given up, for this reason.
    Quit(String),
    /// The list of what came with the tokens goes on.
    Merge,
    /// `$json` goes on by the port that says where the node's milestone stands, once that is known.
    Milestone,
    /// The body runs once per element: see [`items`].
    Items,
    /// The next part of a list goes on, or what became of all parts: see [`batch`].
    Batches,
    /// The body runs in rounds.
    Rounds,
    /// The body runs once, while a slot is held.
    Claim(SlotWanted),
    /// The body runs once.
    Body {
        /// When it is given up.
        due: Option<Timestamp>,
    },
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
        ControlKind::Wait => wait(input, ready_at),
        ControlKind::Signal => send(input),
        ControlKind::Approval => {
            question(input, ready_at).map(|question| ControlOutcome::Ask(Box::new(question)))
        }
        ControlKind::Emit => {
            let name = name_of(input, "event")?;
            if name == RESPONSE_EVENT {
                return Err(ActionError::invalid_input(
                    "EVENT_NAME",
                    "/event",
                    format!(
                        "`{RESPONSE_EVENT}` is what `flow.respond` emits; use that, or another name"
                    ),
                ));
            }
            let payload = input.get("payload").cloned().unwrap_or(Value::Null);
            Ok(ControlOutcome::Emit { name, payload })
        }
        ControlKind::Respond => Ok(ControlOutcome::Emit {
            name: CompactString::const_new(RESPONSE_EVENT),
            payload: input.clone(),
        }),
        ControlKind::Call => call(input),
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
        ControlKind::Cancel => cancel(input),
        // How many tokens go on or are taken stands in the plan.
        ControlKind::SplitTokens => Ok(pass(PORT_MAIN)),
        ControlKind::MergeTokens => Ok(ControlOutcome::Merge),
        // Between which nodes it lies stands in the plan.
        ControlKind::Milestone => Ok(ControlOutcome::Milestone),
        ControlKind::ForEach => Ok(ControlOutcome::Items),
        ControlKind::Batches => Ok(ControlOutcome::Batches),
        ControlKind::Loop => Ok(ControlOutcome::Rounds),
        ControlKind::Mutex => lock::mutex(input),
        ControlKind::Semaphore => lock::semaphore(input),
        ControlKind::Parallel | ControlKind::Race | ControlKind::Try => {
            let due = body::timeout(input, ready_at)?;
            Ok(ControlOutcome::Body { due })
        }
    }
}

fn pass(port: &str) -> ControlOutcome {
    ControlOutcome::Pass { port: port.into() }
}

fn wait(input: &Value, ready_at: Timestamp) -> Result<ControlOutcome, ActionError> {
    let wrong =
        |pointer: &str, message: String| ActionError::invalid_input("WAIT_TIME", pointer, message);
    let after = |key: &str, span: &str| {
        let span = parse_duration(span).map_err(|error| wrong(key, error.to_string()))?;
        Ok(ready_at.plus(span))
    };
    if input.get("signal").is_some() {
        let due = match input.get("timeout") {
            Some(Value::String(span)) => Some(after("/timeout", span)?),
            _ => None,
        };
        let name = name_of(input, "signal")?;
        return Ok(ControlOutcome::AwaitSignal { name, due });
    }
    match (input.get("for"), input.get("until")) {
        (Some(Value::String(span)), None) => after("/for", span).map(ControlOutcome::WaitUntil),
        (None, Some(Value::String(until))) => until
            .parse()
            .map(ControlOutcome::WaitUntil)
            .map_err(|error: nebula_core::TimestampError| wrong("/until", error.to_string())),
        _ => Err(wrong(
            "",
            "write `for`, a span such as `10s`, or `until`, a point in time, or `signal`, a name"
                .to_owned(),
        )),
    }
}

fn send(input: &Value) -> Result<ControlOutcome, ActionError> {
    let to = input.get("execution").and_then(Value::as_str);
    let to = to.and_then(|to| to.parse().ok()).ok_or_else(|| {
        let message = "`execution` must be the id of an execution";
        ActionError::invalid_input("SIGNAL_TARGET", "/execution", message)
    })?;
    Ok(ControlOutcome::Send {
        to,
        name: name_of(input, "signal")?,
        payload: input.get("payload").cloned().unwrap_or(Value::Null),
        keep: input.get("keep").and_then(Value::as_bool).unwrap_or(true),
    })
}

/// Most of it the planner has checked: what is given up stands in the definition as it is.
fn cancel(input: &Value) -> Result<ControlOutcome, ActionError> {
    if input.get("execution") == Some(&Value::Bool(true)) {
        let reason = input.get("reason").and_then(Value::as_str);
        let reason = reason.unwrap_or("the workflow cancelled itself");
        return Ok(ControlOutcome::Quit(reason.to_owned()));
    }
    let nodes = input.get("nodes").and_then(Value::as_array);
    let nodes = nodes.into_iter().flatten().map(|node| {
        let id = node.as_str().and_then(|node| NodeId::new(node).ok());
        id.ok_or_else(|| {
            let message = "`nodes` must list ids of nodes";
            ActionError::invalid_input("CANCEL_TARGET", "/nodes", message)
        })
    });
    Ok(ControlOutcome::Cancel(nodes.collect::<Result<_, _>>()?))
}

fn call(input: &Value) -> Result<ControlOutcome, ActionError> {
    let timeout = match input.get("timeout") {
        Some(Value::String(span)) => Some(parse_duration(span).map_err(|error| {
            ActionError::invalid_input("CALL_TIMEOUT", "/timeout", error.to_string())
        })?),
        _ => None,
    };
    Ok(ControlOutcome::Call {
        input: input.get("input").cloned().unwrap_or_default(),
        waits: input.get("wait").and_then(Value::as_bool).unwrap_or(true),
        timeout,
    })
}

/// The name of a signal or an event.
fn name_of(input: &Value, parameter: &'static str) -> Result<CompactString, ActionError> {
    let name = input.get(parameter).and_then(Value::as_str);
    match name.filter(|name| is_signal_name(name)) {
        Some(name) => Ok(name.into()),
        None => Err(ActionError::invalid_input(
            if parameter == "event" {
                "EVENT_NAME"
            } else {
                "SIGNAL_NAME"
            },
            format!("/{parameter}"),
            format!(
                "`{parameter}` must be a name of letters, digits, `_`, `-` and `.`, the first a letter or `_`"
            ),
        )),
    }
}
