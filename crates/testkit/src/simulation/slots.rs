//! Triggers that go by time: each slot starts one execution, whoever fires, dies, is late, or has another
//! time; and people pause triggers and make up for slots meanwhile.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use nebula::engine::FireConfig;
use nebula_core::{Clock, ExecutionId, TenantId, Timestamp, TriggerId, WorkflowId};
use nebula_execution::{Fact, Given, NewExecution};
use nebula_ports::{TriggerRecord, TriggerRepo};
use nebula_trigger::Schedule;
use serde_json::Value;

use super::{
    checks,
    director::Director,
    swarm::{Recovery, Swarm},
    world::{World, tenants},
};
use crate::SeededEntropy;

/// How long an operator rests between two deeds at most, in milliseconds.
const REST: u64 = 1_500;

/// For so long triggers go on when nothing goes wrong any more.
const AFTERWARDS: i64 = 10_000;

/// How far back an operator makes up for slots, in milliseconds.
const BACK: i64 = 15_000;

/// A trigger: whose, of which workflow, which.
type Key = (TenantId, WorkflowId, TriggerId);

/// What was started for which slot, and which were left out because somebody said so.
#[derive(Debug, Default)]
pub(super) struct Slots {
    started: BTreeMap<Key, BTreeMap<Timestamp, ExecutionId>>,
    left_out: BTreeMap<Key, Vec<(Timestamp, Timestamp)>>,
}

/// What executions of triggers get.
pub(super) fn config() -> FireConfig {
    FireConfig {
        folder: PathBuf::from("/"),
        vars: Value::Null,
    }
}

/// How far apart the slots of a world are.
pub(super) fn period(swarm: &Swarm) -> Duration {
    Duration::from_secs(2 + swarm.chance(8).below(5))
}

/// The workflow that starts by itself.
pub(super) fn ticking(swarm: &Swarm) -> String {
    let (every, misfire) = (period(swarm).as_secs(), swarm.misfire());
    format!(
        "id: ticks\ntriggers: [{{ id: t, type: interval, every: {every}s, misfire: {misfire} }}]\n\
         nodes: [{{ id: a, action: data.set, parameters: {{ at: '{{{{ $trigger.scheduled_at }}}}' }} }}]"
    )
}

fn ticks() -> (WorkflowId, TriggerId) {
    let workflow = "ticks".parse().expect("it is one");
    let trigger = TriggerId::new("t").expect("it is one");
    (workflow, trigger)
}

impl World {
    fn trigger(&self, key: &Key) -> Option<TriggerRecord> {
        let (tenant, workflow, trigger) = key;
        let found = self.ask(self.triggers.get(tenant, workflow, trigger));
        found.ok().flatten()
    }

    /// Where the trigger stands that a creation comes from.
    pub(super) fn triggered_by(
        &self,
        tenant: &TenantId,
        new: &NewExecution,
    ) -> Option<TriggerRecord> {
        let trigger = new.trigger.as_ref()?.trigger.clone();
        self.trigger(&(tenant.clone(), new.workflow.clone(), trigger))
    }

    /// An execution was created; `before` is where its trigger stood.
    pub(super) fn slot_started(
        &self,
        tenant: &TenantId,
        new: &NewExecution,
        before: Option<TriggerRecord>,
    ) {
        let Some((trigger, slot)) = self.slot_of(tenant, new) else {
            return;
        };
        let key = (tenant.clone(), new.workflow.clone(), trigger);
        let mut slots = self.slots.lock();
        let first = slots.started.entry(key).or_default().insert(slot, new.id);
        drop(slots);
        self.recovered(Recovery::SlotStarted);
        if let Some(first) = first {
            let what = format!("{slot} started {first} and {}", new.id);
            self.complain(checks::SLOT_ONCE, what);
        }
        let Some(before) = before else {
            return;
        };
        if slot <= before.state.through {
            let what = format!("{slot} is started, and {} was", before.state.through);
            self.complain(checks::SLOT_ORDER, what);
        }
        if before.state.paused {
            self.complain(checks::SLOT_PAUSED, slot.to_string());
        }
    }

    /// For which slot of which trigger an execution is.
    fn slot_of(&self, tenant: &TenantId, new: &NewExecution) -> Option<(TriggerId, Timestamp)> {
        let Fact::ExecutionStarted(started) = &new.entries.first()?.fact else {
            return None;
        };
        let told = match started.trigger() {
            Given::Blob(stored) => self.read_blob(tenant, stored.blob())?,
            told => Value::clone(&*told.value().ok()?),
        };
        let trigger = TriggerId::new(told["id"].as_str()?).ok()?;
        Some((trigger, told["scheduled_at"].as_str()?.parse().ok()?))
    }

    /// A trigger was moved without a start.
    pub(super) fn trigger_moved(&self, key: Key, before: &TriggerRecord) {
        let Some(now) = self.trigger(&key) else {
            return;
        };
        let (from, to) = (before.state.through, now.state.through);
        if to < from {
            let what = format!("from {from} back to {to}");
            self.complain(checks::SLOT_ORDER, what);
        }
        let by_a_person = before.state.paused && !now.state.paused;
        if to > from && by_a_person {
            let mut slots = self.slots.lock();
            slots.left_out.entry(key).or_default().push((from, to));
        } else if to > from {
            self.recovered(Recovery::SlotLeftOut);
        }
    }

