//! Evaluating one expression over given data, as an editor does.

use std::sync::{Arc, OnceLock};

use axum::{Json, extract::State};
use http::StatusCode;
use nebula_expression::{
    CompileOptions, Context, ExpressionError, JsonScope, Limits, Mode, Program,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    api::{Inner, Shared},
    extract::Body,
    problem::{Mistake, Problem},
};

/// An expression, and what it sees.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Evaluate {
    /// The expression, without `{{ }}`.
    expression: String,
    /// What it sees: roots without `$`, such as `{ "input": { "n": 1 } }`.
    #[serde(default)]
    data: Value,
    /// `strict`, where a wrong path is an error, or `lenient`, where it is undefined.
    #[serde(default)]
    #[schema(value_type = String, default = "strict")]
    mode: Mode,
}

/// What an expression gave.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Evaluated {
    /// The value; null where it is undefined.
    value: Value,
    /// Whether there is no value.
    undefined: bool,
}

/// Evaluates an expression over given data. It sees no execution, no secret and no environment.
#[utoipa::path(
    post, path = "/api/v1/expressions/evaluate", tag = "expressions",
    request_body = Evaluate, responses((status = 200, body = Evaluated))
)]
pub(crate) async fn evaluate(
    State(shared): State<Shared>,
    Body(wanted): Body<Evaluate>,
) -> Result<Json<Evaluated>, Problem> {
    let context = context(&shared);
    let answer = Arc::new(OnceLock::new());
    let told = Arc::clone(&answer);
    let job = move || {
        let _ = told.set(value(&wanted, &context));
    };
    shared.offload.run(Box::new(job)).await;
    let answer = Arc::into_inner(answer).and_then(OnceLock::into_inner);
    let broke = || {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "DEFECT",
            "the evaluation broke down",
        )
    };
    let value = answer.ok_or_else(broke)?.map_err(|error| wrong(&error))?;
    Ok(Json(Evaluated {
        undefined: value.is_none(),
        value: value.unwrap_or_default(),
    }))
}

/// An evaluation that begins now; it is given up when its time is over.
fn context(shared: &Inner) -> Context {
    let limits = Limits::default();
    let (clock, end) = (
        Arc::clone(&shared.clock),
        shared.clock.monotonic() + limits.wall,
    );
    Context {
        now_ms: shared.clock.now().as_millis(),
        seed: shared.entropy.next_u64(),
        limits,
        backstop: Some(Arc::new(move || clock.monotonic() >= end)),
        ..Context::default()
    }
}

fn value(wanted: &Evaluate, context: &Context) -> Result<Option<Value>, ExpressionError> {
    let options = CompileOptions {
        mode: wanted.mode,
        ..CompileOptions::default()
    };
    let first = |errors: Vec<ExpressionError>| {
        let first = errors.into_iter().next();
        first.expect("what has no program has an error")
    };
    let program = Program::compile(&wanted.expression, &options).map_err(first)?;
    program.evaluate(&JsonScope(&wanted.data), context)
}

/// The mistake, with its place in the text.
fn wrong(error: &ExpressionError) -> Problem {
    let message = format!("{} (bytes {} to {})", error.message, error.start, error.end);
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.code, message);
    let problem = problem.mistake(Mistake {
        message: error.message.clone(),
        phase: error.phase,
        start: error.start,
        end: error.end,
    });
    match &error.hint {
        Some(hint) => problem.hint(hint.clone()),
        None => problem,
    }
}
