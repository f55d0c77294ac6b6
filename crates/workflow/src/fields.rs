//! The fields of the format: one table per object. The decoder reads by them, "did you mean" looks
//! into them, and the JSON Schema is made from them.

use crate::{
    Admission, RateLimit,
    table::{Shape, Table, closed, field, required},
};

const MAX_COUNT: u32 = 1_000_000;
const NODE_ID: Shape = Shape::Name("^[A-Za-z_][A-Za-z0-9_]*$");
const ACTION: Shape = Shape::Name("^[a-z][a-z0-9._-]*(@(0|[1-9][0-9]*)(\\.(0|[1-9][0-9]*))?)?$");
const SLUG: Shape = Shape::Name("^[A-Za-z0-9][A-Za-z0-9._-]*$");
const PORT: Shape = Shape::Name("^[A-Za-z0-9_][A-Za-z0-9_-]*$");

pub(crate) static WORKFLOW: Table = closed(
    "workflow",
    "a workflow",
    &[
        field("id", SLUG, "Unique per tenant; default: the file's name."),
        field("name", Shape::Text, "What people read instead of the id."),
        field(
            "input",
            Shape::Schema,
            "JSON Schema of the input, checked before anything runs.",
        ),
        field(
            "output_schema",
            Shape::Schema,
            "JSON Schema of the output; makes the workflow callable.",
        ),
        field(
            "timezone",
            Shape::Text,
            "IANA time zone of `$today` and of schedules; default: UTC.",
        ),
        field(
            "triggers",
            Shape::List(&TRIGGER, 0),
            "What starts the workflow by itself.",
        ),
        required("nodes", Shape::List(&NODE, 1), "The steps."),
        field(
            "connections",
            Shape::Connections(&CONNECTION),
            "Edges between nodes; without this field the nodes run in listed order, `[]` makes them independent.",
        ),
        field(
            "output",
            Shape::Param,
            "What an execution returns; default: the result of the only end node.",
        ),
        field(
            "limits",
            Shape::Part(&WORKFLOW_LIMITS),
            "Bounds of one execution.",
        ),
        field(
            "admission",
            Shape::Part(&ADMISSION),
            "Which executions may run beside each other; default: all.",
        ),
        field(
            "rate_limit",
            Shape::Part(&RATE_LIMIT),
            "How often executions may begin; default: as often as they are started.",
        ),
        field(
            "priority",
            Shape::Choice(PRIORITY),
            "How urgent executions are beside others; default: normal.",
        ),
        field(
            "layout",
            Shape::Object,
            "Where editors draw the nodes; no part of the digest.",
        ),
    ],
);

pub(crate) static WORKFLOW_LIMITS: Table = closed(
    "workflow_limits",
    "limits",
    &[
        field(
            "concurrency",
            Shape::Count(1, MAX_COUNT),
            "The most attempts at a time.",
        ),
        field(
            "timeout",
            Shape::Duration,
            "The longest time from start to end.",
        ),
    ],
);

pub(crate) const PRIORITY: &[&str] = &["lowest", "low", "normal", "high", "highest"];

pub(crate) const WHEN_FULL: &[&str] = &["queue", "refuse", "cancel_oldest"];

pub(crate) static ADMISSION: Table = closed(
    "admission",
    "admission",
    &[
        required(
            "concurrency",
            Shape::Count(1, Admission::MAX_CONCURRENCY),
            "The most executions at a time.",
        ),
        field(
            "key",
            Shape::Expression,
            "Over `$input`: executions with another value do not count.",
        ),
        field(
            "when_full",
            Shape::Choice(WHEN_FULL),
            "What becomes of a start while as many run as may; default: queue.",
        ),
        field(
            "queue",
            Shape::Count(1, Admission::MAX_QUEUE),
            "How many wait at most; default: 1000.",
        ),
    ],
);

pub(crate) const RATE_FULL: &[&str] = &["queue", "refuse"];

pub(crate) static RATE_LIMIT: Table = closed(
    "rate_limit",
    "rate_limit",
    &[
        required(
            "limit",
            Shape::Count(1, RateLimit::MAX_LIMIT),
            "How many executions may begin in each `per`.",
        ),
        required("per", Shape::Duration, "The span of time, from 1s to 31d."),
        field(
            "burst",
            Shape::Count(1, RateLimit::MAX_LIMIT),
            "How many may begin at once; default: `limit`.",
        ),
        field(
            "key",
            Shape::Expression,
            "Over `$input`: executions with another value do not count.",
        ),
        field(
            "when_full",
            Shape::Choice(RATE_FULL),
            "What becomes of a start that would be one too many; default: queue.",
        ),
        field(
            "queue",
            Shape::Count(1, Admission::MAX_QUEUE),
            "How many wait at most; default: 1000.",
        ),
    ],
);

