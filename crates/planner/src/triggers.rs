//! Triggers: what can be known of them before they start anything.

use nebula_parameter::{CompileScope, ParamProgram};
use nebula_trigger::{Overlap, Timing};
use nebula_workflow::{Diagnostic, TriggerDefinition, WorkflowDefinition, nearest, pointer_join};

use crate::codes;

/// Checks the triggers that go by time, and says of the others that they are not fired yet.
pub(crate) fn check(definition: &WorkflowDefinition, diagnostics: &mut Vec<Diagnostic>) {
    for (index, trigger) in definition.triggers.iter().enumerate() {
        let timing = Timing::read(&trigger.kind, &trigger.rest, &definition.timezone);
        let timing = match timing {
            Some(timing) => timing,
            None => {
                let message = format!(
                    "triggers of the type `{}` are kept, and this version does not fire them",
                    trigger.kind
                );
                diagnostics.push(Diagnostic::lint(
                    codes::TRIGGERS,
                    format!("/triggers/{index}/type"),
                    message,
                ));
                continue;
            }
        };
        input(trigger, index, diagnostics);
        if let Ok(timing) = &timing
            && timing.overlap == Overlap::Queue
            && definition.admission.is_some()
        {
            let message = "`overlap: queue` waits for the last execution of this trigger, and `admission` has its own queue";
            let pointer = format!("/triggers/{index}/overlap");
            let problem = Diagnostic::error(codes::TRIGGER, pointer, message);
            diagnostics
                .push(problem.hint("leave `overlap` out: `admission` says how many run at a time"));
        }
        for error in timing.err().into_iter().flatten() {
            let pointer = format!("/triggers/{index}");
            let pointer = match trigger.rest.contains_key(&error.field) {
                true => pointer_join(&pointer, &error.field),
                false => pointer,
            };
            let message = format!("`{}`: {}", error.field, error.message);
            let problem = Diagnostic::error(codes::TRIGGER, pointer, message);
            diagnostics.push(match nearest(&error.field, error.known.iter().copied()) {
                near @ Some(_) => problem.did_you_mean(near),
                None if error.known.is_empty() => problem,
                None => problem.hint(format!("it has {}", error.known.join(", "))),
            });
        }
    }
}

/// Checks the expressions of a trigger's `input`, which see what started it and no node.
fn input(trigger: &TriggerDefinition, index: usize, diagnostics: &mut Vec<Diagnostic>) {
    let Some(input) = &trigger.input else { return };
    let scope = CompileScope {
        nodes: Some(&[]),
        ..CompileScope::default()
    };
    for problem in ParamProgram::compile(input, &scope)
        .err()
        .into_iter()
        .flatten()
    {
        let pointer = format!("/triggers/{index}/input{}", problem.pointer);
        let found = Diagnostic::error(codes::TRIGGER, pointer, problem.error.message.clone());
        diagnostics.push(match problem.error.hint {
            Some(hint) => found.hint(hint),
            None => found,
        });
    }
}
