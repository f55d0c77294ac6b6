//! The settings of the server, to look at: they are changed where it runs.

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{access::Caller, api::Shared, problem::Problem};

/// The settings of the server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SettingsBody {
    /// Each by its key with dots: `{ "value", "source" }`. `vars` are not among them, which are what
    /// workflows may see, nor is the command for the key of secrets.
    #[schema(value_type = Object)]
    settings: Value,
}

/// Shows the settings of the server, and where each value comes from, to those of its own tenant. None of
/// them is a secret.
#[utoipa::path(
    get, path = "/api/v1/settings", tag = "settings", responses((status = 200, body = SettingsBody))
)]
pub(crate) async fn show(
    State(shared): State<Shared>,
    by: Caller,
) -> Result<Json<SettingsBody>, Problem> {
    by.of_server(&shared, "settings").await?;
    Ok(Json(SettingsBody {
        settings: shared.settings.read().clone(),
    }))
}
