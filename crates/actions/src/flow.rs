//! Control actions: the machine interprets them, here is what they take and give.

mod approval;
mod body;
mod call;

use std::sync::Arc;

use async_trait::async_trait;
use nebula_action::{
    Action, ActionContext, ActionError, ActionKind, ActionMetadata, ActionResult, ControlKind,
    Effect, EffectClass, Example, ExpressionMark, PORT_MAIN, Ports,
};
use serde_json::{Value, json};

/// The code of `flow.fail` where the author gives none.
pub const CODE_FLOW_FAIL: &str = "FLOW_FAIL";

/// The headers that a workflow may answer with: none that speaks for the server or sets a cookie, since
/// the API may have the same origin.
const RESPONSE_HEADERS: &str = "^(cache-control|content-disposition|content-language|content-type|etag|expires|last-modified|link|location|retry-after|x-[a-z0-9-]{1,60})$";

/// The metadata of an action that the machine itself interprets.
#[derive(Debug)]
struct ControlAction {
    metadata: ActionMetadata,
}

#[async_trait]
impl Action for ControlAction {
    fn metadata(&self) -> &ActionMetadata {
        &self.metadata
    }

    async fn execute(&self, _: &ActionContext, _: Value) -> Result<ActionResult, ActionError> {
        let message = format!(
            "`{}` is interpreted by the machine and never run; this is a fault of the engine",
            self.metadata.id
        );
        Err(ActionError::fatal("CONTROL_NOT_EXECUTABLE", message))
    }
}

/// The control actions, sorted by id.
pub(crate) fn all() -> Vec<Arc<dyn Action>> {
    let plain = [
        approval::approval(),
        batches(),
        call::call(),
        cancel(),
        emit(),
        fail(),
        if_(),
        merge_tokens(),
        milestone(),
        respond(),
        signal(),
        split_tokens(),
        stop(),
        switch(),
        wait(),
    ];
    let mut all: Vec<_> = body::all().into_iter().chain(plain).collect();
    all.sort_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
    let actions = all.into_iter();
    actions
        .map(|metadata| Arc::new(ControlAction { metadata }) as Arc<dyn Action>)
        .collect()
}

fn control(kind: ControlKind, id: &str, title: &str, description: &str) -> ActionMetadata {
    let mut metadata = ActionMetadata::new(id, (1, 0), Effect::Fixed(EffectClass::Pure));
    metadata.kind = ActionKind::Control(kind);
    metadata.title = title.to_owned();
    metadata.description = description.to_owned();
    metadata
}

fn example(title: &str, parameters: Value, json: Value, output: Value, port: &str) -> Example {
    Example {
        title: title.to_owned(),
        parameters,
        json,
        output,
        port: port.to_owned(),
    }
}

fn batches() -> ActionMetadata {
    let mut metadata = control(
        ControlKind::Batches,
        "flow.batches",
        "Batches",
        "Goes through a list in parts of `size` elements, one part per round: each leaves by the \
         port `loop`, and a connection with `loop: true` leads back here when it is done. After the \
         last one, the list of what came back from each round leaves by the port `done`.",
    );
    metadata.parameters = json!({
        "type": "object",
        "properties": {
            "items": { "type": "array", "description": "The list. Without it, `$json`." },
            "size": {
                "type": "integer",
                "minimum": 1,
                "maximum": 1_000_000,
                "default": 1,
                "description": "How many elements a part has; the last one may have fewer.",
            },
        },
        "additionalProperties": false,
    });
    metadata.defaults = json!({ "items": "{{ $json }}", "size": 1 });
    metadata.output = json!({ "type": "array" });
    metadata.ports = Ports::Fixed(vec!["loop".to_owned(), "done".to_owned()]);
    metadata
}

fn if_() -> ActionMetadata {
    let mut metadata = control(
        ControlKind::If,
        "flow.if",
        "If",
        "Goes on by the port `true` or `false`, as the condition says. The result is `$json`.",
    );
    metadata.parameters = json!({
        "type": "object",
        "properties": {
            "condition": { "type": "boolean", "description": "An expression that gives true or false." },
        },
        "required": ["condition"],
        "additionalProperties": false,
    });
    metadata.expressions = vec![ExpressionMark {
        path: "condition".to_owned(),
        deferred: false,
    }];
    metadata.ports = Ports::Fixed(vec!["true".to_owned(), "false".to_owned()]);
    let large = json!({ "condition": "$json.total > 100" });
    metadata.examples = vec![
        example(
            "a large order",
            large.clone(),
            json!({ "total": 120 }),
            json!({ "total": 120 }),
            "true",
        ),
        example(
            "a small order",
            large,
            json!({ "total": 20 }),
            json!({ "total": 20 }),
            "false",
        ),
    ];
    metadata
}

