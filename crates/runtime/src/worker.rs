//! Many executions at a time, each driven by its own future, and, where there is a [`Spawn`], its own task.

use std::{
    future::pending,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use nebula_access::Access;
use nebula_action::Protected;
use nebula_core::{BoxFuture, Clock, Entropy, Group, MemoryPressure, Offload, Spawn};
use nebula_execution::{Entry, Fact, NewExecution, ResumeKey};
use nebula_memory::{Budget, Values};
use nebula_ports::{
    Delivery, ExecutionRepo, HttpClient, Incarnation, Lease, LeaseRequest, PortError,
    SandboxRunner, TaskQueue, WorkflowRepo,
};
use nebula_registry::Registry;
use nebula_telemetry::Bus;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    Beginning, WorkerConfig,
    adopt::Adopted,
    begin::Unborn,
    deliveries::{Deliveries, Keeping},
    kept::Kept,
    live::Live,
    load::PlanCache,
    suspects::Suspects,
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
    /// Where each execution is driven by itself; without it, the task of [`Worker::run`] drives them all.
    pub spawn: Option<Arc<dyn Spawn>>,
    /// How hard memory is to get; without it, only the estimates of [`WorkerConfig::memory`] count.
    pub pressure: Option<Arc<dyn MemoryPressure>>,
    /// Where large results lie, and are read from when they are needed; without it all are in the
    /// journal.
    pub values: Option<Values>,
    /// The way out over HTTP, for attempts that hold a `net:…` capability; without it they have none.
    pub http: Option<Arc<dyn HttpClient>>,
    /// The credentials that nodes name; without it, whoever needs one fails.
    pub access: Option<Access>,
    /// From which the tokens of approvals follow; without it there are none.
    pub resume: Option<ResumeKey>,
}

