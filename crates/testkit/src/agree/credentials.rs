//! Agreement of stores of credentials.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use nebula_core::{CredentialId, ExecutionId, KeyId, TenantId};
use nebula_ports::{CredentialPut, CredentialRepo, CredentialUser, CredentialVersion};
use uuid::Uuid;

use super::log::Log;
use crate::{ManualClock, MemoryCredentialRepo, SeededEntropy, run};

/// Does `operations` random things to the store that `make` makes and to the model.
///
/// `make` is the expression of `credential_repo!`. Times are compared, too.
///
/// # Panics
/// When an answer differs: with the seed and the operations.
pub fn credential_repos<M: Future<Output = Arc<dyn CredentialRepo>>>(
    seed: u64,
    operations: usize,
    make: impl FnOnce(Arc<ManualClock>) -> M,
) {
    let clock = Arc::new(ManualClock::default());
    let model = MemoryCredentialRepo::new(Arc::clone(&clock) as _);
    run(async {
        let driver = make(Arc::clone(&clock)).await;
        let mut run = Run {
            clock,
            model,
            driver,
            random: SeededEntropy::new(seed),
            log: Log::new(seed),
            passed: BTreeMap::new(),
        };
        for _ in 0..operations {
            run.operation().await;
        }
    });
}

struct Run {
    clock: Arc<ManualClock>,
    model: MemoryCredentialRepo,
    driver: Arc<dyn CredentialRepo>,
    random: SeededEntropy,
    log: Log<TenantId>,
    /// The number that a refused put was told: after a deletion, nothing else says which is next.
    passed: BTreeMap<(TenantId, CredentialId), u32>,
}

/// The same call to both.
macro_rules! both {
    ($run:ident, $call:ident($($argument:expr),*)) => {{
        let model = $run.model.$call($($argument),*).await;
        let driver = $run.driver.$call($($argument),*).await;
        let _ = $run.log.same(model, driver);
    }};
}

impl Run {
    /// One of few tenants and ids, so that they meet again.
    fn choose(&self) -> (TenantId, CredentialId) {
        let tenant = TenantId::new(*self.random.pick(&["a", "A", "b"])).expect("an id");
        let id = CredentialId::new(*self.random.pick(&["x", "X", "y.z"])).expect("an id");
        (tenant, id)
    }

    fn key(&self) -> KeyId {
        let name = format!("k{}", self.random.below(20));
        KeyId::new(name).expect("an id")
    }

    /// The primary key mostly, so that much is put.
    async fn likely_key(&self, tenant: &TenantId) -> KeyId {
        let keys = self.model.keys(tenant).await.unwrap_or_default();
        match keys.first() {
            Some(primary) if !self.random.chance(20) => primary.clone(),
            _ => self.key(),
        }
    }

    async fn version(&self, tenant: &TenantId, id: &CredentialId, ahead: u32) -> u32 {
        let there = self.model.get(tenant, id).await;
        let passed = self.passed.get(&(tenant.clone(), id.clone()));
        let passed = passed.copied().unwrap_or_default();
        let there = there.ok().flatten().map_or(passed, |it| it.version);
        match self.random.chance(75) {
            true => there + ahead,
            // The last one again, or one of the first.
            false if self.random.chance(50) => there,
            false => u32::try_from(self.random.below(9)).expect("a small number"),
        }
    }

    async fn candidate(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        ahead: u32,
    ) -> CredentialVersion {
        CredentialVersion {
            id: id.clone(),
            kind: (*self.random.pick(&["basic", "bearer", "bearer", ""])).to_owned(),
            version: self.version(tenant, id, ahead).await,
            key: self.likely_key(tenant).await,
            envelope: vec![7; *self.random.pick(&[0, 1, 1, 2, 5_000])],
        }
    }

