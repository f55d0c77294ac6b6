//! The model of tenants.

use std::collections::BTreeMap;

use async_trait::async_trait;
use nebula_core::TenantId;
use nebula_ports::{
    ErrorKind, MAX_TENANTS, PortError, Quotas, Result, Tenant, TenantPut, TenantRepo,
};
use parking_lot::Mutex;

use super::{TenantGuard as Guard, record::DRIVER};

/// A [`TenantRepo`] in memory: the oracle for drivers, and the tenants of other crates' tests.
#[derive(Debug, Default)]
pub struct MemoryTenantRepo {
    removed: Option<Guard>,
    tenants: Mutex<BTreeMap<TenantId, Tenant>>,
}

impl MemoryTenantRepo {
    /// A store that lacks `guard`, to test the suite itself.
    #[must_use]
    pub fn without(guard: Guard) -> Self {
        Self {
            removed: Some(guard),
            ..Self::default()
        }
    }

    fn keep(&self, guard: Guard) -> bool {
        self.removed != Some(guard)
    }
}

#[async_trait]
impl TenantRepo for MemoryTenantRepo {
    async fn put_tenant(&self, new: Tenant) -> Result<TenantPut> {
        let refused = |kind, message: String| PortError::new(kind, DRIVER, "put a tenant", message);
        if let Err(error) = new.check()
            && self.keep(Guard::Possible)
        {
            return Err(refused(ErrorKind::Invalid, error.to_string()));
        }
        let seen = self.tenants.lock().get(&new.id).cloned();
        if !self.keep(Guard::AtOnce) {
            tokio::task::yield_now().await;
        }
        let mut tenants = self.tenants.lock();
        let there = match self.keep(Guard::AtOnce) {
            true => tenants.get(&new.id).cloned(),
            false => seen,
        };
        if there.as_ref() == Some(&new) && self.keep(Guard::Repeated) {
            return Ok(TenantPut::Same);
        }
        let version = there.as_ref().map_or(0, |it| it.version);
        if new.version != version + 1 && self.keep(Guard::Version) {
            return Ok(TenantPut::Conflict { version });
        }
        if there.is_none() && tenants.len() >= MAX_TENANTS {
            let message = format!("there are {MAX_TENANTS}, the most that there may be");
            return Err(refused(ErrorKind::Full, message));
        }
        let quotas = match self.keep(Guard::Keeps) {
            true => new.quotas,
            false => Quotas::default(),
        };
        if there.is_none() || self.keep(Guard::Replaces) {
            tenants.insert(new.id.clone(), Tenant { quotas, ..new });
        }
        Ok(TenantPut::Stored)
    }

    async fn tenant(&self, id: &TenantId) -> Result<Option<Tenant>> {
        let tenants = self.tenants.lock();
        let near = |it: &&Tenant| it.id.as_str().starts_with(id.as_str());
        Ok(match self.keep(Guard::Exact) {
            true => tenants.get(id).cloned(),
            false => tenants.values().find(near).cloned(),
        })
    }

    async fn tenants(&self, after: Option<&TenantId>, limit: usize) -> Result<Vec<Tenant>> {
        let after = after.filter(|_| self.keep(Guard::Pages));
        let tenants = self.tenants.lock();
        let page = tenants.values();
        let page = page.filter(|it| after.is_none_or(|after| it.id > *after));
        Ok(page.take(limit).cloned().collect())
    }
}
