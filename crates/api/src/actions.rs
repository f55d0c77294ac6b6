//! The catalog: which actions nodes can name.

use axum::{Json, extract::State};
use http::StatusCode;
use nebula_action::{Catalog as _, CatalogMiss, VersionWanted};
use nebula_workflow::{ActionRef, nearest};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{api::Shared, extract::At, problem::Problem};

/// The actions that there are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActionList {
    /// Each with `id`, `version`, `title`, `description`, `effect`, `kind`.
    #[schema(value_type = Vec<Object>)]
    actions: Vec<Value>,
}

/// Lists the actions.
#[utoipa::path(
    get, path = "/api/v1/actions", tag = "catalog", responses((status = 200, body = ActionList))
)]
pub(crate) async fn list(State(shared): State<Shared>) -> Json<ActionList> {
    let all = shared.nebula.registry().iter();
    let actions = all.map(|registered| {
        let metadata = registered.action.metadata();
        json!({
            "id": metadata.id,
            "version": metadata.version,
            "title": metadata.title,
            "description": metadata.description,
            "effect": metadata.effect,
            "kind": metadata.kind,
        })
    });
    Json(ActionList {
        actions: actions.collect(),
    })
}

/// Shows an action: its parameters, result and examples. `http.request`, `http.request@1` or
/// `http.request@1.0`.
#[utoipa::path(
    get, path = "/api/v1/actions/{action}", tag = "catalog",
    params(("action" = String, Path)), responses((status = 200, body = Object))
)]
pub(crate) async fn show(
    State(shared): State<Shared>,
    At(action): At<String>,
) -> Result<Json<Value>, Problem> {
    let wanted: ActionRef = action
        .parse()
        .map_err(|error| Problem::bad("BAD_PATH", format!("`{action}`: {error}")))?;
    let version = VersionWanted {
        major: wanted.version.map(|version| version.major),
        minor: wanted.version.and_then(|version| version.minor),
    };
    let registry = shared.nebula.registry();
    match registry.find(&wanted.id, version) {
        Ok(found) => Ok(Json(serde_json::to_value(found).unwrap_or_default())),
        Err(miss) => {
            let message = format!("there is no action `{action}`");
            let problem = Problem::new(StatusCode::NOT_FOUND, "UNKNOWN_ACTION", message);
            Err(match miss {
                CatalogMiss::Id => {
                    let ids = registry.ids();
                    match nearest(wanted.id.as_str(), ids.iter().map(|id| id.as_str())) {
                        Some(near) => problem.hint(format!("did you mean `{near}`?")),
                        None => problem.hint("GET /api/v1/actions lists all"),
                    }
                }
                CatalogMiss::Version(versions) => {
                    let versions: Vec<_> = versions.iter().map(ToString::to_string).collect();
                    problem.hint(format!("there are the versions {}", versions.join(", ")))
                }
            })
        }
    }
}
