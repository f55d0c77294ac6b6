//! The model of an audit log.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use nebula_core::{Clock, TenantId, Timestamp};
use nebula_ports::{
    AuditEntry, AuditHead, AuditLog, ErrorKind, MAX_AUDIT_CHANGE, MAX_AUDIT_PAGE, MAX_AUDIT_TEXT,
    NewAudit, PortError, Result, audit_root, chained,
};

use super::{AuditGuard as Guard, record::DRIVER, tenants::Tenants};

/// An [`AuditLog`] in memory: the oracle for drivers, and the log of other crates' tests.
pub struct MemoryAuditLog {
    clock: Arc<dyn Clock>,
    removed: Option<Guard>,
    tenants: Tenants<Vec<AuditEntry>>,
}

impl fmt::Debug for MemoryAuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryAuditLog").finish_non_exhaustive()
    }
}

fn invalid(message: impl Into<String>) -> PortError {
    PortError::new(
        ErrorKind::Invalid,
        DRIVER,
        "append to the audit log",
        message,
    )
}

impl MemoryAuditLog {
    /// An empty log; entries are stamped with the time of `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            removed: None,
            tenants: Tenants::default(),
        }
    }

    /// An empty log that lacks `guard`, to test the suite itself.
    #[must_use]
    pub fn without(clock: Arc<dyn Clock>, guard: Guard) -> Self {
        Self {
            removed: Some(guard),
            ..Self::new(clock)
        }
    }

    fn keep(&self, guard: Guard) -> bool {
        self.removed != Some(guard)
    }

    fn owner(&self, tenant: &TenantId) -> TenantId {
        match self.keep(Guard::TenantChain) {
            true => tenant.clone(),
            false => TenantId::local(),
        }
    }

    fn check(&self, new: &NewAudit) -> Result<()> {
        let texts = [&new.who, &new.via, &new.from, &new.what, &new.target];
        let possible = texts.iter().all(|it| it.len() <= MAX_AUDIT_TEXT)
            && !new.what.is_empty()
            && new.change.len() <= MAX_AUDIT_CHANGE;
        match possible || !self.keep(Guard::Sizes) {
            true => Ok(()),
            false => Err(invalid(
                "a text is too long, or it does not say what was done",
            )),
        }
    }

    fn add(
        &self,
        tenant: &TenantId,
        all: &mut Vec<AuditEntry>,
        new: NewAudit,
    ) -> Result<AuditEntry> {
        if let Some(there) = all.iter().find(|it| it.new.id == new.id) {
            if there.new == new && self.keep(Guard::AppendRepeated) {
                return Ok(there.clone());
            }
            if self.keep(Guard::AppendOther) {
                return Err(invalid("its id is another entry's"));
            }
        }
        let last = all.last();
        let before = last.map_or_else(audit_root, |it| it.hash);
        let before = match self.keep(Guard::Chains) {
            true => before,
            false => audit_root(),
        };
        let step = if self.keep(Guard::Numbers) { 1 } else { 2 };
        let seq = last.map_or(1, |it| it.seq + step);
        let at = match self.keep(Guard::StoreTime) {
            true => self.clock.now(),
            false => Timestamp::default(),
        };
        let new = match self.keep(Guard::Keeps) {
            true => new,
            false => NewAudit {
                target: String::new(),
                ..new
            },
        };
        let hash = chained(&before, tenant, seq, at, &new);
        let entry = AuditEntry { seq, at, new, hash };
        all.push(entry.clone());
        Ok(entry)
    }
}

#[async_trait]
impl AuditLog for MemoryAuditLog {
    async fn append(&self, tenant: &TenantId, new: NewAudit) -> Result<AuditEntry> {
        self.check(&new)?;
        let whole = self.keep(Guard::AppendAtOnce);
        let add = |all: &mut Vec<_>| self.add(tenant, all, new);
        self.tenants
            .change_whole(&self.owner(tenant), whole, add)
            .await
    }

    async fn entries(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>> {
        let limit = match self.keep(Guard::PageLimit) {
            true => limit.min(MAX_AUDIT_PAGE),
            false => limit,
        };
        let after = if self.keep(Guard::Pages) { after } else { 0 };
        Ok(self.tenants.look(&self.owner(tenant), |all| {
            let page = all.iter().filter(|it| it.seq > after);
            page.take(limit).cloned().collect()
        }))
    }

    async fn head(&self, tenant: &TenantId) -> Result<Option<AuditHead>> {
        Ok(self.tenants.look(&self.owner(tenant), |all| {
            let head = match self.keep(Guard::Head) {
                true => all.last(),
                false => all.first(),
            };
            match head {
                None if !self.keep(Guard::EmptyHead) => Some(AuditHead {
                    seq: 0,
                    hash: audit_root(),
                }),
                head => head.map(|it| AuditHead {
                    seq: it.seq,
                    hash: it.hash,
                }),
            }
        }))
    }
}