fn switch() -> ActionMetadata {
    let mut metadata = control(
        ControlKind::Switch,
        "flow.switch",
        "Switch",
        "Goes on by the port of the first case whose condition holds, or by `default` if none does. \
         The result is `$json`.",
    );
    metadata.parameters = json!({
        "type": "object",
        "properties": {
            "cases": {
                "type": "object",
                "description": "Port → condition: an expression that gives true or false. Asked in this order.",
                "minProperties": 1,
                "maxProperties": 100,
                "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "not": { "enum": ["default", "error", "main"] } },
                "additionalProperties": { "type": ["string", "boolean"] },
            },
        },
        "required": ["cases"],
        "additionalProperties": false,
    });
    metadata.expressions = vec![ExpressionMark {
        path: "cases/*".to_owned(),
        deferred: true,
    }];
    metadata.ports = Ports::KeysOf {
        parameter: "cases".to_owned(),
        otherwise: "default".to_owned(),
    };
    let cases = json!({ "cases": { "large": "$json.total > 100", "some": "$json.total > 10" } });
    metadata.examples = vec![
        example(
            "the first case that holds",
            cases.clone(),
            json!({ "total": 120 }),
            json!({ "total": 120 }),
            "large",
        ),
        example(
            "no case holds",
            cases,
            json!({ "total": 1 }),
            json!({ "total": 1 }),
            "default",
        ),
    ];
    metadata
}

fn wait() -> ActionMetadata {
    let mut metadata = control(
        ControlKind::Wait,
        "flow.wait",
        "Wait",
        "Waits for a span of time, until a point in time, or for a signal, at no cost: nothing of \
         the execution stays in memory. A point that has passed is no wait at all, and neither is a \
         signal that came before. The result is `$json`, or what the signal brought; a signal that \
         does not come within `timeout` is the error SIGNAL_TIMEOUT.",
    );
    metadata.parameters = json!({
        "type": "object",
        "properties": {
            "for": {
                "type": "string",
                "description": "How long, such as `10s`, `1h30m` or `2d`.",
                "pattern": SPAN,
            },
            "until": {
                "type": "string",
                "description": "Until when, such as `2026-03-14T09:26:53Z` (RFC 3339).",
                "format": "date-time",
            },
            "signal": signal_name("Which signal to wait for."),
            "timeout": {
                "type": "string",
                "description": "How long to wait for the signal; without it, for ever.",
                "pattern": SPAN,
            },
        },
        "oneOf": [
            { "required": ["for"], "not": { "required": ["timeout"] } },
            { "required": ["until"], "not": { "required": ["timeout"] } },
            { "required": ["signal"] },
        ],
        "additionalProperties": false,
    });
    metadata.examples = vec![example(
        "ten seconds",
        json!({ "for": "10s" }),
        json!({ "n": 1 }),
        json!({ "n": 1 }),
        PORT_MAIN,
    )];
    metadata
}

/// A span of time such as `1h30m`.
const SPAN: &str = "^\\s*([0-9]+\\s*(w|d|h|ms|m|s)\\s*)+$";

fn signal_name(description: &str) -> Value {
    json!({
        "type": "string",
        "description": description,
        "pattern": "^[A-Za-z_][A-Za-z0-9_.-]*$",
        "maxLength": 64,
    })
}

fn signal() -> ActionMetadata {
    let mut metadata = control(
        ControlKind::Signal,
        "flow.signal",
        "Signal",
        "Sends a signal to another execution, together with the step that says so: once, whatever \
         crashes. An execution that is unknown or has ended takes nothing, which is no error. The \
         result is `$json`.",
    );
    metadata.parameters = json!({
        "type": "object",
        "properties": {
            "execution": { "type": "string", "description": "The id of the execution.", "minLength": 1 },
            "signal": signal_name("Which signal."),
            "payload": { "description": "What it brings, up to 64 KiB of JSON.", "default": null },
            "keep": {
                "type": "boolean",
                "description": "Whether it is kept until a node takes it; else it is lost where no node waits for it when it comes.",
                "default": true,
            },
        },
        "required": ["execution", "signal"],
        "additionalProperties": false,
    });
    metadata.examples = vec![example(
        "an order is paid",
        json!({ "execution": "{{ $json.order }}", "signal": "paid", "payload": { "amount": 12 } }),
        json!({ "order": "01a1fc38-5633-7236-9695-dcef079f585d" }),
        json!({ "order": "01a1fc38-5633-7236-9695-dcef079f585d" }),
        PORT_MAIN,
    )];
    metadata
}

