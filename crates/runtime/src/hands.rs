//! One execution in the hands of the worker: from its delivery or hand-over to its ack.

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use futures_util::FutureExt;
use nebula_core::{BoxFuture, ExecutionId};
use nebula_execution::{Entry, Fact, Machine, Status};
use nebula_ports::{Acquired, Delivery, ExecutionRepo, Granted, Lease, PortError, Receipt, Task};
use nebula_telemetry::{EventKind, ExecutionEvent, at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::{
    Beginning, Worker,
    begin::Unborn,
    deliveries::Kept,
    drive::{Drive, Driven},
    suspects::{SETTLE, SUSPECT_AFTER, Turn},
    worker::{Handed, RETRY_AFTER},
};

/// A ring that waits takes a place in the queue, so nobody rings for what is due later than this: the
/// sweep finds it when it is.
const RING_AHEAD: Duration = Duration::from_secs(10);

/// How one execution left the worker's hands.
struct Done {
    execution: ExecutionId,
    /// The delivery that led to it.
    kept: Option<Kept>,
    /// What to ring for; unknown of what was never driven.
    task: Option<Task>,
    driven: Result<Driven, PortError>,
}

/// A machine, its turn where it is a suspect, and what was known of its last snapshot.
type TakenUp<'w> = (Machine, Option<Turn<'w>>, Option<(u64, usize, usize)>);