    /// From now on no trigger fires any more, if all of them have gone on for a while since `healed`.
    pub(super) fn triggers_have_gone_on(&self, healed: Timestamp) -> bool {
        if !self.swarm.has_triggers() {
            return true;
        }
        let until = Timestamp::from_millis(healed.as_millis() + AFTERWARDS);
        let mut all = tenants(&self.swarm).into_iter().map(|tenant| {
            let (workflow, trigger) = ticks();
            self.trigger(&(tenant, workflow, trigger))
        });
        let gone_on = all.all(|record| record.is_some_and(|it| it.state.through >= until));
        if gone_on {
            self.rests.store(true, Ordering::Relaxed);
        }
        gone_on
    }

    /// When all is over: every slot that nobody was to leave out has started its execution.
    pub(super) fn slots_at_the_end(&self) {
        if !self.swarm.has_triggers() {
            return;
        }
        let first = Timestamp::default();
        let every = Schedule::every(period(&self.swarm), first).expect("it is long enough");
        for tenant in tenants(&self.swarm) {
            let (workflow, trigger) = ticks();
            let key = (tenant, workflow, trigger);
            let Some(record) = self.trigger(&key) else {
                self.complain(checks::SLOT_MISSED, "its trigger is gone");
                continue;
            };
            let slots = self.slots.lock();
            let none = BTreeMap::new();
            let started = slots.started.get(&key).unwrap_or(&none);
            let left_out = slots.left_out.get(&key).map_or(&[][..], Vec::as_slice);
            let by_a_person = |slot: Timestamp| {
                let mut ranges = left_out.iter();
                ranges.any(|(from, to)| *from < slot && slot <= *to)
            };
            let mut missed = Vec::new();
            for slot in every.occurrences(self.ticks_from) {
                if slot > record.state.through {
                    break;
                }
                if !started.contains_key(&slot) && !by_a_person(slot) {
                    missed.push(slot);
                }
            }
            let strange = started.keys().find(|slot| {
                let before = Timestamp::from_millis(slot.as_millis() - 1);
                every.next_after(before) != Some(**slot)
            });
            let strange = strange.copied();
            drop(slots);
            if let Some(slot) = strange {
                self.complain(checks::SLOT_ONCE, format!("{slot} is no slot"));
            }
            // Of the other policies, slots are left out that somebody came to too late, by a clock that may
            // be wrong; where nothing goes wrong, nobody is late.
            if let Some(slot) = missed.first()
                && (self.swarm.misfire() == "all" || self.swarm.faults.is_empty())
            {
                let what = format!("{slot}, of {} that started nothing", missed.len());
                self.complain(checks::SLOT_MISSED, what);
            }
        }
    }
}

impl Director {
    /// Pauses triggers, lets them go on, and makes up for slots, as long as faults happen; in the end all
    /// go on.
    pub(super) async fn operate_triggers(self: Arc<Self>) {
        let world = &self.world;
        if !world.swarm.has_triggers() {
            return;
        }
        let chance = world.swarm.chance(9);
        let tenants = tenants(&world.swarm);
        loop {
            self.sleep_up_to(&chance, REST).await;
            if !world.is_faulty() {
                break;
            }
            let tenant = chance.pick(&tenants).clone();
            if chance.chance(25) {
                self.make_up(tenant, &chance).await;
            } else {
                if chance.chance(70) {
                    self.until_fires().await;
                }
                self.pause(tenant.clone(), true, &chance).await;
                self.sleep_up_to(&chance, REST / 2).await;
                self.pause(tenant, false, &chance).await;
            }
        }
        // Whoever was asked to pause one and stood still may do it only now.
        while !world.rests.load(Ordering::Relaxed) {
            for tenant in &tenants {
                let (workflow, trigger) = ticks();
                let record = world.trigger(&(tenant.clone(), workflow, trigger));
                if record.is_some_and(|it| it.state.paused) {
                    self.pause(tenant.clone(), false, &chance).await;
                }
            }
            world.clock.sleep(Duration::from_secs(1)).await;
        }
    }

    /// Waits until a process is about to start something, for so long at most as that may take.
    async fn until_fires(&self) {
        let longest = period(&self.world.swarm);
        tokio::select! {
            biased;
            () = self.world.fires.notified() => {}
            () = self.world.clock.sleep(longest) => {}
        }
    }

    async fn pause(&self, tenant: TenantId, paused: bool, chance: &SeededEntropy) -> bool {
        let process = self.process(chance);
        let paused = self.ask(&process, move |nebula| {
            Box::pin(async move {
                let (workflow, trigger) = ticks();
                let engine = nebula.engine();
                let done = engine.pause_trigger(&tenant, &workflow, &trigger, paused);
                done.await.is_ok()
            })
        });
        paused.await == Some(true)
    }

    async fn make_up(&self, tenant: TenantId, chance: &SeededEntropy) -> bool {
        let process = self.process(chance);
        let to = process.clock.now();
        let from = Timestamp::from_millis(to.as_millis() - BACK);
        let made_up = self.ask(&process, move |nebula| {
            Box::pin(async move {
                let (workflow, trigger) = ticks();
                let (engine, config) = (nebula.engine(), config());
                let which = (&workflow, &trigger);
                let done = engine.backfill(&tenant, which, (from, to), &config);
                done.await.is_ok()
            })
        });
        made_up.await == Some(true)
    }
}
