//! Calls: children that begin with a step of this execution, and what their ends mean for it.

use std::{sync::Arc, time::Duration};

use nebula_action::{ActionContext, ActionError, PORT_MAIN};
use nebula_core::{ByteSize, Digest, ExecutionId};
use nebula_execution::{
    AdmissionKeyError, ChildEnd, Entry, EvaluationScope, Event, ExecutionPlan, Fact, Given,
    InstanceId, MAX_CALL_DEPTH, MAX_VALUE_DEPTH, NewExecution, Outcome, Parent, PlanCall, Signal,
    StartOptions, Started, Taken, is_storable,
};
use nebula_ports::{DedupeKey, InboxDelivery};
use nebula_validator::with_defaults;
use serde_json::{Value, json};

use crate::{
    drive::{Drive, Stop},
    evaluate::{self, node_of},
    flush::value_weight,
};

/// What a node asks for that calls another workflow.
pub(crate) struct Wanted {
    pub(crate) input: Value,
    pub(crate) waits: bool,
    pub(crate) timeout: Option<Duration>,
}

/// What is called: a plan, and under which digest it is stored.
struct Callee {
    plan: Arc<ExecutionPlan>,
    digest: Digest,
    /// Whether it is the plan of the caller.
    itself: bool,
}

impl Drive {
    /// Makes a child ready that begins with the next step, and tells the machine.
    pub(crate) async fn call(
        &mut self,
        instance: InstanceId,
        attempt: u32,
        wanted: Wanted,
        context: &ActionContext,
    ) -> Result<(), Stop> {
        let plan = self.machine.plan().clone();
        let node = node_of(&plan, &instance);
        let Some(call) = plan.call_of(node) else {
            let message = "the plan does not say what this node calls";
            let error = ActionError::fatal("CALL_UNKNOWN", message);
            self.failed_with(instance, error, 0);
            return Ok(());
        };
        let callee = self.callee(call).await?;
        let detached = !wanted.waits;
        let child = match self.new_child(&instance, attempt, (&callee, wanted), context) {
            Ok(child) => self.or_again(&instance, attempt, child).await?,
            Err(error) => Err(error),
        };
        match child {
            Ok(mut child) => {
                if let Some(values) = self.shared.ports.values.clone() {
                    Box::pin(self.keeping_lease(values.put_input(&mut child))).await?;
                }
                self.tell_of_child(instance, child, detached);
            }
            Err(error) => self.failed_with(instance, error, 0),
        }
        Ok(())
    }

    async fn callee(&mut self, call: &PlanCall) -> Result<Callee, Stop> {
        match &call.callee {
            Some(callee) => Ok(Callee {
                plan: self.shared.plan(&self.lease.tenant, callee.plan).await?,
                digest: callee.plan,
                itself: false,
            }),
            None => Ok(Callee {
                plan: self.machine.plan().clone(),
                digest: self.started().plan,
                itself: true,
            }),
        }
    }

