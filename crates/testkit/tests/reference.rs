//! The reference workflows over the in-memory models: whatever dies when, the same comes of them.

use std::sync::Arc;

use nebula_action::ActionKind;
use nebula_testkit::{
    MemoryExecutionRepo, MemoryWorkflowRepo,
    reference::{self, Reference},
};

/// Every so many calls of a workflow are looked at here; `cargo xtask simulate --deaths`, which is
/// compiled for speed, looks at all.
const EACH: usize = 7;

#[test]
#[expect(
    clippy::print_stdout,
    reason = "how many lives there were is worth knowing"
)]
fn whatever_dies_when_the_same_comes_of_every_reference_workflow() {
    let survived = reference::survive(EACH, |clock| async move {
        (
            Arc::new(MemoryExecutionRepo::new(clock.clone())) as Arc<_>,
            Arc::new(MemoryWorkflowRepo::new(clock)) as Arc<_>,
        )
    });
    let lives: usize = survived.lives.values().sum();
    println!("{} workflows, {lives} lives", survived.lives.len());
    assert_eq!(survived.wrong, Vec::<&str>::new());
}

/// What the reference workflows must have between them, beside every control action.
const FORMS: &[&str] = &[
    "join: any",
    "join: all",
    "join: each",
    "rest: absorb",
    "rest: block",
    "rest: cancel",
    "loop: true",
    "max_rounds: ",
    "for_each: ",
    "each_item: true",
    "range: ",
    "on_item_error: continue",
    "on_item_error: collect",
    "complete_when: ",
    "more: vote",
    "on_error: continue",
    ".error -> ",
    "on_indeterminate: fail",
    "on_indeterminate: retry",
    "idempotency_key: ",
    "retry: ",
    "backoff: exponential",
    "jitter: full",
    "timeout: ",
    "heartbeat_timeout: ",
    "lock_timeout: ",
    "scope: execution",
    "permits: ",
    "compensate: {",
    "compensate: true",
    "catch: ",
    "finally: ",
    "quorum: ",
    "expires: ",
    "default: reject",
    "sign.defer -> ",
    "keep: false",
    "until: ",
    "wait: false",
    "execution: true",
    "admission: ",
    "rate_limit: ",
    "priority: ",
    "limits: ",
    "disabled: true",
    "pin: ",
    "when: ",
    "condition: ",
    "people: pause",
    "people: cancel",
    "people: retry",
    "people: restart",
];

#[test]
fn every_construct_is_in_a_reference_workflow() {
    let texts = reference::ALL.iter().flat_map(Reference::definitions);
    let texts: Vec<_> = texts.collect();
    let has = |form: &str| texts.iter().any(|text| text.contains(form));
    let actions = nebula_actions::all();
    let control = actions.iter().map(|action| action.metadata());
    let control = control.filter(|it| matches!(it.kind, ActionKind::Control(_)));
    let mut missing: Vec<_> = control
        .map(|it| format!("action: {},", it.id))
        .filter(|form| !has(form) && !has(&form.replace(',', "\n")))
        .collect();
    let forms = FORMS.iter().filter(|form| !has(form));
    missing.extend(forms.map(|form| (*form).to_owned()));
    assert_eq!(
        missing,
        Vec::<String>::new(),
        "no reference workflow has it"
    );
    assert!(reference::ALL.len() >= 25);
}
