//! Rates in the model: when each bucket is full again.

use nebula_core::{ExecutionId, TenantId, Timestamp};
use nebula_ports::{FullAt, Rate, RateTurn};

use super::{ExecutionGuard as Guard, records::Records};
use crate::START;

impl Records {
    /// What becomes of one more start; nothing is taken.
    pub(super) fn rate_turn(&mut self, tenant: &TenantId, rate: &Rate, now: Timestamp) -> RateTurn {
        let before = self.rates.clone();
        let turn = self.take_of_rate(tenant, rate, now);
        self.rates = before;
        let full_at = FullAt(i64::MIN);
        turn.unwrap_or(RateTurn::Now { full_at })
    }

    /// Takes what one start takes of its rate, unless that refuses it.
    pub(super) fn take_of_rate(
        &mut self,
        tenant: &TenantId,
        rate: &Rate,
        now: Timestamp,
    ) -> Option<RateTurn> {
        let guards = self.guards;
        if !guards.keep(Guard::Rate) {
            return None;
        }
        // Where nothing comes back, its time stands still.
        let now = if guards.keep(Guard::RateComesBack) {
            now
        } else {
            START
        };
        self.rates.retain(|_, full_at| !full_at.is_past(now));
        let owner = match guards.keep(Guard::RateTenant) {
            true => tenant.clone(),
            false => TenantId::local(),
        };
        let key = match guards.keep(Guard::RateKey) {
            true => rate.key().to_owned(),
            false => String::new(),
        };
        let known = self.rates.get(&(owner.clone(), key.clone())).copied();
        let turn = rate.take(known, now);
        match turn {
            RateTurn::Now { full_at } | RateTurn::Later { full_at, .. } => {
                self.rates.insert((owner, key), full_at);
            }
            RateTurn::Full { .. } => {}
        }
        Some(turn)
    }

    /// Lets a new execution sleep until it may begin.
    pub(super) fn begin_later(
        &mut self,
        (tenant, id): (&TenantId, ExecutionId),
        begins_at: Timestamp,
    ) {
        let sleeps = self.keep(Guard::RateSleeps);
        let row = self.get_mut(tenant, id).expect("it was inserted just now");
        row.begins_at = Some(begins_at);
        if sleeps {
            row.wake_at = Some(begins_at);
        }
    }
}