    fn new_child(
        &self,
        instance: &InstanceId,
        attempt: u32,
        (callee, wanted): (&Callee, Wanted),
        context: &ActionContext,
    ) -> Result<NewExecution, ActionError> {
        let now = self.shared.ports.clock.now();
        let started = self.started();
        let depth = started.parent.as_ref().map_or(0, |parent| parent.depth) + 1;
        if depth > MAX_CALL_DEPTH {
            let message = format!(
                "{MAX_CALL_DEPTH} calls lead to this execution, which is the limit; let a call end before it calls again"
            );
            return Err(ActionError::limit("CALL_TOO_DEEP", message));
        }
        let most = self.shared.config.max_output;
        let input = Arc::new(input(&callee.plan, wanted.input, most)?);
        // Of itself an execution asks for what it has been granted already.
        let grants = match callee.itself {
            true => started.grants.clone(),
            false => context.grants.clone(),
        };
        let scope = EvaluationScope::of_input(Arc::clone(&input));
        let requests = callee.plan.requests(&scope, &context.folder);
        let requests = requests.map_err(|error| {
            ActionError::fatal("CAPABILITY_UNKNOWN", in_callee(&callee.plan, &error))
        })?;
        if let Some(missing) = requests.iter().find(|it| !grants.allow(&it.capability)) {
            let at = &callee.plan.node(missing.node).id;
            let what = format!(
                "`{}` must not call `{}`: node `{at}` of it",
                instance.node, callee.plan.workflow
            );
            return Err(ActionError::denied(what, &missing.capability));
        }
        let no_key = |error: AdmissionKeyError| {
            ActionError::fatal("CALL_ADMISSION_KEY", in_callee(&callee.plan, &error))
        };
        let slot = callee.plan.start_slot(&input).map_err(no_key)?;
        let rate = callee.plan.start_rate(&input).map_err(no_key)?;
        let timeout = wanted.timeout.map(|span| now.plus(span));
        // What nobody waits for may outlive this execution.
        let own = self.machine.deadline().filter(|_| wanted.waits);
        let parent = Parent {
            execution: self.lease.execution,
            instance: instance.clone(),
            depth,
            waits: wanted.waits,
            deadline: timeout.into_iter().chain(own).min(),
        };
        let (id, origin) = self.machine.child(instance, attempt, now);
        let tries = trial(started, callee);
        let dry_run = tries.as_ref().is_some_and(|tries| tries.dry_run);
        let options = StartOptions {
            grants,
            folder: started.folder.clone(),
            vars: started.vars.clone(),
            origin: (id != origin).then_some(origin),
            parent: Some(parent),
            trace: Some(self.trace(instance, ("", attempt))),
            trial: tries,
            // What somebody waits for is as urgent as whoever waits.
            priority: Some(started.priority),
            ..StartOptions::default()
        };
        let (tenant, plan) = (self.lease.tenant.clone(), (&*callee.plan, callee.digest));
        let input = Arc::unwrap_or_clone(input);
        let mut child = NewExecution::new(id, tenant, now, plan, input, options);
        child.slot = slot;
        child.rate = rate.filter(|_| !dry_run);
        Ok(child)
    }

    /// With the next step a child begins, if the machine says so.
    pub(crate) fn is_ready(&mut self, child: NewExecution) {
        if let Some(started) = child.started() {
            self.pending_bytes += value_weight(&started.input);
            if let Some(part) = &started.part {
                self.pending_bytes += value_weight(&part.elements);
            }
        }
        self.children.insert(child.id, child);
    }

    fn tell_of_child(&mut self, instance: InstanceId, child: NewExecution, detached: bool) {
        let mut taken = Ok(Taken::All);
        if detached {
            let output = Arc::new(json!({ "execution": child.id }));
            let clock = &self.shared.ports.clock;
            taken = evaluate::taken(&self.machine, &instance, PORT_MAIN, clock, |scope| {
                scope.after_success(&instance, output, PORT_MAIN)
            });
        }
        match taken {
            Ok(taken) => {
                let event = Event::Calls {
                    instance,
                    child: child.id,
                    workflow: child.workflow.clone(),
                    version: child.version,
                    detached,
                    taken,
                };
                self.is_ready(child);
                self.tell(event);
            }
            Err(error) => self.failed_with(instance, error, 0),
        }
    }

    /// The children that entries say have begun. What was made ready and did not begin, because the
    /// execution was paused or is about to end, is dropped.
    pub(crate) fn children_of(&mut self, entries: &[Entry]) -> Vec<NewExecution> {
        let mut ready = std::mem::take(&mut self.children);
        let begun = entries.iter().filter_map(|entry| match &entry.fact {
            Fact::ChildStarted { child, .. } | Fact::PartStarted { child, .. } => Some(child),
            _ => None,
        });
        begun.filter_map(|child| ready.remove(child)).collect()
    }

    pub(crate) fn started(&self) -> &Started {
        let started = self.machine.state().started();
        started.expect("an execution that runs has begun")
    }

    /// With the next step, asks a child to end. A child that was asked before is not asked twice.
    pub(crate) fn cancel_child(&mut self, child: ExecutionId) {
        let parent = self.lease.execution;
        let reason = format!("execution {parent} no longer waits for it");
        let (kind, payload) = Signal::Cancel { reason }.to_inbox();
        self.deliver.push(InboxDelivery {
            to: child,
            dedupe: DedupeKey("parent.cancel".to_owned()),
            kind: kind.to_owned(),
            payload,
        });
        self.marked = true;
    }