pub(crate) static TRIGGER: Table = Table {
    name: "trigger",
    what: "a trigger",
    open: true,
    fields: &[
        required("id", SLUG, "Unique in the workflow."),
        required(
            "type",
            Shape::Text,
            "Which kind of trigger: `webhook`, `cron`, …",
        ),
        field(
            "input",
            Shape::Param,
            "Builds the execution's input from `$trigger`.",
        ),
    ],
};

/// Whether a node may have a field of this name: it stands beside `parameters` and not among them.
#[must_use]
pub fn is_node_field(name: &str) -> bool {
    NODE.fields.iter().any(|field| field.name == name)
}

pub(crate) static NODE: Table = closed(
    "node",
    "a node",
    &[
        required(
            "id",
            NODE_ID,
            "How expressions and connections refer to the node.",
        ),
        field("name", Shape::Text, "What people read instead of the id."),
        required(
            "action",
            ACTION,
            "The action and its interface version, such as `http.request@1`.",
        ),
        field("parameters", Shape::Params, "What the action gets."),
        field(
            "requires",
            Shape::Templates,
            "Capabilities beyond those that literal parameters imply.",
        ),
        field(
            "credentials",
            Shape::TextMap,
            "Credential slot of the action → id of the credential.",
        ),
        field(
            "for_each",
            Shape::Expression,
            "A list: the action runs once per element.",
        ),
        field(
            "each_item",
            Shape::Bool,
            "Run once per element of what arrives.",
        ),
        field(
            "concurrency",
            Shape::Count(1, MAX_COUNT),
            "The most elements at a time.",
        ),
        field("when", Shape::Expression, "False: the node is skipped."),
        field(
            "join",
            Shape::ChoiceOr(JOINS, &JOIN),
            "When the node runs, if several connections end at it; default: all.",
        ),
        field(
            "retry",
            Shape::Part(&RETRY),
            "How a failed attempt is made again.",
        ),
        field(
            "timeout",
            Shape::Duration,
            "The longest time one attempt may take.",
        ),
        field(
            "heartbeat_timeout",
            Shape::Duration,
            "The longest time for which one attempt may give no sign of life.",
        ),
        field(
            "on_error",
            Shape::Choice(ON_ERROR),
            "What a final failure means; default: fail.",
        ),
        field(
            "on_indeterminate",
            Shape::Choice(ON_INDETERMINATE),
            "What an unknown outcome means; default: park.",
        ),
        field(
            "compensate",
            Shape::Part(&COMPENSATION),
            "What undoes the node when the execution fails later.",
        ),
        field(
            "idempotency_key",
            Shape::Param,
            "Replaces the key that is derived from the instance.",
        ),
        field(
            "disabled",
            Shape::Bool,
            "The node does nothing and passes `$json` on.",
        ),
        field(
            "pin",
            Shape::Any,
            "A value that stands for the node's output.",
        ),
        field(
            "cache",
            Shape::BoolOr(&CACHE),
            "Whether an earlier output may be used.",
        ),
        field("limits", Shape::Object, "Limits for the node's attempts."),
        field(
            "artifact",
            Shape::Part(&ARTIFACT),
            "The name under which the output is kept.",
        ),
        field(
            "distribute",
            Shape::Bool,
            "Its items run in parts, which any worker takes.",
        ),
        field(
            "runs_on",
            Shape::Texts,
            "The group of workers that the execution runs on; one for all nodes.",
        ),
        field(
            "complete_when",
            Shape::CountOrExpression(1, MAX_COUNT),
            "When a list is complete before all of it has run: a number of successes, or a condition on the progress.",
        ),
        field(
            "rest",
            Shape::Choice(ITEMS_RESTS),
            "What becomes of the rest of a list that is complete early; default: cancel.",
        ),
        field(
            "on_item_error",
            Shape::Choice(ON_ITEM_ERROR),
            "What the failure of one item means; default: stop, with `on_error: continue` continue.",
        ),
        field(
            "body",
            Shape::Part(&BODY),
            "The nodes inside a control action.",
        ),
        field("notes", Shape::Text, "What readers should know."),
    ],
);

