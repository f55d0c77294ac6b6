//! Whether the server lives, and whether it should be asked anything.

use std::time::Duration;

use axum::{Json, extract::State};
use http::StatusCode;
use nebula_ports::ExecutionFilter;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{api::Shared, problem::Problem};

/// How long the store may take to answer before the server counts as not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// How the server does.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: &'static str,
    /// The version of this program.
    version: &'static str,
}

const OK: Health = Health {
    status: "ok",
    version: env!("CARGO_PKG_VERSION"),
};

/// Whether the process answers. It says nothing about what it needs.
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = 200, body = Health)))]
pub(crate) async fn live() -> Json<Health> {
    Json(OK)
}

/// Whether requests are taken: the engine runs, its store answers, and nobody has asked it to stop.
#[utoipa::path(get, path = "/health/ready", tag = "health", responses((status = 200, body = Health)))]
pub(crate) async fn ready(State(shared): State<Shared>) -> Result<Json<Health>, Problem> {
    let not = |code, message: String| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
            .try_after(Duration::from_secs(1))
    };
    if shared.stopping.is_cancelled() {
        return Err(not("STOPPING", "the server is being stopped".to_owned()));
    }
    let (filter, engine) = (ExecutionFilter::default(), shared.nebula.engine());
    tokio::select! {
        biased;
        page = engine.list(&shared.tenant, &filter, None, 1) => page.map(|_| ())?,
        () = shared.clock.sleep(PATIENCE) => {
            let patience = PATIENCE.as_secs();
            return Err(not("STORE_SLOW", format!("the store did not answer within {patience} s")));
        }
    }
    Ok(Json(OK))
}
