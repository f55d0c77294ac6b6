//! Many executions at a time, each driven by its own future.

use std::{
    collections::BTreeMap,
    future::pending,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use nebula_action::Protected;
use nebula_core::{BoxFuture, Clock, Entropy, ExecutionId, Offload};
use nebula_ports::{
    Acquired, Delivery, ExecutionRepo, Granted, Incarnation, Lease, LeaseRequest, PortError,
    Receipt, SandboxRunner, Task, TaskQueue, WorkflowRepo,
};
use nebula_registry::Registry;
use nebula_telemetry::{Bus, EventKind, ExecutionEvent};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::{
    WorkerConfig,
    drive::{Drive, Driven},
    load::PlanCache,
};

/// What a worker asks of the world.
#[derive(Debug, Clone)]
pub struct WorkerPorts {
    /// The record of every execution.
    pub executions: Arc<dyn ExecutionRepo>,
    /// Where plans are kept.
    pub workflows: Arc<dyn WorkflowRepo>,
    /// The doorbell.
    pub queue: Arc<dyn TaskQueue>,
    /// Where attempts run.
    pub sandbox: Arc<dyn SandboxRunner>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids and randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Where long pure work runs.
    pub offload: Arc<dyn Offload>,
}

/// Drives executions. Cheap to clone; all clones are the same worker.
#[derive(Debug, Clone)]
pub struct Worker {
    shared: Arc<Shared>,
}

/// What all drives of a worker share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) ports: WorkerPorts,
    pub(crate) registry: Arc<Registry>,
    pub(crate) bus: Bus,
    pub(crate) config: WorkerConfig,
    pub(crate) protected: Protected,
    pub(crate) incarnation: Incarnation,
    pub(crate) plans: PlanCache,
    /// Executions in this worker's hands, with the bell of each.
    live: Mutex<BTreeMap<ExecutionId, Arc<Notify>>>,
    adopt: mpsc::Sender<Handed>,
    adopted: Mutex<Option<mpsc::Receiver<Handed>>>,
}

