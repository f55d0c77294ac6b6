//! What the audit log is told of credentials that no person asked for: the uses of attempts and refreshes.

use nebula_core::{CredentialId, TenantId};
use nebula_ports::{AuditOutcome, CredentialUser, MAX_AUDIT_TEXT, NewAudit, Result};
use serde_json::{Value, json};

use crate::Vault;

/// What a use is called.
const USE: &str = "credentials.use";

impl Vault {
    /// Tells the audit log that an attempt was not given a credential.
    ///
    /// # Errors
    /// Those of the port.
    pub async fn denied(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        user: &CredentialUser,
        why: &str,
    ) -> Result<()> {
        let why = ("why", Value::from(shortened(why)));
        self.tell(tenant, id, user, AuditOutcome::Denied, why).await
    }

    /// Tells the audit log, if there is one, of a use that its route does not tell of: what people try and
    /// change, they are recorded for.
    pub(crate) async fn tell(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        user: &CredentialUser,
        outcome: AuditOutcome,
        (name, value): (&str, Value),
    ) -> Result<()> {
        let Some(log) = &self.audit else {
            return Ok(());
        };
        let mut change = json!({ name: value });
        let who = match user {
            CredentialUser::Attempt {
                execution,
                node,
                attempt,
            } => {
                change["node"] = shortened(node).into();
                change["attempt"] = (*attempt).into();
                format!("execution:{execution}")
            }
            CredentialUser::Refresh => "engine".to_owned(),
            CredentialUser::Test | CredentialUser::Change => return Ok(()),
        };
        let new = NewAudit {
            id: self.entropy.uuid(),
            who,
            via: String::new(),
            from: String::new(),
            what: USE.to_owned(),
            target: format!("credential:{id}"),
            outcome,
            change: change.to_string(),
        };
        log.append(tenant, new).await.map(|_| ())
    }
}

/// Whole characters of a text, as many as an entry has room for.
fn shortened(text: &str) -> String {
    let mut end = text.len().min(MAX_AUDIT_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
