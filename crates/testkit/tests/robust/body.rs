//! What must hold for any bytes at all that a user, a file or a database hands in: the bodies of fuzz
//! targets, which the test beside this drives with a seed.

use std::sync::{Arc, OnceLock};

use nebula_core::{ExecutionId, ParamValue, TenantId};
use nebula_execution::{ExecutionPlan, Machine, decode, encode};
use nebula_planner::{Callees, PlanSettings, more_problems, plan};
use nebula_registry::Registry;
use nebula_workflow::{
    LocatedDiagnostic, Severity, Source, SourceMap, WorkflowDefinition, parse, render, to_json,
};
use serde_json::Value;

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

/// A parameter is told apart once, and what was written can be read from it.
pub(crate) fn parameter(bytes: &[u8]) {
    let Ok(written) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    match ParamValue::parse(&written) {
        Ok(value) => {
            let json = value.to_json();
            let again = ParamValue::parse(&json).map(|again| again.to_json());
            assert_eq!(again.as_ref(), Ok(&json), "{written}");
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                let found = written.pointer(error.pointer()).and_then(Value::as_str);
                let found = found.expect("it lies in a string");
                assert!(found.is_char_boundary(error.at()), "{error:?}");
            }
        }
    }
}

/// Any bytes are a batch of a journal or damage; a batch that was read is written as it reads.
pub(crate) fn journal(bytes: &[u8]) {
    if let Ok(entries) = decode(bytes) {
        let again = encode(&entries);
        assert_eq!(decode(&again).unwrap(), entries);
    }
}

/// Any bytes are a plan or damage, and so is a snapshot of a state over one of its nodes.
pub(crate) fn stored_plan(bytes: &[u8]) {
    if let Ok(plan) = ExecutionPlan::decode(bytes) {
        let (again, digest) = plan.encode();
        let again = ExecutionPlan::decode(&again).unwrap();
        assert_eq!(again.encode().1, digest);
    }
}

/// The plan of the fixture, which is small.
pub(crate) fn plan_of_fixture() -> &'static Arc<ExecutionPlan> {
    static PLAN: OnceLock<Arc<ExecutionPlan>> = OnceLock::new();
    let bytes = include_bytes!("../../../execution/tests/fixtures/plan-v1.json");
    PLAN.get_or_init(|| Arc::new(ExecutionPlan::decode(bytes).expect("a fixture is read")))
}

/// Any bytes are a snapshot over this plan, or damage.
pub(crate) fn snapshot(bytes: &[u8], plan: &Arc<ExecutionPlan>) {
    let id = ExecutionId::from_bytes([7; 16]);
    if let Ok(machine) = Machine::restore(plan.clone(), TenantId::local(), id, bytes) {
        let again = machine.snapshot();
        assert!(Machine::restore(plan.clone(), TenantId::local(), id, &again).is_ok());
    }
}
