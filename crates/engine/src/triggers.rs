//! Triggers of published versions: what is registered of a version.

use nebula_core::{Digest, TriggerId, WorkflowId};
use nebula_ports::{ErrorKind, NewTrigger, PortError, Result, StoredWorkflow};
use nebula_trigger::Timing;
use nebula_workflow::{TriggerDefinition, WorkflowDefinition};
use serde_json::{Value, json};

use crate::Engine;

/// From what the jitter of a trigger follows.
pub(crate) fn seed(workflow: &WorkflowId, trigger: &TriggerId) -> Vec<u8> {
    format!("{workflow}/{trigger}").into_bytes()
}

/// What a definition says of when a trigger starts; `None` if it does not go by time, or not any more
/// as it was written.
pub(crate) fn timing(definition: &WorkflowDefinition, it: &TriggerDefinition) -> Option<Timing> {
    Timing::read(&it.kind, &it.rest, &definition.timezone)?.ok()
}

/// A stored version, read.
pub(crate) fn definition(stored: &StoredWorkflow) -> Result<WorkflowDefinition> {
    WorkflowDefinition::from_json(&stored.definition).map_err(|problems| {
        let first = problems.first();
        let first = first.map_or_else(String::new, |problem| problem.message.clone());
        let message = format!("version {} of `{}`: {first}", stored.version, stored.id);
        PortError::new(ErrorKind::Corrupt, "engine", "read a definition", message)
    })
}

impl Engine {
    /// The triggers that a version has, as its publication registers them: those that go by time begin
    /// now.
    ///
    /// # Errors
    /// `Corrupt`: the version cannot be read.
    pub(crate) fn registrations(&self, stored: &StoredWorkflow) -> Result<Vec<NewTrigger>> {
        let now = self.ports.clock.now();
        let definition = definition(stored)?;
        let mut registered = Vec::new();
        for trigger in &definition.triggers {
            let Some(timing) = timing(&definition, trigger) else {
                continue;
            };
            // Reading has refused every other id.
            let Ok(id) = TriggerId::new(trigger.id.as_str()) else {
                continue;
            };
            let settled = timing.settled(&seed(&stored.id, &id), now);
            let pace = format!("{} spread over {:?}", timing.schedule, timing.jitter);
            let mut fields = trigger.rest.clone();
            if let Some(input) = &trigger.input {
                fields.insert("input".to_owned(), input.to_json());
            }
            registered.push(NewTrigger {
                id,
                kind: trigger.kind.clone(),
                definition: json!({ "timezone": definition.timezone, "fields": Value::Object(fields) }),
                pace: Digest::of(pace.as_bytes()),
                through: settled.through,
                due: settled.due,
                hook: None,
            });
        }
        Ok(registered)
    }
}
