//! How much each tenant weighs in the queue.

use std::collections::BTreeMap;

use nebula_core::TenantId;
use nebula_tenant::Weight;

/// How many tenants may weigh more than the least: a queue keeps them where others wait for it.
pub const MAX_WEIGHTED: usize = 10_000;

/// What tenants weigh; whoever is not named weighs 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Weights {
    weights: BTreeMap<TenantId, Weight>,
}

impl Weights {
    /// Settles what a tenant weighs. Whether there was room: where [`MAX_WEIGHTED`] others weigh more than 1,
    /// it weighs 1.
    pub fn set(&mut self, tenant: TenantId, weight: Weight) -> bool {
        if weight == Weight::default() {
            self.weights.remove(&tenant);
            return true;
        }
        let room = self.weights.len() < MAX_WEIGHTED || self.weights.contains_key(&tenant);
        if room {
            self.weights.insert(tenant, weight);
        }
        room
    }

    /// What a tenant weighs.
    #[must_use]
    pub fn of(&self, tenant: &TenantId) -> Weight {
        self.weights.get(tenant).copied().unwrap_or_default()
    }

    /// Those that weigh more than 1, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&TenantId, Weight)> {
        self.weights
            .iter()
            .map(|(tenant, weight)| (tenant, *weight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(n: usize) -> TenantId {
        TenantId::new(format!("t{n}")).unwrap()
    }

    #[test]
    fn only_so_many_weigh_more_than_the_least() {
        let (two, mut weights) = (Weight::new(2).unwrap(), Weights::default());
        assert!((0..MAX_WEIGHTED).all(|n| weights.set(tenant(n), two)));
        assert!(!weights.set(tenant(MAX_WEIGHTED), two));
        assert_eq!(weights.of(&tenant(MAX_WEIGHTED)), Weight::default());
        // Whoever is there may change, and whoever weighs least needs no room.
        assert!(weights.set(tenant(1), Weight::new(3).unwrap()));
        assert!(weights.set(tenant(0), Weight::default()));
        assert_eq!(weights.iter().count(), MAX_WEIGHTED - 1);
        assert!(weights.set(tenant(MAX_WEIGHTED), two));
    }
}
