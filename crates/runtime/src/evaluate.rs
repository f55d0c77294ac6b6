//! Evaluating what belongs to an instance: scope, context, conditions.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use compact_str::CompactString;
use nebula_action::{ActionError, ErrorClass};
use nebula_core::{Clock, Timestamp};
use nebula_execution::{
    Activation, EvaluationScope, ExecutionPlan, Given, InstanceId, Machine, Taken, Unread,
};
use nebula_expression::{Context, ExpressionError, Limits};

/// What an instance's expressions depend on beside the data.
pub(crate) fn context(machine: &Machine, instance: &InstanceId, clock: &Arc<dyn Clock>) -> Context {
    let seed = machine.identity(instance).seed();
    context_at(machine, machine.ready_at(instance), seed, clock)
}

/// What the workflow's output depends on beside the data: the execution's start.
pub(crate) fn execution_context(machine: &Machine, clock: &Arc<dyn Clock>) -> Context {
    context_at(machine, machine.state().started_at(), 0, clock)
}

/// With this `$now` and this seed.
pub(crate) fn context_at(
    machine: &Machine,
    now: Timestamp,
    seed: u64,
    clock: &Arc<dyn Clock>,
) -> Context {
    let limits = Limits::default();
    let (clock, wall): (_, Duration) = (clock.clone(), limits.wall);
    // Most evaluations are over before they ask, and then nobody has read the clock.
    let start = OnceLock::new();
    Context {
        now_ms: now.as_millis(),
        seed,
        timezone: machine.plan().timezone.clone(),
        limits,
        backstop: Some(Arc::new(move || {
            let now = clock.monotonic();
            now.saturating_sub(*start.get_or_init(|| now)) > wall
        })),
    }
}

/// What an instance's expressions see.
pub(crate) fn scope(
    machine: &Machine,
    instance: &InstanceId,
    item: Option<&Given>,
) -> EvaluationScope {
    let (plan, state) = (machine.plan(), machine.state());
    let Some(at) = state.find(plan, instance) else {
        return EvaluationScope::default();
    };
    let scope = EvaluationScope::of_instance(machine, at);
    match (item, instance.item) {
        (Some(item), Some(index)) => scope.with_item(item, index, plan.node(at.node).each_item),
        _ => scope,
    }
}

/// What the program sees that gives the list which an instance runs for.
pub(crate) fn list_scope(machine: &Machine, instance: &InstanceId) -> EvaluationScope {
    let at = machine.state().find(machine.plan(), instance);
    at.map_or_else(EvaluationScope::default, |at| {
        EvaluationScope::of_list(machine, at)
    })
}

/// Dense index of an instance's node.
pub(crate) fn node_of(plan: &ExecutionPlan, instance: &InstanceId) -> u32 {
    plan.index_of(instance.node.as_str())
        .expect("the machine names only nodes of its plan")
}

/// What is known of an instance, if it is still there.
pub(crate) fn activation<'m>(
    machine: &'m Machine,
    instance: &InstanceId,
) -> Option<&'m Activation> {
    let state = machine.state();
    state.get(state.find(machine.plan(), instance)?)
}

/// Which connections of `port` carry a live token once the instance has ended as `ended` shows.
///
/// # Errors
/// A condition has no value: it fails its source node.
pub(crate) fn taken(
    machine: &Machine,
    instance: &InstanceId,
    port: &str,
    clock: &Arc<dyn Clock>,
    ended: impl FnOnce(EvaluationScope) -> EvaluationScope,
) -> Result<Taken, ActionError> {
    let plan = machine.plan();
    let of_port = || {
        plan.outgoing(node_of(plan, instance))
            .map(|(_, c)| c)
            .filter(|c| c.port == port)
    };
    if instance.item.is_some() || of_port().all(|connection| connection.condition.is_none()) {
        return Ok(Taken::All);
    }
    let scope = ended(scope(machine, instance, None));
    let context = context(machine, instance, clock);
    let mut live: Vec<CompactString> = Vec::new();
    let mut all = true;
    for connection in of_port() {
        let holds = match &connection.condition {
            None => true,
            Some(condition) => condition
                .evaluate_condition(&scope, &context)
                .map_err(|error| {
                    failed(
                        &format!("the condition of the connection to `{}`", connection.name),
                        &error,
                    )
                })?,
        };
        if holds {
            live.push(connection.name.clone());
        }
        all &= holds;
    }
    Ok(if all { Taken::All } else { Taken::Only(live) })
}

/// An expression's error as that of its node.
pub(crate) fn failed(what: &str, error: &ExpressionError) -> ActionError {
    let hint = error
        .hint
        .as_ref()
        .map(|hint| format!(" ({hint})"))
        .unwrap_or_default();
    ActionError::new(
        error.code,
        format!("{what}: {}{hint}", error.message),
        ErrorClass::Fatal,
    )
}

/// That a value cannot be read which a node needs, as the error of that node.
pub(crate) fn unread(why: &Unread) -> ActionError {
    ActionError::fatal(Unread::CODE, why.to_string())
}
