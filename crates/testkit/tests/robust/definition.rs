//! What must hold for any text that is taken for a definition.

use std::sync::OnceLock;

use nebula_execution::ExecutionPlan;
use nebula_planner::{Callees, PlanSettings, more_problems, plan};
use nebula_registry::Registry;
use nebula_workflow::{
    LocatedDiagnostic, Severity, Source, SourceMap, WorkflowDefinition, parse, render, to_json,
};

fn catalog() -> &'static Registry {
    static CATALOG: OnceLock<Registry> = OnceLock::new();
    CATALOG.get_or_init(|| {
        let mut registry = Registry::default();
        registry.register_all(nebula_actions::all()).unwrap();
        registry
    })
}

/// Any text is a definition or problems that lie in it; what is a definition reads back as itself;
/// and either is planned, or has problems again that can be drawn.
pub(crate) fn definition(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    for name in ["any.yaml", "any.json"] {
        let source = Source::new(name, text.clone());
        let parsed = parse(&source);
        drawn(&parsed.diagnostics, &source, &parsed.map);
        let settings = PlanSettings::default();
        if let Some(rest) = &parsed.rest {
            assert!(is_refused(&parsed.diagnostics), "{text}");
            let callees = Callees::default();
            let known = (catalog() as _, &callees);
            let more = more_problems(rest, known, &settings, &parsed.diagnostics);
            drawn(&more, &source, &parsed.map);
        }
        let Some(definition) = &parsed.definition else {
            assert!(is_refused(&parsed.diagnostics), "{text}");
            continue;
        };
        assert!(!is_refused(&parsed.diagnostics), "{text}");
        reads_back(definition);
        let planned = plan(definition, 1, catalog(), &settings);
        drawn(&planned.diagnostics, &source, &parsed.map);
        assert_eq!(
            planned.plan.is_none(),
            is_refused(&planned.diagnostics),
            "{text}"
        );
        if let Some(plan) = planned.plan {
            let (bytes, digest) = plan.encode();
            let again = ExecutionPlan::decode(&bytes).unwrap();
            assert_eq!(again.encode().1, digest, "{text}");
        }
    }
}

fn is_refused(problems: &[nebula_workflow::Diagnostic]) -> bool {
    problems.iter().any(|it| it.severity == Severity::Error)
}

fn reads_back(definition: &WorkflowDefinition) {
    let json = to_json(definition);
    let source = Source::new("any.json", json.to_string());
    let parsed = parse(&source);
    assert_eq!(parsed.definition.as_ref(), Some(definition), "{json}");
}

/// Problems lie in the text, and drawing them never fails.
fn drawn(problems: &[nebula_workflow::Diagnostic], source: &Source, map: &SourceMap) {
    let located: Vec<LocatedDiagnostic> = map.locate_all(problems, source);
    let lines = source.text.split('\n').count();
    assert_eq!(located.len(), problems.len());
    for problem in located {
        assert!(problem.line <= lines, "{problem:?}");
        assert!(!problem.message.is_empty());
    }
    let _ = render(problems, source, map, false);
}
