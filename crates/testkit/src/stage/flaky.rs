//! An action that fails before it succeeds.

use async_trait::async_trait;
use nebula_action::{
    Action, ActionContext, ActionError, ActionMetadata, ActionResult, Effect, EffectClass,
};
use serde_json::{Value, json};

/// The id of the action that fails as often as it is told: `{ fails, n }` gives `{ n, attempt }`
/// once so many attempts have failed, each with a retryable error.
pub const FLAKY: &str = "test.flaky";

#[derive(Debug)]
pub(super) struct Flaky(ActionMetadata);

impl Default for Flaky {
    fn default() -> Self {
        Self(ActionMetadata::new(
            FLAKY,
            (1, 0),
            Effect::Fixed(EffectClass::Keyed),
        ))
    }
}

#[async_trait]
impl Action for Flaky {
    fn metadata(&self) -> &ActionMetadata {
        &self.0
    }

    async fn execute(
        &self,
        context: &ActionContext,
        input: Value,
    ) -> Result<ActionResult, ActionError> {
        if u64::from(context.attempt) <= input["fails"].as_u64().unwrap_or(0) {
            let message = "it fails as often as it is told";
            return Err(ActionError::retryable("TEST_FLAKY", message));
        }
        let output = json!({ "n": input["n"], "attempt": context.attempt });
        Ok(ActionResult::output(output))
    }
}
