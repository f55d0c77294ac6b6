//! How the server stands now: what it sends, and who does its duties.

use axum::{Json, extract::State};
use nebula::runtime::LaneState;
use nebula_core::Timestamp;
use nebula_ports::DutyState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{access::Caller, api::Shared, problem::Problem};

/// How a server stands. Whoever asks over HTTP reads the same values as a program that holds the engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServerState {
    /// How requests over HTTP stand, for each destination, host and credential that this process remembers:
    /// its breaker, the pause that was asked for, its bulkhead (`under_way` of `concurrency`), its rate
    /// (`left` of `burst`), and what passed, was refused and ended badly.
    #[schema(value_type = Vec<Object>)]
    pub lanes: Vec<LaneState>,
    /// What one process at a time does, of those that share the store.
    pub duties: Vec<DutyLine>,
}

/// Who does one duty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DutyLine {
    /// Its name, such as `blobs.collect`.
    pub duty: String,
    /// Its last term: how often somebody was elected.
    pub term: u64,
    /// Which process leads, by the name of its life; null if the duty is free.
    pub leader: Option<String>,
    /// Until when it leads without a renewal.
    pub until: Option<String>,
}

impl From<DutyState> for DutyLine {
    fn from(state: DutyState) -> Self {
        let (leader, until) = state.leader.unzip();
        Self {
            duty: state.duty.to_string(),
            term: state.term,
            leader: leader.map(|it| it.0.to_string()),
            until: until.map(|it: Timestamp| it.to_string()),
        }
    }
}

/// Shows how the server stands now, to those of its own tenant: breakers, rates and bulkheads of what it
/// sends over HTTP, and who does what only one process at a time does.
#[utoipa::path(
    get, path = "/api/v1/state", tag = "settings", responses((status = 200, body = ServerState))
)]
pub(crate) async fn show(
    State(shared): State<Shared>,
    by: Caller,
) -> Result<Json<ServerState>, Problem> {
    by.of_server(&shared, "state").await?;
    let duties = shared.elector.duties().await?;
    Ok(Json(ServerState {
        lanes: shared.nebula.lanes(),
        duties: duties.into_iter().map(DutyLine::from).collect(),
    }))
}