/// Why [`Worker::run`] came back.
#[derive(Debug, thiserror::Error)]
pub enum WorkerStopped {
    /// The store failed, and the worker is set to stop then.
    #[error(transparent)]
    Store(#[from] PortError),
    /// It runs already.
    #[error("this worker runs already")]
    RunsAlready,
}

/// A creator's lease, and when by our clock it was asked for.
type Handed = (Lease, Duration);

/// How one execution left the worker's hands.
struct Done {
    execution: ExecutionId,
    receipt: Option<Receipt>,
    task: Task,
    driven: Result<Driven, PortError>,
}

/// After a failure of the store, how long a delivery stays away.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long one call for tasks waits at most.
const RECEIVE_WAIT: Duration = Duration::from_secs(3_600);

impl Worker {
    /// A worker with a new incarnation.
    #[must_use]
    pub fn new(
        ports: WorkerPorts,
        registry: Arc<Registry>,
        bus: Bus,
        config: WorkerConfig,
        protected: Protected,
    ) -> Self {
        let incarnation = Incarnation(ports.entropy.uuid());
        let (adopt, adopted) = mpsc::channel(config.executions.max(1));
        let shared = Shared {
            ports,
            registry,
            bus,
            config,
            protected,
            incarnation,
            plans: PlanCache::default(),
            live: Mutex::default(),
            adopt,
            adopted: Mutex::new(Some(adopted)),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// What a creator asks for so that this worker can [`Worker::adopt`] what it creates, and the
    /// time by this worker's clock: the lease lasts from no earlier than that.
    #[must_use]
    pub fn lease_request(&self) -> (LeaseRequest, Duration) {
        (self.request(), self.shared.ports.clock.monotonic())
    }

    fn request(&self) -> LeaseRequest {
        LeaseRequest {
            holder: self.shared.incarnation,
            ttl: self.shared.config.lease_ttl,
        }
    }

    /// Takes over the lease that a creator got with [`Worker::lease_request`], at the time that it
    /// said. Where as many as this worker may hold wait already, the lease is given back, and
    /// whoever has room finds the execution. If the worker does not run, the lease expires and the
    /// sweep finds the execution.
    ///
    /// # Cancel safety
    /// A dropped call leaves the lease to expire.
    pub async fn adopt(&self, lease: Lease, asked: Duration) {
        let Err(mpsc::error::TrySendError::Full((lease, _))) =
            self.shared.adopt.try_send((lease, asked))
        else {
            return;
        };
        self.give_back(lease).await;
    }

    /// Gives back a lease that was never used, and rings for its execution.
    async fn give_back(&self, lease: Lease) {
        if let Err(error) = self.shared.ports.executions.release(&lease).await {
            debug!(execution = %lease.execution, %error, "could not release; the lease expires");
            return;
        }
        let task = Task {
            tenant: lease.tenant,
            execution: lease.execution,
            priority: 0,
        };
        self.ring(task, Duration::ZERO).await;
    }

    /// Drives executions until `shutdown`, then lets attempts finish within the grace period,
    /// commits what they gave and gives the leases back.
    ///
    /// # Errors
    /// [`WorkerStopped`]: the store failed and the configuration says to stop then; or it runs already.
    /// After such a failure too, the attempts of the other executions may finish.
    ///
    /// # Cancel safety
    /// Dropping the future stops all attempts; what they did outside is settled by the next holder.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<(), WorkerStopped> {
        let shared = &self.shared;
        let mut adopted = Adopted::take(shared)?;
        // Of the drives alone: a failure of the store stops them as a shutdown does.
        let stop = shutdown.child_token();
        // The queue is answered in here too: while it is slow, the others must go on.
        let mut drives: FuturesUnordered<BoxFuture<'_, Result<(), PortError>>> =
            FuturesUnordered::new();
        // Kept over the rounds of the loop: a dropped call could lose what it has taken for a while.
        let mut call: Option<BoxFuture<'_, Result<Vec<Delivery>, PortError>>> = None;
        let result = loop {
            let room = shared.config.executions.saturating_sub(drives.len());
            if call.is_none() && room > 0 {
                call = Some(
                    shared
                        .ports
                        .queue
                        .receive(room, RECEIVE_WAIT, self.visibility()),
                );
            }
            let receive = async {
                match &mut call {
                    Some(call) => call.await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break Ok(()),
                Some(settled) = drives.next(), if !drives.is_empty() => {
                    if let Err(error) = settled {
                        break Err(error.into());
                    }
                }
                Some((lease, asked)) = adopted.leases.recv(), if room > 0 => {
                    drives.push(self.drive_adopted(lease, asked, stop.clone()));
                }
                deliveries = receive => match (deliveries, call = None).0 {
                    Ok(deliveries) => {
                        let answers = deliveries.into_iter();
                        drives.extend(answers.map(|delivery| self.answer(delivery, &stop)));
                    }
                    Err(error) => {
                        warn!(%error, "the queue does not answer; trying again");
                        call = Some(self.receive_later(room));
                    }
                },
            }
        };
        drop(call);
        stop.cancel();
        debug!(executions = drives.len(), "the worker stops");
        while let Ok((lease, _)) = adopted.leases.try_recv() {
            drives.push(Box::pin(async move {
                self.give_back(lease).await;
                Ok(())
            }));
        }
        while let Some(settled) = drives.next().await {
            if let Err(error) = settled {
                warn!(%error, "an execution was left to its next holder");
            }
        }
        result
    }

    /// Asks the queue again, after a pause.
    fn receive_later(&self, room: usize) -> BoxFuture<'_, Result<Vec<Delivery>, PortError>> {
        let ports = &self.shared.ports;
        Box::pin(async move {
            ports.clock.sleep(RETRY_AFTER).await;
            let max = room.max(1);
            ports
                .queue
                .receive(max, RECEIVE_WAIT, self.visibility())
                .await
        })
    }

    /// How long a delivery stays with this worker before the queue hands it to another: the lease
    /// is what counts, so there is no hurry.
    fn visibility(&self) -> Duration {
        self.shared.config.lease_ttl * 6
    }

    /// A ring: for what is in our hands already it is a hint, else a new drive.
    fn answer(
        &self,
        delivery: Delivery,
        shutdown: &CancellationToken,
    ) -> BoxFuture<'_, Result<(), PortError>> {
        let live = lock(&self.shared.live);
        let Some(bell) = live.get(&delivery.task.execution) else {
            return self.drive_delivered(delivery, shutdown.clone());
        };
        bell.notify_one();
        Box::pin(async move {
            self.ack(delivery.receipt).await;
            Ok(())
        })
    }

    fn drive_delivered(
        &self,
        delivery: Delivery,
        shutdown: CancellationToken,
    ) -> BoxFuture<'_, Result<(), PortError>> {
        let Delivery { task, receipt, .. } = delivery;
        let execution = task.execution;
        Box::pin(async move {
            let driven = self.caught(execution, async {
                let repo = &self.shared.ports.executions;
                // Asked before the call, so that our clock runs out before the store's.
                let asked = self.shared.ports.clock.monotonic();
                let max_grants = self.shared.config.max_grants;
                match repo
                    .acquire(&task.tenant, execution, self.request(), max_grants)
                    .await?
                {
                    Acquired::Granted(granted) => self.drive(*granted, asked, shutdown).await,
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
            });
            let done = Done {
                execution,
                receipt: Some(receipt),
                driven: driven.await,
                task: task.clone(),
            };
            self.settle(done).await
        })
    }