/// Drives executions. Cheap to clone; all clones are the same worker.
#[derive(Debug, Clone)]
pub struct Worker {
    pub(crate) shared: Arc<Shared>,
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
    /// Executions in this worker's hands.
    pub(crate) live: Live,
    pub(crate) deliveries: Deliveries,
    /// About how many bytes of memory they may hold, and do.
    pub(crate) budget: Budget,
    pub(crate) suspects: Suspects,
    /// The states of executions that rest.
    pub(crate) kept: Kept,
    pub(crate) adopt: mpsc::Sender<Handed>,
    pub(crate) adopted: Mutex<Option<mpsc::Receiver<Handed>>>,
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

/// What becomes of a drive; an error stops the worker.
type Driving = Result<(), PortError>;

/// What a creator hands over.
#[derive(Debug)]
pub(crate) enum Handed {
    /// Its lease.
    Lease {
        lease: Lease,
        /// What the journal begins with.
        entries: Vec<Entry>,
        /// By our clock, when it was asked for.
        asked: Duration,
    },
    /// An execution that does not exist yet; by our clock, since when.
    Unborn(Box<NewExecution>, Duration, Unborn),
}

impl Handed {
    /// For which workers it is.
    fn group(&self) -> Group {
        let entries = match self {
            Self::Lease { entries, .. } => entries,
            Self::Unborn(new, ..) => &new.entries,
        };
        match entries.first().map(|first| &first.fact) {
            Some(Fact::ExecutionStarted(begun)) => begun.labels.group(),
            _ => Group::default(),
        }
    }
}

/// After a failure of the store, how long a delivery stays away.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How often a worker looks whether memory can be had again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
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
        let budget = Budget::new(config.memory);
        let kept = Kept::new(config.kept_states);
        let shared = Shared {
            ports,
            registry,
            bus,
            config,
            protected,
            incarnation,
            plans: PlanCache::default(),
            live: Live::default(),
            deliveries: Deliveries::default(),
            budget,
            suspects: Suspects::default(),
            kept,
            adopt,
            adopted: Mutex::new(Some(adopted)),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    pub(crate) fn request(&self) -> LeaseRequest {
        LeaseRequest {
            holder: self.shared.incarnation,
            ttl: self.shared.config.lease_ttl,
        }
    }

    /// Drives executions until `shutdown`, then lets attempts finish within the grace period,
    /// commits what they gave and gives the leases back.
    ///
    /// # Errors
    /// [`WorkerStopped`]: the store failed and the configuration says to stop then; or it runs already.
    /// After such a failure too, the attempts of the other executions may finish.
    ///
    /// # Cancel safety
    /// Dropping the future stops all attempts, as [`Spawn`] says; what they did outside is settled by the
    /// next holder.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<(), WorkerStopped> {
        let shared = &self.shared;
        let mut adopted = Adopted::take(shared)?;
        // Of the drives alone: a failure of the store stops them as a shutdown does.
        let stop = shutdown.child_token();
        // The queue is answered in here too: while it is slow, the others must go on.
        let mut drives: FuturesUnordered<BoxFuture<'_, Driving>> = FuturesUnordered::new();
        // Kept over the rounds of the loop: a dropped call could lose what it has taken for a while.
        let mut call: Option<BoxFuture<'_, Result<Vec<Delivery>, PortError>>> = None;
        let mut keeping = Keeping::new(self);
        let result = loop {
            let room = shared.config.executions.saturating_sub(drives.len());
            if call.is_none() && room > 0 && !shared.is_full() {
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
            // Nothing of ours tells when others need less.
            let eased = async {
                match shared.is_short() {
                    true => shared.ports.clock.sleep(LOOK_AGAIN).await,
                    false => pending().await,
                }
            };
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break Ok(()),
                () = eased => {}
                () = keeping.go_on() => {}
                Some(settled) = drives.next(), if !drives.is_empty() => {
                    if let Err(error) = settled {
                        break Err(error.into());
                    }
                }
                deliveries = receive => match (deliveries, call = None).0 {
                    Ok(deliveries) => {
                        for delivery in deliveries {
                            // Others may have come into our hands since it was asked for.
                            let room = drives.len() < shared.config.executions;
                            drives.push(self.answer(delivery, room, &stop));
                        }
                    }
                    Err(error) => {
                        warn!(%error, "the queue does not answer; trying again");
                        call = Some(self.receive_later(room));
                    }
                },
                // After the queue: who finds no room takes turns there with all that waits.
                Some(handed) = adopted.leases.recv() => {
                    let ours = shared.config.groups.take(&handed.group());
                    drives.push(match ours && room > 0 && !shared.is_full() {
                        true => self.beside(self.clone().drive_adopted(handed, stop.clone())),
                        false => self.give_back_handed(handed),
                    });
                }
            }
        };
        drop(call);
        stop.cancel();
        debug!(executions = drives.len(), "the worker stops");
        while let Ok(handed) = adopted.leases.try_recv() {
            drives.push(self.give_back_handed(handed));
        }
        loop {
            tokio::select! {
                biased;
                settled = drives.next() => match settled {
                    Some(Ok(())) => {}
                    Some(Err(error)) => warn!(%error, "an execution was left to its next holder"),
                    None => break result,
                },
                Some(handed) = adopted.leases.recv() => drives.push(self.give_back_handed(handed)),
                () = keeping.go_on() => {}
            }
        }
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

    /// A ring: for what is in our hands already it is a hint, else a new drive.
    fn answer(
        &self,
        delivery: Delivery,
        room: bool,
        shutdown: &CancellationToken,
    ) -> BoxFuture<'_, Driving> {
        if self.shared.live.ring(delivery.task.execution) {
            return Box::pin(async move {
                self.ack(delivery.receipt).await;
                Ok(())
            });
        }
        if self.shared.is_full() {
            return self.answer_later(delivery, RETRY_AFTER);
        }
        if !room {
            return self.answer_later(delivery, Duration::ZERO);
        }
        self.beside(self.clone().drive_delivered(delivery, shutdown.clone()))
    }
}

impl Worker {
    /// How many executions are in this worker's hands.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        self.shared.live.count()
    }

    /// About how many bytes of memory they take.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.shared.budget.held()
    }

    /// Lets a drive go on beside this task, where there is a way to; else within it. Dropping the
    /// future stops the drive.
    fn beside(&self, drive: BoxFuture<'static, Driving>) -> BoxFuture<'static, Driving> {
        let Some(spawn) = &self.shared.ports.spawn else {
            return drive;
        };
        let (tell, told) = oneshot::channel();
        let task = spawn.spawn(Box::pin(async move {
            // Who stops the drive does not listen.
            let _ = tell.send(drive.await);
        }));
        Box::pin(async move {
            task.await;
            // Of one that was lost with its threads, the lease expires.
            told.await.unwrap_or(Ok(()))
        })
    }

    /// Gives back what was handed over while there is no room for it; it is delivered then.
    fn give_back_handed(&self, handed: Handed) -> BoxFuture<'_, Driving> {
        Box::pin(async move {
            match handed {
                Handed::Lease { lease, .. } => self.give_back(lease).await,
                Handed::Unborn(new, _, unborn) => unborn.becomes(Beginning::Back(new)),
            }
            Ok(())
        })
    }

    /// Rings again for what was delivered while there is no room for it: it is asked for as often
    /// as it takes, so it does not count as tried.
    fn answer_later(&self, delivery: Delivery, delay: Duration) -> BoxFuture<'_, Driving> {
        Box::pin(async move {
            self.ring(delivery.task, delay).await;
            self.ack(delivery.receipt).await;
            Ok(())
        })
    }
}

/// The lock guards plain collections, which a panic cannot leave half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
