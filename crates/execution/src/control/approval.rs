//! What `flow.approval` asks.

use std::sync::Arc;

use nebula_action::ActionError;
use nebula_core::{Timestamp, parse_duration};
use serde_json::Value;

use crate::{Choice, Question};

/// What an approval asks whose parameters are resolved; its time begins at `from`.
///
/// # Errors
/// [`ActionError`] APPROVAL_INVALID: more people are needed than may vote, a name stands twice, or
/// something is too large. Its pointer says which parameter.
pub fn question(input: &Value, from: Timestamp) -> Result<Question, ActionError> {
    let wrong = |at: &str, message: String| {
        Err(ActionError::invalid_input("APPROVAL_INVALID", at, message))
    };
    let number = |key: &str| match input.get(key).and_then(Value::as_u64) {
        None => 1,
        Some(number) => u32::try_from(number).unwrap_or(u32::MAX),
    };
    let due = match input
        .get("expires")
        .and_then(Value::as_str)
        .map(parse_duration)
    {
        None => None,
        Some(Ok(span)) => Some(from.plus(span)),
        Some(Err(error)) => return wrong("/expires", error.to_string()),
    };
    let text = |key: &str| input.get(key).and_then(Value::as_str);
    let artifact = input.get("artifact").filter(|value| !value.is_null());
    let mut approvers = Vec::new();
    for who in input
        .get("approvers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        match who.as_str() {
            Some(who) => approvers.push(who.to_owned()),
            None => return wrong("/approvers", "`approvers` is a list of names".to_owned()),
        }
    }
    let default = match text("default") {
        None => None,
        Some(word) => match Choice::of(word) {
            Some(choice) => Some(choice),
            None => {
                let message = "`default` is approve, reject or defer";
                return wrong("/default", message.to_owned());
            }
        },
    };
    let question = Question {
        title: text("title").map(str::to_owned),
        artifact: artifact.cloned().map(Arc::new),
        approvers,
        quorum: number("quorum"),
        rejections: number("rejections"),
        due,
        default,
        leaves_deferred: false,
    };
    match question.check() {
        Ok(()) => Ok(question),
        Err((at, message)) => wrong(at, message),
    }
}

#[cfg(test)]
mod tests {
    use nebula_action::ErrorClass;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_could_never_be_decided_is_refused_with_its_place() {
        let asked = |input: Value| question(&input, Timestamp::from_millis(1_000));
        let least = asked(json!({})).unwrap();
        assert_eq!((least.quorum, least.rejections, least.due), (1, 1, None));
        let full = json!({
            "title": "Pay?", "artifact": { "n": 1 }, "approvers": ["ada", "bob", "cy"], "quorum": 2,
            "rejections": 2, "expires": "1s", "default": "reject",
        });
        let full = asked(full).unwrap();
        assert_eq!(full.due, Some(Timestamp::from_millis(2_000)));
        assert_eq!(full.default, Some(Choice::Reject));
        let many: Vec<String> = (0..101).map(|n| n.to_string()).collect();
        for (input, place) in [
            (json!({ "quorum": 2, "approvers": ["ada"] }), "/quorum"),
            (json!({ "quorum": 0 }), "/quorum"),
            (json!({ "rejections": 101 }), "/rejections"),
            (
                json!({ "quorum": 2, "rejections": 2, "approvers": ["a", "b"] }),
                "/rejections",
            ),
            (json!({ "approvers": ["a", "a"] }), "/approvers"),
            (json!({ "approvers": [" a"] }), "/approvers"),
            (json!({ "approvers": [7] }), "/approvers"),
            (json!({ "approvers": many }), "/approvers"),
            (json!({ "default": "reject" }), "/default"),
            (json!({ "default": "maybe", "expires": "1s" }), "/default"),
            (json!({ "expires": "soon" }), "/expires"),
            (json!({ "title": "x".repeat(2_049) }), "/title"),
            (json!({ "artifact": "x".repeat(65_536) }), "/artifact"),
        ] {
            let error = asked(input.clone()).unwrap_err();
            assert_eq!(error.code, "APPROVAL_INVALID");
            let ErrorClass::InvalidInput { pointer } = &error.class else {
                panic!("{error:?}");
            };
            assert_eq!(pointer, place, "{input}");
        }
    }
}
