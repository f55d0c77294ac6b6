//! The codes of the planner's diagnostics.

/// Every code that this crate reports, with what it means.
#[must_use]
pub fn codes() -> &'static [(&'static str, &'static str)] {
    CODES
}

pub(crate) const UNKNOWN_ACTION: &str = "PLAN_UNKNOWN_ACTION";
pub(crate) const UNKNOWN_VERSION: &str = "PLAN_UNKNOWN_VERSION";
pub(crate) const UNKNOWN_PORT: &str = "PLAN_UNKNOWN_PORT";
pub(crate) const UNKNOWN_INPUT: &str = "PLAN_UNKNOWN_INPUT";
pub(crate) const CYCLE: &str = "PLAN_CYCLE";
pub(crate) const LOOP: &str = "PLAN_LOOP";
pub(crate) const UNEQUAL_RATES: &str = "PLAN_UNEQUAL_RATES";
pub(crate) const RATE_LIMIT: &str = "PLAN_RATE_LIMIT";
pub(crate) const JOIN_COUNT: &str = "PLAN_JOIN_COUNT";
pub(crate) const NOT_UPSTREAM: &str = "PLAN_NOT_UPSTREAM";
pub(crate) const NOT_CERTAIN: &str = "PLAN_NOT_CERTAIN";
pub(crate) const SEVERAL_INPUTS: &str = "PLAN_SEVERAL_INPUTS";
pub(crate) const ROOT_NOT_HERE: &str = "PLAN_ROOT_NOT_HERE";
pub(crate) const PARAMETER: &str = "PLAN_PARAMETER";
pub(crate) const SCHEMA: &str = "PLAN_SCHEMA";
pub(crate) const CAPABILITY: &str = "PLAN_CAPABILITY";
pub(crate) const CREDENTIALS: &str = "PLAN_CREDENTIALS";
pub(crate) const UNSUPPORTED: &str = "PLAN_UNSUPPORTED";
pub(crate) const CONTRADICTION: &str = "PLAN_CONTRADICTION";
pub(crate) const RETRY: &str = "PLAN_RETRY_POINTLESS";
pub(crate) const ALWAYS_FAILS: &str = "PLAN_ALWAYS_FAILS";
pub(crate) const LIMIT_UNUSED: &str = "PLAN_LIMIT_UNUSED";
pub(crate) const BODY: &str = "PLAN_BODY";
pub(crate) const LOCK: &str = "PLAN_LOCK";
pub(crate) const MILESTONE: &str = "PLAN_MILESTONE";
pub(crate) const HANDLER: &str = "PLAN_HANDLER";
pub(crate) const CANCEL: &str = "PLAN_CANCEL";
pub(crate) const TOKENS: &str = "PLAN_TOKENS";
pub(crate) const LIST: &str = "PLAN_LIST";
pub(crate) const DISTRIBUTE: &str = "PLAN_DISTRIBUTE";
pub(crate) const RUNS_ON: &str = "PLAN_RUNS_ON";
pub(crate) const BATCHES: &str = "PLAN_BATCHES";
pub(crate) const COMPENSATE: &str = "PLAN_COMPENSATE";
pub(crate) const COMPENSATE_POINTLESS: &str = "PLAN_COMPENSATE_POINTLESS";
pub(crate) const CALL: &str = "PLAN_CALL";
pub(crate) const CALL_INPUT: &str = "PLAN_CALL_INPUT";
pub(crate) const TRIGGER: &str = "PLAN_TRIGGER";
pub(crate) const TRIGGERS: &str = "PLAN_TRIGGERS_NOT_FIRED";

const CODES: &[(&str, &str)] = &[
    (UNKNOWN_ACTION, "no action has this id"),
    (
        UNKNOWN_VERSION,
        "the action exists, but not in this version",
    ),
    (UNKNOWN_PORT, "the node's action has no such output port"),
    (UNKNOWN_INPUT, "the node's action has no such input"),
    (CYCLE, "nodes wait for each other"),
    (
        LOOP,
        "a connection closes no loop, or a loop does not begin at one node, once, or has too many rounds",
    ),
    (
        UNEQUAL_RATES,
        "a join would wait for tokens that never come, or leave some over",
    ),
    (RATE_LIMIT, "a node would be activated too often"),
    (JOIN_COUNT, "a join counts to more than it has connections"),
    (
        NOT_UPSTREAM,
        "an expression reads a node that does not run before this one",
    ),
    (
        NOT_CERTAIN,
        "an expression reads a node that may not have finished yet",
    ),
    (
        SEVERAL_INPUTS,
        "`$json` is read where several values can arrive",
    ),
    (
        ROOT_NOT_HERE,
        "an expression reads a root that does not exist at this place",
    ),
    (
        PARAMETER,
        "a literal parameter does not fit the action's schema",
    ),
    (SCHEMA, "a JSON Schema of the workflow is no schema"),
    (
        CAPABILITY,
        "`requires` names something that is no capability",
    ),
    (
        CREDENTIALS,
        "a credential is named for a slot that the action does not have, or one that it needs is not",
    ),
    (
        UNSUPPORTED,
        "the field is part of the format, and this version cannot run it",
    ),
    (
        CONTRADICTION,
        "the definition contradicts itself; its own reader would have refused it",
    ),
    (
        RETRY,
        "a pure action is tried again, which gives the same each time",
    ),
    (
        ALWAYS_FAILS,
        "an expression reads nothing and fails each time",
    ),
    (
        LIMIT_UNUSED,
        "a limit of attempts is given to an action that makes none",
    ),
    (
        BODY,
        "a body that nothing runs, an action without the body that it runs, or bodies too deep in each other",
    ),
    (
        MILESTONE,
        "a milestone names what it cannot ask about, never holds, or could be waited for for ever",
    ),
    (
        LOCK,
        "bodies would wait for slots that are held around them, or a semaphore has two sizes",
    ),
    (
        HANDLER,
        "a handler is no node of the body, or is reached from elsewhere",
    ),
    (
        CANCEL,
        "a node cancels what it cannot, or a join cancels the rest and nothing is, or not clearly",
    ),
    (
        TOKENS,
        "into how many tokens a node splits is not known, or it merges tokens and has a join as well",
    ),
    (
        LIST,
        "a field is about the items of a list, and the node has none",
    ),
    (
        DISTRIBUTE,
        "a list is distributed that is none, that runs more than once, or whose items need the execution around it",
    ),
    (
        RUNS_ON,
        "`runs_on` names no group of workers, or another one than the rest of the workflow",
    ),
    (
        BATCHES,
        "no connection leads back to a `flow.batches`, so it would stop after its first part",
    ),
    (
        COMPENSATE,
        "`compensate` stands at a node that has no effect, or names an action that cannot undo one",
    ),
    (
        COMPENSATE_POINTLESS,
        "`compensate` undoes what changes nothing outside, or changes nothing itself",
    ),
    (
        CALL,
        "a call of a workflow that is not there, is computed, or may touch what nobody asks for",
    ),
    (
        CALL_INPUT,
        "the literal input of a call does not fit the schema of the workflow",
    ),
    (
        TRIGGER,
        "a trigger has a field that is missing, unknown or wrong, or builds no input of its workflow",
    ),
    (
        TRIGGERS,
        "triggers are kept, and this version does not fire them",
    ),
];
