//! A test of the tests: a model that lacks a guard fails every rule that names it.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use nebula_testkit::{ExecutionGuard, MemoryExecutionRepo, execution_repo};

/// Runs `rules` of the suite and gives back those that hold.
fn holding(rules: &[&'static str], mut holds: impl FnMut(&str)) -> Vec<&'static str> {
    let passed = rules
        .iter()
        .filter(|rule| catch_unwind(AssertUnwindSafe(|| holds(rule))).is_ok());
    passed.copied().collect()
}

/// Each rule is named by a guard, and each guard names rules.
fn named<'a>(
    rules: impl Iterator<Item = &'a str>,
    by: impl Iterator<Item = &'static [&'static str]>,
) {
    let rules: BTreeSet<_> = rules.collect();
    let by: BTreeSet<_> = by.flatten().copied().collect();
    assert_eq!(rules, by);
}

#[test]
fn every_rule_of_the_execution_repo_fails_without_its_guard() {
    let rules = execution_repo::RULES;
    named(
        rules.iter().map(|(name, _)| *name),
        ExecutionGuard::ALL.iter().map(|guard| guard.rules()),
    );
    let mut blind = Vec::new();
    for guard in ExecutionGuard::ALL {
        let held = holding(guard.rules(), |name| {
            let (_, rule) = rules
                .iter()
                .find(|(other, _)| *other == name)
                .expect("a rule of the suite");
            execution_repo::check(
                |clock| async move { Arc::new(MemoryExecutionRepo::without(clock, *guard)) as Arc<_> },
                *rule,
            );
        });
        blind.extend(
            held.into_iter()
                .map(|rule| format!("{rule} does not see that {guard:?} is gone")),
        );
    }
    assert!(blind.is_empty(), "{}", blind.join("\n"));
}
