//! Which plans are known to be stored, so that storing the plan of every start costs no commit.

use std::collections::BTreeSet;

use nebula_core::{Digest, TenantId};

/// The most plans that are remembered; one more forgets all.
const MAX_KNOWN: usize = 4096;

/// Plans are never deleted and never change: what was once seen in the database is there.
#[derive(Debug, Default)]
pub(crate) struct KnownPlans(BTreeSet<(TenantId, Digest)>);

impl KnownPlans {
    pub(crate) fn has(&self, tenant: &TenantId, digest: Digest) -> bool {
        self.0.contains(&(tenant.clone(), digest))
    }

    pub(crate) fn add(&mut self, tenant: TenantId, digest: Digest) {
        if self.0.len() >= MAX_KNOWN {
            self.0.clear();
        }
        self.0.insert((tenant, digest));
    }
}
