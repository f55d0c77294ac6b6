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
use nebula_telemetry::Bus;
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
    adopt: mpsc::Sender<Lease>,
    adopted: Mutex<Option<mpsc::Receiver<Lease>>>,
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

    /// What a creator asks for so that this worker can [`Worker::adopt`] what it creates.
    #[must_use]
    pub fn lease_request(&self) -> LeaseRequest {
        LeaseRequest {
            holder: self.shared.incarnation,
            ttl: self.shared.config.lease_ttl,
        }
    }

    /// Takes over the lease that a creator got with [`Worker::lease_request`]; waits while this
    /// worker has its hands full. If the worker does not run, the lease expires and the sweep
    /// finds the execution.
    ///
    /// # Cancel safety
    /// A dropped call leaves the lease to expire.
    pub async fn adopt(&self, lease: Lease) {
        // An error says that the worker has stopped; the execution is durable, its lease expires.
        let _ = self.shared.adopt.send(lease).await;
    }

    /// Drives executions until `shutdown`, then lets attempts finish within the grace period,
    /// commits what they gave and gives the leases back.
    ///
    /// # Errors
    /// [`WorkerStopped`]: the store failed and the configuration says to stop then; or it runs already.
    ///
    /// # Cancel safety
    /// Dropping the future stops all attempts; what they did outside is settled by the next holder.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<(), WorkerStopped> {
        let shared = &self.shared;
        let mut adopted = Adopted::take(shared)?;
        let mut drives: FuturesUnordered<BoxFuture<'_, Done>> = FuturesUnordered::new();
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
                Some(done) = drives.next(), if !drives.is_empty() => {
                    if let Err(error) = self.settle(done).await {
                        break Err(error.into());
                    }
                }
                Some(lease) = adopted.leases.recv(), if room > 0 => {
                    drives.push(self.drive_adopted(lease, shutdown.clone()));
                }
                deliveries = receive => match (deliveries, call = None).0 {
                    Ok(deliveries) => {
                        for delivery in deliveries {
                            if let Some(drive) = self.answer(delivery, &shutdown).await {
                                drives.push(drive);
                            }
                        }
                    }
                    Err(error) => {
                        warn!(%error, "the queue does not answer; trying again");
                        shared.ports.clock.sleep(RETRY_AFTER).await;
                    }
                },
            }
        };
        if result.is_ok() {
            debug!(executions = drives.len(), "the worker stops");
            while let Some(done) = drives.next().await {
                if let Err(error) = self.settle(done).await {
                    warn!(%error, "an execution was left to its next holder");
                }
            }
        }
        result
    }

    /// How long a delivery stays with this worker before the queue hands it to another: the lease
    /// is what counts, so there is no hurry.
    fn visibility(&self) -> Duration {
        self.shared.config.lease_ttl * 6
    }

    /// A ring: for what is in our hands already it is a hint, else a new drive.
    async fn answer<'a>(
        &'a self,
        delivery: Delivery,
        shutdown: &CancellationToken,
    ) -> Option<BoxFuture<'a, Done>> {
        let bell = lock(&self.shared.live)
            .get(&delivery.task.execution)
            .cloned();
        if let Some(bell) = bell {
            bell.notify_one();
            self.ack(delivery.receipt).await;
            return None;
        }
        Some(self.drive_delivered(delivery, shutdown.clone()))
    }

    fn drive_delivered(
        &self,
        delivery: Delivery,
        shutdown: CancellationToken,
    ) -> BoxFuture<'_, Done> {
        let Delivery { task, receipt, .. } = delivery;
        let execution = task.execution;
        Box::pin(async move {
            let driven = self.caught(execution, async {
                let repo = &self.shared.ports.executions;
                // Asked before the call, so that our clock runs out before the store's.
                let asked = self.shared.ports.clock.monotonic();
                let max_grants = self.shared.config.max_grants;
                match repo
                    .acquire(&task.tenant, execution, self.lease_request(), max_grants)
                    .await?
                {
                    Acquired::Granted(granted) => self.drive(*granted, asked, shutdown).await,
                    other => {
                        debug!(%execution, ?other, "nothing to do");
                        Ok(Driven::NotOurs)
                    }
                }
            });
            Done {
                execution,
                receipt: Some(receipt),
                driven: driven.await,
                task: task.clone(),
            }
        })
    }

    fn drive_adopted(&self, lease: Lease, shutdown: CancellationToken) -> BoxFuture<'_, Done> {
        let execution = lease.execution;
        let task = Task {
            tenant: lease.tenant.clone(),
            execution,
            priority: 0,
        };
        Box::pin(async move {
            let driven = self.caught(execution, async {
                let asked = self.shared.ports.clock.monotonic();
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
            Done {
                execution,
                receipt: None,
                driven: driven.await,
                task,
            }
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
                    // A ring that is dropped costs time only: the sweep finds the work.
                    if let Err(error) = self.shared.ports.queue.ring(task, delay).await {
                        debug!(%error, "could not ring for later");
                    }
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
    leases: mpsc::Receiver<Lease>,
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
}

impl<'a> Ours<'a> {
    fn new(shared: &'a Shared, execution: ExecutionId, bell: Arc<Notify>) -> Self {
        lock(&shared.live).insert(execution, bell);
        Self { shared, execution }
    }
}

impl Drop for Ours<'_> {
    fn drop(&mut self) {
        lock(&self.shared.live).remove(&self.execution);
    }
}

/// The lock guards plain collections, which a panic cannot leave half changed.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
