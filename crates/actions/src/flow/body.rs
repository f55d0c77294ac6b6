//! Control actions with a body: nodes and connections that stand in the node itself.

use nebula_action::{ActionMetadata, ControlKind, ExpressionMark};
use serde_json::{Value, json};

use super::{SPAN, control, signal_name};

/// The control actions with a body, sorted by id.
pub(super) fn all() -> [ActionMetadata; 7] {
    [
        for_each(),
        loop_(),
        mutex(),
        parallel(),
        race(),
        semaphore(),
        try_(),
    ]
}

fn mark(path: &str) -> ExpressionMark {
    ExpressionMark {
        path: path.to_owned(),
        deferred: true,
    }
}

fn span(description: &str) -> Value {
    json!({ "type": "string", "description": description, "pattern": SPAN })
}

fn for_each() -> ActionMetadata {
    let mut metadata = control(
        ControlKind::ForEach,
        "flow.for_each",
        "For each",
        "Runs its body once per element of a list, several at a time (`concurrency`). In the body, \
         `$item` is the element, `$index` its number from 0, and `$json` of the nodes that the body \
         begins with is the element as well. The result is the list of what the runs gave, in the \
         order of the elements. If a run fails, the others are stopped and the node fails; with \
         `on_error: continue` it stands in the list as `{ error }`, and with `on_item_error: collect` \
         the result is `{ results, errors }`. With `complete_when`, the list is complete before all \
         runs have ended.",
    );
    metadata.parameters = json!({
        "type": "object",
        "properties": {
            "items": { "description": "The list. Without it and `range`, `$json`." },
            "range": {
                "type": "object",
                "description": "Whole numbers instead of a list: from `from` (0) up to `to`, without it, by `step` (1).",
                "properties": {
                    "from": { "type": "integer" },
                    "to": { "type": "integer" },
                    "step": { "type": "integer", "not": { "const": 0 } },
                },
                "required": ["to"],
                "additionalProperties": false,
            },
            "more": signal_name(
                "The name of signals that bring more elements while the node runs: a list, \
                 `{ items, last }`, or a single element. The list is complete after `last: true`.",
            ),
        },
        "additionalProperties": false,
    });
    metadata.defaults = json!({ "items": "{{ $json }}" });
    metadata.output = json!({ "type": "array" });
    metadata
}

fn loop_() -> ActionMetadata {
    let mut metadata = control(
        ControlKind::Loop,
        "flow.loop",
        "Loop",
        "Runs its body again and again: while `while` holds, until `until` holds after a round, or \
         `times` times, whichever comes first. In the body, `$loop.index` is the number of the \
         round from 0, `$loop.last` what the round before gave, and `$json` of the nodes that the \
         body begins with is `$loop.last` as well; in the first round it is the node's own. \
         `$nodes` of the round before cannot be read. The result is what the last round gave.",
    );
    metadata.parameters = json!({
        "type": "object",
        "properties": {
            "while": { "type": ["string", "boolean"], "description": "Asked before each round: an expression that gives true or false." },
            "until": { "type": ["string", "boolean"], "description": "Asked after each round: an expression that gives true or false." },
            "times": { "type": "integer", "minimum": 0, "maximum": 1_000_000, "description": "How many rounds at most." },
            "delay": span("How long to wait between two rounds, such as `10s`."),
            "max_rounds": {
                "type": "integer",
                "minimum": 1,
                "maximum": 1_000_000,
                "default": 1000,
                "description": "After so many rounds, a loop without `times` that would still go on fails.",
            },
        },
        "anyOf": [
            { "required": ["while"] },
            { "required": ["until"] },
            { "required": ["times"] },
        ],
        "additionalProperties": false,
    });
    metadata.expressions = vec![mark("while"), mark("until")];
    metadata
}

fn parallel() -> ActionMetadata {
    let mut metadata = control(
        ControlKind::Parallel,
        "flow.parallel",
        "Parallel",
        "Runs its body once, its branches side by side, and goes on when all of them have ended. \
         The result is what the body's only end node gave, or an object of what its end nodes gave, \
         by id. If a node of the body fails, the others are stopped, and this node fails: its \
         `on_error` and its port `error` are for the body as a whole.",
    );
    metadata.parameters = json!({
        "type": "object",
        "properties": { "timeout": span("How long the body may take.") },
        "additionalProperties": false,
    });
    metadata
}

