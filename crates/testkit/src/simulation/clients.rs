//! Who talks to the engine: clients that start and signal, and people who decide and vote.

use std::{sync::Arc, time::Duration};

use nebula::{
    ExecuteError,
    engine::{AdmissionError, Installed, MigrationError, StartError},
};
use nebula_core::{Clock, ExecutionId};
use nebula_execution::{Ballot, Choice, NamedSignal, ParkReason, UnparkDecision};
use nebula_ports::{DedupeKey, Signalled};
use serde_json::json;

use super::{
    checks,
    credentials::granted,
    director::{BOUND, Director},
    flows::payload,
    swarm::Recovery,
};
use crate::SeededEntropy;

/// How often somebody tries to move an execution to a later version.
const MOVES: usize = 6;

/// Whether starts of this version may be refused for now.
fn refuses(installed: &Installed) -> bool {
    let plan = &installed.plan;
    plan.admission.is_some() || plan.rate_limit.is_some()
}

/// How long a client waits before it asks again.
const PATIENCE: Duration = Duration::from_millis(700);

impl Director {
    /// Starts one execution and says to it what it waits for, whatever it takes.
    pub(super) async fn client(&self, number: u64) {
        let chance = self.world.swarm.chance(100_000 + number);
        self.sleep_up_to(&chance, self.world.swarm.safety / 2).await;
        let (flow, installed) = self.flow(number);
        let id = self
            .start(number, installed, &chance, flow.signals.is_empty())
            .await;
        self.world.note("started", format_args!("{number} as {id}"));
        self.started.lock().insert(number, id);
        if flow.later.is_some() {
            self.move_on(number, id, installed.plan.version + 1, &chance)
                .await;
        }
        for name in &flow.signals {
            self.sleep_up_to(&chance, 20_000).await;
            for _ in 0..=chance.below(2) {
                self.tell(number, id, name, &chance).await;
            }
        }
    }

    async fn start(
        &self,
        number: u64,
        installed: &Installed,
        chance: &SeededEntropy,
        may_repeat: bool,
    ) -> ExecutionId {
        let world = &self.world;
        // Whoever may begin two where an answer is lost can take the first lease along.
        let may_refuse = refuses(installed);
        let adopts = may_repeat && chance.chance(40);
        if adopts
            && chance.chance(50)
            && let Some(id) = self.execute(number, installed, chance).await
        {
            return id;
        }
        loop {
            let process = self.process(chance);
            let (tenant, installed) = (world.tenant_of(number), installed.clone());
            let (input, options) = (json!({ "n": number }), granted());
            let started = self.ask(&process, move |nebula| {
                Box::pin(async move {
                    if adopts {
                        return nebula.admit(&tenant, &installed, input, options).await;
                    }
                    let dedupe = Some(DedupeKey(format!("start {number}")));
                    nebula
                        .engine()
                        .start(&tenant, &installed, input, options, dedupe, None)
                        .await
                })
            });
            match started.await {
                Some(Ok(started)) => {
                    self.cancelled.lock().extend(&started.cancelled);
                    return started.id;
                }
                Some(Err(StartError::Store(_))) | None => world.clock.sleep(PATIENCE).await,
                Some(Err(StartError::Admission(
                    AdmissionError::Full { try_after, .. }
                    | AdmissionError::Limited { try_after, .. },
                ))) if may_refuse => {
                    world.recovered(Recovery::StartRefused);
                    world.clock.sleep(try_after + PATIENCE).await;
                }
                Some(Err(error)) => {
                    world.complain(checks::NOT_REFUSED, format!("{number}: {error}"));
                    world.clock.sleep(BOUND).await;
                }
            }
        }
    }

    /// Starts an execution and waits for its end in one call; `None` where no answer came.
    async fn execute(
        &self,
        number: u64,
        installed: &Installed,
        chance: &SeededEntropy,
    ) -> Option<ExecutionId> {
        let world = &self.world;
        let process = self.process(chance);
        let (tenant, installed) = (world.tenant_of(number), installed.clone());
        let (input, options) = (json!({ "n": number }), granted());
        let (of, seen) = (tenant.clone(), world.clone());
        let executed = self.ask(&process, move |nebula| {
            Box::pin(async move {
                let executed = nebula.execute(&of, &installed, input, options).await;
                // What is said now is true now.
                if let Ok((id, end)) = &executed {
                    let (status, _) = seen.stands(&of, *id);
                    if status != Some(end.status) {
                        let what = format!("{id} ended as {:?}, and is {status:?}", end.status);
                        seen.complain(checks::TOLD_STANDS, what);
                    }
                }
                executed
            })
        });
        match executed.await? {
            Ok((id, _)) | Err(ExecuteError::Unknown { id, .. }) => Some(id),
            Err(ExecuteError::Gone(id)) => {
                world.complain(checks::NOT_LOST, id.to_string());
                None
            }
            // It is started as others are.
            Err(ExecuteError::Start(_)) => None,
        }
    }