pub(crate) const JOINS: &[&str] = &["all", "any", "each"];
pub(crate) const RESTS: &[&str] = &["absorb", "block", "cancel"];
pub(crate) const ON_ERROR: &[&str] = &["fail", "continue", "route"];
pub(crate) const ITEMS_RESTS: &[&str] = &["cancel", "absorb"];
pub(crate) const ON_ITEM_ERROR: &[&str] = &["stop", "continue", "collect"];
pub(crate) const ON_INDETERMINATE: &[&str] = &["park", "fail", "retry"];
pub(crate) const BACKOFFS: &[&str] = &["fixed", "linear", "exponential"];
pub(crate) const JITTERS: &[&str] = &["none", "full"];

pub(crate) static JOIN: Table = closed(
    "join",
    "a join",
    &[
        required(
            "count",
            Shape::Count(1, MAX_COUNT),
            "How many live tokens start the node.",
        ),
        field(
            "rest",
            Shape::Choice(RESTS),
            "What becomes of later tokens; default: absorb.",
        ),
    ],
);

pub(crate) static RETRY: Table = closed(
    "retry",
    "a retry policy",
    &[
        field(
            "max_attempts",
            Shape::Count(1, crate::RetryPolicy::MAX_ATTEMPTS),
            "All attempts together; default: 3.",
        ),
        field(
            "backoff",
            Shape::Choice(BACKOFFS),
            "How the delay grows; default: exponential.",
        ),
        field(
            "initial",
            Shape::Duration,
            "The delay before the second attempt; default: 1s.",
        ),
        field(
            "max",
            Shape::Duration,
            "The longest delay; default: 30s, or `initial` if that is longer.",
        ),
        field(
            "jitter",
            Shape::Choice(JITTERS),
            "How delays are spread; default: full.",
        ),
    ],
);

pub(crate) static COMPENSATION: Table = closed(
    "compensation",
    "a compensation",
    &[
        required("action", ACTION, "The action that undoes."),
        field("parameters", Shape::Params, "What the action gets."),
        field(
            "requires",
            Shape::Templates,
            "Capabilities beyond those that literal parameters imply.",
        ),
        field(
            "credentials",
            Shape::TextMap,
            "Credential slot of the action → id of the credential.",
        ),
        field(
            "retry",
            Shape::Part(&RETRY),
            "How a failed attempt is made again.",
        ),
        field(
            "timeout",
            Shape::Duration,
            "The longest time one attempt may take.",
        ),
    ],
);

pub(crate) static CACHE: Table = closed(
    "cache",
    "a cache policy",
    &[
        field(
            "key",
            Shape::Expression,
            "What outputs are told apart by; default: all parameters.",
        ),
        field("ttl", Shape::Duration, "How long an output may be used."),
    ],
);

pub(crate) static ARTIFACT: Table = closed(
    "artifact",
    "an artifact",
    &[
        required("name", Shape::Param, "What approvals and lists refer to."),
        field(
            "version",
            Shape::Param,
            "Tells several artifacts of one name apart.",
        ),
    ],
);

pub(crate) static BODY: Table = closed(
    "body",
    "a body",
    &[
        required("nodes", Shape::List(&NODE, 1), "The steps inside."),
        field(
            "connections",
            Shape::Connections(&CONNECTION),
            "Edges between these nodes.",
        ),
    ],
);

pub(crate) static CONNECTION: Table = closed(
    "connection",
    "a connection",
    &[
        required("from", NODE_ID, "The node that sends."),
        field("port", PORT, "The output port; default: main."),
        required("to", NODE_ID, "The node that receives."),
        field("input", PORT, "The input; default: main."),
        field(
            "condition",
            Shape::Expression,
            "Taken only if this is true.",
        ),
        field("loop", Shape::Bool, "Closes a cycle."),
        field(
            "max_rounds",
            Shape::Count(1, MAX_COUNT),
            "The most rounds of the loop.",
        ),
    ],
);

/// Every table, for the schema and for tests.
pub(crate) static TABLES: &[&Table] = &[
    &WORKFLOW,
    &WORKFLOW_LIMITS,
    &ADMISSION,
    &RATE_LIMIT,
    &TRIGGER,
    &NODE,
    &JOIN,
    &RETRY,
    &COMPENSATION,
    &CACHE,
    &ARTIFACT,
    &BODY,
    &CONNECTION,
];
