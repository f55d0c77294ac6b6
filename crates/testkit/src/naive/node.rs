//! One activation of a node.

use std::time::Duration;

use nebula_core::{ParamValue, parse_duration};
use nebula_workflow::{Backoff, ItemsRest, MAIN, NodeDefinition, OnError, RetryPolicy};
use serde_json::{Map, Value, json};

use super::{
    Ambiguous, Around, Failure, Naive, Result, SAME, Time,
    items::{Enough, Through},
    milestone::milestone,
    region::Done,
    values, whole,
};
use crate::stage::FLAKY;

/// What one attempt gave, by its port, and when.
pub(super) type Tried = (Time, std::result::Result<(String, Value), Failure>);

impl Naive<'_> {
    /// What becomes of one activation.
    pub(super) fn node(
        &mut self,
        node: &NodeDefinition,
        around: &Around,
        instance: &str,
        (json, inputs): (&Value, &[(String, Value)]),
        at: Time,
    ) -> Result<Done> {
        let seen = values::seen(self, around, json, inputs);
        let done = |(at, ended)| Done::new(at, ended);
        if node.disabled {
            return Ok(done((at, Ok(main(json.clone())))));
        }
        match node
            .when
            .as_ref()
            .map(|it| values::holds(&it.source, &seen))
        {
            Some(Err(failure)) => return Ok(done((at, Err(failure)))),
            Some(Ok(false)) => return Ok(Done::skipped(at)),
            _ => {}
        }
        if let Some(pin) = &node.pin {
            return Ok(done((at, Ok(main(pin.clone())))));
        }
        if node.action.id.as_str() == "flow.milestone" {
            let (at, port) = milestone(node, &around.ends, at)?;
            return Ok(done((at, Ok((port.to_owned(), json.clone())))));
        }
        if node.body.is_some() {
            return self.body(node, around, instance, (json, &seen), at);
        }
        let list = match &node.for_each {
            Some(list) => Some(values::evaluate(&list.source, &seen)),
            None if node.each_item => Some(Ok(Some(json.clone()))),
            None => None,
        };
        match list {
            None => {
                let tried = self.attempts(node, &seen, at)?;
                if let (at, Ok(_)) = &tried
                    && node.action.id.as_str() == "flow.cancel"
                {
                    let given = given(node, &seen);
                    let given = given.unwrap_or_else(|failure| panic!("{failure:?}"));
                    self.gives_up(&given, around, instance, *at);
                }
                let undoable = node.compensate.is_some() && tried.1.is_ok();
                Ok(Done {
                    undoable,
                    ..done(tried)
                })
            }
            Some(Err(failure)) => Ok(done((at, Err(failure)))),
            Some(Ok(list)) => {
                let list = list.unwrap_or_default();
                let list = list.as_array().cloned().unwrap_or_default();
                let asks = |progress: &Value| values::of_progress(node, &seen, progress);
                let through = Through {
                    count: list.len(),
                    window: window(node, list.len()),
                    goes_on: node.on_error == OnError::Continue,
                    enough: enough(node, &asks),
                    path: format!("{instance}["),
                };
                let ended = self.many(&through, at, |naive, index, at| {
                    let mut seen = seen.clone();
                    seen["item"] = list[index].clone();
                    seen["index"] = json!(index);
                    if node.each_item {
                        seen["json"] = list[index].clone();
                    }
                    let (at, tried) = naive.attempts(node, &seen, at)?;
                    Ok((at, tried.map(|(_, value)| value)))
                })?;
                Ok(Done {
                    over: ended.over,
                    ..done((ended.at, ended.list.map(main)))
                })
            }
        }
    }

    /// Tries an action until it gives a result or may not be tried again.
    fn attempts(&self, node: &NodeDefinition, seen: &Value, mut at: Time) -> Result<Tried> {
        let none = RetryPolicy {
            max_attempts: 1,
            ..RetryPolicy::default()
        };
        let policy = node.retry.as_ref().unwrap_or(&none);
        for attempt in 1.. {
            let (ended, tried) = self.attempt(node, seen, attempt, at)?;
            match tried {
                Err(failure)
                    if attempt < policy.max_attempts
                        && matches!(failure.class, "retryable" | "timeout") =>
                {
                    at = ended + millis(delay(policy, attempt));
                }
                tried => {
                    let named = |failure| Failure {
                        node: node.id.to_string(),
                        ..failure
                    };
                    return Ok((ended, tried.map_err(named)));
                }
            }
        }
        unreachable!("attempts are bounded")
    }

    fn attempt(
        &self,
        node: &NodeDefinition,
        seen: &Value,
        attempt: u32,
        at: Time,
    ) -> Result<Tried> {
        let mut given = Map::new();
        for (key, value) in &node.parameters {
            match values::parameter(value, seen) {
                Ok(Some(value)) => drop(given.insert(key.clone(), value)),
                Ok(None) => {}
                Err(failure) => return Ok((at, Err(failure))),
            }
        }
        match node.action.id.as_str() {
            "flow.call" => self.call(&given, &seen["json"], at),
            _ => Ok(self.act(node, (&given, seen), attempt, at)),
        }
    }

    /// The workflow that is called, as a whole of its own.
    fn call(&self, given: &Map<String, Value>, json: &Value, at: Time) -> Result<Tried> {
        if given.get("wait") == Some(&Value::Bool(false)) {
            return Ok((at, Ok(main(json!({ "execution": null })))));
        }
        let callee = given["workflow"].as_str().unwrap_or_default();
        let input = given.get("input").unwrap_or(json);
        let child = whole(&self.outside.workflows[callee], input, self.outside)?;
        let ends = at + child.at;
        if let Some(due) = span(given, "timeout").map(|span| at + span) {
            if due.abs_diff(ends) < SAME {
                return Err(Ambiguous);
            }
            if due < ends {
                return Ok((due, Err(failure("CALL_TIMED_OUT", "timeout"))));
            }
        }
        let cancelled = || failure("CALL_CANCELLED", "cancelled");
        let output = child.output.map(main);
        Ok((
            ends,
            output.map_err(|failed| failed.unwrap_or_else(cancelled)),
        ))
    }

    /// What an action gives that happens by itself.
    fn act(
        &self,
        node: &NodeDefinition,
        (given, seen): (&Map<String, Value>, &Value),
        attempt: u32,
        at: Time,
    ) -> Tried {
        let action = node.action.id.as_str();
        let json = || seen["json"].clone();
        let text = |key: &str| given.get(key).and_then(Value::as_str).unwrap_or_default();
        match action {
            "data.set" => (at, Ok(main(Value::Object(given.clone())))),
            FLAKY if u64::from(attempt) <= given["fails"].as_u64().unwrap_or(0) => {
                (at, Err(failure("TEST_FLAKY", "retryable")))
            }
            FLAKY => (at, Ok(main(json!({ "n": given["n"], "attempt": attempt })))),
            "flow.fail" => (at, Err(failure(text("code"), "fatal"))),
            "flow.emit" | "flow.cancel" => (at, Ok(main(json()))),
            "flow.approval" => self.decided(node, given, at),
            "flow.if" => {
                let holds = values::holds(text("condition"), seen);
                (at, holds.map(|holds| (holds.to_string(), json())))
            }
            "flow.switch" => {
                let cases = given["cases"].as_object().expect("the plan has checked it");
                let case = cases.iter().find(|(_, condition)| {
                    values::holds(condition.as_str().unwrap_or_default(), seen) == Ok(true)
                });
                let port = case.map_or("default", |(port, _)| port);
                (at, Ok((port.to_owned(), json())))
            }
            "flow.wait" => match given.get("signal").and_then(Value::as_str) {
                None => (at + span(given, "for").unwrap_or(0), Ok(main(json()))),
                Some(name) => match self.outside.signals.get(name) {
                    Some(payload) => (at, Ok(main(payload.clone()))),
                    None => {
                        let timeout = span(given, "timeout");
                        let timeout = timeout.expect("who waits for nothing has a timeout");
                        (at + timeout, Err(failure("SIGNAL_TIMEOUT", "timeout")))
                    }
                },
            },
            other => panic!("the interpreter does not know `{other}`"),
        }
    }
}

