//! What undoes the effect of a node.

use nebula_action::{ActionKind, ActionMetadata, Catalog, EffectClass};
use nebula_core::ParamValue;
use nebula_execution::PlanCompensation;
use nebula_parameter::Parameters;
use nebula_workflow::{Compensation, Diagnostic, NodeDefinition, pointer_join};
use serde_json::Value;

use crate::{
    build::{Builder, Checks},
    capabilities, codes, credentials,
    expressions::{self, Place},
    literals, lookup,
    nodes::with_defaults,
};

impl Builder<'_> {
    /// Compiles the compensation of a node; `None` if it has none, or a problem, which is reported.
    pub(crate) fn compensation(
        &mut self,
        node: u32,
        own: Option<&ActionMetadata>,
        catalog: &dyn Catalog,
        checks: Checks<'_>,
    ) -> Option<PlanCompensation> {
        let definition = self.flat.nodes[node as usize];
        let written = definition.compensate.as_ref()?;
        let at = pointer_join(&self.flat.pointers[node as usize], "compensate");
        let before = self.diagnostics.len();
        if let Some(own) = own {
            self.undoes_something(definition, own, &at);
        }
        let pointer = pointer_join(&at, "action");
        let metadata = lookup::metadata(catalog, &written.action, &pointer);
        let metadata = metadata.map_err(|problem| self.diagnostics.push(*problem));
        let metadata = metadata.ok()?;
        self.can_undo(metadata, &pointer);
        let parameters = with_defaults(&written.parameters, &metadata.defaults);
        let compiled = self.undoing_parameters(node, &parameters, metadata, &at, checks);
        let effect = metadata
            .effect
            .class(|name| literals::known(&parameters, name));
        if !effect.writes() && metadata.kind == ActionKind::Code {
            let message = format!(
                "`{}` changes nothing outside, so it undoes nothing",
                metadata.id
            );
            self.diagnostics.push(
                Diagnostic::lint(codes::COMPENSATE_POINTLESS, pointer, message)
                    .hint("name an action that takes the effect back"),
            );
        }
        let (asks, required) = (&written.parameters, &written.requires);
        let asked = (asks, required.as_slice());
        let wanted =
            capabilities::wanted(asked, &at, metadata, checks.scope, &mut self.diagnostics);
        let slots = &mut self.diagnostics;
        let credentials = credentials::filled(&written.credentials, metadata, true, &at, slots);
        if self.diagnostics[before..].iter().any(Diagnostic::is_error) {
            return None;
        }
        let mut wanted = wanted;
        credentials::imply(&credentials, &mut wanted.literal);
        let planned = self.planned(written, metadata, effect, compiled?, wanted);
        Some(PlanCompensation {
            credentials,
            ..planned
        })
    }

    fn planned(
        &self,
        written: &Compensation,
        metadata: &ActionMetadata,
        effect: EffectClass,
        parameters: Parameters,
        wanted: capabilities::Wanted,
    ) -> PlanCompensation {
        PlanCompensation {
            action: metadata.id.clone(),
            version: metadata.version,
            effect,
            reconciles: metadata.reconciles,
            parameters,
            retry: written.retry.clone().unwrap_or_default(),
            timeout: written
                .timeout
                .or(metadata.timeout)
                .unwrap_or(self.settings.attempt_timeout),
            capabilities: wanted.literal,
            requires: wanted.dynamic,
            credentials: Vec::new(),
        }
    }

    /// Reports a compensation of a node that has nothing to undo.
    fn undoes_something(&mut self, node: &NodeDefinition, own: &ActionMetadata, at: &str) {
        let id = &node.id;
        if own.kind != ActionKind::Code {
            let message = format!(
                "`{}` has no effect of its own, so `{id}` has nothing to undo",
                own.id
            );
            self.diagnostics.push(
                Diagnostic::error(codes::COMPENSATE, at, message)
                    .hint("write `compensate` at the nodes that act: in its body, or before it"),
            );
            return;
        }
        let written = with_defaults(&node.parameters, &own.defaults);
        let effect = own.effect.class(|name| literals::known(&written, name));
        let inert = node.disabled || node.pin.is_some();
        if !effect.writes() && !inert {
            let message = format!(
                "`{}` changes nothing outside, and what undoes `{id}` would run all the same",
                own.id
            );
            self.diagnostics.push(
                Diagnostic::lint(codes::COMPENSATE_POINTLESS, at, message)
                    .hint("leave `compensate` out, or write it at the node that acts"),
            );
        }
    }

    /// Reports an action that cannot undo anything.
    fn can_undo(&mut self, metadata: &ActionMetadata, pointer: &str) {
        let problem = match metadata.kind {
            ActionKind::Control(_) => "is carried out by the engine itself",
            // Such a program would be asked when what it reads may be gone.
            ActionKind::Code if !metadata.expressions.is_empty() => {
                "takes expressions that it evaluates itself"
            }
            ActionKind::Code => return,
        };
        let message = format!("`{}` cannot undo anything: it {problem}", metadata.id);
        let hint = "name an action that does something outside, such as `file.write`";
        let problem = Diagnostic::error(codes::COMPENSATE, pointer, message);
        self.diagnostics.push(problem.hint(hint));
    }

    fn undoing_parameters(
        &mut self,
        node: u32,
        written: &indexmap::IndexMap<String, ParamValue>,
        metadata: &ActionMetadata,
        at: &str,
        checks: Checks<'_>,
    ) -> Option<Parameters> {
        let at = pointer_join(at, "parameters");
        let diagnostics = &mut self.diagnostics;
        literals::check(written, metadata, &at, &mut self.schemas, diagnostics);
        let parameters = match Parameters::compile(written, &[], checks.scope) {
            Ok(parameters) => parameters,
            Err(problems) => {
                let problems = problems.iter();
                diagnostics.extend(problems.map(|problem| expressions::diagnostic(problem, &at)));
                return None;
            }
        };
        let definition = self.flat.nodes[node as usize];
        let item = definition.for_each.is_some() || definition.each_item;
        let place = Place::Compensation { node, item };
        for (name, program) in &parameters.resolved {
            program.each_use(&pointer_join("", name), &mut |found| {
                checks.reads.check(place, &found, &at, diagnostics);
            });
        }
        Some(parameters)
    }

    /// Whether a run of this body that fails is undone before its failure is handled.
    pub(crate) fn compensates(&mut self, owner: u32) -> bool {
        let parameter = self.flat.nodes[owner as usize].parameters.get(COMPENSATE);
        match parameter {
            None => false,
            Some(ParamValue::Literal(Value::Bool(compensates))) => *compensates,
            // What is no boolean, the schema refuses.
            Some(ParamValue::Literal(_)) => false,
            Some(_) => {
                let pointer = &self.flat.pointers[owner as usize];
                let at = format!("{pointer}/parameters/{COMPENSATE}");
                let message =
                    "`compensate` is settled when the plan is made: it cannot be computed";
                self.diagnostics.push(
                    Diagnostic::error(codes::PARAMETER, at, message)
                        .hint("write `true` or `false`"),
                );
                false
            }
        }
    }
}

/// The parameter of `flow.try` that says whether its body is undone.
const COMPENSATE: &str = "compensate";
