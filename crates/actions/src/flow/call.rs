//! The control action that runs another workflow.

use nebula_action::{ActionMetadata, ControlKind};
use serde_json::json;

use super::{SPAN, control};

pub(super) fn call() -> ActionMetadata {
    let mut metadata = control(
        ControlKind::Call,
        "flow.call",
        "Call",
        "Runs another workflow as an execution of its own, and waits for its end at no cost: the \
         result is the output of that one. Its failure is the failure of this node, with its code \
         and class. Cancelling this execution, or stopping the body that the node stands in, \
         cancels the child, and waits for its end. With `wait: false` nobody waits: the result is \
         `{ execution }`, its id.",
    );
    metadata.parameters = json!({
        "type": "object",
        "properties": {
            "workflow": {
                "type": "string",
                "description": "The id of a saved workflow, such as `invoice`, or a version of it, \
                    such as `invoice@3`. Without a version, the published one when this workflow is \
                    saved, or else the newest. The workflow's own id is the version itself.",
                "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*(@[1-9][0-9]*)?$",
                "maxLength": 140,
            },
            "input": { "description": "Its input, checked against its schema. Without it, `$json`." },
            "wait": { "type": "boolean", "default": true, "description": "Whether to wait for its end." },
            "timeout": {
                "type": "string",
                "description": "How long it may take; after that it ends as timed out, and the node fails with CALL_TIMED_OUT.",
                "pattern": SPAN,
            },
        },
        "required": ["workflow"],
        "additionalProperties": false,
    });
    metadata.defaults = json!({ "input": "{{ $json }}", "wait": true });
    metadata
}
