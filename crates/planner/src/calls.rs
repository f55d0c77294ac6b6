//! Calls: which workflows a definition names, what is known of them, and what follows for the nodes
//! that call them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    sync::Arc,
};

use nebula_action::{ActionKind, ActionMetadata, ControlKind, EffectClass};
use nebula_core::{Digest, ParamValue, WorkflowId};
use nebula_execution::{
    EvaluationScope, ExecutionPlan, MAX_CALL_DEPTH, PlanCall, PlanCallee, PlanNode,
};
use nebula_expression::Context;
use nebula_validator::{Schema, with_defaults};
use nebula_workflow::{Diagnostic, NodeDefinition, WorkflowDefinition, pointer_join};
use serde_json::Value;

use crate::{build::Builder, codes, literals};

/// The action that calls, and the parameters that matter here.
const CALL: &str = "flow.call";
const WORKFLOW: &str = "workflow";
const INPUT: &str = "input";

/// A workflow as a call names it: `invoice`, `invoice@3`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallTarget {
    /// Which workflow.
    pub workflow: WorkflowId,
    /// Which version of it; none is the published one, or else the newest.
    pub version: Option<u32>,
}

impl fmt::Display for CallTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.workflow.fmt(f)?;
        match self.version {
            Some(version) => write!(f, "@{version}"),
            None => Ok(()),
        }
    }
}

impl FromStr for CallTarget {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (id, version) = match text.split_once('@') {
            None => (text, None),
            Some((id, version)) => {
                let plain = !version.starts_with(['0', '+']);
                let version = version.parse().ok().filter(|_| plain);
                (id, Some(version.ok_or(())?))
            }
        };
        let workflow = WorkflowId::new(id).map_err(|_| ())?;
        Ok(Self { workflow, version })
    }
}

/// A version of a workflow that may be called.
#[derive(Debug, Clone)]
pub struct Callee {
    /// Its plan, with its version.
    pub plan: Arc<ExecutionPlan>,
    /// Under which digest the plan is stored.
    pub digest: Digest,
    /// What it calls itself.
    pub callees: Callees,
}

/// Why a workflow cannot be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallMiss {
    /// No workflow with this id is saved.
    Workflow,
    /// It has no such version.
    Version {
        /// The newest that it has.
        latest: u32,
    },
    /// It was saved, and cannot be planned any more.
    Broken(String),
    /// Too many calls would lead to it.
    TooDeep,
}

/// What is known of the workflows that a definition calls.
#[derive(Debug, Clone, Default)]
pub struct Callees(BTreeMap<CallTarget, Result<Callee, CallMiss>>);

impl Callees {
    /// Says what a target is.
    pub fn insert(&mut self, target: CallTarget, callee: Result<Callee, CallMiss>) {
        self.0.insert(target, callee);
    }

    /// What a target is.
    ///
    /// # Errors
    /// [`CallMiss`]: it cannot be called.
    pub fn get(&self, target: &CallTarget) -> Result<&Callee, CallMiss> {
        match self.0.get(target) {
            Some(Ok(callee)) => Ok(callee),
            Some(Err(miss)) => Err(miss.clone()),
            None => Err(CallMiss::Workflow),
        }
    }

    /// The same, also by the names that calls have once they are pinned.
    #[must_use]
    pub fn pinned(mut self) -> Self {
        let pinned = self.0.iter().filter_map(|(target, callee)| {
            let callee = callee.as_ref().ok()?;
            let version = Some(callee.plan.version);
            let workflow = target.workflow.clone();
            Some((CallTarget { workflow, version }, Ok(callee.clone())))
        });
        let pinned: Vec<_> = pinned.collect();
        self.0.extend(pinned);
        self
    }

    /// Every plan that executions may need because of these calls, each once.
    #[must_use]
    pub fn plans(&self) -> BTreeMap<Digest, Arc<ExecutionPlan>> {
        let mut plans = BTreeMap::new();
        self.collect(&mut plans);
        plans
    }

    fn collect(&self, plans: &mut BTreeMap<Digest, Arc<ExecutionPlan>>) {
        for callee in self.0.values().flatten() {
            if plans.insert(callee.digest, callee.plan.clone()).is_none() {
                callee.callees.collect(plans);
            }
        }
    }
}

/// The workflows that a definition calls, each once; a call of itself is none of them.
#[must_use]
pub fn calls(definition: &WorkflowDefinition) -> BTreeSet<CallTarget> {
    let mut found = BTreeSet::new();
    each_call(&definition.nodes, &mut |node| {
        let target = target(node).filter(|target| !is_itself(target, &definition.id));
        found.extend(target.filter(|_| runs(node)));
    });
    found
}

