//! The way from one process to the stores: it can be slow, and it can end at any call.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use nebula_core::{BoxFuture, CredentialId, Entropy as _, KeyId, SecretId, SecretString, TenantId};
use nebula_ports::{
    CredentialDeleted, CredentialPut, CredentialRepo, CredentialRewrapped, CredentialSummary,
    CredentialUse, CredentialUser, CredentialVersion, ErrorKind, KeyDropped, KeyPromoted,
    PortError, RefreshLease, Result, SecretDeleted, SecretSet, SecretsRotated, SecretsStore,
    UseRecorded,
};
use nebula_testkit::SeededEntropy;
use parking_lot::Mutex;
use uuid::Uuid;

type Hook = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Counts calls, lets others in between, and ends at one of them.
#[derive(Default)]
pub(crate) struct Wire {
    calls: AtomicUsize,
    /// At which call the process dies, and whether that call is done.
    crash: Option<(usize, bool)>,
    slow: Option<SeededEntropy>,
    hooks: Mutex<BTreeMap<&'static str, Arc<Hook>>>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl Wire {
    pub(crate) fn straight() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn crash(at: usize, after: bool) -> Arc<Self> {
        Arc::new(Self {
            crash: Some((at, after)),
            ..Self::default()
        })
    }

    pub(crate) fn slow(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            slow: Some(SeededEntropy::new(seed)),
            ..Self::default()
        })
    }

    pub(crate) fn before(
        &self,
        call: &'static str,
        hook: impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) {
        let hook: Hook = Box::new(hook);
        self.hooks.lock().insert(call, Arc::new(hook));
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    async fn pause(&self) {
        if let Some(slow) = &self.slow {
            for _ in 0..slow.next_u64() % 5 {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn pass<T>(
        &self,
        call: &'static str,
        done: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.pause().await;
        let hook = self.hooks.lock().get(call).cloned();
        if let Some(hook) = hook {
            hook().await;
        }
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let dead = || {
            PortError::new(
                ErrorKind::Unavailable,
                "wire",
                "pass",
                "the process is dead",
            )
        };
        match self.crash {
            Some((at, _)) if number > at => Err(dead()),
            Some((at, after)) if number == at => {
                if after {
                    let _ = done.await;
                }
                Err(dead())
            }
            _ => {
                let done = done.await;
                self.pause().await;
                done
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct Repo<R>(pub(crate) Arc<R>, pub(crate) Arc<Wire>);

#[derive(Debug)]
pub(crate) struct Secrets<S>(pub(crate) Arc<S>, pub(crate) Arc<Wire>);

#[async_trait]
impl<R: CredentialRepo> CredentialRepo for Repo<R> {
    async fn get(&self, tenant: &TenantId, id: &CredentialId) -> Result<Option<CredentialVersion>> {
        self.1.pass("get", self.0.get(tenant, id)).await
    }

    async fn put(&self, tenant: &TenantId, new: CredentialVersion) -> Result<CredentialPut> {
        self.1.pass("put", self.0.put(tenant, new)).await
    }

    async fn rewrap(
        &self,
        tenant: &TenantId,
        from: &KeyId,
        new: CredentialVersion,
    ) -> Result<CredentialRewrapped> {
        self.1
            .pass("rewrap", self.0.rewrap(tenant, from, new))
            .await
    }

    async fn delete(&self, tenant: &TenantId, id: &CredentialId) -> Result<CredentialDeleted> {
        self.1.pass("delete", self.0.delete(tenant, id)).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        after: Option<&CredentialId>,
        limit: usize,
    ) -> Result<Vec<CredentialSummary>> {
        self.1.pass("list", self.0.list(tenant, after, limit)).await
    }

    async fn lease_refresh(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        version: u32,
        holder: Uuid,
        ttl: Duration,
    ) -> Result<RefreshLease> {
        let leased = self.0.lease_refresh(tenant, id, version, holder, ttl);
        self.1.pass("lease_refresh", leased).await
    }

    async fn release_refresh(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        holder: Uuid,
    ) -> Result<()> {
        let released = self.0.release_refresh(tenant, id, holder);
        self.1.pass("release_refresh", released).await
    }

    async fn keys(&self, tenant: &TenantId) -> Result<Vec<KeyId>> {
        self.1.pass("keys", self.0.keys(tenant)).await
    }

    async fn promote_key(
        &self,
        tenant: &TenantId,
        from: Option<&KeyId>,
        to: &KeyId,
    ) -> Result<KeyPromoted> {
        let promoted = self.0.promote_key(tenant, from, to);
        self.1.pass("promote_key", promoted).await
    }

    async fn drop_key(&self, tenant: &TenantId, key: &KeyId) -> Result<KeyDropped> {
        self.1.pass("drop_key", self.0.drop_key(tenant, key)).await
    }

    async fn record_use(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        version: u32,
        user: &CredentialUser,
    ) -> Result<UseRecorded> {
        let recorded = self.0.record_use(tenant, id, version, user);
        self.1.pass("record_use", recorded).await
    }

    async fn uses(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<CredentialUse>> {
        let uses = self.0.uses(tenant, id, before, limit);
        self.1.pass("uses", uses).await
    }
}

#[async_trait]
impl<S: SecretsStore> SecretsStore for Secrets<S> {
    async fn get(&self, tenant: &TenantId, id: &SecretId) -> Result<Option<SecretString>> {
        self.1.pass("secret", self.0.get(tenant, id)).await
    }

    async fn set(
        &self,
        tenant: &TenantId,
        id: &SecretId,
        value: SecretString,
    ) -> Result<SecretSet> {
        self.1.pass("set", self.0.set(tenant, id, value)).await
    }

    async fn delete(&self, tenant: &TenantId, id: &SecretId) -> Result<SecretDeleted> {
        self.1.pass("forget", self.0.delete(tenant, id)).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        after: Option<&SecretId>,
        limit: usize,
    ) -> Result<Vec<SecretId>> {
        self.1
            .pass("secrets", self.0.list(tenant, after, limit))
            .await
    }

    async fn rotate(&self) -> Result<SecretsRotated> {
        self.1.pass("rotate", self.0.rotate()).await
    }
}
