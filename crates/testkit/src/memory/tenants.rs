//! What a model keeps for each tenant.

use std::collections::BTreeMap;

use nebula_core::TenantId;
use parking_lot::Mutex;

/// One `T` for each tenant.
#[derive(Debug)]
pub(super) struct Tenants<T>(Mutex<BTreeMap<TenantId, T>>);

impl<T> Default for Tenants<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone + Default> Tenants<T> {
    /// Looks at what a tenant has.
    pub(super) fn look<R>(&self, tenant: &TenantId, look: impl FnOnce(&T) -> R) -> R {
        match self.0.lock().get(tenant) {
            Some(own) => look(own),
            None => look(&T::default()),
        }
    }

    /// Changes what a tenant has, in one piece.
    pub(super) fn change<R>(&self, tenant: &TenantId, change: impl FnOnce(&mut T) -> R) -> R {
        change(self.0.lock().entry(tenant.clone()).or_default())
    }

    /// The same; where it is not `whole`, on what the tenant had a moment ago, as if nobody else were.
    pub(super) async fn change_whole<R>(
        &self,
        tenant: &TenantId,
        whole: bool,
        change: impl FnOnce(&mut T) -> R,
    ) -> R {
        if whole {
            return self.change(tenant, change);
        }
        let mut before = self.look(tenant, T::clone);
        tokio::task::yield_now().await;
        let changed = change(&mut before);
        self.0.lock().insert(tenant.clone(), before);
        changed
    }
}
