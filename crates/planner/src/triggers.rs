//! Triggers: what can be known of them before they start anything.

use nebula_action::{ActionKind, Catalog};
use nebula_parameter::{CompileScope, ExpressionProblem, ParamProgram, compile_expression};
use nebula_trigger::{
    CursorBy, FieldError, FileWatch, Intake, Listening, Overlap, Poll, Queue, Respond, Timing,
    Webhook, check_form,
};
use nebula_validator::{Schema, with_defaults};
use nebula_workflow::{
    Diagnostic, NodeDefinition, TriggerDefinition, WorkflowDefinition, nearest, pointer_join,
};

use crate::{PlanSettings, codes, literals};

/// The action that answers whoever called.
const RESPOND: &str = "flow.respond";

/// Checks the triggers, and says of those of other types that they are not fired yet.
pub(crate) fn check(
    definition: &WorkflowDefinition,
    (catalog, settings): (&dyn Catalog, &PlanSettings),
    diagnostics: &mut Vec<Diagnostic>,
) {
    for (index, trigger) in definition.triggers.iter().enumerate() {
        let pointer = format!("/triggers/{index}");
        let (kind, fields) = (&trigger.kind, &trigger.rest);
        if let Some(timing) = Timing::read(kind, fields, &definition.timezone) {
            input(definition, trigger, &pointer, diagnostics);
            if let Ok(timing) = &timing {
                overlap(definition, timing, &pointer, diagnostics);
            }
            wrong(trigger, timing.err(), &pointer, diagnostics);
        } else if let Some(hook) = Webhook::read(kind, fields) {
            input(definition, trigger, &pointer, diagnostics);
            if let Ok(hook) = &hook {
                called(hook, &pointer, diagnostics);
                if hook.form.is_some()
                    && let Err(message) = check_form(definition.input.as_ref())
                {
                    let pointer = format!("{pointer}/type");
                    let problem = Diagnostic::error(codes::TRIGGER, pointer, message);
                    diagnostics.push(
                        problem.hint(
                            "a form shows a field for each property of the workflow's `input`",
                        ),
                    );
                }
                answered(definition, hook, &pointer, diagnostics);
            }
            wrong(trigger, hook.err(), &pointer, diagnostics);
        } else if let Some(listening) = Listening::read(kind, fields) {
            input(definition, trigger, &pointer, diagnostics);
            if let Ok(listening) = &listening {
                takes(definition, &listening.intake, &pointer, diagnostics);
            }
            wrong(trigger, listening.err(), &pointer, diagnostics);
        } else if let Some(watch) = FileWatch::read(kind, fields) {
            input(definition, trigger, &pointer, diagnostics);
            if let Ok(watch) = &watch {
                takes(definition, &watch.intake, &pointer, diagnostics);
            }
            wrong(trigger, watch.err(), &pointer, diagnostics);
        } else if let Some(queue) = Queue::read(kind, fields) {
            input(definition, trigger, &pointer, diagnostics);
            if let Ok(queue) = &queue {
                takes(definition, &queue.intake, &pointer, diagnostics);
                bare([("dedupe", &queue.dedupe)], &pointer, diagnostics);
            }
            wrong(trigger, queue.err(), &pointer, diagnostics);
        } else if let Some(poll) = Poll::read(kind, fields) {
            input(definition, trigger, &pointer, diagnostics);
            if let Ok(poll) = &poll {
                takes(definition, &poll.intake, &pointer, diagnostics);
                let (by_key, by_time) = match &poll.cursor {
                    CursorBy::Key(key) => (Some(key.clone()), None),
                    CursorBy::Time(time) => (None, Some(time.clone())),
                    CursorBy::Whole => (None, None),
                };
                bare([("items", &poll.items)], &pointer, diagnostics);
                let all = [("cursor/key", &by_key), ("cursor/time", &by_time)];
                bare(all, &pointer, diagnostics);
                looks(definition, poll, (catalog, settings), &pointer, diagnostics);
            }
            wrong(trigger, poll.err(), &pointer, diagnostics);
        } else {
            let message = format!(
                "triggers of the type `{kind}` are kept, and this version does not fire them"
            );
            let pointer = format!("{pointer}/type");
            diagnostics.push(Diagnostic::lint(codes::TRIGGERS, pointer, message));
        }
    }
}

/// Two queues would wait for each other.
fn overlap(
    definition: &WorkflowDefinition,
    timing: &Timing,
    pointer: &str,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if timing.overlap == Overlap::Queue && definition.admission.is_some() {
        let message = "`overlap: queue` waits for the last execution of this trigger, and `admission` has its own queue";
        let problem = Diagnostic::error(codes::TRIGGER, format!("{pointer}/overlap"), message);
        diagnostics
            .push(problem.hint("leave `overlap` out: `admission` says how many run at a time"));
    }
}

/// The bare expressions of a trigger.
fn bare<const N: usize>(
    all: [(&str, &Option<String>); N],
    pointer: &str,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for (field, source) in all {
        if let Some(source) = source {
            let found = compile_expression(source, 0, "", &scope()).err();
            expressions(found, &format!("{pointer}/{field}"), diagnostics);
        }
    }
}

