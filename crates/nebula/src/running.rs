//! An engine and a worker over the same ports.

use std::{convert::Infallible, sync::Arc, time::Duration};

use async_trait::async_trait;
use nebula_access::Access;
use nebula_action::Sender;
use nebula_core::{Clock, CredentialId, ExecutionId, TenantId};
use nebula_engine::{Awaited, Engine, FireConfig, Installed, StartAgainError, StartError, Started};
use nebula_execution::{Again, End, StartOptions};
use nebula_ports::{
    DedupeKey, ExecutionRepo, HttpClient as _, LeaseRequest, PortError, Relay, SandboxRunner,
    TaskQueue, WorkflowRepo,
};
use nebula_registry::Registry;
use nebula_runtime::{
    Beginning, HttpPolicy, HttpPolicyError, LaneState, PacedHttp, Worker, WorkerStopped,
};
use nebula_telemetry::{Bus, Halts, Reading, Relayed, Source};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::NebulaBuilder;

/// An engine and a worker over the same ports, in one process. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct Nebula {
    engine: Engine,
    /// None where nothing is driven here.
    worker: Option<Worker>,
    registry: Arc<Registry>,
    bus: Bus,
    /// The way to other processes, if there is one.
    others: Option<Arc<Others>>,
    http: Option<Arc<PacedHttp>>,
    executions: Arc<dyn ExecutionRepo>,
    sources: Sources,
    access: Option<Access>,
}

/// How other processes are told, and heard.
#[derive(Debug)]
pub(crate) struct Others {
    pub(crate) relay: Arc<dyn Relay>,
    pub(crate) clock: Arc<dyn Clock>,
    /// What this process is called among them.
    pub(crate) name: String,
}

/// What is asked when somebody reads the metrics.
type Sources = Arc<[Arc<dyn Source>]>;

/// Why [`Nebula::execute`] cannot say how an execution ended.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// It was not started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It was started, and the store failed while it was waited for: it goes on.
    #[error("{id} goes on, but it cannot be waited for: {error}")]
    Unknown {
        /// The execution.
        id: ExecutionId,
        /// What failed.
        error: PortError,
    },
    /// It was started, and the store does not know it any more.
    #[error("{0} was started, and is in the store no longer")]
    Gone(ExecutionId),
}

impl Nebula {
    /// Begins with what the engine cannot be without.
    pub fn builder(
        executions: Arc<dyn ExecutionRepo>,
        workflows: Arc<dyn WorkflowRepo>,
        queue: Arc<dyn TaskQueue>,
        sandbox: Arc<dyn SandboxRunner>,
    ) -> NebulaBuilder {
        NebulaBuilder::new(executions, workflows, queue, Some(sandbox))
    }

    /// The same without a worker: what is started here is driven by other processes, which share the store.
    /// It has no sandbox and runs no action; triggers of the type `poll` are not looked at.
    pub fn without_worker(
        executions: Arc<dyn ExecutionRepo>,
        workflows: Arc<dyn WorkflowRepo>,
        queue: Arc<dyn TaskQueue>,
    ) -> NebulaBuilder {
        NebulaBuilder::new(executions, workflows, queue, None)
    }

    pub(crate) fn from_parts(
        (engine, worker): (Engine, Option<Worker>),
        registry: Arc<Registry>,
        (bus, others): (Bus, Option<Arc<Others>>),
        (sources, executions): (Sources, Arc<dyn ExecutionRepo>),
        (http, access): (Option<Arc<PacedHttp>>, Option<Access>),
    ) -> Self {
        Self {
            engine,
            worker,
            registry,
            bus,
            others,
            http,
            executions,
            sources,
            access,
        }
    }

