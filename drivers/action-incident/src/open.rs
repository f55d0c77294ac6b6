//! `incident.open`.

use std::sync::Arc;

use nebula_action::{ActionContext, ActionError};
use nebula_derive::Action;
use nebula_ports::{IncidentOpened, IncidentRepo, NewIncident, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::operation::{self, Told};

/// Opens an incident, or says one again.
///
/// `key` is what it is about: as long as an incident with this key is not resolved, no second one is
/// opened, and the one that is there counts once more. Its severity rises by that and does not fall, but
/// with `may_lower`. The result says which of both it was (`opened`).
#[derive(Debug, Action)]
#[action(
    id = "incident.open",
    version = "1.0",
    title = "Open incident",
    effect = "keyed",
    timeout = "30s",
    attempts = 5
)]
pub struct IncidentOpen {
    incidents: Arc<dyn IncidentRepo>,
}

/// The parameters of `incident.open`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenIn {
    /// What it is about, such as `shop/http`.
    #[schemars(length(min = 1, max = 256))]
    key: String,
    /// Which service.
    #[schemars(length(min = 1, max = 256))]
    service: String,
    /// In a few words.
    #[schemars(length(min = 1, max = 500))]
    title: String,
    /// In more words.
    #[serde(default)]
    #[schemars(length(max = 8_192))]
    description: String,
    /// How bad it is.
    #[serde(default)]
    severity: SeverityIn,
    /// Whether the severity of one that is open may fall to this one.
    #[serde(default)]
    may_lower: bool,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SeverityIn {
    /// Worth knowing.
    Info,
    /// Somebody should look.
    #[default]
    Warning,
    /// Somebody must look now.
    Critical,
}

/// The result of `incident.open`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OpenOut {
    /// The incident.
    incident: Told,
    /// Whether it is a new one; false where it was open before.
    opened: bool,
}

impl IncidentOpen {
    /// Opens them in `incidents`.
    #[must_use]
    pub fn new(incidents: Arc<dyn IncidentRepo>) -> Self {
        Self { incidents }
    }

    async fn run(&self, ctx: &ActionContext, input: OpenIn) -> Result<OpenOut, ActionError> {
        let new = NewIncident {
            key: input.key,
            service: input.service,
            title: input.title,
            description: input.description,
            severity: match input.severity {
                SeverityIn::Info => Severity::Info,
                SeverityIn::Warning => Severity::Warning,
                SeverityIn::Critical => Severity::Critical,
            },
            may_lower: input.may_lower,
            workflow: ctx.workflow.clone(),
            execution: ctx.execution,
        };
        let (id, operation) = (operation::id(ctx), operation::of(ctx));
        let opened = self.incidents.open(&ctx.tenant, id, &operation, new).await;
        let opened = opened.map_err(|error| operation::failed(&error))?;
        let incident = opened.incident();
        Ok(OpenOut {
            incident: incident.into(),
            // After a lost reply, too: the id is that of this instance.
            opened: matches!(opened, IncidentOpened::Opened(_)) || incident.id == id,
        })
    }
}
