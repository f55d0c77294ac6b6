//! What the actions share: who does what once, and what is told of an incident.

use nebula_action::{ActionContext, ActionError, ErrorClass};
use nebula_core::Digest;
use nebula_ports::{ErrorKind, Incident, Operation, PortError};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

/// The operation of this instance: the same for each of its attempts.
pub(crate) fn of(ctx: &ActionContext) -> Operation {
    Operation {
        // A key of a node's own may be of any length.
        key: digest(ctx).to_string(),
        by: format!("execution:{}/{}", ctx.execution, ctx.node),
    }
}

/// The id of what this instance makes: the same for each of its attempts.
pub(crate) fn id(ctx: &ActionContext) -> Uuid {
    let mut id = [0; 16];
    id.copy_from_slice(&digest(ctx).as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(id).into_uuid()
}

fn digest(ctx: &ActionContext) -> Digest {
    Digest::of(format!("{}\n{}", ctx.tenant, ctx.idempotency_key).as_bytes())
}

/// The error of a store that did not answer, or not so. What it may have written is the same operation
/// at the next attempt, so that it may be made again.
pub(crate) fn failed(error: &PortError) -> ActionError {
    let message = error.to_string();
    match error.kind {
        ErrorKind::Unavailable => ActionError::retryable("INCIDENT_STORE", message),
        ErrorKind::Invalid => ActionError::invalid_input("INCIDENT_PARAMETER", "", message),
        ErrorKind::Full => ActionError::new("INCIDENT_LIMIT", message, ErrorClass::LimitExceeded),
        _ => ActionError::fatal("INCIDENT_STORE", message),
    }
}

/// What an action tells of an incident.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Told {
    /// Its id.
    id: String,
    /// What it is about.
    key: String,
    /// How bad it is: `info`, `warning`, `critical`.
    severity: String,
    /// How it stands: `open`, `acknowledged`, `resolved`.
    status: String,
    /// How often it was said.
    occurrences: u64,
}

impl From<&Incident> for Told {
    fn from(incident: &Incident) -> Self {
        Self {
            id: incident.id.to_string(),
            key: incident.key.clone(),
            severity: incident.severity.to_string(),
            status: incident.status.to_string(),
            occurrences: incident.occurrences,
        }
    }
}
