//! `flow.approval`: what it takes and gives.

use nebula_action::{ActionMetadata, ControlKind, Ports};
use serde_json::json;

use super::{SPAN, control, example};

pub(super) fn approval() -> ActionMetadata {
    let mut metadata = control(
        ControlKind::Approval,
        "flow.approval",
        "Approval",
        "Asks people, at no cost: nothing of the execution stays in memory. Goes on by the port \
         `approve`, `reject` or `defer`, with what was decided, by whom and when. What is not decided \
         within `expires` has the decision `default`, or is the error APPROVAL_EXPIRED.",
    );
    let choice = json!({ "enum": ["approve", "reject", "defer"] });
    let count = |description: &str| json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 1, "description": description });
    let mut default = choice.clone();
    default["description"] = json!("What holds when the time is over.");
    metadata.parameters = json!({
        "type": "object",
        "properties": {
            "title": { "type": "string", "description": "What is asked, for people.", "maxLength": 2000 },
            "artifact": { "description": "What it is about: a value, or where to find it; up to 64 KiB of JSON." },
            "approvers": {
                "type": "array",
                "description": "Who may vote; anybody, if nobody is named.",
                "items": { "type": "string", "minLength": 1, "maxLength": 200 },
                "maxItems": 100,
                "uniqueItems": true,
            },
            "quorum": count("How many must approve."),
            "rejections": count("How many must reject."),
            "expires": {
                "type": "string",
                "description": "How long to wait for the decision; without it, for ever.",
                "pattern": SPAN,
            },
            "default": default,
        },
        "dependentRequired": { "default": ["expires"] },
        "additionalProperties": false,
    });
    metadata.ports = Ports::Fixed(vec![
        "approve".to_owned(),
        "reject".to_owned(),
        "defer".to_owned(),
    ]);
    metadata.output = json!({
        "type": "object",
        "properties": {
            "decision": choice,
            "by": { "type": "array", "items": { "type": "string" } },
            "comment": { "type": ["string", "null"] },
            "at": { "type": "string", "format": "date-time" },
            "expired": { "type": "boolean" },
        },
        "required": ["decision", "by", "comment", "at"],
        "additionalProperties": false,
    });
    let decided = |decision: &str, by: serde_json::Value, comment: serde_json::Value| json!({ "decision": decision, "by": by, "comment": comment, "at": "2026-03-14T09:26:53.589Z" });
    metadata.examples = vec![
        example(
            "two of three approve",
            json!({ "title": "Pay {{ $json.amount }}?", "approvers": ["ada", "bob", "cleo"], "quorum": 2 }),
            json!({ "amount": 120 }),
            decided("approve", json!(["ada", "cleo"]), json!("as agreed")),
            "approve",
        ),
        example(
            "anybody rejects",
            json!({ "title": "Send it?" }),
            json!({ "amount": 120 }),
            decided("reject", json!(["bob"]), json!(null)),
            "reject",
        ),
    ];
    metadata
}