impl Worker {
    pub(crate) fn drive_delivered(
        self,
        delivery: Delivery,
        shutdown: CancellationToken,
    ) -> BoxFuture<'static, Result<(), PortError>> {
        let Delivery { task, receipt, .. } = delivery;
        let execution = task.execution;
        let kept = Kept::new(Arc::clone(&self.shared), execution, receipt);
        Box::pin(async move {
            if !self.shared.config.groups.take(&task.group) {
                // Those whom it is for find it by their sweep.
                debug!(%execution, group = %task.group, "it is for other workers");
                self.ack(kept.receipt()).await;
                return Ok(());
            }
            #[cfg(sim_bug)]
            let early = kept.receipt();
            let driven = async {
                let repo = &self.shared.ports.executions;
                // Asked before the call, so that our clock runs out before the store's.
                let asked = self.shared.ports.clock.monotonic();
                let max_grants = self.shared.config.max_grants;
                match repo
                    .acquire(&task.tenant, execution, self.request(), max_grants)
                    .await?
                {
                    #[cfg(sim_bug)]
                    Acquired::Granted(granted)
                        if nebula_core::sim_bug::is_awake("ack-before-commit") =>
                    {
                        self.ack(early.clone()).await;
                        let nothing = (Vec::new(), None);
                        self.drive(granted, nothing, asked, shutdown).await
                    }
                    Acquired::Granted(granted) => {
                        let nothing = (Vec::new(), None);
                        self.drive(granted, nothing, asked, shutdown).await
                    }
                    Acquired::Poisoned { grants } => {
                        warn!(%execution, grants, "parked: nobody who had it made progress");
                        self.tell_of_poison(&task).await;
                        Ok(Driven::NotOurs)
                    }
                    other => {
                        debug!(%execution, ?other, "nothing to do");
                        Ok(Driven::NotOurs)
                    }
                }
            };
            let done = Done {
                execution,
                kept: Some(kept),
                driven: self.caught(execution, Box::pin(driven)).await,
                task: Some(task.clone()),
            };
            match self.settling(done) {
                Some(settling) => settling.await,
                None => Ok(()),
            }
        })
    }

    pub(crate) fn drive_adopted(
        self,
        handed: Handed,
        shutdown: CancellationToken,
    ) -> BoxFuture<'static, Result<(), PortError>> {
        let (lease, entries, asked, unborn) = match handed {
            Handed::Lease {
                lease,
                entries,
                asked,
            } => (lease, entries, asked, None),
            Handed::Unborn(new, asked, unborn) => {
                let request = self.request();
                let lease = Lease {
                    tenant: new.tenant,
                    execution: new.id,
                    holder: request.holder,
                    epoch: <dyn ExecutionRepo>::FIRST_EPOCH,
                    ttl: request.ttl,
                };
                (lease, new.entries, asked, Some(unborn))
            }
        };
        let execution = lease.execution;
        Box::pin(async move {
            let mut task = None;
            let driven = async {
                let first = entries.first().map(|first| &first.fact);
                let Some(Fact::ExecutionStarted(begun)) = first else {
                    return Ok(Driven::NotOurs);
                };
                task = Some(Task {
                    tenant: lease.tenant.clone(),
                    execution,
                    workflow: begun.workflow.clone(),
                    priority: begun.priority,
                    group: begun.labels.group(),
                });
                let granted = Box::new(Granted {
                    status: Status::Running,
                    plan: begun.plan,
                    snapshot: None,
                    next_seq: 1 + entries.len() as u64,
                    inbox_head: 0,
                    inbox_through: 0,
                    grants_without_progress: 0,
                    // Who has to wait for its time gets no lease with its creation.
                    begins_at: None,
                    lease,
                });
                self.drive(granted, (entries, unborn), asked, shutdown)
                    .await
            };
            let driven = self.caught(execution, Box::pin(driven)).await;
            let done = Done {
                execution,
                kept: None,
                driven,
                task,
            };
            match self.settling(done) {
                Some(settling) => settling.await,
                None => Ok(()),
            }
        })
    }

    /// Drives with a lease; `entries` are those of the journal's beginning that are at hand. Of what
    /// is `unborn` neither lease nor entries are in the store.
    async fn drive(
        &self,
        granted: Box<Granted>,
        (mut entries, unborn): (Vec<Entry>, Option<Unborn>),
        asked: Duration,
        shutdown: CancellationToken,
    ) -> Result<Driven, PortError> {
        let execution = granted.lease.execution;
        let metrics = self.shared.bus.metrics();
        metrics.lease_granted();
        let is_new = granted.status == Status::Queued || !entries.is_empty();
        let held = self.shared.live.take(execution);
        // On the heap, so that what is driven is no larger for how it was loaded.
        let taken_up = Box::pin(self.take_up(&granted, &mut entries)).await;
        let ((machine, turn, snapshot), unborn) = match (taken_up, unborn) {
            (Ok(Ok(taken)), unborn) => (taken, unborn),
            (Ok(Err(driven)), _) => return Ok(driven),
            (Err(error), Some(unborn)) => {
                unborn.becomes(Beginning::Failed(error));
                return Ok(Driven::NotOurs);
            }
            (Err(error), None) => return Err(error),
        };
        if is_new {
            let now = self.shared.ports.clock.now();
            metrics.taken_up(now.since(machine.state().started_at()));
        }
        let (shared, bell) = (self.shared.clone(), held.bell());
        let mut drive = Drive::new(shared, machine, *granted, asked, bell, shutdown);
        drive.forget_input();
        if let Some((last, bytes, since)) = snapshot {
            drive.last_snapshot = last;
            drive.snapshot_bytes = bytes;
            drive.bytes_since_snapshot = since;
        }
        if let Some(unborn) = unborn {
            drive.bears(unborn, entries);
        } else {
            // The machine has taken them in; it may be long until the end.
            drop(entries);
        }
        let place = drive.place(None);
        let ran = at(place, pin!(drive.run())).await;
        let driven = match (ran, drive.unborn.take()) {
            // Who started it is told: there is nothing to be tried again.
            (Err(error), Some(unborn)) => {
                unborn.becomes(Beginning::Failed(error));
                Driven::NotOurs
            }
            (driven, _) => driven?,
        };
        if matches!(driven, Driven::Rests { .. }) {
            let (state, bytes) = drive.leaves();
            self.shared.kept.put(state, bytes);
        }
        drop((drive, turn));
        if matches!(driven, Driven::Lost) {
            metrics.lease_lost();
        }
        // A ring that came while it went to sleep was answered by its bell, and must not be lost.
        let rung = held.leave();
        Ok(match driven {
            Driven::Rests { .. } if rung => Driven::Rests {
                due: Some(self.shared.ports.clock.now()),
            },
            driven => driven,
        })
    }

    /// Loads what a lease is for. What was left by workers that died waits for its turn; how it leaves
    /// our hands at once, where it is not to be driven.
    async fn take_up<'w>(
        &'w self,
        granted: &Granted,
        entries: &mut Vec<Entry>,
    ) -> Result<Result<TakenUp<'w>, Driven>, PortError> {
        let execution = granted.lease.execution;
        let kept = self.shared.kept.take(granted);
        let (machine, snapshot) = match kept.filter(|_| entries.is_empty()) {
            Some(kept) => {
                let careful = granted.grants_without_progress > 0;
                let machine = kept.machine.handed_on().careful(careful);
                (machine, Some(kept.snapshot))
            }
            None => (self.shared.load(granted, entries).await?, None),
        };
        Box::pin(self.shared.read_for_grants(&machine)).await?;
        if machine.state().end_status().is_some() {
            // To load took longer than the lease, and somebody else has brought it to its end.
            return Ok(Err(Driven::Lost));
        }
        let losses = machine.losses().max(granted.grants_without_progress);
        if losses < SUSPECT_AFTER {
            return Ok(Ok((machine, None, snapshot)));
        }
        let (alone, clock) = (&self.shared.suspects, &self.shared.ports.clock);
        let Some(turn) = alone.turn(execution, clock.monotonic()) else {
            return self.pass_by(granted.lease.clone()).await.map(Err);
        };
        info!(%execution, losses, "its workers went away: it goes on apart from others like it");
        // Who came along with it has left its hands, or is on its way.
        clock.sleep(SETTLE).await;
        Ok(Ok((machine, Some(turn), snapshot)))
    }

    /// A panic of one drive must not take its neighbours along; the execution is tried again by its
    /// next holder, and parked as poison if that does not help.
    async fn caught(
        &self,
        execution: ExecutionId,
        drive: BoxFuture<'_, Result<Driven, PortError>>,
    ) -> Result<Driven, PortError> {
        match AssertUnwindSafe(drive).catch_unwind().await {
            Ok(driven) => driven,
            Err(_) => {
                error!(%execution, "driving it panicked; its lease expires");
                Ok(Driven::Lost)
            }
        }
    }

    /// What is left to do for an execution that left our hands: nothing, of most that were handed over
    /// and have ended. On the heap, so that what is driven is no larger for how it is settled.
    fn settling(&self, done: Done) -> Option<BoxFuture<'_, Result<(), PortError>>> {
        let over = matches!(
            done.driven,
            Ok(Driven::Ended | Driven::NotOurs | Driven::Lost)
        );
        if over && done.kept.is_none() {
            return None;
        }
        Some(Box::pin(self.settle(done)))
    }

    /// Acks what is done with, and rings again for what is due later.
    async fn settle(&self, done: Done) -> Result<(), PortError> {
        let Done {
            execution,
            kept,
            task,
            driven,
        } = done;
        let receipt = kept.as_ref().map(Kept::receipt);
        drop(kept);
        match driven {
            Ok(Driven::Rests { due }) => {
                if let Some(receipt) = receipt {
                    self.ack(receipt).await;
                }
                let now = self.shared.ports.clock.now();
                let delay = due.map(|due| due.since(now));
                let delay = delay.filter(|delay| *delay <= RING_AHEAD);
                if let (Some(delay), Some(task)) = (delay, task) {
                    self.ring(task, delay).await;
                }
            }
            Ok(Driven::Ended | Driven::NotOurs | Driven::Lost) => {
                if let Some(receipt) = receipt {
                    self.ack(receipt).await;
                }
            }
            Err(error) => {
                warn!(%execution, %error, "could not be driven");
                if let Some(receipt) = receipt {
                    let _ = self
                        .shared
                        .ports
                        .queue
                        .nack(&receipt, RETRY_AFTER, &error.message)
                        .await;
                }
                if self.shared.config.stop_on_store_failure {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Shows watchers the entry with which the store parked an execution. One that is missed costs
    /// nothing but time, as with every event.
    async fn tell_of_poison(&self, task: &Task) {
        let Task {
            tenant, execution, ..
        } = task;
        let repo = &self.shared.ports.executions;
        let last = async {
            let Some(summary) = repo.get(tenant, *execution).await? else {
                return Ok(None);
            };
            let page = repo.journal(tenant, *execution, summary.entries, 1).await?;
            Ok::<_, PortError>(page.entries.into_iter().next())
        };
        match last.await {
            Ok(Some(stored)) => {
                let event = ExecutionEvent::project(tenant, *execution, stored.seq, &stored.entry);
                // A person may have decided already: then whoever drives it has told.
                if matches!(event.kind, EventKind::Parked { .. }) {
                    self.shared.bus.publish(event);
                }
            }
            Ok(None) => {}
            Err(error) => debug!(%execution, %error, "could not read why it was parked"),
        }
    }

    /// A ring that is dropped costs time only: the sweep finds the work.
    pub(crate) async fn ring(&self, task: Task, delay: Duration) {
        #[cfg(sim_bug)]
        let task = match nebula_core::sim_bug::is_awake("rings-for-another-tenant") {
            true => Task {
                tenant: nebula_core::TenantId::local(),
                ..task
            },
            false => task,
        };
        if let Err(error) = self.shared.ports.queue.ring(task, delay).await {
            debug!(%error, "could not ring");
        }
    }

    pub(crate) async fn ack(&self, receipt: Receipt) {
        if let Err(error) = self.shared.ports.queue.ack(&[receipt]).await {
            info!(%error, "could not ack; the task comes again");
        }
    }
}
