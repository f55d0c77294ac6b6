//! What is recorded of what is done.

use std::time::Duration;

use nebula_core::TenantId;
use nebula_ports::{
    AuditBreak, AuditEntry, AuditHead, AuditLogExt as _, AuditOutcome, MAX_AUDIT_CHANGE,
    MAX_AUDIT_TEXT, NewAudit, PortError,
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{Decision, Identity, IdentityError, Permission, Principal};

/// How many denials one process records in [`DENIALS_PER`]; the others are counted in the next one that
/// is recorded. Otherwise whoever is refused could fill the disk.
pub const MAX_DENIALS: u32 = 120;

/// The time for [`MAX_DENIALS`].
pub const DENIALS_PER: Duration = Duration::from_secs(60);

/// How many denials were recorded lately.
#[derive(Debug, Default)]
pub(crate) struct Denials(Mutex<Lately>);

#[derive(Debug, Default)]
struct Lately {
    since: Duration,
    recorded: u32,
    left_out: u64,
}

impl Denials {
    /// Whether to record one more, and how many were left out before it.
    fn admit(&self, now: Duration) -> Option<u64> {
        let mut lately = self.0.lock();
        if now.saturating_sub(lately.since) >= DENIALS_PER {
            lately.since = now;
            lately.recorded = 0;
        }
        if lately.recorded >= MAX_DENIALS {
            lately.left_out += 1;
            return None;
        }
        lately.recorded += 1;
        Some(std::mem::take(&mut lately.left_out))
    }
}

/// One thing to record.
#[derive(Debug, Clone)]
pub struct What {
    /// A verb after a noun: `workflows.publish`.
    pub what: String,
    /// To what: `workflow:orders`, or nothing.
    pub target: String,
    /// From where: an address.
    pub from: String,
    /// Whether it was allowed.
    pub outcome: AuditOutcome,
    /// What changes; never a secret. Above [`MAX_AUDIT_CHANGE`] bytes only its size is recorded.
    pub change: Value,
}

impl What {
    /// Something that is allowed and about to happen.
    #[must_use]
    pub fn allowed(what: &str, target: impl Into<String>, from: &str, change: Value) -> Self {
        Self {
            what: what.to_owned(),
            target: target.into(),
            from: from.to_owned(),
            outcome: AuditOutcome::Allowed,
            change,
        }
    }

    /// Something that was not allowed.
    #[must_use]
    pub fn denied(what: &str, target: impl Into<String>, from: &str) -> Self {
        Self {
            outcome: AuditOutcome::Denied,
            ..Self::allowed(what, target, from, Value::Null)
        }
    }
}

/// At most so many bytes of a text, whole characters.
pub(crate) fn cut(text: &str, max: usize) -> String {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

impl Identity {
    /// Records what somebody does, durably, before it happens: so a crash leaves an entry too many, and
    /// never a change without one.
    ///
    /// # Errors
    /// Those of the port: then it must not happen.
    pub async fn record(&self, by: &Principal, what: What) -> Result<(), PortError> {
        if what.outcome == AuditOutcome::Denied {
            return self.record_denial(&by.tenant, Some(by), what).await;
        }
        self.append(&by.tenant, Some(by), what).await
    }

    /// Records what somebody does who shows nothing but a link, or nothing at all: as
    /// [`Identity::record`] does.
    ///
    /// # Errors
    /// Those of the port: then it must not happen.
    pub async fn record_anonymous(&self, tenant: &TenantId, what: What) -> Result<(), PortError> {
        match what.outcome {
            AuditOutcome::Denied => self.record_denial(tenant, None, what).await,
            AuditOutcome::Allowed => self.append(tenant, None, what).await,
        }
    }

    /// Records a denial, unless there were too many lately.
    pub(crate) async fn record_denial(
        &self,
        tenant: &TenantId,
        by: Option<&Principal>,
        mut what: What,
    ) -> Result<(), PortError> {
        let Some(left_out) = self.denials.admit(self.ports.clock.monotonic()) else {
            return Ok(());
        };
        if left_out > 0 {
            what.change = json!({ "left_out_before": left_out, "change": what.change });
        }
        self.append(tenant, by, what).await
    }

    pub(crate) async fn append(
        &self,
        tenant: &TenantId,
        by: Option<&Principal>,
        what: What,
    ) -> Result<(), PortError> {
        let change = match what.change {
            Value::Null => String::new(),
            change => {
                let text = change.to_string();
                match text.len() <= MAX_AUDIT_CHANGE {
                    true => text,
                    false => json!({ "left_out_bytes": text.len() }).to_string(),
                }
            }
        };
        let new = NewAudit {
            id: self.ports.entropy.uuid(),
            who: by.map_or_else(|| "anonymous".to_owned(), Principal::audit_name),
            via: by.map_or_else(String::new, Principal::audit_via),
            from: cut(&what.from, MAX_AUDIT_TEXT),
            what: cut(&what.what, MAX_AUDIT_TEXT),
            target: cut(&what.target, MAX_AUDIT_TEXT),
            outcome: what.outcome,
            change,
        };
        self.ports.audit.append(tenant, new).await?;
        Ok(())
    }

    /// Lets somebody do something, or records that they wanted to.
    pub(crate) async fn require(
        &self,
        by: &Principal,
        permission: Permission,
        project: Option<&nebula_core::ProjectId>,
        what: (&str, &str, &str),
    ) -> Result<(), IdentityError> {
        match by.may(permission, project) {
            Decision::Allowed => Ok(()),
            Decision::Denied { why } => self.deny(by, permission, why, what).await,
        }
    }

    /// Records a denial, and gives it as an error. `what` is verb, target and origin.
    pub(crate) async fn deny<T>(
        &self,
        by: &Principal,
        permission: Permission,
        why: crate::Why,
        (what, target, from): (&str, &str, &str),
    ) -> Result<T, IdentityError> {
        self.record(by, What::denied(what, target, from)).await?;
        Err(IdentityError::Denied { permission, why })
    }

    /// Entries of the audit log by number, those after `after`: for lists, and for an export page by page.
    ///
    /// # Errors
    /// `Denied`: needs `audit:read`. Those of the port.
    pub async fn audit_entries(
        &self,
        by: &Principal,
        after: u64,
        limit: usize,
        from: &str,
    ) -> Result<Vec<AuditEntry>, IdentityError> {
        let what = ("audit.read", "", from);
        self.require(by, Permission::AuditRead, None, what).await?;
        Ok(self.ports.audit.entries(&by.tenant, after, limit).await?)
    }

    /// Follows the whole audit log; `known` is a head that was exported before.
    ///
    /// # Errors
    /// `Denied`: needs `audit:read`. Those of the port.
    pub async fn audit_verify(
        &self,
        by: &Principal,
        known: Option<AuditHead>,
        from: &str,
    ) -> Result<Result<AuditHead, AuditBreak>, IdentityError> {
        let what = ("audit.verify", "", from);
        self.require(by, Permission::AuditRead, None, what).await?;
        Ok(self.ports.audit.verify(&by.tenant, known).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denials_beyond_the_limit_are_counted_and_not_recorded() {
        let denials = Denials::default();
        let second = Duration::from_secs;
        for _ in 0..MAX_DENIALS {
            assert_eq!(denials.admit(second(1)), Some(0));
        }
        for _ in 0..3 {
            assert_eq!(denials.admit(second(59)), None);
        }
        assert_eq!(denials.admit(second(60)), Some(3));
        assert_eq!(denials.admit(second(60)), Some(0));
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let long = "ä".repeat(MAX_AUDIT_TEXT);
        assert_eq!(cut(&long, MAX_AUDIT_TEXT).len(), MAX_AUDIT_TEXT);
        assert_eq!(
            cut(&format!("x{long}"), MAX_AUDIT_TEXT).len(),
            MAX_AUDIT_TEXT - 1
        );
    }
}
