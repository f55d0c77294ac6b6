//! What a request that failed is answered with: problem details (RFC 9457) with a stable code.

use std::time::Duration;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use nebula::ExecuteError;
use nebula_core::{ExecutionId, ProjectId, TenantId, WorkflowId, duration_text};
use nebula_engine::{
    AdmissionError, InstallError, MigrationError, StartAgainError, StartError, TokenError,
};
use nebula_execution::{AgainError, Status};
use nebula_expression::Phase;
use nebula_ports::{ErrorKind, PortError};
use nebula_workflow::{Diagnostic, LocatedDiagnostic, Source, parse};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// The media type of problem details.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Why a request failed: what, where, why, and what to do.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    body: Box<ProblemBody>,
    try_after: Option<Duration>,
}

/// Problem details (RFC 9457), with a stable code.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// `urn:nebula:problem:` and the code.
    r#type: String,
    /// What the status means.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// Stable, upper case: what programs look at.
    code: &'static str,
    /// What happened, to what, and why.
    detail: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// When the same may be tried again, from now: a span of time, such as `5s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    try_after: Option<String>,
    /// The execution that goes on all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    execution: Option<String>,
    /// Problems of a definition, each with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    diagnostics: Vec<LocatedDiagnostic>,
    /// What does not fit, each with the JSON pointer to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Misfit>,
    /// What is wrong with an expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    expression: Option<Mistake>,
}

/// What is wrong with an expression, and where.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Mistake {
    /// What is wrong.
    pub(crate) message: String,
    /// When it was found: `syntax` or `resolve` where it has no program, `evaluate` or `border` where it has
    /// no value.
    #[schema(value_type = String)]
    pub(crate) phase: Phase,
    /// Where it begins, in bytes of the expression.
    pub(crate) start: usize,
    /// Where it ends.
    pub(crate) end: usize,
}

/// A part of a value that does not fit.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Misfit {
    /// JSON pointer to it; empty is the whole.
    pointer: String,
    /// What is wrong with it.
    message: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let body = ProblemBody {
            r#type: format!("urn:nebula:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            hint: None,
            try_after: None,
            execution: None,
            diagnostics: Vec::new(),
            problems: Vec::new(),
            expression: None,
        };
        Self {
            status,
            body: Box::new(body),
            try_after: None,
        }
    }

    /// 400: the request itself is wrong.
    pub(crate) fn bad(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 409: as things stand, it cannot be.
    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.body.hint = Some(hint.into());
        self
    }

    /// Says when the same may be tried again.
    pub(crate) fn try_after(mut self, after: Duration) -> Self {
        self.body.try_after = Some(duration_text(after));
        self.try_after = Some(after);
        self
    }

    /// Says what is wrong with an expression, and where.
    pub(crate) fn mistake(mut self, mistake: Mistake) -> Self {
        self.body.expression = Some(mistake);
        self
    }

    fn execution(mut self, id: ExecutionId) -> Self {
        self.body.execution = Some(id.to_string());
        self
    }

    /// Adds what is wrong with a definition, each with its place in `source`.
    pub(crate) fn diagnostics(mut self, problems: &[Diagnostic], source: &Source) -> Self {
        self.body.diagnostics = parse(source).map.locate_all(problems, source);
        self
    }

    pub(crate) fn located(mut self, located: Vec<LocatedDiagnostic>) -> Self {
        self.body.diagnostics = located;
        self
    }

    /// 422: what does not fit a schema, so that nothing was started.
    pub(crate) fn misfits(
        code: &'static str,
        detail: &str,
        problems: Vec<nebula_validator::Problem>,
    ) -> Self {
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
            .hint("correct what `problems` lists; nothing was started");
        let misfits = problems.into_iter().map(|problem| Misfit {
            message: problem.to_string(),
            pointer: problem.pointer,
        });
        problem.body.problems = misfits.collect();
        problem
    }

    pub(crate) fn code(&self) -> &'static str {
        self.body.code
    }

    /// What happened.
    pub(crate) fn detail(&self) -> &str {
        &self.body.detail
    }

    /// What to do, if it was said.
    pub(crate) fn said_hint(&self) -> Option<&str> {
        self.body.hint.as_deref()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
        if let Some(after) = self.try_after {
            // Whole seconds, and never too few.
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"nebula\""),
            );
        }
        response
    }
}

