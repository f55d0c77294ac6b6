//! An engine at work for one command, until the command has what it wants or a signal comes.

use std::{future::Future, time::Duration};

use nebula_core::{ExecutionId, TenantId};
use nebula_engine::{Engine, Report, Until};
use nebula_runtime::WorkerStopped;
use nebula_system::{Shutdown, ShutdownRequest, Urgency};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    compose::{self, Composed},
    console::Console,
    failure::Failure,
    settings::{Loaded, Place},
};

/// How often a command looks at the store while it waits for another process.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What became of work under [`Session::drive`].
#[derive(Debug)]
pub(crate) enum Driven<T> {
    /// It has its result; the engine has stopped.
    Done(T),
    /// A signal came first. After a graceful one the state is saved and leases are given back.
    Stopped(ShutdownRequest),
}

/// An engine over the command's database.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) composed: Composed,
    pub(crate) tenant: TenantId,
    pub(crate) place: Place,
}

impl Session {
    /// Opens the database; makes it if it is missing.
    pub(crate) async fn open(loaded: &Loaded) -> Result<Self, Failure> {
        Ok(Self {
            composed: compose::compose(loaded).await?,
            tenant: TenantId::local(),
            place: loaded.place.clone(),
        })
    }

    /// Opens the database if there is one: to look at what is there, nothing need be made.
    pub(crate) async fn open_existing(loaded: &Loaded) -> Result<Option<Self>, Failure> {
        match &loaded.place {
            Place::Usual(path) if !path.exists() => Ok(None),
            Place::Named(path) if !path.exists() => {
                let message = format!("there is no database {}", path.display());
                Err(Failure::environment("FILE_UNUSABLE", message)
                    .advice("check --db; `nebula run FILE --db PATH` makes a new one"))
            }
            Place::Usual(_) | Place::Named(_) | Place::Memory => Self::open(loaded).await.map(Some),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.composed.nebula.engine()
    }

    /// Where an execution stands, and what it did.
    pub(crate) async fn report(&self, id: ExecutionId) -> Result<Report, Failure> {
        let report = self.engine().report(&self.tenant, id).await?;
        report.ok_or_else(|| unknown(id))
    }

    /// Waits until an execution has ended or needs a person.
    pub(crate) async fn settled(&self, id: ExecutionId) -> Result<Report, Failure> {
        let until = Until::EndedOrParked;
        let report = self.engine().outcome(&self.tenant, id, until, None).await?;
        report.ok_or_else(|| unknown(id))
    }

    /// Looks again and again until `seen` gives something, for at most `bound`.
    pub(crate) async fn watch<T>(
        &self,
        bound: Duration,
        mut seen: impl AsyncFnMut() -> Result<Option<T>, Failure>,
    ) -> Result<Option<T>, Failure> {
        let clock = &self.composed.clock;
        let end = clock.monotonic() + bound;
        loop {
            if let Some(found) = seen().await? {
                return Ok(Some(found));
            }
            if clock.monotonic() >= end {
                return Ok(None);
            }
            clock.sleep(LOOK_AGAIN).await;
        }
    }

    /// Lets the engine work while `work` waits for what the command wants.
    ///
    /// The first signal stops the engine gracefully: attempts may finish within the grace period.
    /// The second stops it as it is.
    pub(crate) async fn drive<T>(
        &self,
        console: &Console,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Driven<T>, Failure> {
        let mut shutdown = Shutdown::listen().map_err(|error| {
            Failure::environment("SIGNALS", format!("cannot listen to signals: {error}"))
        })?;
        let stop = CancellationToken::new();
        let mut engine = JoinSet::new();
        let (nebula, token) = (self.composed.nebula.clone(), stop.clone());
        engine.spawn(async move { nebula.run(token).await });

        tokio::pin!(work);
        let mut stopped_by = None;
        let done = loop {
            tokio::select! {
                biased;
                request = shutdown.requested() => {
                    if request.urgency == Urgency::Now {
                        return Ok(Driven::Stopped(request));
                    }
                    console.note("stopping: what is under way may finish; the same again stops at once");
                    stop.cancel();
                    stopped_by = Some(request);
                }
                ended = engine.join_next() => {
                    engine_ended(ended)?;
                    if let Some(request) = stopped_by {
                        return Ok(Driven::Stopped(request));
                    }
                    let message = "the engine ended by itself";
                    return Err(Failure::environment("ENGINE_ENDED", message));
                }
                done = &mut work, if stopped_by.is_none() => break done?,
            }
        };
        stop.cancel();
        loop {
            tokio::select! {
                biased;
                request = shutdown.requested() => {
                    if request.urgency == Urgency::Now {
                        break;
                    }
                }
                ended = engine.join_next() => {
                    engine_ended(ended)?;
                    break;
                }
            }
        }
        Ok(Driven::Done(done))
    }
}

/// What the engine said when it ended.
pub(crate) fn engine_ended(
    ended: Option<Result<Result<(), WorkerStopped>, tokio::task::JoinError>>,
) -> Result<(), Failure> {
    match ended {
        None | Some(Ok(Ok(()))) => Ok(()),
        Some(Ok(Err(WorkerStopped::Store(error)))) => Err(error.into()),
        Some(Ok(Err(error @ WorkerStopped::RunsAlready))) => {
            Err(Failure::environment("ENGINE_ENDED", error.to_string()))
        }
        Some(Err(error)) => {
            let message = format!("the engine broke down: {error}");
            Err(Failure::environment("ENGINE_ENDED", message)
                .advice("please report this; `nebula resume` goes on with what is saved"))
        }
    }
}

/// The failure for an execution that is not there.
pub(crate) fn unknown(id: ExecutionId) -> Failure {
    Failure::invalid(
        "UNKNOWN_EXECUTION",
        format!("there is no execution {id} in this database"),
    )
    .advice("`nebula executions list` shows what is there; check --db")
}