    async fn operation(&mut self) {
        let (tenant, id) = self.choose();
        match self.random.below(100) {
            0..22 => {
                let new = self.candidate(&tenant, &id, 1).await;
                self.log.note(Some(tenant.clone()), format!("put {new:?}"));
                let model = self.model.put(&tenant, new.clone()).await;
                let driver = self.driver.put(&tenant, new).await;
                if let Some(CredentialPut::Conflict { version }) = self.log.same(model, driver) {
                    self.passed.insert((tenant, id), version);
                }
            }
            22..32 => {
                let new = self.candidate(&tenant, &id, 0).await;
                let there = self.model.get(&tenant, &id).await.ok().flatten();
                let there = there.filter(|_| self.random.chance(80));
                let from = there.map_or_else(|| self.key(), |it| it.key);
                self.log
                    .note(Some(tenant.clone()), format!("rewrap {from} {new:?}"));
                both!(self, rewrap(&tenant, &from, new.clone()));
            }
            32..38 => {
                self.log.note(Some(tenant.clone()), format!("delete {id}"));
                both!(self, delete(&tenant, &id));
            }
            38..46 => {
                self.log.note(Some(tenant.clone()), format!("get {id}"));
                both!(self, get(&tenant, &id));
            }
            46..53 => {
                let limit = *self.random.pick(&[0, 1, 2, 100]);
                let after = self.random.chance(40).then_some(&id);
                self.log.note(
                    Some(tenant.clone()),
                    format!("list {limit} after {after:?}"),
                );
                both!(self, list(&tenant, after, limit));
            }
            53..61 => self.promote(&tenant).await,
            61..67 => {
                let key = self.key();
                self.log.note(Some(tenant.clone()), format!("drop {key}"));
                both!(self, drop_key(&tenant, &key));
                both!(self, keys(&tenant));
            }
            67..84 => self.refresh_or_use(&tenant, &id).await,
            84..90 => {
                let before = self.random.chance(40).then(|| self.random.below(30));
                let limit = *self.random.pick(&[0, 1, 3, 5_000]);
                self.log.note(
                    Some(tenant.clone()),
                    format!("uses of {id}: {limit} before {before:?}"),
                );
                both!(self, uses(&tenant, &id, before, limit));
            }
            _ => {
                let by = Duration::from_millis(*self.random.pick(&[1, 500, 60_000]));
                self.log.note(None, format!("advance {by:?}"));
                self.clock.advance(by);
            }
        }
    }

    async fn promote(&mut self, tenant: &TenantId) {
        let keys = self.model.keys(tenant).await.unwrap_or_default();
        let from = match self.random.chance(80) {
            true => keys.first().cloned(),
            false => self.random.chance(50).then(|| self.key()),
        };
        let to = self.key();
        self.log
            .note(Some(tenant.clone()), format!("promote {from:?} to {to}"));
        both!(self, promote_key(tenant, from.as_ref(), &to));
        both!(self, keys(tenant));
    }

    async fn refresh_or_use(&mut self, tenant: &TenantId, id: &CredentialId) {
        let holder = Uuid::from_u128(self.random.below(3).into());
        let version = self.version(tenant, id, 0).await;
        match self.random.below(10) {
            0..4 => {
                let ttl = Duration::from_millis(*self.random.pick(&[0, 500, 60_000, 3_600_000]));
                let told = format!("lease {id} {version} for {ttl:?} to {holder}");
                self.log.note(Some(tenant.clone()), told);
                both!(self, lease_refresh(tenant, id, version, holder, ttl));
            }
            4..7 => {
                let told = format!("release {id} from {holder}");
                self.log.note(Some(tenant.clone()), told);
                both!(self, release_refresh(tenant, id, holder));
            }
            _ => {
                let user = match self.random.below(5) {
                    0 => CredentialUser::Refresh,
                    1 => CredentialUser::Test,
                    2 => CredentialUser::Change,
                    _ => CredentialUser::Attempt {
                        execution: ExecutionId::from_bytes([7; 16]),
                        node: "n".repeat(*self.random.pick(&[0, 1, 20])),
                        attempt: version,
                    },
                };
                let told = format!("use {id} {version} by {user:?}");
                self.log.note(Some(tenant.clone()), told);
                both!(self, record_use(tenant, id, version, &user));
            }
        }
    }
}