impl Naive<'_> {
    /// What people decide, or what is decided without them when their time is over.
    fn decided(&self, node: &NodeDefinition, given: &Map<String, Value>, at: Time) -> Tried {
        if let Some(decision) = self.outside.decisions.get(node.id.as_str()) {
            let result = json!({ "decision": decision });
            return (at, Ok((decision.clone(), result)));
        }
        let expires = span(given, "expires").expect("nobody answers, and it waits for ever");
        let ended = match given.get("default").and_then(Value::as_str) {
            Some(decision) => {
                let result = json!({ "decision": decision, "expired": true });
                Ok((decision.to_owned(), result))
            }
            None => Err(failure("APPROVAL_EXPIRED", "timeout")),
        };
        (at + expires, ended)
    }
}

/// By when a list may be complete before its end.
pub(super) fn enough<'e>(
    node: &NodeDefinition,
    asks: &'e dyn Fn(&Value) -> std::result::Result<Option<Value>, Failure>,
) -> Option<Enough<'e>> {
    node.complete_when.as_ref()?;
    let absorbs = node.rest == Some(ItemsRest::Absorb);
    Some(Enough { asks, absorbs })
}

/// How many elements are under way at a time.
pub(super) fn window(node: &NodeDefinition, count: usize) -> usize {
    node.concurrency.map_or(count.max(1), |most| most as usize)
}

pub(super) fn main(value: Value) -> (String, Value) {
    (MAIN.to_owned(), value)
}

pub(super) fn failure(code: &str, class: &'static str) -> Failure {
    Failure {
        code: code.to_owned(),
        message: String::new(),
        class,
        node: String::new(),
    }
}

/// A parameter that is a span of time.
pub(super) fn span(given: &Map<String, Value>, key: &str) -> Option<Time> {
    let text = given.get(key)?.as_str()?;
    Some(millis(
        parse_duration(text).expect("the plan has checked it"),
    ))
}

/// The parameters of a control action, but for those that are asked later.
pub(super) fn given(
    node: &NodeDefinition,
    seen: &Value,
) -> std::result::Result<Map<String, Value>, Failure> {
    let mut given = Map::new();
    for (key, value) in &node.parameters {
        let value = match value {
            ParamValue::Literal(value) => Some(value.clone()),
            value => values::parameter(value, seen)?,
        };
        given.extend(value.map(|value| (key.clone(), value)));
    }
    Ok(given)
}

fn delay(policy: &RetryPolicy, failures: u32) -> Duration {
    let delay = match policy.backoff {
        Backoff::Fixed => policy.initial,
        Backoff::Linear => policy.initial * failures,
        Backoff::Exponential => policy.initial * 2_u32.pow(failures - 1),
    };
    delay.min(policy.max)
}

fn millis(span: Duration) -> Time {
    u64::try_from(span.as_millis()).expect("a test is over before that")
}