fn race() -> ActionMetadata {
    let mut metadata = control(
        ControlKind::Race,
        "flow.race",
        "Race",
        "Runs its body once, its branches side by side, until the first end node of the body gives \
         a result; the others are then stopped. The result is `{ winner, result }`: the id of that \
         node, and what it gave. What a loser did outside is known before this node goes on.",
    );
    metadata.parameters = json!({
        "type": "object",
        "properties": { "timeout": span("How long to wait for the first; then the node fails.") },
        "additionalProperties": false,
    });
    metadata.output = json!({
        "type": "object",
        "properties": { "winner": { "type": "string" }, "result": true },
    });
    metadata
}

fn try_() -> ActionMetadata {
    let mut metadata = control(
        ControlKind::Try,
        "flow.try",
        "Try",
        "Runs its body once. If one of its nodes fails, the others are stopped, and the first \
         handler whose condition holds runs instead: `catch` has the id of a node of the body for \
         each condition, in which `$json` is the failure, `{ code, message, class, node }`. The \
         handler begins with the failure as its `$json`, and what it and the nodes behind it give \
         is the result. `finally` names a node of the body that runs at the end, whatever happened. \
         With `compensate`, what a failed body has done is undone before that is handled.",
    );
    metadata.parameters = json!({
        "type": "object",
        "properties": {
            "catch": {
                "type": "object",
                "description": "Id of a node of the body → condition on the failure. Asked in this order.",
                "maxProperties": 100,
                "additionalProperties": { "type": ["string", "boolean"] },
            },
            "finally": { "type": "string", "description": "Id of the node of the body that runs at the end in any case." },
            "compensate": { "type": "boolean", "description": "Whether nodes of a body that failed which have `compensate` are undone, the newest first, before a handler runs." },
            "timeout": span("How long the body may take, its handlers included."),
        },
        "additionalProperties": false,
    });
    metadata.expressions = vec![mark("catch/*")];
    metadata
}

/// The parameters of a body that runs while a slot is held.
fn lock(name: &str) -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": {
                "type": "string",
                "description": name,
                "minLength": 1,
                "maxLength": 200,
            },
            "scope": {
                "enum": ["tenant", "execution"],
                "description": "Who takes turns: all executions (`tenant`), or the bodies of one execution (`execution`).",
                "default": "tenant",
            },
            "lock_timeout": span("How long to wait, from 1s; then the node fails with LOCK_TIMEOUT. Default 1h."),
            "timeout": span("How long the body may take, once it has begun."),
            "when_lost": {
                "enum": ["wait", "fail"],
                "description": "What the body does when its turn was lost with its worker: wait for the next one and go on where it was, or fail with LOCK_LOST.",
                "default": "wait",
            },
        },
        "required": ["name"],
        "additionalProperties": false,
    })
}

fn mutex() -> ActionMetadata {
    let mut metadata = control(
        ControlKind::Mutex,
        "flow.mutex",
        "Mutex",
        "Runs its body once, while no other body with a mutex of the same name runs: of any \
         execution, or, with `scope: execution`, of this one. Those that wait begin in the order in \
         which they came. The result is what the body gives. The turn ends with the body, however \
         it ends, and lasts also while the body waits or is parked.",
    );
    metadata.parameters = lock("Which mutex.");
    metadata
}

fn semaphore() -> ActionMetadata {
    let mut metadata = control(
        ControlKind::Semaphore,
        "flow.semaphore",
        "Semaphore",
        "Runs its body once, while fewer than `permits` other bodies with a semaphore of the same \
         name run. Otherwise it is like `flow.mutex`.",
    );
    let mut parameters = lock("Which semaphore.");
    parameters["properties"]["permits"] = json!({
        "type": "integer",
        "minimum": 1,
        "maximum": 1000,
        "description": "How many run at a time. Each waits by its own number, so write the same one everywhere.",
    });
    parameters["required"] = json!(["name", "permits"]);
    metadata.parameters = parameters;
    metadata
}