/// The expressions of a trigger that something comes to, and its turns.
fn takes(
    definition: &WorkflowDefinition,
    intake: &Intake,
    pointer: &str,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let all = [("filter", &intake.filter), ("key", &intake.key)];
    bare(all, pointer, diagnostics);
    if intake.key.is_some() && definition.admission.is_some() {
        let message =
            "`key` lets executions wait for each other, and `admission` has its own queue";
        let problem = Diagnostic::error(codes::TRIGGER, format!("{pointer}/key"), message);
        diagnostics.push(problem.hint(
            "leave `key` out, and give `admission` the key: it may read what `input` of the trigger builds",
        ));
    }
}

/// What a trigger looks with: a plan of its own, of one node that changes nothing.
fn looks(
    definition: &WorkflowDefinition,
    poll: &Poll,
    (catalog, settings): (&dyn Catalog, &PlanSettings),
    pointer: &str,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let pointer = format!("{pointer}/look");
    let workflow = poll.workflow(definition.id.as_str(), &definition.timezone);
    let (plan, found) = match WorkflowDefinition::from_json(&workflow) {
        Ok(look) => {
            let planned = crate::plan(&look, 0, catalog, settings);
            (planned.plan, planned.diagnostics)
        }
        Err(found) => (None, found),
    };
    for mut problem in found {
        let within = problem.pointer.strip_prefix("/nodes/0").unwrap_or_default();
        problem.pointer = format!("{pointer}{within}");
        diagnostics.push(problem);
    }
    let Some(node) = plan.as_ref().and_then(|plan| plan.nodes.first()) else {
        return;
    };
    let at = format!("{pointer}/action");
    if let ActionKind::Control(_) = node.kind {
        let message = format!(
            "`{}` steers an execution, and looks at nothing",
            node.action
        );
        let problem = Diagnostic::error(codes::TRIGGER, at, message);
        diagnostics.push(problem.hint("an action that reads, like http.request or file.list"));
    } else if node.effect.writes() {
        let effect = node.effect.as_str();
        let message = format!(
            "`{}` is {effect} with these parameters, and a look changes nothing",
            node.action
        );
        let problem = Diagnostic::error(codes::TRIGGER, at, message);
        let hint =
            "an action that reads; of http.request that is a GET, which a literal `method` says";
        diagnostics.push(problem.hint(hint));
    }
}

/// The expressions and the schema of a webhook.
fn called(hook: &Webhook, pointer: &str, diagnostics: &mut Vec<Diagnostic>) {
    let all = [("filter", &hook.filter), ("dedupe", &hook.dedupe)];
    bare(all, pointer, diagnostics);
    if let Some(Err(error)) = hook.body_schema.as_ref().map(Schema::compile) {
        let message = format!("`body_schema` is no schema: {error}");
        let pointer = format!("{pointer}/body_schema");
        diagnostics.push(Diagnostic::error(codes::TRIGGER, pointer, message));
    }
}

/// Nobody would answer.
fn answered(
    definition: &WorkflowDefinition,
    hook: &Webhook,
    pointer: &str,
    diagnostics: &mut Vec<Diagnostic>,
) {
    fn responds(nodes: &[NodeDefinition]) -> bool {
        nodes.iter().any(|node| {
            let body = node.body.as_ref();
            node.action.id.as_str() == RESPOND || body.is_some_and(|body| responds(&body.nodes))
        })
    }
    let waits = matches!(hook.respond, Respond::RespondNode | Respond::Stream);
    if waits && !responds(&definition.nodes) {
        let message =
            format!("no node of the workflow is a `{RESPOND}`, which this trigger waits for");
        let problem = Diagnostic::error(codes::TRIGGER, format!("{pointer}/respond"), message);
        diagnostics.push(problem.hint("add one, or write `respond: last_node`"));
    }
}

fn wrong(
    trigger: &TriggerDefinition,
    errors: Option<Vec<FieldError>>,
    pointer: &str,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for error in errors.into_iter().flatten() {
        let pointer = match trigger.rest.contains_key(&error.field) {
            true => pointer_join(pointer, &error.field),
            false => pointer.to_owned(),
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

/// What the expressions of a trigger see: what started it, and no node.
fn scope() -> CompileScope<'static> {
    CompileScope {
        nodes: Some(&[]),
        ..CompileScope::default()
    }
}

fn expressions(
    problems: Option<Vec<ExpressionProblem>>,
    pointer: &str,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for problem in problems.into_iter().flatten() {
        let pointer = format!("{pointer}{}", problem.pointer);
        let found = Diagnostic::error(codes::TRIGGER, pointer, problem.error.message.clone());
        diagnostics.push(match problem.error.hint {
            Some(hint) => found.hint(hint),
            None => found,
        });
    }
}

/// Checks the expressions of a trigger's `input`, and what is literal in it against the workflow's schema.
fn input(
    definition: &WorkflowDefinition,
    trigger: &TriggerDefinition,
    pointer: &str,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(input) = &trigger.input else { return };
    let pointer = format!("{pointer}/input");
    let problems = ParamProgram::compile(input, &scope()).err();
    expressions(problems, &pointer, diagnostics);
    let Some(schema) = &definition.input else {
        return;
    };
    // What is wrong with the schema is reported where it stands.
    let Ok(compiled) = Schema::compile(schema) else {
        return;
    };
    let mut unknown = Vec::new();
    let known = literals::outline(input, "", false, &mut unknown);
    if unknown.iter().any(String::is_empty) {
        return;
    }
    let known = with_defaults(schema, known);
    for problem in compiled.check_known(&known, &unknown) {
        let at = format!("{pointer}{}", problem.pointer);
        let message = format!("the input of the workflow: {}", problem.message);
        diagnostics.push(Diagnostic::error(codes::TRIGGER, at, message));
    }
}