fn emit() -> ActionMetadata {
    let mut metadata = control(
        ControlKind::Emit,
        "flow.emit",
        "Emit",
        "Tells whoever watches the execution that something happened: once, when the step that says \
         so is committed. The journal keeps it, the report lists it, and each published workflow of the \
         project with a trigger of the type `event` for it starts. No execution waits for an event. The \
         result is `$json`.",
    );
    metadata.parameters = json!({
        "type": "object",
        "properties": {
            "event": signal_name("What happened."),
            "payload": { "description": "What there is to say of it, up to 64 KiB of JSON.", "default": null },
        },
        "required": ["event"],
        "additionalProperties": false,
    });
    metadata.examples = vec![example(
        "an order was shipped",
        json!({ "event": "order.shipped", "payload": { "order": "{{ $json.order }}" } }),
        json!({ "order": 7 }),
        json!({ "order": 7 }),
        PORT_MAIN,
    )];
    metadata
}

fn respond() -> ActionMetadata {
    let mut metadata = control(
        ControlKind::Respond,
        "flow.respond",
        "Respond",
        "Answers whoever called the webhook that started the execution, where its trigger says \
         `respond: respond_node` (the first of these nodes answers) or `respond: stream` (each gives \
         the next piece). The journal keeps it, so that a delivery that comes again has the same answer. \
         All of it is up to 64 KiB of JSON. The result is `$json`.",
    );
    metadata.parameters = json!({
        "type": "object",
        "properties": {
            "status": {
                "type": "integer",
                "description": "The HTTP status.",
                "minimum": 200,
                "maximum": 599,
                "default": 200,
            },
            "headers": {
                "type": "object",
                "description": "Headers by their names in lower case: what the body is, for how long it is kept, where to go, and any that begin with `x-`.",
                "propertyNames": { "pattern": RESPONSE_HEADERS },
                "additionalProperties": { "type": "string", "maxLength": 4096 },
                "maxProperties": 32,
            },
            "body": {
                "description": "A text is sent as it is, anything else as JSON, and null is no body.",
                "default": null,
            },
        },
        "additionalProperties": false,
    });
    metadata.examples = vec![example(
        "an order was taken",
        json!({ "status": 201, "headers": { "location": "/orders/{{ $json.order }}" }, "body": { "order": "{{ $json.order }}" } }),
        json!({ "order": 7 }),
        json!({ "order": 7 }),
        PORT_MAIN,
    )];
    metadata
}

fn fail() -> ActionMetadata {
    let mut metadata = control(
        ControlKind::Fail,
        "flow.fail",
        "Fail",
        "Fails with a message and a code of the author's own, as if an action had failed here: \
         `on_error` and the port `error` apply.",
    );
    metadata.parameters = json!({
        "type": "object",
        "properties": {
            "message": { "type": "string", "description": "What went wrong, for people.", "minLength": 1, "maxLength": 2000 },
            "code": {
                "type": "string",
                "description": "A stable code, in capitals.",
                "pattern": "^[A-Z][A-Z0-9_]*$",
                "maxLength": 64,
                "default": CODE_FLOW_FAIL,
            },
        },
        "required": ["message"],
        "additionalProperties": false,
    });
    metadata.defaults = json!({ "code": CODE_FLOW_FAIL });
    metadata.output = json!(false);
    metadata
}