    /// What the end of a child means for the instance that waits for it.
    pub(crate) async fn child_ended(&mut self, end: ChildEnd) -> Result<(), Stop> {
        if end.instance.item.is_some() {
            self.part_ended(end);
            return Ok(());
        }
        let plan = self.machine.plan().clone();
        let (instance, child, status) = (end.instance.clone(), end.child, end.status);
        let waits = evaluate::activation(&self.machine, &instance).and_then(|it| it.child);
        let call = plan.index_of(instance.node.as_str());
        let Some(call) = call
            .and_then(|node| plan.call_of(node))
            .filter(|_| waits == Some(child))
        else {
            // Nobody waits for it any more.
            return Ok(());
        };
        let outcome = match (end.error(&call.workflow), end.output) {
            (None, output) => {
                let output = self.put_apart(output.unwrap_or_default().into()).await?;
                self.child_gave(&instance, output)
            }
            (Some(error), _) => {
                let (error, taken) = self.taken_on_failure(&instance, error);
                Outcome::Failed {
                    error,
                    taken,
                    undo: None,
                }
            }
        };
        self.tell(Event::ChildEnded {
            instance,
            child,
            status,
            outcome,
        });
        Ok(())
    }

    fn child_gave(&mut self, instance: &InstanceId, output: Given) -> Outcome {
        if let Given::Value(value) = &output
            && let Err(error) = self.has_room_for(instance, value)
        {
            let (error, taken) = self.taken_on_failure(instance, error);
            let undo = None;
            return Outcome::Failed { error, taken, undo };
        }
        let clock = &self.shared.ports.clock;
        let taken = evaluate::taken(&self.machine, instance, PORT_MAIN, clock, |scope| {
            scope.after_success(instance, output.clone(), PORT_MAIN)
        });
        match taken {
            Ok(taken) => Outcome::Succeeded {
                undo: None,
                output,
                port: PORT_MAIN.into(),
                lineage: None,
                taken,
            },
            Err(error) => {
                let (error, taken) = self.taken_on_failure(instance, error);
                Outcome::Failed {
                    error,
                    taken,
                    undo: None,
                }
            }
        }
    }

    /// What the end of this execution puts into the inbox of the one that waits for it.
    pub(crate) fn tells_parent(&self, entries: &[Entry]) -> Option<InboxDelivery> {
        let started = self.machine.state().started()?;
        #[cfg(sim_bug)]
        if nebula_core::sim_bug::is_awake("end-of-a-child-is-lost") {
            return None;
        }
        let parent = started.parent.as_deref()?;
        let end = ChildEnd::of(self.lease.execution, parent, &entries.last()?.fact)?;
        let dedupe = DedupeKey(end.dedupe());
        let (kind, payload) = Signal::ChildEnded(Box::new(end)).to_inbox();
        Some(InboxDelivery {
            to: parent.execution,
            dedupe,
            kind: kind.to_owned(),
            payload,
        })
    }
}

/// A child that is no saved version is the trial that its parent is.
fn trial(started: &Started, callee: &Callee) -> Option<nebula_execution::Tries> {
    started.trial.clone().filter(|_| callee.plan.version == 0)
}

/// The input of a child, with the defaults of the callee's schema, checked against it.
fn input(plan: &ExecutionPlan, input: Value, most: ByteSize) -> Result<Value, ActionError> {
    if !is_storable(&input) {
        let message = format!("the input is nested deeper than {MAX_VALUE_DEPTH} levels");
        return Err(ActionError::limit("CALL_INPUT_TOO_DEEP", message));
    }
    if value_weight(&input) > most.as_usize() {
        let message = format!("the input is larger than max_output, which is {most}");
        return Err(ActionError::limit("CALL_INPUT_TOO_LARGE", message));
    }
    if plan.input_schema.is_null() {
        return Ok(input);
    }
    let wrong = |pointer: &str, message: &str| {
        let message = format!("the input of `{}`: {message}", plan.workflow);
        ActionError::invalid_input("CALL_INPUT", format!("/input{pointer}"), message)
    };
    let input = with_defaults(&plan.input_schema, input);
    let problems = plan.check_input(&input);
    let problems = problems.map_err(|error| wrong("", &error.to_string()))?;
    match problems.first() {
        None => Ok(input),
        Some(problem) => Err(wrong(&problem.pointer, &problem.to_string())),
    }
}

fn in_callee(plan: &ExecutionPlan, error: &dyn std::fmt::Display) -> String {
    format!("`{}`: {error}", plan.workflow)
}
