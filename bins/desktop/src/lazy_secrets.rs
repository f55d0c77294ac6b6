//! Secrets that are opened when somebody asks for one: a command that needs none neither asks for their
//! key nor fails without it.

use async_trait::async_trait;
use nebula_core::{SecretId, SecretString, TenantId};
use nebula_ports::{
    ErrorKind, PortError, Result, SecretDeleted, SecretSet, SecretsRotated, SecretsStore,
};
use std::sync::Arc;
use tokio::sync::OnceCell;

use crate::{compose, settings::Loaded};

/// The secrets of this user, once they are needed.
#[derive(Debug)]
pub(crate) struct LazySecrets {
    loaded: Loaded,
    opened: OnceCell<Arc<dyn SecretsStore>>,
}

impl LazySecrets {
    pub(crate) fn new(loaded: Loaded) -> Self {
        let opened = OnceCell::new();
        Self { loaded, opened }
    }

    async fn store(&self) -> Result<&Arc<dyn SecretsStore>> {
        let open = async || {
            let opened = compose::secrets(&self.loaded).await;
            opened
                .map(|it| it.store)
                .map_err(|failure| match failure.port {
                    // It says by itself what could not be done.
                    Some(error) => *error,
                    None => {
                        let (kind, operation) = (ErrorKind::Key, "open the secrets");
                        PortError::new(kind, "secrets", operation, failure.message)
                    }
                })
        };
        self.opened.get_or_try_init(open).await
    }
}

#[async_trait]
impl SecretsStore for LazySecrets {
    async fn get(&self, tenant: &TenantId, id: &SecretId) -> Result<Option<SecretString>> {
        self.store().await?.get(tenant, id).await
    }

    async fn set(
        &self,
        tenant: &TenantId,
        id: &SecretId,
        value: SecretString,
    ) -> Result<SecretSet> {
        self.store().await?.set(tenant, id, value).await
    }

    async fn delete(&self, tenant: &TenantId, id: &SecretId) -> Result<SecretDeleted> {
        self.store().await?.delete(tenant, id).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        after: Option<&SecretId>,
        limit: usize,
    ) -> Result<Vec<SecretId>> {
        self.store().await?.list(tenant, after, limit).await
    }

    async fn rotate(&self) -> Result<SecretsRotated> {
        self.store().await?.rotate().await
    }
}
