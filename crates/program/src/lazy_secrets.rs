//! Secrets that are opened when somebody asks for one: a command that needs none neither asks for their
//! key nor fails without it.

use async_trait::async_trait;
use nebula_core::{BoxFuture, SecretId, SecretString, TenantId};
use nebula_ports::{
    ErrorKind, PortError, Result, SecretDeleted, SecretSet, SecretsRotated, SecretsStore,
};
use std::{fmt, sync::Arc};
use tokio::sync::OnceCell;

use crate::failure::Failure;

/// Opens the secrets.
type Open = dyn Fn() -> BoxFuture<'static, Opened> + Send + Sync;

/// The secrets, or why they cannot be opened.
type Opened = std::result::Result<Arc<dyn SecretsStore>, Failure>;

/// Secrets, once they are needed.
pub struct LazySecrets {
    open: Box<Open>,
    opened: OnceCell<Arc<dyn SecretsStore>>,
}

impl fmt::Debug for LazySecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let opened = self.opened.initialized();
        f.debug_struct("LazySecrets")
            .field("opened", &opened)
            .finish_non_exhaustive()
    }
}

impl LazySecrets {
    /// Those that `open` opens; asked again where it failed.
    pub fn new(open: impl Fn() -> BoxFuture<'static, Opened> + Send + Sync + 'static) -> Self {
        let (open, opened) = (Box::new(open), OnceCell::new());
        Self { open, opened }
    }

    async fn store(&self) -> Result<&Arc<dyn SecretsStore>> {
        let open = async || {
            let opened = (self.open)().await;
            opened.map_err(|failure| match failure.port {
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
