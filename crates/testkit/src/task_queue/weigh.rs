//! Tenants that weigh more than others.

use nebula_core::{Priority::Normal, TenantId};
use nebula_ports::{Weight, Weights};

use super::fixture::{Queue, ack, one, ring, task_of};
use crate::ManualClock;

/// These weigh so much, and nobody else.
async fn weigh(queue: &Queue, weights: &[(&str, u32)]) {
    let mut all = Weights::default();
    for (tenant, weight) in weights {
        let weight = Weight::new(*weight).expect("it can be");
        assert!(all.set(TenantId::new(*tenant).expect("it is an id"), weight));
    }
    queue.set_weights(&all).await.unwrap();
}

/// How many tasks of `b` come one after the other until another has its turn, where `b` has five, `a` two and
/// `c` one. What they all had before is over.
async fn in_a_row(queue: &Queue) -> usize {
    for n in 1..=8 {
        let tenant = ["b", "b", "b", "b", "b", "a", "a", "c"][usize::from(n) - 1];
        let _ = ring(queue, task_of(tenant, n, Normal)).await;
    }
    let mut order = String::new();
    for _ in 0..8 {
        let delivery = one(queue).await;
        order.push_str(delivery.task.tenant.as_str());
        let _ = ack(queue, &delivery.receipt).await;
    }
    let mut rows = order.split(['a', 'c']).map(str::len);
    rows.find(|it| *it > 0).expect("it had turns")
}

/// Also from call to call, and whoever begins: others have their turns between. Guards: `QueueGuard::Weights`,
/// `WeightEnds`.
pub async fn a_tenant_has_as_many_turns_as_it_weighs(queue: &Queue, _: &ManualClock) {
    weigh(queue, &[("b", 3)]).await;
    assert_eq!(in_a_row(queue).await, 3);
    weigh(queue, &[("b", 2), ("d", 100)]).await;
    assert_eq!(in_a_row(queue).await, 2);
}

/// Guard: `QueueGuard::WeightsWhole`.
pub async fn who_is_not_named_again_weighs_least(queue: &Queue, _: &ManualClock) {
    weigh(queue, &[("b", 3), ("c", 2)]).await;
    weigh(queue, &[("c", 2)]).await;
    assert_eq!(in_a_row(queue).await, 1);
}
