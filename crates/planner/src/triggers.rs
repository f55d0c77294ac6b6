//! Triggers: what can be known of them before they start anything.

use nebula_trigger::Timing;
use nebula_workflow::{Diagnostic, WorkflowDefinition, nearest, pointer_join};

use crate::codes;

/// Checks the triggers that go by time, and says that none is fired yet.
pub(crate) fn check(definition: &WorkflowDefinition, diagnostics: &mut Vec<Diagnostic>) {
    for (index, trigger) in definition.triggers.iter().enumerate() {
        let timing = Timing::read(&trigger.kind, &trigger.rest, &definition.timezone);
        for error in timing.and_then(Result::err).into_iter().flatten() {
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
    if !definition.triggers.is_empty() {
        diagnostics.push(Diagnostic::lint(
            codes::TRIGGERS,
            "/triggers",
            "triggers are kept, and this version does not fire them; start it with `nebula run`",
        ));
    }
}
