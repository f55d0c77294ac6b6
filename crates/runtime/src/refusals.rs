//! What an attempt was refused, told to the audit log.

use std::sync::Arc;

use nebula_access::Access;
use nebula_action::{ActionError, ActionResult, ErrorClass};
use nebula_core::TenantId;
use nebula_ports::CredentialUser;
use nebula_telemetry::Place;

/// Whose attempt it is, and who tells.
pub(crate) struct Refusals {
    pub(crate) access: Option<Access>,
    pub(crate) tenant: TenantId,
    pub(crate) place: Arc<Place>,
}

impl Refusals {
    /// Gives back how an attempt ended, once a denial is in the audit log; that it cannot be written
    /// changes nothing about the attempt, which was refused.
    pub(crate) async fn told(
        self,
        ended: Result<ActionResult, ActionError>,
    ) -> Result<ActionResult, ActionError> {
        if let Err(error) = &ended
            && let ErrorClass::Denied { capability } = &error.class
            && let Some(access) = &self.access
            && let Some((instance, attempt)) = &self.place.attempt
        {
            let user = CredentialUser::Attempt {
                execution: self.place.execution,
                node: instance.node.to_string(),
                attempt: *attempt,
            };
            // On the heap, so that attempts that are refused nothing are no larger for it.
            Box::pin(access.refused(&self.tenant, &user, capability, &error.message)).await;
        }
        ended
    }
}
