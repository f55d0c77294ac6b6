//! What an operator has settled about a tenant.

use nebula_core::TenantId;

use crate::{QuotaError, Quotas, Weight};

/// The longest name of a tenant, in bytes.
pub const MAX_TENANT_NAME: usize = 256;

/// One version of what is settled about a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Which one.
    pub id: TenantId,
    /// Its version, from 1.
    pub version: u32,
    /// What is shown of it: 1 to [`MAX_TENANT_NAME`] bytes.
    pub name: String,
    /// Whether nobody of it is let in and nothing of it begins. What is under way goes on.
    pub disabled: bool,
    /// How much it may use.
    pub quotas: Quotas,
    /// How large its part of what workers do is, while others have work as well.
    pub weight: Weight,
}

/// Why something cannot be settled about a tenant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TenantError {
    /// The name is empty or too long.
    #[error("the name has {0} bytes; it has from 1 to {MAX_TENANT_NAME}")]
    Name(usize),
    /// A quota cannot be.
    #[error(transparent)]
    Quota(#[from] QuotaError),
}

impl Tenant {
    /// Holds it against what may be.
    ///
    /// # Errors
    /// [`TenantError`]: the first thing that is wrong.
    pub fn check(&self) -> Result<(), TenantError> {
        let bytes = self.name.len();
        if !(1..=MAX_TENANT_NAME).contains(&bytes) {
            return Err(TenantError::Name(bytes));
        }
        Ok(self.quotas.check()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_length() {
        let named = |name: String| Tenant {
            id: TenantId::local(),
            version: 1,
            name,
            disabled: false,
            quotas: Quotas::default(),
            weight: Weight::default(),
        };
        assert_eq!(named(String::new()).check(), Err(TenantError::Name(0)));
        let long = "x".repeat(MAX_TENANT_NAME + 1);
        assert_eq!(named(long).check(), Err(TenantError::Name(257)));
        assert_eq!(named("x".repeat(MAX_TENANT_NAME)).check(), Ok(()));
    }
}
