//! What an operator has settled about the tenants of an installation.

use std::fmt;

use async_trait::async_trait;
use nebula_core::TenantId;
use nebula_tenant::Tenant;

use crate::Result;

/// How many tenants there may be.
pub const MAX_TENANTS: usize = 100_000;

/// What became of a version of a tenant that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum TenantPut {
    /// It is the version now.
    Stored,
    /// It was there already, with the same content: a retry after a lost reply.
    Same,
    /// It is not the next version; nothing was written.
    Conflict {
        /// The version that is there; 0 if there is none.
        version: u32,
    },
}

/// What is settled about the tenants of an installation. It is no secret of any of them, and it is read
/// by whoever admits their executions; what they have lies behind the other ports.
///
/// Rules (each is a test of `nebula_testkit::tenant_repo!`):
///
/// - **A version** is stored only if it is the one after that which is there, so that of two changes at
///   once one wins. The same version again is `Same`.
/// - **What may not be** ([`Tenant::check`]) is refused, and so is one more than [`MAX_TENANTS`].
/// - **A tenant of which nothing is stored** is none: whether anybody may begin something for it is for
///   the caller to say. A tenant is never deleted: its id is not used for another one.
#[async_trait]
pub trait TenantRepo: fmt::Debug + Send + Sync + 'static {
    /// Puts the next version of a tenant.
    ///
    /// # Errors
    /// `Invalid`: it may not be so. `Full`: there are [`MAX_TENANTS`]. `Unavailable`: it may be stored;
    /// the same call again answers `Same` then.
    async fn put_tenant(&self, new: Tenant) -> Result<TenantPut>;

    /// What is settled about a tenant.
    ///
    /// # Errors
    /// `Corrupt`: what is stored is damaged. `Unavailable`.
    async fn tenant(&self, id: &TenantId) -> Result<Option<Tenant>>;

    /// Tenants by id, at most `limit`, those after `after`.
    ///
    /// # Errors
    /// `Corrupt`: what is stored is damaged. `Unavailable`.
    async fn tenants(&self, after: Option<&TenantId>, limit: usize) -> Result<Vec<Tenant>>;
}
