//! The way to the secrets: the master keys of credentials.

use async_trait::async_trait;
use nebula_core::{SecretId, SecretString, TenantId};
use nebula_ports::{Result, SecretDeleted, SecretSet, SecretsRotated, SecretsStore};

use super::Wire;
use crate::simulation::{
    scheduler::Life,
    swarm::Fault,
    world::{Faults, World},
};

/// What happens to the store of secrets: keys are remembered, so it is seldom asked.
const FAULTS: Faults = Faults {
    often: 5,
    latency: 500,
    refused: Fault::SecretsRefused,
    unanswered: Fault::SecretsAnswerLost,
    slow: Fault::SecretsSlow,
    full: Fault::SecretsFull,
    before: Fault::DeathBeforeSecret,
    after: Fault::DeathAfterSecret,
};

impl Wire {
    async fn secret<T: Send + 'static>(
        &self,
        operation: &'static str,
        writes: bool,
        work: impl FnOnce(&World, Life) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let fate = self.world.fate_by(&FAULTS, self.life, writes);
        self.fated(operation, fate, work).await
    }
}

#[async_trait]
impl SecretsStore for Wire {
    async fn get(&self, tenant: &TenantId, id: &SecretId) -> Result<Option<SecretString>> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.secret("secret get", false, move |world, _| {
            world.ask(world.secrets.get(&tenant, &id))
        })
        .await
    }

    async fn set(
        &self,
        tenant: &TenantId,
        id: &SecretId,
        value: SecretString,
    ) -> Result<SecretSet> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.secret("secret set", true, move |world, _| {
            world.ask(world.secrets.set(&tenant, &id, value))
        })
        .await
    }

    async fn delete(&self, tenant: &TenantId, id: &SecretId) -> Result<SecretDeleted> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.secret("secret delete", true, move |world, _| {
            world.ask(world.secrets.delete(&tenant, &id))
        })
        .await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        after: Option<&SecretId>,
        limit: usize,
    ) -> Result<Vec<SecretId>> {
        let (tenant, after) = (tenant.clone(), after.cloned());
        self.secret("secret list", false, move |world, _| {
            world.ask(world.secrets.list(&tenant, after.as_ref(), limit))
        })
        .await
    }

    async fn rotate(&self) -> Result<SecretsRotated> {
        self.secret("secrets rotate", true, move |world, _| {
            world.ask(world.secrets.rotate())
        })
        .await
    }
}
