//! What a tenant of an installation may use.
//!
//! A [`Tenant`] says what an operator has settled about a customer: whether it is let in, and its
//! [`Quotas`] and [`Weight`]. [`Quotas::admit`] says whether one more execution may begin. Start reading at [`Quotas`].
//!
//! Does not know: where tenants are kept, what is counted how, what time it is.
//!
//! # Invariants
//! - What is refused says which quota, how much of it is used, and how much there is.
//! - A quota is never zero: what is to begin nothing is disabled.
//!
//! ```
//! use nebula_tenant::{Quota, Quotas, Usage};
//!
//! let quotas = Quotas { executions: Some(100), ..Quotas::default() };
//! let mut used = Usage { executions: 99, ..Usage::default() };
//! assert!(quotas.admit(&used).is_ok());
//! used.executions = 100;
//! assert_eq!(quotas.admit(&used).unwrap_err().quota, Quota::Executions);
//! ```

mod quotas;
mod standing;
mod weight;

pub use quotas::{
    Exceeded, MAX_BYTES, MAX_EXECUTIONS, MAX_STARTS_PER_SECOND, Quota, QuotaError, Quotas, Usage,
};
pub use standing::{MAX_TENANT_NAME, Tenant, TenantError};
pub use weight::{MAX_WEIGHT, Weight, WeightError};
