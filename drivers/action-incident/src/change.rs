//! `incident.note`, `incident.acknowledge` and `incident.resolve`.

use std::sync::Arc;

use nebula_action::{ActionContext, ActionError};
use nebula_derive::Action;
use nebula_ports::{IncidentChange, IncidentChanged, IncidentRef, IncidentRepo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::operation::{self, Told};

/// Notes something in the timeline of an open incident.
///
/// Where no incident with this key is open, nothing is noted, and the result says so: `incident` is null.
#[derive(Debug, Action)]
#[action(
    id = "incident.note",
    version = "1.0",
    title = "Note on incident",
    effect = "keyed",
    timeout = "30s",
    attempts = 5
)]
pub struct IncidentNote {
    incidents: Arc<dyn IncidentRepo>,
}

/// Takes an open incident, as somebody who looks after it.
///
/// Where no incident with this key is open, nothing happens, and the result says so: `incident` is null.
#[derive(Debug, Action)]
#[action(
    id = "incident.acknowledge",
    version = "1.0",
    title = "Acknowledge incident",
    effect = "keyed",
    timeout = "30s",
    attempts = 5
)]
pub struct IncidentAcknowledge {
    incidents: Arc<dyn IncidentRepo>,
}

/// Resolves an open incident: it is over, and does not change any more.
///
/// Where no incident with this key is open, nothing happens, and the result says so: `incident` is null.
#[derive(Debug, Action)]
#[action(
    id = "incident.resolve",
    version = "1.0",
    title = "Resolve incident",
    effect = "keyed",
    timeout = "30s",
    attempts = 5
)]
pub struct IncidentResolve {
    incidents: Arc<dyn IncidentRepo>,
}

/// The parameters of `incident.note`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoteIn {
    /// What the incident is about.
    #[schemars(length(min = 1, max = 256))]
    key: String,
    /// What to note.
    #[schemars(length(min = 1, max = 8_192))]
    text: String,
}

/// The parameters of `incident.acknowledge`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcknowledgeIn {
    /// What the incident is about.
    #[schemars(length(min = 1, max = 256))]
    key: String,
}

/// The parameters of `incident.resolve`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResolveIn {
    /// What the incident is about.
    #[schemars(length(min = 1, max = 256))]
    key: String,
    /// What helped.
    #[serde(default)]
    #[schemars(length(max = 8_192))]
    resolution: String,
}

/// What became of a change.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChangeOut {
    /// The incident; null where none with this key is open.
    incident: Option<Told>,
}

async fn change(
    incidents: &dyn IncidentRepo,
    ctx: &ActionContext,
    key: String,
    change: IncidentChange,
) -> Result<ChangeOut, ActionError> {
    let (which, operation) = (IncidentRef::Key(key), operation::of(ctx));
    let changed = incidents.change(&ctx.tenant, &which, &operation, change);
    let changed = changed.await;
    let incident = match changed.map_err(|error| operation::failed(&error))? {
        IncidentChanged::Changed(it) | IncidentChanged::Same(it) => Some((&it).into()),
        IncidentChanged::Over(_) | IncidentChanged::Unknown => None,
    };
    Ok(ChangeOut { incident })
}

impl IncidentNote {
    /// Notes in `incidents`.
    #[must_use]
    pub fn new(incidents: Arc<dyn IncidentRepo>) -> Self {
        Self { incidents }
    }

    async fn run(&self, ctx: &ActionContext, input: NoteIn) -> Result<ChangeOut, ActionError> {
        let note = IncidentChange::Note(input.text);
        change(&*self.incidents, ctx, input.key, note).await
    }
}

impl IncidentAcknowledge {
    /// Takes them in `incidents`.
    #[must_use]
    pub fn new(incidents: Arc<dyn IncidentRepo>) -> Self {
        Self { incidents }
    }

    async fn run(
        &self,
        ctx: &ActionContext,
        input: AcknowledgeIn,
    ) -> Result<ChangeOut, ActionError> {
        let take = IncidentChange::Acknowledge;
        change(&*self.incidents, ctx, input.key, take).await
    }
}

impl IncidentResolve {
    /// Resolves them in `incidents`.
    #[must_use]
    pub fn new(incidents: Arc<dyn IncidentRepo>) -> Self {
        Self { incidents }
    }

    async fn run(&self, ctx: &ActionContext, input: ResolveIn) -> Result<ChangeOut, ActionError> {
        let resolve = IncidentChange::Resolve(input.resolution);
        change(&*self.incidents, ctx, input.key, resolve).await
    }
}
