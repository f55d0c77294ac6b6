//! One activation of a node.

use std::time::Duration;

use nebula_core::{ParamValue, parse_duration};
use nebula_workflow::{Backoff, MAIN, NodeDefinition, OnError, RetryPolicy};
use serde_json::{Map, Value, json};

use super::{Around, Failure, Naive, Result, Time, milestone::milestone, region::Done, values};
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
        let done = |(at, ended)| Done {
            at,
            ended: Some(ended),
        };
        if node.disabled {
            return Ok(done((at, Ok(main(json.clone())))));
        }
        match node
            .when
            .as_ref()
            .map(|it| values::holds(&it.source, &seen))
        {
            Some(Err(failure)) => return Ok(done((at, Err(failure)))),
            Some(Ok(false)) => return Ok(Done { at, ended: None }),
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
            return Ok(done(self.body(
                node,
                around,
                instance,
                (json, &seen),
                at,
            )?));
        }
        let list = match &node.for_each {
            Some(list) => Some(values::evaluate(&list.source, &seen)),
            None if node.each_item => Some(Ok(Some(json.clone()))),
            None => None,
        };
        match list {
            None => Ok(done(self.attempts(node, &seen, at))),
            Some(Err(failure)) => Ok(done((at, Err(failure)))),
            Some(Ok(list)) => {
                let list = list.unwrap_or_default();
                let list = list.as_array().cloned().unwrap_or_default();
                let window = window(node, list.len());
                let goes_on = node.on_error == OnError::Continue;
                let ended = self.many(list.len(), (window, goes_on), at, |naive, index, at| {
                    let mut seen = seen.clone();
                    seen["item"] = list[index].clone();
                    seen["index"] = json!(index);
                    if node.each_item {
                        seen["json"] = list[index].clone();
                    }
                    let (at, tried) = naive.attempts(node, &seen, at);
                    Ok((at, tried.map(|(_, value)| value)))
                })?;
                Ok(done((ended.at, ended.list.map(main))))
            }
        }
    }

    /// Tries an action until it gives a result or may not be tried again.
    fn attempts(&self, node: &NodeDefinition, seen: &Value, mut at: Time) -> Tried {
        let none = RetryPolicy {
            max_attempts: 1,
            ..RetryPolicy::default()
        };
        let policy = node.retry.as_ref().unwrap_or(&none);
        for attempt in 1.. {
            let (ended, tried) = self.attempt(node, seen, attempt, at);
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
                    return (ended, tried.map_err(named));
                }
            }
        }
        unreachable!("attempts are bounded")
    }

    fn attempt(&self, node: &NodeDefinition, seen: &Value, attempt: u32, at: Time) -> Tried {
        let action = node.action.id.as_str();
        let mut given = Map::new();
        for (key, value) in &node.parameters {
            match values::parameter(value, seen) {
                Ok(Some(value)) => drop(given.insert(key.clone(), value)),
                Ok(None) => {}
                Err(failure) => return (at, Err(failure)),
            }
        }
        let json = || seen["json"].clone();
        let text = |key: &str| given.get(key).and_then(Value::as_str).unwrap_or_default();
        match action {
            "data.set" => (at, Ok(main(Value::Object(given)))),
            FLAKY if u64::from(attempt) <= given["fails"].as_u64().unwrap_or(0) => {
                (at, Err(failure("TEST_FLAKY", "retryable")))
            }
            FLAKY => (at, Ok(main(json!({ "n": given["n"], "attempt": attempt })))),
            "flow.fail" => (at, Err(failure(text("code"), "fatal"))),
            "flow.emit" => (at, Ok(main(json()))),
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
                None => (at + span(&given, "for").unwrap_or(0), Ok(main(json()))),
                Some(name) => match self.signals.get(name) {
                    Some(payload) => (at, Ok(main(payload.clone()))),
                    None => {
                        let timeout = span(&given, "timeout");
                        let timeout = timeout.expect("who waits for nothing has a timeout");
                        (at + timeout, Err(failure("SIGNAL_TIMEOUT", "timeout")))
                    }
                },
            },
            other => panic!("the interpreter does not know `{other}`"),
        }
    }
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
