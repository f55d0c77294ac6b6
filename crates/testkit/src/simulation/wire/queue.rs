//! The way to the doorbell, and what an answer for a delivery says about its lease.

use std::time::Duration;

use async_trait::async_trait;
use nebula_core::{Clock, ExecutionId};
use nebula_ports::{
    Delivery, Lease, Queued, Receipt, ReceiptOutcome, Result, Task, TaskQueue, Weights,
};

use super::{Wire, lost};
use crate::simulation::{
    checks,
    process::MAX_DELIVERIES,
    scheduler::Owner,
    swarm::{Fault, Recovery},
};

#[async_trait]
impl TaskQueue for Wire {
    async fn ring(&self, task: Task, delay: Duration) -> Result<Queued> {
        let world = &self.world;
        world.note("ring", format_args!("{} {}", self.life, task.execution));
        world.oracle.lock().touched(&task.tenant, task.execution);
        if world.strikes(Fault::RingLost) {
            return Ok(Queued::Queued);
        }
        if world.strikes(Fault::RingRepeated) {
            // As if it had been taken in between: the second is a task of its own.
            let (queue, again, pause) = (self.queue.clone(), task.clone(), world.span(500));
            let clock = world.clock.clone();
            world.board.spawn(Owner::World, async move {
                clock.sleep(pause).await;
                let _ = queue.ring(again, delay).await;
            });
        }
        let late = if world.strikes(Fault::RingLate) {
            world.span(5_000)
        } else {
            Duration::ZERO
        };
        let queued = self.queue.ring(task, delay + late).await?;
        if queued == Queued::Dropped {
            world.recovered(Recovery::RingDropped);
        }
        Ok(queued)
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<Delivery>> {
        let deliveries = self.queue.receive(max, wait, visibility).await?;
        let world = &self.world;
        for delivery in &deliveries {
            let (execution, count) = (delivery.task.execution, delivery.delivery_count);
            world.note(
                "deliver",
                format_args!("{} {execution} the {count}. time", self.life),
            );
            if count > 1 {
                world.recovered(Recovery::Redelivered);
            }
            if count > MAX_DELIVERIES {
                world.complain(
                    checks::BOUNDED,
                    format!("{execution} was delivered {count} times"),
                );
            }
            let mut hands = world.hands.lock();
            let hands = hands.entry((self.life, execution)).or_default();
            hands.receipts.push(delivery.receipt.clone());
        }
        Ok(deliveries)
    }

    async fn ack(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>> {
        let world = &self.world;
        world.note("ack", self.life);
        receipts
            .iter()
            .for_each(|receipt| self.answered(receipt, true));
        if world.strikes(Fault::AckLost) {
            return Err(lost("ack"));
        }
        if world.strikes(Fault::AckLate) {
            world.clock.sleep(world.swarm.lease_ttl() * 7).await;
        }
        let outcomes = self.queue.ack(receipts).await?;
        if outcomes.contains(&ReceiptOutcome::Superseded) {
            world.recovered(Recovery::ReceiptSuperseded);
        }
        Ok(outcomes)
    }

    async fn nack(
        &self,
        receipt: &Receipt,
        delay: Duration,
        reason: &str,
    ) -> Result<ReceiptOutcome> {
        self.world.note("nack", self.life);
        self.answered(receipt, false);
        self.queue.nack(receipt, delay, reason).await
    }

    async fn extend(&self, receipts: &[Receipt], by: Duration) -> Result<Vec<ReceiptOutcome>> {
        self.queue.extend(receipts, by).await
    }

    async fn dead(&self, limit: usize) -> Result<Vec<(Task, String)>> {
        self.queue.dead(limit).await
    }

    async fn redrive(&self) -> Result<usize> {
        self.queue.redrive().await
    }

    async fn set_weights(&self, weights: &Weights) -> Result<()> {
        self.queue.set_weights(weights).await
    }

    fn dropped(&self) -> u64 {
        self.queue.dropped()
    }
}

impl Wire {
    /// A delivery is answered; if it led to a lease, nothing more may be done under that.
    fn answered(&self, receipt: &Receipt, acked: bool) {
        let world = &self.world;
        let mut all = world.hands.lock();
        let mut mine = all.range_mut((self.life, ExecutionId::from_bytes([0; 16]))..);
        let found =
            mine.find(|((life, _), hands)| *life == self.life && hands.receipts.contains(receipt));
        let Some((&(life, execution), hands)) = found else {
            return;
        };
        hands.receipts.retain(|other| other != receipt);
        let led = hands.leading.take_if(|(leading, _)| leading == receipt);
        if let Some((_, epoch)) = led.filter(|_| acked) {
            hands.answered = epoch;
            let late = LEASE_UNSURE.iter().any(|fault| world.swarm.has(*fault));
            let now = world.clock.now();
            if !late && world.oracle.lock().holds(execution, life, now) {
                world.complain(
                    checks::ACK_LAST,
                    format!("{execution} is still held by {life}"),
                );
            }
        }
    }

    /// Something is done under a lease.
    pub(super) fn goes_on(&self, lease: &Lease) {
        let (world, key) = (&self.world, (self.life, lease.execution));
        let answered = world
            .hands
            .lock()
            .get(&key)
            .map_or(0, |hands| hands.answered);
        // An earlier lease is another matter: the store refuses whoever comes with that.
        if answered == lease.epoch {
            let what = format!(
                "{} goes on with {} after its ack",
                self.life, lease.execution
            );
            world.complain(checks::ACK_LAST, what);
        }
    }
}

/// Where these happen, a holder may let go of a lease that the store still counts as its own.
const LEASE_UNSURE: &[Fault] = &[
    Fault::StoreRefuses,
    Fault::StoreAnswerLost,
    Fault::StoreSlow,
    Fault::StoreLate,
    Fault::StoreFull,
    Fault::BlobRefused,
    Fault::BlobAnswerLost,
    Fault::BlobSlow,
    Fault::BlobFull,
    Fault::BlobTorn,
    Fault::BlobFlipped,
    Fault::Partition,
    Fault::Pause,
];
