//! More problems of a definition that has some already.

use nebula_action::Catalog;
use nebula_workflow::{Diagnostic, WorkflowDefinition};

use crate::{Callees, PlanSettings, codes, plan_calling};

/// Codes that depend on the shape of the whole: where a part could not be read, they could be
/// about a workflow that nobody wrote.
const SHAPED: &[&str] = &[
    codes::UNEQUAL_RATES,
    codes::RATE_LIMIT,
    codes::JOIN_COUNT,
    codes::NOT_UPSTREAM,
    codes::NOT_CERTAIN,
    codes::SEVERAL_INPUTS,
];

/// What planning finds wrong with what could be read of a definition, beside the problems that are
/// known of it: so that an author sees everything at once, and nothing that follows from the rest.
#[must_use]
pub fn more_problems(
    rest: &WorkflowDefinition,
    (catalog, callees): (&dyn Catalog, &Callees),
    settings: &PlanSettings,
    known: &[Diagnostic],
) -> Vec<Diagnostic> {
    let ids = known
        .iter()
        .any(|problem| is_about_ids(&problem.pointer) || problem.code == "WORKFLOW_MISSING_FIELD");
    let inside = |pointer: &str| {
        known
            .iter()
            .any(|problem| problem.pointer.starts_with(pointer))
    };
    let mut found = plan_calling(rest, 0, (catalog, callees), settings).diagnostics;
    found.retain(|problem| {
        let follows = SHAPED.contains(&problem.code)
            || (problem.code == "NAME_UNKNOWN_NODE" && ids)
            || (problem.code == codes::PARAMETER && inside(parameters_of(&problem.pointer)));
        !follows && !known.iter().any(|other| other.pointer == problem.pointer)
    });
    found
}

fn is_about_ids(pointer: &str) -> bool {
    pointer.ends_with("/id") || !pointer.starts_with("/nodes/") && pointer.starts_with("/nodes")
}

/// `/nodes/3/parameters` of `/nodes/3/parameters/x/y`, also where the node stands in bodies.
fn parameters_of(pointer: &str) -> &str {
    let mut at = 0;
    for word in pointer.split_inclusive('/') {
        at += word.len();
        if word.trim_end_matches('/') == "parameters" {
            return pointer[..at].trim_end_matches('/');
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart() {
        assert_eq!(
            parameters_of("/nodes/3/parameters/x/y"),
            "/nodes/3/parameters"
        );
        assert_eq!(parameters_of("/nodes/3"), "/nodes/3");
        assert_eq!(
            parameters_of("/nodes/3/body/nodes/0/parameters/x"),
            "/nodes/3/body/nodes/0/parameters"
        );
        assert!(is_about_ids("/nodes/0/id"));
        assert!(is_about_ids("/nodes"));
        assert!(!is_about_ids("/nodes/0/action"));
    }
}