/// Writes into each call which version of the workflow it means.
pub fn pin_calls(definition: &mut WorkflowDefinition, callees: &Callees) {
    pin_calls_to(definition, |target| {
        callees.get(target).ok().map(|callee| callee.plan.version)
    });
}

/// The same where only the versions are known.
pub fn pin_calls_to(
    definition: &mut WorkflowDefinition,
    version: impl Fn(&CallTarget) -> Option<u32>,
) {
    let own = definition.id.clone();
    each_call_mut(&mut definition.nodes, &mut |node| {
        let target = target(node).filter(|target| !is_itself(target, &own));
        let version = target.as_ref().and_then(&version);
        if let (Some(mut target), Some(version)) = (target.clone(), version) {
            target.version = Some(version);
            let text = ParamValue::Literal(Value::String(target.to_string()));
            node.parameters.insert(WORKFLOW.to_owned(), text);
        }
    });
}

fn each_call<'d>(nodes: &'d [NodeDefinition], visit: &mut impl FnMut(&'d NodeDefinition)) {
    for node in nodes {
        if node.action.id.as_str() == CALL {
            visit(node);
        }
        if let Some(body) = &node.body {
            each_call(&body.nodes, visit);
        }
    }
}

fn each_call_mut(nodes: &mut [NodeDefinition], visit: &mut impl FnMut(&mut NodeDefinition)) {
    for node in nodes {
        if node.action.id.as_str() == CALL {
            visit(node);
        }
        if let Some(body) = &mut node.body {
            each_call_mut(&mut body.nodes, visit);
        }
    }
}

fn target(node: &NodeDefinition) -> Option<CallTarget> {
    match node.parameters.get(WORKFLOW)? {
        ParamValue::Literal(Value::String(text)) => text.parse().ok(),
        _ => None,
    }
}

/// A workflow that names itself without a version means the version that it is.
fn is_itself(target: &CallTarget, own: &WorkflowId) -> bool {
    target.version.is_none() && target.workflow == *own
}

/// What does not run calls nothing.
fn runs(node: &NodeDefinition) -> bool {
    !node.disabled && node.pin.is_none()
}

/// What follows for a node from the workflow that it calls.
#[derive(Debug, Default)]
pub(crate) struct Called {
    pub(crate) call: Option<PlanCall>,
    /// The capabilities that the callee's nodes ask for.
    pub(crate) capabilities: Vec<String>,
    /// The worst that the callee does outside.
    pub(crate) effect: Option<EffectClass>,
}