    /// Moves an execution to a later version when it waits, now and then, until that is settled.
    async fn move_on(&self, number: u64, id: ExecutionId, version: u32, chance: &SeededEntropy) {
        for _ in 0..MOVES {
            self.sleep_up_to(chance, 8_000).await;
            let (process, tenant) = (self.process(chance), self.world.tenant_of(number));
            let moved = self.ask(&process, move |nebula| {
                Box::pin(async move { nebula.engine().migrate(&tenant, id, version, false).await })
            });
            match moved.await {
                Some(Ok(_)) => return self.world.recovered(Recovery::Moved),
                Some(Err(
                    MigrationError::Driven(_)
                    | MigrationError::WentOn(_)
                    | MigrationError::Store(_),
                ))
                | None => {}
                // What it did so far stands in the way, or it has ended.
                Some(Err(_)) => return,
            }
        }
    }

    /// Sends a signal until somebody has taken it.
    async fn tell(&self, number: u64, id: ExecutionId, name: &str, chance: &SeededEntropy) {
        loop {
            let process = self.process(chance);
            let tenant = self.world.tenant_of(number);
            let signal = NamedSignal {
                name: name.into(),
                id: format!("the one {name}"),
                payload: Arc::new(payload(name)),
                keep: true,
            };
            let sent = self.ask(&process, move |nebula| {
                Box::pin(async move { nebula.engine().send(&tenant, id, signal).await })
            });
            match sent.await {
                Some(Ok(Signalled::Unknown)) => {
                    self.world.complain(checks::NOT_LOST, id.to_string());
                    return;
                }
                Some(Ok(_)) => return,
                Some(Err(_)) | None => self.world.clock.sleep(PATIENCE).await,
            }
        }
    }

    /// Restarts what died, and decides what only a person can.
    pub(super) async fn keep(&self) {
        let chance = self.world.swarm.chance(2);
        loop {
            self.sleep_up_to(&chance, 3_000).await;
            let gone: Vec<_> = {
                let (processes, dead) = (self.processes.lock(), self.world.dead.lock());
                let gone = processes.iter().filter(|(_, process)| {
                    dead.contains(&process.life) || process.left.is_cancelled()
                });
                gone.map(|(place, _)| *place).collect()
            };
            for place in gone {
                self.start_process(place);
            }
            self.decide(&chance).await;
        }
    }

    /// Says about everything that is parked what a person finds out by looking outside.
    async fn decide(&self, chance: &SeededEntropy) {
        let mut decisions = Vec::new();
        {
            let (oracle, ledger) = (self.world.oracle.lock(), self.world.ledger.lock());
            for (id, machine) in oracle.accepted() {
                let tenant = machine.tenant();
                match machine.state().parked() {
                    Some(ParkReason::Poison { .. }) => {
                        decisions.push((tenant.clone(), id, None, UnparkDecision::Retry));
                    }
                    Some(ParkReason::Indeterminate(instances)) => {
                        for instance in instances {
                            let arrival = ledger.get(&machine.identity(instance).key());
                            let result = arrival.and_then(|arrival| arrival.result.clone());
                            let decision = result.map_or(UnparkDecision::Retry, |result| {
                                UnparkDecision::Succeeded(Arc::new(result))
                            });
                            decisions.push((tenant.clone(), id, Some(instance.clone()), decision));
                        }
                    }
                    Some(ParkReason::Compensation(instances)) => {
                        let again = instances.iter().map(|instance| {
                            (
                                tenant.clone(),
                                id,
                                Some(instance.clone()),
                                UnparkDecision::Retry,
                            )
                        });
                        decisions.extend(again);
                    }
                    None => {}
                }
            }
        }
        for (tenant, id, instance, decision) in decisions {
            let process = self.process(chance);
            let said = self.ask(&process, move |nebula| {
                Box::pin(async move {
                    nebula
                        .engine()
                        .unpark(&tenant, id, instance, decision)
                        .await
                })
            });
            // Who is not heard says it again the next time.
            let _ = said.await;
        }
        self.vote(chance).await;
    }

    /// Approves whatever is asked, as two people who may be slow.
    async fn vote(&self, chance: &SeededEntropy) {
        let mut ballots = Vec::new();
        for (id, machine) in self.world.oracle.lock().accepted() {
            for (instance, approval) in machine.state().approvals(machine.plan()) {
                for by in ["ada", "bob"].into_iter().filter(|_| chance.chance(60)) {
                    let ballot = Ballot {
                        id: format!("{by} {instance} {}", approval.round),
                        instance: instance.clone(),
                        round: approval.round,
                        by: by.to_owned(),
                        choice: Choice::Approve,
                        comment: None,
                        seat: None,
                        at: None,
                    };
                    ballots.push((machine.tenant().clone(), id, ballot));
                }
            }
        }
        for (tenant, id, ballot) in ballots {
            let process = self.process(chance);
            let said = self.ask(&process, move |nebula| {
                Box::pin(async move { nebula.engine().vote(&tenant, id, ballot).await })
            });
            let _ = said.await;
        }
    }
}