fn cancel() -> ActionMetadata {
    let mut metadata = control(
        ControlKind::Cancel,
        "flow.cancel",
        "Cancel",
        "Gives other nodes up, or the execution. What they have under way is told to stop, and what \
         it did outside is known before they end; what has not begun never begins; what has ended \
         stays. Nothing fails by it. The result is `$json`.",
    );
    metadata.parameters = json!({
        "type": "object",
        "properties": {
            "nodes": {
                "type": "array",
                "description": "The ids of the nodes, as they stand in the definition: nodes beside this one, or around the body that it stands in. One that has a body is given up with it.",
                "items": { "type": "string" },
                "minItems": 1,
                "maxItems": 1000,
                "uniqueItems": true,
            },
            "execution": { "const": true, "description": "Everything: the execution ends as cancelled." },
            "reason": {
                "type": "string",
                "description": "Why the execution is given up, for people.",
                "minLength": 1,
                "maxLength": 2000,
            },
        },
        "oneOf": [
            { "required": ["nodes"], "not": { "required": ["reason"] } },
            { "required": ["execution"] },
        ],
        "additionalProperties": false,
    });
    metadata.examples = vec![example(
        "a reminder that is not needed any more",
        json!({ "nodes": ["remind"] }),
        json!({ "paid": true }),
        json!({ "paid": true }),
        PORT_MAIN,
    )];
    metadata
}

fn milestone() -> ActionMetadata {
    let mut metadata = control(
        ControlKind::Milestone,
        "flow.milestone",
        "Milestone",
        "Goes on by `main` while the execution is between the success of one node and the end of \
         another. Before, it waits; if that is over, or will never be, it goes on by `expired`. The \
         result is `$json`.",
    );
    let node = |description: &str| json!({ "type": "string", "description": description });
    metadata.parameters = json!({
        "type": "object",
        "properties": {
            "reached": node("The id of the node whose success begins it, as it stands in the definition: a node beside this one, or around the body that it stands in. Without it, it is reached from the start."),
            "until": node("The id of such a node, whose end is its end, unless it is skipped. Without it, it is never over."),
        },
        "minProperties": 1,
        "additionalProperties": false,
    });
    metadata.ports = Ports::Fixed(vec![PORT_MAIN.to_owned(), "expired".to_owned()]);
    metadata.examples = vec![example(
        "a change that comes before the order is shipped",
        json!({ "reached": "ordered", "until": "shipped" }),
        json!({ "change": "blue" }),
        json!({ "change": "blue" }),
        PORT_MAIN,
    )];
    metadata
}

/// How many tokens a node makes of one, or one of.
fn tokens(description: &str) -> Value {
    json!({
        "type": "object",
        "properties": {
            "count": { "type": "integer", "description": description, "minimum": 1, "maximum": 10_000 },
        },
        "required": ["count"],
        "additionalProperties": false,
    })
}

fn split_tokens() -> ActionMetadata {
    let mut metadata = control(
        ControlKind::SplitTokens,
        "flow.split_tokens",
        "Split tokens",
        "Sends `count` tokens along each of its connections, so that what is behind it runs as many \
         times, up to a `flow.merge_tokens`. The result is `$json`.",
    );
    metadata.parameters = tokens("How many tokens, as a number that stands in the definition.");
    metadata.examples = vec![example(
        "three of the same",
        json!({ "count": 3 }),
        json!({ "seed": 7 }),
        json!({ "seed": 7 }),
        PORT_MAIN,
    )];
    metadata
}

fn merge_tokens() -> ActionMetadata {
    let mut metadata = control(
        ControlKind::MergeTokens,
        "flow.merge_tokens",
        "Merge tokens",
        "Runs once for `count` tokens that reach it, whichever connections they come by, if one of \
         them is live. The result is the list of what the live ones brought, in the order in which \
         they came by each connection.",
    );
    metadata.parameters = tokens("How many tokens, as a number that stands in the definition.");
    metadata.output = json!({ "type": "array" });
    metadata.examples = vec![example(
        "what each of three gave",
        json!({ "count": 3 }),
        json!({ "n": 1 }),
        json!([{ "n": 1 }]),
        PORT_MAIN,
    )];
    metadata
}

fn stop() -> ActionMetadata {
    let mut metadata = control(
        ControlKind::Stop,
        "flow.stop",
        "Stop",
        "Completes the execution here, with `output` as its output; what else is running is \
         cancelled. Without `output`, the workflow's own `output` applies.",
    );
    metadata.parameters = json!({
        "type": "object",
        "properties": { "output": { "description": "The output of the execution." } },
        "additionalProperties": false,
    });
    metadata.examples = vec![example(
        "an early answer",
        json!({ "output": { "found": "{{ $json.id }}" } }),
        json!({ "id": 7 }),
        json!({ "found": 7 }),
        PORT_MAIN,
    )];
    metadata
}