impl Builder<'_> {
    /// What a node calls; what is wrong with that is reported.
    pub(crate) fn called(&mut self, index: u32, metadata: &ActionMetadata) -> Called {
        let node = self.flat.nodes[index as usize];
        if metadata.kind != ActionKind::Control(ControlKind::Call) || !runs(node) {
            return Called::default();
        }
        let at = format!("{}/parameters", self.flat.pointers[index as usize]);
        let pointer = pointer_join(&at, WORKFLOW);
        let Some(target) = target(node) else {
            if matches!(
                node.parameters.get(WORKFLOW),
                Some(ParamValue::Expression(_) | ParamValue::Template(_))
            ) {
                let message =
                    "`workflow` is computed, and what is called must be known before anything runs";
                let hint = "write the id itself; choose between several with flow.switch";
                let problem = Diagnostic::error(codes::CALL, pointer, message);
                self.diagnostics.push(problem.hint(hint));
            }
            return Called::default();
        };
        let mut call = PlanCall {
            node: index,
            workflow: target.workflow.clone(),
            callee: None,
        };
        if is_itself(&target, &self.definition.id) {
            let schema = self.definition.input.clone().unwrap_or_default();
            self.input_of_call(node, &at, (&target, &schema));
            return Called {
                call: Some(call),
                ..Called::default()
            };
        }
        let callees = self.callees;
        let callee = match callees.get(&target) {
            Ok(callee) => callee,
            Err(miss) => {
                self.diagnostics.push(missing(&target, &miss, pointer));
                return Called::default();
            }
        };
        call.callee = Some(PlanCallee {
            version: callee.plan.version,
            plan: callee.digest,
        });
        self.input_of_call(node, &at, (&target, &callee.plan.input_schema));
        let capabilities = self.capabilities_of_call(node, &pointer, (&target, &callee.plan));
        let effects = callee.plan.nodes.iter().map(|node| node.effect);
        let effect = effects.max();
        let again = node.retry.as_ref().is_some_and(|it| it.max_attempts > 1);
        if again && effect == Some(EffectClass::AtMostOnce) {
            let at = pointer_join(&self.flat.pointers[index as usize], "retry");
            let message =
                format!("each attempt runs all of `{target}` anew, also what it must not do twice");
            let hint = "put `retry` at the nodes of that workflow which may be tried again";
            self.diagnostics
                .push(Diagnostic::lint(codes::CALL, at, message).hint(hint));
        }
        Called {
            call: Some(call),
            capabilities,
            effect,
        }
    }

    /// Reports what is wrong with the input of a call, as far as it is literal.
    fn input_of_call(
        &mut self,
        node: &NodeDefinition,
        at: &str,
        (target, schema): (&CallTarget, &Value),
    ) {
        let Some(given) = node.parameters.get(INPUT) else {
            return;
        };
        // The schema of the callee was checked with it; that of this workflow is reported elsewhere.
        let Ok(compiled) = Schema::compile(schema) else {
            return;
        };
        if schema.is_null() {
            return;
        }
        let mut unknown = Vec::new();
        let known = literals::outline(given, "", false, &mut unknown);
        let known = match unknown.iter().any(String::is_empty) {
            true => return,
            false => with_defaults(schema, known),
        };
        for problem in compiled.check_known(&known, &unknown) {
            let at = format!("{at}/{INPUT}{}", problem.pointer);
            let message = format!("the input of `{target}`: {}", problem.message);
            self.diagnostics
                .push(Diagnostic::error(codes::CALL_INPUT, at, message));
        }
    }

    /// What the nodes of the callee ask for; what depends on its input is asked for only if the
    /// input is literal.
    fn capabilities_of_call(
        &mut self,
        node: &NodeDefinition,
        pointer: &str,
        (target, callee): (&CallTarget, &ExecutionPlan),
    ) -> Vec<String> {
        let mut found: BTreeSet<String> = BTreeSet::new();
        for inner in &callee.nodes {
            found.extend(inner.capabilities.iter().cloned());
        }
        let asking: Vec<&PlanNode> = callee
            .nodes
            .iter()
            .filter(|inner| !inner.requires.is_empty())
            .collect();
        if let Some(ParamValue::Literal(input)) = node.parameters.get(INPUT) {
            let input = with_defaults(&callee.input_schema, input.clone());
            let scope = EvaluationScope::of_input(Arc::new(input));
            let programs = asking.iter().flat_map(|inner| &inner.requires);
            for program in programs {
                // What has no value now is refused when the call is made.
                if let Ok(Some(Value::String(text))) = program.resolve(&scope, &Context::default())
                {
                    found.insert(text);
                }
            }
        } else if !asking.is_empty() && node.requires.is_empty() {
            let names: Vec<_> = asking.iter().map(|it| format!("`{}`", it.id)).collect();
            let message = format!(
                "what {} of `{target}` may touch depends on its input, and nothing is asked for here",
                names.join(", ")
            );
            let hint =
                "write `requires` at this node: what the call may touch; beyond that it is refused";
            self.diagnostics
                .push(Diagnostic::lint(codes::CALL, pointer, message).hint(hint));
        }
        found.into_iter().collect()
    }

    /// What a workflow does outside that calls itself is what its other nodes do.
    pub(crate) fn settle_calls_of_itself(&self, nodes: &mut [PlanNode]) {
        let worst = nodes.iter().map(|node| node.effect).max();
        let own = self.calls.iter().filter(|call| call.callee.is_none());
        for call in own {
            if let (Some(node), Some(worst)) = (nodes.get_mut(call.node as usize), worst) {
                node.effect = worst;
            }
        }
    }
}

fn missing(target: &CallTarget, miss: &CallMiss, pointer: String) -> Diagnostic {
    let workflow = &target.workflow;
    let (message, hint) = match miss {
        CallMiss::Workflow => (
            format!("no workflow `{workflow}` is saved"),
            "save it first: nebula workflows push FILE".to_owned(),
        ),
        CallMiss::Version { latest } => (
            format!("`{workflow}` has no such version as `{target}`"),
            format!("its newest is `{workflow}@{latest}`"),
        ),
        CallMiss::Broken(why) => (
            format!("`{target}` cannot be planned any more: {why}"),
            "correct it, and save it again".to_owned(),
        ),
        CallMiss::TooDeep => (
            format!("more than {MAX_CALL_DEPTH} calls would lead to `{target}`"),
            "call fewer workflows behind each other".to_owned(),
        ),
    };
    Diagnostic::error(codes::CALL, pointer, message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_an_id_with_or_without_a_version() {
        for text in ["invoice", "a.b-c@3", "A1@12"] {
            let target: CallTarget = text.parse().unwrap();
            assert_eq!(target.to_string(), text);
        }
        for bad in [
            "",
            "@1",
            "a@",
            "a@0",
            "a@+1",
            "a@01",
            "a@1@2",
            "a b",
            "a@99999999999",
        ] {
            assert!(bad.parse::<CallTarget>().is_err(), "{bad}");
        }
    }
}
