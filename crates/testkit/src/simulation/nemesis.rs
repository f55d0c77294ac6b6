//! Who disturbs: deaths, pauses, partitions, and what an operator may do at the worst time.

use std::{sync::Arc, time::Duration};

use nebula_core::Clock;
use nebula_ports::{Receipt, TaskQueue};

use super::{
    director::{Director, GIVES_UP},
    scheduler::{Life, Order, Owner},
    swarm::{Fault, Recovery},
};
use crate::SeededEntropy;

/// What the nemesis does; the other faults happen to calls.
const DEEDS: &[Fault] = &[
    Fault::Crash,
    Fault::CrashInRecovery,
    Fault::Pause,
    Fault::Partition,
    Fault::ClockJump,
    Fault::RollingRestart,
    Fault::CancelStorm,
    Fault::QueueWiped,
];

impl Director {
    /// Disturbs, as long as faults happen.
    pub(super) async fn nemesis(self: &Arc<Self>) {
        let chance = self.world.swarm.chance(3);
        let deeds: Vec<_> = DEEDS
            .iter()
            .copied()
            .filter(|deed| self.world.swarm.has(*deed))
            .collect();
        if deeds.is_empty() {
            return;
        }
        let rest = self.world.swarm.rest;
        loop {
            self.sleep_up_to(&chance, 2 * rest).await;
            if !self.world.is_faulty() {
                return;
            }
            let deed = *chance.pick(&deeds);
            self.world.struck(deed);
            self.commit(deed, &chance).await;
        }
    }

    async fn commit(self: &Arc<Self>, deed: Fault, chance: &SeededEntropy) {
        let (world, ttl) = (&self.world, self.world.swarm.lease_ttl());
        let process = self.process(chance);
        let life = process.life;
        match deed {
            Fault::Crash => world.kill(life),
            Fault::CrashInRecovery => {
                world.kill(life);
                let place = self.place_of(life);
                self.sleep_up_to(chance, 2_000).await;
                self.start_process(place);
                self.sleep_up_to(chance, 500).await;
                let again = self.processes.lock()[&place].life;
                world.kill(again);
            }
            Fault::Pause => {
                world.board.order(Order::Pause(life));
                let (world, pause) = (world.clone(), ttl + world.span(20_000));
                world.clone().board.spawn(Owner::World, async move {
                    world.clock.sleep(pause).await;
                    world.board.order(Order::Resume(life));
                });
            }
            Fault::Partition => {
                world.cut_off.lock().insert(life);
                let (world, long) = (world.clone(), world.span(30_000));
                world.clone().board.spawn(Owner::World, async move {
                    world.clock.sleep(long).await;
                    world.cut_off.lock().remove(&life);
                });
            }
            Fault::ClockJump => {
                let far = i64::try_from(chance.below(240_000)).unwrap_or(0) - 120_000;
                process.clock.jump(far);
            }
            Fault::RollingRestart => self.restart_all().await,
            Fault::CancelStorm => self.cancel_some(chance).await,
            Fault::QueueWiped => {
                let all = process
                    .queue
                    .receive(usize::MAX, Duration::ZERO, Duration::from_secs(1))
                    .await;
                let receipts: Vec<Receipt> = all
                    .into_iter()
                    .flatten()
                    .map(|delivery| delivery.receipt)
                    .collect();
                let _ = process.queue.ack(&receipts).await;
            }
            _ => unreachable!("{deed} is no deed of the nemesis"),
        }
    }

    fn place_of(&self, life: Life) -> u64 {
        let processes = self.processes.lock();
        let found = processes.iter().find(|(_, process)| process.life == life);
        found.map_or(0, |(place, _)| *place)
    }

    /// Stops each process in order, and starts another in its place.
    async fn restart_all(&self) {
        for place in 0..self.world.swarm.processes {
            let process = self.processes.lock()[&place].clone();
            process.shutdown.cancel();
            tokio::select! {
                biased;
                () = process.left.cancelled() => self.world.recovered(Recovery::Drained),
                () = self.world.clock.sleep(GIVES_UP) => self.world.kill(process.life),
            }
            self.start_process(place);
        }
    }

    async fn cancel_some(&self, chance: &SeededEntropy) {
        let started = self.started.lock().clone();
        for (number, id) in started {
            if chance.chance(70) {
                continue;
            }
            self.cancelled.lock().push(id);
            let (process, tenant) = (self.process(chance), self.world.tenant_of(number));
            let told = self.ask(&process, move |nebula| {
                Box::pin(async move {
                    nebula
                        .engine()
                        .cancel(&tenant, id, "a storm".to_owned())
                        .await
                })
            });
            let _ = told.await;
        }
    }
}
