//! What the outside has seen, held against what the database says, whichever that is.

use std::collections::{BTreeMap, BTreeSet};

use nebula_action::EffectClass;
use nebula_core::ExecutionId;
use nebula_execution::Status;
use nebula_testkit::simulation::{Arrival, Audit, checks};
use serde_json::Value;

use crate::{Told, ledger::Book, store::Became};

/// Everything that the database has, by id.
pub(crate) type All = BTreeMap<ExecutionId, Became>;

/// Of which workflow the execution with this number is, and which of the inputs it gets.
pub(crate) type Kind = fn(u64) -> (&'static str, u64);

/// What each workflow gives for each input.
pub(crate) type Results = BTreeMap<(String, u64), (Status, Option<Value>)>;

/// What the executions gave that nobody called.
pub(crate) fn results(all: All) -> Results {
    let roots = all.into_values().filter(|became| !became.called);
    roots
        .map(|became| {
            let k = became.input["k"].as_u64().unwrap_or_default();
            ((became.workflow, k), (became.status, became.output))
        })
        .collect()
}

/// Holds database and outside against each other.
pub(crate) fn compare(
    all: &All,
    book: &Book,
    (expected, kind): (&Results, Kind),
    audit: &mut Audit,
) {
    for effect in book.arrivals.iter().filter(|effect| effect.class.writes()) {
        audit.arrived(&Arrival {
            execution: effect.execution,
            node: &effect.node,
            attempt: effect.attempt,
            key: &effect.key,
            class: effect.class,
            input: effect.input,
        });
    }
    for (number, id) in &book.accepted {
        let Some(became) = all.get(id) else {
            audit.complain(checks::NOT_LOST, format!("execution {number}, {id}"));
            continue;
        };
        let (workflow, k) = kind(*number);
        let result = (became.status, became.output.clone());
        let before = expected.get(&(workflow.to_owned(), k));
        if before != Some(&result) {
            let what = format!("{id} of {workflow}: {result:?}, undisturbed {before:?}");
            audit.complain(checks::SAME_RESULT, what);
        }
    }
    for (label, piece) in &book.pieces {
        if piece.keys.len() > 1 {
            let what = format!("`{label}` came under {:?}", piece.keys);
            audit.complain(checks::KEY_STAYS, what);
        }
        if piece.class == Some(EffectClass::Keyed) && piece.applied != 1 {
            let what = format!("`{label}` was done {} times", piece.applied);
            audit.complain(checks::APPLIED_ONCE, what);
        }
        if piece.class == Some(EffectClass::AtMostOnce) && piece.applied > 1 {
            let what = format!("`{label}` was done {} times", piece.applied);
            audit.complain(checks::AT_MOST_ONCE, what);
        }
    }
    let mut numbers = BTreeSet::new();
    for (id, became) in all.iter().filter(|(_, became)| !became.called) {
        let number = &became.input["n"];
        if !number.is_null() && !numbers.insert(number.to_string()) {
            audit.complain(checks::CREATED_ONCE, format!("{id}: number {number}"));
        }
    }
}

/// Adds what was found.
pub(crate) fn tell(all: &All, book: &Book, audit: &Audit, told: &mut Told) {
    told.executions += all.len() as u64;
    told.effects += book.arrivals.len() as u64;
    told.repeats += book.repeats;
    told.looked += book.looked;
    told.count(all.values().flat_map(|became| &became.entries));
    told.violations.extend(book.complaints.iter().cloned());
    told.violations
        .extend(audit.violations().iter().map(ToString::to_string));
}
