//! What the audit log is told that no person asked for: the uses of credentials by attempts and refreshes, and
//! what attempts were refused.

use nebula_core::{CredentialId, TenantId};
use nebula_ports::{AuditOutcome, CredentialUser, MAX_AUDIT_TEXT, NewAudit, Result};
use serde_json::{Value, json};

use crate::Vault;

/// What a use is called.
const USE: &str = "credentials.use";

/// What it is called that an attempt reached for something else.
const REACH: &str = "capabilities.use";

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
        let what = (USE, format!("credential:{id}"), AuditOutcome::Denied);
        let why = ("why", Value::from(shortened(why)));
        self.tell(tenant, user, what, why).await
    }

    /// Tells the audit log that an attempt was refused what it holds no capability for; `capability` is
    /// empty where none would open it.
    ///
    /// # Errors
    /// Those of the port.
    pub async fn refused(
        &self,
        tenant: &TenantId,
        user: &CredentialUser,
        capability: &str,
        why: &str,
    ) -> Result<()> {
        let target = match capability {
            "" => String::new(),
            capability => shortened(&format!("capability:{capability}")),
        };
        let why = ("why", Value::from(shortened(why)));
        self.tell(tenant, user, (REACH, target, AuditOutcome::Denied), why)
            .await
    }

    /// Tells the audit log of a use of a credential.
    pub(crate) async fn used(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        user: &CredentialUser,
        version: (&str, Value),
    ) -> Result<()> {
        let what = (USE, format!("credential:{id}"), AuditOutcome::Allowed);
        self.tell(tenant, user, what, version).await
    }

    /// Tells the audit log, if there is one, of what its route does not tell of: what people try and change,
    /// they are recorded for.
    async fn tell(
        &self,
        tenant: &TenantId,
        user: &CredentialUser,
        (what, target, outcome): (&str, String, AuditOutcome),
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
            what: what.to_owned(),
            target,
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