    fn drive_adopted(
        &self,
        lease: Lease,
        asked: Duration,
        shutdown: CancellationToken,
    ) -> BoxFuture<'_, Result<(), PortError>> {
        let execution = lease.execution;
        let task = Task {
            tenant: lease.tenant.clone(),
            execution,
            priority: 0,
        };
        Box::pin(async move {
            let driven = self.caught(execution, async {
                let page = self
                    .shared
                    .ports
                    .executions
                    .journal(&lease.tenant, execution, 1, 1)
                    .await?;
                let Some(started) = page.entries.first() else {
                    return Ok(Driven::NotOurs);
                };
                let nebula_execution::Fact::ExecutionStarted(begun) = &started.entry.fact else {
                    return Ok(Driven::NotOurs);
                };
                let granted = Granted {
                    status: nebula_execution::Status::Running,
                    plan: begun.plan,
                    snapshot: None,
                    next_seq: 2,
                    inbox_head: 0,
                    inbox_through: 0,
                    grants_without_progress: 0,
                    lease,
                };
                self.drive(granted, asked, shutdown).await
            });
            let done = Done {
                execution,
                receipt: None,
                driven: driven.await,
                task,
            };
            self.settle(done).await
        })
    }

    async fn drive(
        &self,
        granted: Granted,
        asked: Duration,
        shutdown: CancellationToken,
    ) -> Result<Driven, PortError> {
        let execution = granted.lease.execution;
        let bell = Arc::new(Notify::new());
        let ours = Ours::new(&self.shared, execution, bell.clone());
        let machine = self.shared.load(&granted).await?;
        let driven = Drive::new(
            self.shared.clone(),
            machine,
            granted,
            asked,
            bell.clone(),
            shutdown,
        )
        .run()
        .await?;
        drop(ours);
        // A ring that came while it went to sleep was answered by its bell, and must not be lost.
        let rung = bell.notified().now_or_never().is_some();
        Ok(match driven {
            Driven::Rests { .. } if rung => Driven::Rests {
                due: Some(self.shared.ports.clock.now()),
            },
            driven => driven,
        })
    }

    /// A panic of one drive must not take its neighbours along; the execution is tried again by its
    /// next holder, and parked as poison if that does not help.
    async fn caught(
        &self,
        execution: ExecutionId,
        drive: impl Future<Output = Result<Driven, PortError>>,
    ) -> Result<Driven, PortError> {
        match AssertUnwindSafe(drive).catch_unwind().await {
            Ok(driven) => driven,
            Err(_) => {
                error!(%execution, "driving it panicked; its lease expires");
                Ok(Driven::Lost)
            }
        }
    }

    /// Acks what is done with, and rings again for what is due later.
    async fn settle(&self, done: Done) -> Result<(), PortError> {
        let Done {
            execution,
            receipt,
            task,
            driven,
        } = done;
        match driven {
            Ok(Driven::Rests { due }) => {
                if let Some(receipt) = receipt {
                    self.ack(receipt).await;
                }
                if let Some(due) = due {
                    let delay = due.since(self.shared.ports.clock.now());
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
    async fn ring(&self, task: Task, delay: Duration) {
        if let Err(error) = self.shared.ports.queue.ring(task, delay).await {
            debug!(%error, "could not ring");
        }
    }

    async fn ack(&self, receipt: Receipt) {
        if let Err(error) = self.shared.ports.queue.ack(&[receipt]).await {
            info!(%error, "could not ack; the task comes again");
        }
    }
}

/// The leases that are handed over, for as long as the worker runs; given back when it stops, also
/// when its future is dropped, so that it can run again.
struct Adopted<'a> {
    shared: &'a Shared,
    leases: mpsc::Receiver<Handed>,
}

impl<'a> Adopted<'a> {
    fn take(shared: &'a Shared) -> Result<Self, WorkerStopped> {
        let leases = lock(&shared.adopted)
            .take()
            .ok_or(WorkerStopped::RunsAlready)?;
        Ok(Self { shared, leases })
    }
}

impl Drop for Adopted<'_> {
    fn drop(&mut self) {
        let (_, closed) = mpsc::channel(1);
        let leases = std::mem::replace(&mut self.leases, closed);
        *lock(&self.shared.adopted) = Some(leases);
    }
}

/// Marks an execution as in this worker's hands, for as long as it lives.
struct Ours<'a> {
    shared: &'a Shared,
    execution: ExecutionId,
    bell: Arc<Notify>,
}

impl<'a> Ours<'a> {
    fn new(shared: &'a Shared, execution: ExecutionId, bell: Arc<Notify>) -> Self {
        lock(&shared.live).insert(execution, bell.clone());
        Self {
            shared,
            execution,
            bell,
        }
    }
}

impl Drop for Ours<'_> {
    fn drop(&mut self) {
        let mut live = lock(&self.shared.live);
        // A later lease may have put its own bell there.
        if live
            .get(&self.execution)
            .is_some_and(|bell| Arc::ptr_eq(bell, &self.bell))
        {
            live.remove(&self.execution);
        }
    }
}

/// The lock guards plain collections, which a panic cannot leave half changed.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