/// There is no such execution.
pub(crate) fn unknown_execution(id: ExecutionId) -> Problem {
    let message = format!("there is no execution {id}");
    Problem::new(StatusCode::NOT_FOUND, "UNKNOWN_EXECUTION", message)
        .hint("GET /api/v1/executions lists those that there are")
}

/// There is no such project.
pub(crate) fn unknown_project(id: &ProjectId) -> Problem {
    let message = format!("there is no project `{id}`");
    Problem::new(StatusCode::NOT_FOUND, "UNKNOWN_PROJECT", message)
        .hint("GET /api/v1/projects lists those that there are")
}

/// There is no such workflow.
pub(crate) fn unknown_workflow(id: &WorkflowId) -> Problem {
    let message = format!("there is no workflow `{id}`");
    Problem::new(StatusCode::NOT_FOUND, "UNKNOWN_WORKFLOW", message)
        .hint("GET /api/v1/workflows lists those that there are")
}

/// The workflow has no such version.
pub(crate) fn unknown_version(id: &WorkflowId, version: u32) -> Problem {
    let message = format!("the workflow `{id}` has no version {version}");
    Problem::new(StatusCode::NOT_FOUND, "UNKNOWN_VERSION", message)
        .hint(format!("GET /api/v1/workflows/{id}/versions lists them"))
}

/// It has ended, and what was asked needs one that has not.
pub(crate) fn ended(id: ExecutionId, status: Status) -> Problem {
    let message = format!("{id} has ended: {status}");
    Problem::conflict("EXECUTION_ENDED", message)
}

impl From<PortError> for Problem {
    fn from(error: PortError) -> Self {
        let (status, code) = match error.kind {
            ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "STORE_UNAVAILABLE"),
            ErrorKind::Full => (StatusCode::INSUFFICIENT_STORAGE, "STORE_FULL"),
            ErrorKind::ReadOnly => (StatusCode::SERVICE_UNAVAILABLE, "STORE_READ_ONLY"),
            ErrorKind::Corrupt => (StatusCode::INTERNAL_SERVER_ERROR, "STORE_CORRUPT"),
            ErrorKind::Format => (StatusCode::INTERNAL_SERVER_ERROR, "STORE_FORMAT"),
            ErrorKind::Key => (StatusCode::SERVICE_UNAVAILABLE, "STORE_KEY"),
            ErrorKind::Invalid => (StatusCode::INTERNAL_SERVER_ERROR, "STORE_INVALID"),
            ErrorKind::Unsupported => (StatusCode::NOT_IMPLEMENTED, "STORE_UNSUPPORTED"),
        };
        let problem = Self::new(status, code, error.to_string()).hint(error.kind.advice());
        match error.kind {
            ErrorKind::Unavailable => problem.try_after(Duration::from_secs(1)),
            _ => problem,
        }
    }
}

impl From<InstallError> for Problem {
    fn from(error: InstallError) -> Self {
        match error {
            InstallError::Store(error) => error.into(),
            InstallError::Archived(id) => {
                let message =
                    format!("the workflow `{id}` is archived, so nothing of it is started");
                Self::conflict("WORKFLOW_ARCHIVED", message).hint(format!(
                    "POST /api/v1/workflows/{id}/unarchive takes it back"
                ))
            }
            InstallError::Diagnostics(problems) => {
                let first = problems.iter().find(|problem| problem.is_error());
                let message = match first {
                    Some(first) => format!("the definition is not valid: {}", first.message),
                    None => "the definition is not valid".to_owned(),
                };
                Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "DEFINITION_INVALID",
                    message,
                )
                .hint("correct what `diagnostics` lists; nothing was saved")
                .diagnostics(&problems, &Source::new("", ""))
            }
        }
    }
}

/// What is said to whoever belongs to a tenant that is disabled.
pub(crate) fn disabled(tenant: &TenantId) -> Problem {
    let message = format!(
        "the tenant `{tenant}` is disabled: nobody of it is let in, and nothing of it begins"
    );
    Problem::new(StatusCode::FORBIDDEN, "TENANT_DISABLED", message)
        .hint("ask whoever operates this installation: nebula tenants enable")
}

