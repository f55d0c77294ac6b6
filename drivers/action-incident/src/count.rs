//! `incident.count`.

use std::sync::Arc;

use nebula_action::{ActionContext, ActionError};
use nebula_derive::Action;
use nebula_ports::{CounterChange, IncidentRepo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::operation;

/// Counts, such as failures one after the other, over executions.
///
/// A counter begins at 0 and lasts until it is set back. The result is `{ count }`: where it stands then.
#[derive(Debug, Action)]
#[action(
    id = "incident.count",
    version = "1.0",
    title = "Count failures",
    effect = "keyed",
    timeout = "30s",
    attempts = 5
)]
pub struct IncidentCount {
    incidents: Arc<dyn IncidentRepo>,
}

/// The parameters of `incident.count`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CountIn {
    /// Its name, such as `shop/failures`.
    #[schemars(length(min = 1, max = 256))]
    counter: String,
    /// Sets it back to 0, instead of adding 1.
    #[serde(default)]
    reset: bool,
}

/// The result of `incident.count`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CountOut {
    /// Where it stands.
    count: u64,
}

impl IncidentCount {
    /// Counts in `incidents`.
    #[must_use]
    pub fn new(incidents: Arc<dyn IncidentRepo>) -> Self {
        Self { incidents }
    }

    async fn run(&self, ctx: &ActionContext, input: CountIn) -> Result<CountOut, ActionError> {
        let change = match input.reset {
            true => CounterChange::Reset,
            false => CounterChange::Add,
        };
        let operation = operation::of(ctx);
        let counted = self
            .incidents
            .count(&ctx.tenant, &input.counter, &operation, change);
        let count = counted.await.map_err(|error| operation::failed(&error))?;
        Ok(CountOut { count })
    }
}
