//! What a server says of a definition: it has its own actions, and knows the workflows that are called.

use std::path::Path;

use http::Method;
use nebula_execution::ExecutionPlan;
use nebula_runbook::parse;
use nebula_workflow::{LocatedDiagnostic, Source, WorkflowDefinition};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    definition::invalid_by,
    failure::Failure,
    server::{Ask, Server, drawn, kind_of},
};

/// A definition that can run there.
#[derive(Debug)]
pub(crate) struct CheckedThere {
    pub(crate) definition: WorkflowDefinition,
    pub(crate) plan: ExecutionPlan,
    /// Warnings and lints, with their places.
    pub(crate) remarks: Vec<LocatedDiagnostic>,
}

#[derive(Debug, Deserialize)]
struct Answered {
    valid: bool,
    diagnostics: Vec<LocatedDiagnostic>,
    #[serde(default)]
    plan: Option<Box<RawValue>>,
}

/// Has a server check and plan a definition; nothing is saved. `path` is what it is called here.
pub(crate) async fn check_there(
    source: &Source,
    path: &Path,
    server: &Server,
) -> Result<CheckedThere, Failure> {
    let definition = parse(source).definition;
    let mut ask = Ask::new(Method::POST).at(["definitions", "check"]);
    ask = ask.with("plan", "true");
    if let Some(definition) = &definition {
        ask = ask.with("name", definition.id.to_string());
    }
    let ask = ask.body(kind_of(source.format), source.text.as_bytes().to_vec());
    let mut answered: Answered = server.get(ask).await?;
    for problem in &mut answered.diagnostics {
        problem.file = path.display().to_string();
    }
    let remarks = answered.diagnostics;
    if !answered.valid {
        let failure = invalid_by(path, remarks.iter().map(|it| it.severity));
        let drawn = drawn(&remarks);
        return Err(failure.diagnostics(remarks, drawn));
    }
    let plan = answered
        .plan
        .map(|it| ExecutionPlan::decode(it.get().as_bytes()));
    let (Some(definition), Some(Ok(plan))) = (definition, plan) else {
        let message = "the server plans what this program cannot read";
        return Err(Failure::environment("SERVER_ANSWER", message)
            .advice("check that program and server have the same version"));
    };
    Ok(CheckedThere {
        definition,
        plan,
        remarks,
    })
}