    /// Has requests over HTTP keep to `policy` from now on, as [`PacedHttp::adjust`] says; without a way out,
    /// nothing.
    ///
    /// # Errors
    /// [`HttpPolicyError`]: what it says cannot be used, and nothing has changed.
    pub fn adjust_http(&self, policy: HttpPolicy) -> Result<(), HttpPolicyError> {
        match &self.http {
            Some(http) => http.adjust(policy),
            None => policy.check(),
        }
    }

    /// The credentials that nodes name, over the way out that they go by; `None` without any.
    #[must_use]
    pub fn credentials(&self) -> Option<&Access> {
        self.access.as_ref()
    }

    /// Drives executions and looks for work that was left, until `shutdown`; then attempts may
    /// finish within the grace period. Without a worker it only looks, and rings for others.
    ///
    /// # Errors
    /// [`WorkerStopped`]: it runs already, or the store failed and the configuration says to stop then.
    ///
    /// # Cancel safety
    /// Dropping the future stops all attempts; what they did outside is settled by the next holder.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<(), WorkerStopped> {
        let sweep = self.engine.sweep(shutdown.clone());
        let work = self.drive(shutdown);
        tokio::pin!(sweep, work);
        tokio::select! {
            biased;
            stopped = &mut work => stopped,
            () = &mut sweep => work.await,
        }
    }

    /// Drives executions as [`Nebula::run`] does, and leaves it to others to look for work that was left:
    /// where the queue is shared, one process looks for all. Without a worker it only waits for `shutdown`.
    ///
    /// # Errors
    /// [`WorkerStopped`]: it runs already, or the store failed and the configuration says to stop then.
    ///
    /// # Cancel safety
    /// That of [`Nebula::run`].
    pub async fn drive(&self, shutdown: CancellationToken) -> Result<(), WorkerStopped> {
        let driving = async {
            match &self.worker {
                // Its future is large, and lives as long as the process.
                Some(worker) => Box::pin(worker.run(shutdown)).await,
                None => {
                    shutdown.cancelled().await;
                    Ok(())
                }
            }
        };
        tokio::select! {
            biased;
            driven = driving => driven,
            never = self.relayed() => match never {},
        }
    }

    /// Tells other processes and hears them, if there is a way to them.
    async fn relayed(&self) -> Infallible {
        if let Some(Others { relay, clock, name }) = self.others.as_deref() {
            let what = Relayed {
                drives: self.worker.is_some(),
                answers: true,
            };
            let (relay, clock) = (relay.clone(), clock.clone());
            self.bus.relay(relay, clock, name.clone(), what).await;
        }
        std::future::pending().await
    }

    /// Starts what the triggers of published versions say, until `shutdown`: any number of processes may do so
    /// over one store, and each occurrence starts one execution. Beside [`Nebula::run`], which drives them.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn fire(&self, config: FireConfig, shutdown: CancellationToken) {
        self.engine.fire(config, shutdown).await;
    }

    /// What admits, starts and answers.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What becomes true, for watchers.
    #[must_use]
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// How requests over HTTP stand, for each destination, host and credential that is remembered: its
    /// breaker, its pause, how many are under way and wait. Of this process; empty without a way out.
    #[must_use]
    pub fn lanes(&self) -> Vec<LaneState> {
        self.http.as_ref().map_or_else(Vec::new, |it| it.lanes())
    }

    /// What all metrics say now: what this process counted, and what its store and its sources are asked. A
    /// store that does not answer leaves its own out.
    ///
    /// # Cancel safety
    /// A dropped call has changed nothing.
    pub async fn read_metrics(&self) -> Reading {
        let mut reading = Reading::default();
        self.read_into(&mut reading).await;
        reading
    }

    async fn read_into(&self, reading: &mut Reading) {
        self.bus.metrics().read(reading);
        if let Some(worker) = &self.worker {
            worker.observe(reading);
        }
        match &self.http {
            Some(http) => http.observe(reading),
            None => PacedHttp::observe_none(reading),
        }
        match self.executions.backlog().await {
            Ok(backlog) => reading.backlog(&backlog),
            Err(error) => debug!(%error, "the backlog cannot be read"),
        }
        for source in self.sources.iter() {
            source.read(reading).await;
        }
    }

    /// Closes the connections over which a credential was sent: it has another value now, or is gone.
    /// Requests under way go on. Those of other processes are closed by their age.
    pub fn close_connections(&self, tenant: &TenantId, credential: &CredentialId) {
        if let Some(http) = &self.http {
            http.close(&Sender {
                tenant: Some(tenant.clone()),
                credential: Some(credential.clone()),
            });
        }
    }

    /// The actions that there are.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Starts an execution in this process: its worker gets the first lease with the creation, so
    /// that no second commit is needed. It is driven while [`Nebula::run`] is polled; where the worker
    /// has no room for it, or others wait for that room already, in its turn with them.
    ///
    /// # Errors
    /// [`StartError`]: nothing was created, but for `Store` with `Unavailable`.
    pub async fn start(
        &self,
        tenant: &TenantId,
        installed: &Installed,
        input: Value,
        options: StartOptions,
    ) -> Result<ExecutionId, StartError> {
        let admitted = self.admit(tenant, installed, input, options).await?;
        Ok(admitted.id)
    }

    /// The same for a caller who wants to know whether the execution has to wait for its turn.
    ///
    /// # Errors
    /// [`StartError`]: nothing was created, but for `Store` with `Unavailable`.
    pub async fn admit(
        &self,
        tenant: &TenantId,
        installed: &Installed,
        input: Value,
        options: StartOptions,
    ) -> Result<Started, StartError> {
        self.admit_once(tenant, installed, input, options, None)
            .await
    }

    /// The same, at most once for each `dedupe` key: a repetition is answered with the first start.
    ///
    /// # Errors
    /// [`StartError`]: nothing was created, but for `Store` with `Unavailable`, where the same call can
    /// be repeated safely if it has a key.
    pub async fn admit_once(
        &self,
        tenant: &TenantId,
        installed: &Installed,
        input: Value,
        options: StartOptions,
        dedupe: Option<DedupeKey>,
    ) -> Result<Started, StartError> {
        let (request, asked) = self.lease_request();
        let mut started = self
            .engine
            .start(tenant, installed, input, options, dedupe, request)
            .await?;
        self.adopt(&mut started, asked).await;
        Ok(started)
    }

    /// Starts an execution like [`Nebula::start`] and waits for its end. Where this process drives it,
    /// the store is not read: the end comes from the worker that has committed it. And since nobody is
    /// told the id before, it is created with its first step, in one commit: what does no more than
    /// compute, and soon, is written once. Should the process die before, it never was.
    ///
    /// # Errors
    /// [`ExecuteError`]: it was not started, or it was and the store cannot say what became of it.
    ///
    /// # Cancel safety
    /// A dropped call may have started it; it goes on.
    pub async fn execute(
        &self,
        tenant: &TenantId,
        installed: &Installed,
        input: Value,
        options: StartOptions,
    ) -> Result<(ExecutionId, End), ExecuteError> {
        let executed = self.execute_within(tenant, installed, input, options, None);
        match executed.await? {
            (id, Awaited::End(end)) => Ok((id, *end)),
            (id, Awaited::Gone | Awaited::Late(_)) => Err(ExecuteError::Gone(id)),
        }
    }

    /// The same for a caller who does not wait longer than `wait` once the execution is there.
    ///
    /// # Errors
    /// [`ExecuteError`], but not `Gone`.
    ///
    /// # Cancel safety
    /// A dropped call may have started it; it goes on.
    pub async fn execute_within(
        &self,
        tenant: &TenantId,
        installed: &Installed,
        input: Value,
        options: StartOptions,
        wait: Option<Duration>,
    ) -> Result<(ExecutionId, Awaited), ExecuteError> {
        let mut new = self.engine.prepare(tenant, installed, input, options)?;
        let admitted = self.engine.admit_tenant(&mut new).await;
        admitted.map_err(StartError::from)?;
        Box::pin(self.engine.put_input(&mut new)).await;
        // Before anybody can drive it.
        let (id, mut halts) = (new.id, self.bus.wait_for(new.id));
        let begun = match &self.worker {
            Some(worker) => worker.begin(new, None),
            None => Err(Box::new(new)),
        };
        let mut begins = match begun {
            Ok(begins) => begins,
            Err(new) => {
                let (request, asked) = self.lease_request();
                let plan = &installed.plan;
                let created = self.engine.create(tenant, plan, *new, None, request);
                let mut started = created.await.map_err(StartError::from)?;
                self.adopt(&mut started, asked).await;
                return self.end(tenant, id, halts, wait).await;
            }
        };
        let beginning = tokio::select! {
            biased;
            // What came to its end is there.
            halt = halts.next() => match halt.end {
                Some(end) => return Ok((id, Awaited::End(Box::new(end)))),
                None => Beginning::There(id),
            },
            beginning = begins.outcome() => beginning,
        };
        match beginning {
            Beginning::There(there) if there == id => self.end(tenant, id, halts, wait).await,
            Beginning::There(other) => {
                let halts = self.bus.wait_for(other);
                self.end(tenant, other, halts, wait).await
            }
            // It takes its turn with all that waits for the worker.
            Beginning::Back(new) => {
                let created = self
                    .engine
                    .create(tenant, &installed.plan, *new, None, None);
                created.await.map_err(StartError::from)?;
                self.end(tenant, id, halts, wait).await
            }
            Beginning::Failed(error) => Err(StartError::Store(error).into()),
        }
    }

    /// Waits for the end of what was started.
    async fn end(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        halts: Halts,
        wait: Option<Duration>,
    ) -> Result<(ExecutionId, Awaited), ExecuteError> {
        match self.engine.end(tenant, id, halts, wait).await {
            Ok(awaited) => Ok((id, awaited)),
            Err(error) => Err(ExecuteError::Unknown { id, error }),
        }
    }

    /// What a creator asks for so that the worker of this process gets the first lease.
    fn lease_request(&self) -> (Option<LeaseRequest>, Duration) {
        match &self.worker {
            Some(worker) => {
                let (request, asked) = worker.lease_request();
                (Some(request), asked)
            }
            None => (None, Duration::ZERO),
        }
    }

    /// Hands the creator's lease over to the worker, if there is one.
    async fn adopt(&self, started: &mut Started, asked: Duration) {
        if let (Some(worker), Some(lease)) = (&self.worker, started.lease.take()) {
            let entries = std::mem::take(&mut started.entries);
            worker.adopt(lease, entries, asked).await;
        }
    }

    /// Goes over an ended execution again in this process, with a new execution whose first lease
    /// its worker gets. It is driven while [`Nebula::run`] is polled.
    ///
    /// # Errors
    /// [`StartAgainError`]: nothing was created, but for `Store` with `Unavailable`.
    pub async fn again(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        how: Again,
    ) -> Result<ExecutionId, StartAgainError> {
        Ok(self.admit_again(tenant, execution, how).await?.id)
    }

    /// The same for a caller who wants to know whether the new execution has to wait for its turn.
    ///
    /// # Errors
    /// [`StartAgainError`]: nothing was created, but for `Store` with `Unavailable`.
    pub async fn admit_again(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        how: Again,
    ) -> Result<Started, StartAgainError> {
        let (request, asked) = self.lease_request();
        let engine = &self.engine;
        let mut started = engine.again(tenant, execution, how, request).await?;
        self.adopt(&mut started, asked).await;
        Ok(started)
    }
}

/// For whoever asks again and again, such as an export.
#[async_trait]
impl Source for Nebula {
    async fn read(&self, reading: &mut Reading) {
        self.read_into(reading).await;
    }
}