impl From<AdmissionError> for Problem {
    fn from(error: AdmissionError) -> Self {
        let message = error.to_string();
        let busy = |code| Self::new(StatusCode::TOO_MANY_REQUESTS, code, message.clone());
        match error {
            AdmissionError::Full { try_after, .. } => busy("ADMISSION_FULL")
                .hint("nothing was started; try again later")
                .try_after(try_after),
            AdmissionError::Limited { try_after, .. } => busy("RATE_LIMITED")
                .hint("nothing was started; try again later")
                .try_after(try_after),
            AdmissionError::Quota {
                exceeded,
                try_after,
            } => busy(exceeded.quota.code())
                .hint(format!("nothing was started; {}", exceeded.quota.advice()))
                .try_after(try_after),
            AdmissionError::Disabled { tenant } => disabled(&tenant),
            AdmissionError::Store(error) => error.into(),
            AdmissionError::Key(error) => Self::bad("ADMISSION_KEY", message).hint(format!(
                "give the input that `{}` reads, or let it say `?? \"none\"`",
                error.field()
            )),
            _ => Self::bad("ADMISSION_KEY", message),
        }
    }
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        let message = error.to_string();
        match error {
            StartError::Store(error) => error.into(),
            StartError::Admission(error) => error.into(),
            StartError::Input(problems) => {
                let detail = "the input does not fit the workflow's schema";
                Self::misfits("INPUT_INVALID", detail, problems)
            }
            StartError::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "INPUT_TOO_LARGE", message)
                    .hint("give less, or a reference to it")
            }
            StartError::TooDeep { .. } => Self::bad("INPUT_TOO_DEEP", message),
            StartError::Schema(_) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "DEFINITION_INVALID",
                message,
            )
            .hint("correct `input` of the workflow and save it again"),
        }
    }
}

impl From<ExecuteError> for Problem {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Start(error) => error.into(),
            ExecuteError::Unknown { id, error } => Self::from(error).execution(id),
            ExecuteError::Gone(id) => unknown_execution(id),
        }
    }
}

impl From<StartAgainError> for Problem {
    fn from(error: StartAgainError) -> Self {
        let message = error.to_string();
        match error {
            StartAgainError::Unknown(id) => unknown_execution(id),
            StartAgainError::Admission(error) => error.into(),
            StartAgainError::Store(error) => error.into(),
            StartAgainError::Refused(AgainError::NotEnded { .. }) => {
                Self::conflict("NOT_ENDED", message)
                    .hint("cancel it, or wait for its end; nothing was started")
            }
            StartAgainError::Refused(_) => Self::conflict("NOT_REPEATABLE", message),
        }
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        let message = error.to_string();
        match error {
            TokenError::Store(error) => error.into(),
            TokenError::NoKey => Self::conflict("NO_RESUME_KEY", message),
            TokenError::Invalid => {
                Self::new(StatusCode::NOT_FOUND, "RESUME_TOKEN_INVALID", message)
            }
        }
    }
}

impl From<MigrationError> for Problem {
    fn from(error: MigrationError) -> Self {
        let message = error.to_string();
        match error {
            MigrationError::Unknown(id) => unknown_execution(id),
            MigrationError::UnknownVersion { .. } => {
                Self::new(StatusCode::NOT_FOUND, "UNKNOWN_VERSION", message)
            }
            MigrationError::Ended { execution, status } => ended(execution, status),
            MigrationError::Driven(_) | MigrationError::WentOn(_) => {
                Self::conflict("EXECUTION_DRIVEN", message)
                    .hint("pause it, and try again once it rests")
                    .try_after(Duration::from_secs(1))
            }
            MigrationError::Plan(error) => error.into(),
            MigrationError::Store(error) => error.into(),
            _ => Self::conflict("NOT_MIGRATABLE", message),
        }
    }
}

/// An error of an action, as it is shown.
pub(crate) fn error_json(failure: &nebula_execution::Failure) -> Value {
    serde_json::json!({
        "code": failure.error.code,
        "message": failure.error.message,
        "node": failure.node,
    })
}
