//! Definitions that come in requests: read, checked, planned; nothing is saved.

use axum::{
    Json,
    extract::{Request, State},
};
use http::StatusCode;
use nebula_core::WorkflowId;
use nebula_execution::ExecutionPlan;
use nebula_identity::Permission;
use nebula_planner::{CallMiss, calls};
use nebula_runbook::parse;
use nebula_workflow::{Diagnostic, LocatedDiagnostic, Parsed, Source, check_size};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    access::Caller,
    api::{Inner, Shared},
    extract::{Asked, media_type, unsupported, whole},
    problem::Problem,
};

/// A definition that came in a request.
pub(crate) struct Received {
    pub(crate) source: Source,
    pub(crate) parsed: Parsed,
}

/// Reads a definition; `name` is what its file would be called.
pub(crate) async fn receive(
    request: Request,
    name: &str,
    shared: &Shared,
) -> Result<Received, Problem> {
    let kind = media_type(request.headers());
    let name = match kind.as_deref() {
        Some("application/json") => format!("{name}.json"),
        Some("application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml") => {
            format!("{name}.yaml")
        }
        other => return Err(unsupported(other, "application/yaml or application/json")),
    };
    let bytes = whole(request, shared).await?;
    if let Some(problem) = check_size(bytes.len() as u64) {
        let source = Source::new(name, "");
        return Err(invalid(&[problem], &source, &parse(&source)));
    }
    let text = String::from_utf8(bytes.into()).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = format!("the definition is not UTF-8: byte {at} is part of no character");
        Problem::bad("DEFINITION_NOT_UTF8", message)
    })?;
    let source = Source::new(name, text);
    let parsed = parse(&source);
    Ok(Received { source, parsed })
}

pub(crate) fn invalid(diagnostics: &[Diagnostic], source: &Source, parsed: &Parsed) -> Problem {
    let errors = diagnostics.iter().filter(|it| it.is_error()).count();
    let s = if errors == 1 { "" } else { "s" };
    let message = format!("the definition has {errors} error{s}; nothing was saved");
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "DEFINITION_INVALID",
        message,
    )
    .hint("correct what `diagnostics` lists")
    .located(parsed.map.locate_all(diagnostics, source))
}

impl Received {
    /// Everything that is to say about it, as an editor wants it.
    ///
    /// It calls what the caller may start; other workflows are to them as if they were not there.
    pub(crate) async fn diagnostics(
        &self,
        shared: &Inner,
        by: &Caller,
    ) -> Result<Vec<Diagnostic>, Problem> {
        Ok(self.planned(shared, by).await?.0)
    }

    /// The same, and the plan if there is one.
    async fn planned(
        &self,
        shared: &Inner,
        by: &Caller,
    ) -> Result<(Vec<Diagnostic>, Option<ExecutionPlan>), Problem> {
        let (engine, parsed) = (shared.nebula.engine(), &self.parsed);
        let mut all = parsed.diagnostics.clone();
        let Some(read) = parsed.definition.as_ref().or(parsed.rest.as_ref()) else {
            return Ok((all, None));
        };
        let mut callees = engine.callees(by.tenant(), read).await?;
        for target in calls(read) {
            let permission = Permission::ExecutionsStart;
            if !by.reaches(shared, &target.workflow, permission).await? {
                callees.insert(target, Err(CallMiss::Workflow));
            }
        }
        if let Some(rest) = &parsed.rest {
            let more = engine.more_problems(rest, &callees, &all);
            all.extend(more);
        }
        let mut plan = None;
        if let Some(definition) = &parsed.definition {
            let planned = engine.check(definition, &callees);
            all.extend(planned.diagnostics);
            plan = planned.plan;
        }
        Ok((all, plan))
    }

    pub(crate) fn located(&self, diagnostics: &[Diagnostic]) -> Vec<LocatedDiagnostic> {
        self.parsed.map.locate_all(diagnostics, &self.source)
    }
}

/// What is to say about a definition.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Checked {
    /// Whether it could be saved and run.
    valid: bool,
    /// Every problem, each with its place.
    #[schema(value_type = Vec<Object>)]
    diagnostics: Vec<LocatedDiagnostic>,
    /// What would run, in the form in which this version of the server stores plans, if it was asked for and
    /// the definition is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    plan: Option<Box<ExecutionPlan>>,
}

/// What to say beside what is wrong.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Check {
    /// Whether to give the plan as well.
    #[serde(default)]
    #[param(required = false)]
    plan: bool,
    /// The id of a definition that has none: what its file is called.
    #[param(value_type = Option<String>)]
    name: Option<WorkflowId>,
}

/// Checks a definition, in YAML or JSON, and saves nothing. With `plan`, it says what would run.
#[utoipa::path(
    post, path = "/api/v1/definitions/check", tag = "workflows", params(Check),
    request_body(content((Value = "application/yaml"), (Value = "application/json"))),
    responses((status = 200, body = Checked))
)]
pub(crate) async fn check(
    State(shared): State<Shared>,
    by: Caller,
    Asked(asked): Asked<Check>,
    request: Request,
) -> Result<Json<Checked>, Problem> {
    let name = asked.name.as_ref().map_or("workflow", |it| it.as_str());
    let received = receive(request, name, &shared).await?;
    let (diagnostics, plan) = received.planned(&shared, &by).await?;
    Ok(Json(Checked {
        valid: !diagnostics.iter().any(Diagnostic::is_error),
        diagnostics: received.located(&diagnostics),
        plan: plan.filter(|_| asked.plan).map(Box::new),
    }))
}
