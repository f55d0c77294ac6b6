//! What Prometheus reads.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::header;
use nebula_telemetry::METRICS_CONTENT_TYPE;

use crate::{access::Caller, api::Shared, problem::Problem};

/// The metrics of this process and its store, in the OpenMetrics format 1.0. They are of the whole server:
/// only those of its own tenant may read them.
#[utoipa::path(
    get, path = "/metrics", tag = "health",
    responses((status = 200, description = "Each metric is explained in docs/metrics.md.", body = String,
        content_type = "application/openmetrics-text"))
)]
pub(crate) async fn read(State(shared): State<Shared>, by: Caller) -> Result<Response, Problem> {
    by.of_server(&shared, "metrics").await?;
    let text = shared.nebula.read_metrics().await.text();
    Ok(([(header::CONTENT_TYPE, METRICS_CONTENT_TYPE)], text).into_response())
}
