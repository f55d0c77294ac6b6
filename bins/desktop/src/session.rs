//! An engine at work for one command, or a server that has one, until the command has what it wants or
//! a signal comes.

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use nebula_core::{Clock, ExecutionId, TenantId};
use nebula_engine::Report;
use nebula_program::ended::engine_ended;
use nebula_system::{Shutdown, ShutdownRequest, SystemClock, Urgency};
use nebula_telemetry::{Bus, ExecutionEvent};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    compose::{self, Composed},
    console::Console,
    failure::Failure,
    reach::{Here, Reach, There},
    settings::{Loaded, Place},
};

/// How often a command looks at the store while it waits for another process.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What to do after the engine broke down.
pub(crate) const AFTER_DEFECT: &str =
    "please report this; `nebula resume` goes on with what is saved";

/// What became of work under [`Session::drive`].
#[derive(Debug)]
pub(crate) enum Driven<T> {
    /// It has its result; the engine has stopped.
    Done(T),
    /// A signal came first. After a graceful one the state is saved and leases are given back.
    Stopped(ShutdownRequest),
}

/// How many journal entries are read at a time.
const PAGE: usize = 500;

/// How often a journal is looked at that another process writes.
const FOLLOW: Duration = Duration::from_millis(300);

/// An engine over the command's database, or a server.
#[derive(Debug)]
pub(crate) struct Session {
    /// What both of them answer.
    pub(crate) reach: Arc<dyn Reach>,
    /// The engine, where it is in this process.
    here: Option<Arc<Composed>>,
    pub(crate) clock: Arc<dyn Clock>,
    bus: Bus,
    pub(crate) tenant: TenantId,
    pub(crate) place: Place,
}

impl Session {
    /// Opens the database; makes it if it is missing. Or turns to the server: nothing is asked yet.
    pub(crate) async fn open(loaded: &Loaded) -> Result<Self, Failure> {
        let (tenant, place) = (TenantId::local(), loaded.place.clone());
        if let Place::Server(url) = &place {
            let server = compose::server(loaded, url)?;
            return Ok(Self {
                reach: Arc::new(There {
                    server: Arc::new(server),
                }),
                here: None,
                clock: Arc::new(SystemClock::default()),
                bus: Bus::new(Bus::DEFAULT_CAPACITY),
                tenant,
                place,
            });
        }
        let composed = Arc::new(compose::compose(loaded).await?);
        let reach = Here {
            composed: Arc::clone(&composed),
            tenant: tenant.clone(),
            place: place.clone(),
        };
        Ok(Self {
            reach: Arc::new(reach),
            clock: Arc::clone(&composed.clock),
            bus: composed.nebula.bus().clone(),
            here: Some(composed),
            tenant,
            place,
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
            _ => Self::open(loaded).await.map(Some),
        }
    }

    /// The engine of this process. Commands that ask for it take no `--server`.
    pub(crate) fn here(&self) -> Result<&Composed, Failure> {
        self.here.as_deref().ok_or_else(|| {
            let message = "this needs a database, and a server keeps its own";
            Failure::invalid("NEEDS_DATABASE", message)
                .advice("leave --server out, and unset NEBULA_SERVER")
        })
    }

    /// Whether a server is asked.
    pub(crate) fn is_there(&self) -> bool {
        self.here.is_none()
    }

    /// What becomes true of executions that are driven or followed here.
    pub(crate) fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Looks to this execution before all others, where it is driven here.
    pub(crate) fn focus(&self, id: ExecutionId) {
        if let Some(here) = &self.here {
            here.focus.on(id);
        }
    }

    /// Lets whoever drives it here look at an execution now.
    pub(crate) async fn wake(&self, id: ExecutionId) {
        if let Some(here) = &self.here {
            here.nebula.engine().wake(&self.tenant, id).await;
        }
    }

    /// The failure for an execution that is not there.
    pub(crate) fn unknown(&self, id: ExecutionId) -> Failure {
        unknown(id, &self.place)
    }

    /// Where an execution stands, and what it did.
    pub(crate) async fn report(&self, id: ExecutionId) -> Result<Report, Failure> {
        let report = self.reach.report(id).await?;
        report.ok_or_else(|| self.unknown(id))
    }

    /// Waits until an execution has ended or needs a person.
    pub(crate) async fn settled(&self, id: ExecutionId) -> Result<Report, Failure> {
        let settled = async {
            let report = self.reach.settled(id, None).await?;
            report.ok_or_else(|| self.unknown(id))
        };
        if self.here.is_some() {
            return settled.await;
        }
        tokio::select! {
            biased;
            report = settled => report,
            Err(failure) = async { self.follow(id).await?.forever(|_| Ok(())).await } => Err(failure),
        }
    }

    /// Begins to look at a journal that another process writes, with the last entries that are there.
    pub(crate) async fn follow(&self, id: ExecutionId) -> Result<Follower<'_>, Failure> {
        let summary = self.reach.summary(id).await?;
        let there = summary.ok_or_else(|| self.unknown(id))?.entries;
        Ok(Follower {
            session: self,
            id,
            next: there.saturating_sub(PAGE as u64) + 1,
        })
    }

    /// Looks again and again until `seen` gives something, for at most `bound`.
    pub(crate) async fn watch<T>(
        &self,
        bound: Duration,
        mut seen: impl AsyncFnMut() -> Result<Option<T>, Failure>,
    ) -> Result<Option<T>, Failure> {
        let clock = &self.clock;
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

    /// Waits for what `work` wants of executions that others drive; they go on without this command.
    pub(crate) async fn look_on<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Driven<T>, Failure> {
        let mut shutdown = listen()?;
        tokio::select! {
            biased;
            request = shutdown.requested() => Ok(Driven::Stopped(request)),
            done = work => done.map(Driven::Done),
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
        let Some(here) = &self.here else {
            return self.look_on(work).await;
        };
        let mut shutdown = listen()?;
        let stop = CancellationToken::new();
        let mut engine = JoinSet::new();
        let (nebula, token) = (here.nebula.clone(), stop.clone());
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
                    engine_ended(ended, AFTER_DEFECT)?;
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
                    engine_ended(ended, AFTER_DEFECT)?;
                    break;
                }
            }
        }
        Ok(Driven::Done(done))
    }
}

/// A journal that another process writes, shown on the bus of this one.
pub(crate) struct Follower<'a> {
    session: &'a Session,
    id: ExecutionId,
    /// The number of the next entry.
    next: u64,
}

impl Follower<'_> {
    /// Takes what is there, up to a page, and gives it to `each`; whether there is more.
    ///
    /// # Cancel safety
    /// What `each` was given is not given again.
    pub(crate) async fn look(
        &mut self,
        each: impl Fn(&ExecutionEvent) -> Result<(), Failure>,
    ) -> Result<bool, Failure> {
        let Session {
            reach, tenant, bus, ..
        } = self.session;
        let page = reach.journal(self.id, self.next, PAGE).await?;
        for stored in &page.entries {
            self.next = stored.seq + 1;
            let event = ExecutionEvent::project(tenant, self.id, stored.seq, &stored.entry);
            each(&event)?;
            bus.publish(event);
        }
        Ok(page.next.is_some())
    }

    /// The same, again and again.
    pub(crate) async fn forever(
        &mut self,
        each: impl Fn(&ExecutionEvent) -> Result<(), Failure>,
    ) -> Result<Infallible, Failure> {
        loop {
            if !self.look(&each).await? {
                self.session.clock.sleep(FOLLOW).await;
            }
        }
    }
}

fn listen() -> Result<Shutdown, Failure> {
    Shutdown::listen().map_err(|error| {
        Failure::environment("SIGNALS", format!("cannot listen to signals: {error}"))
    })
}

/// The failure for an execution that is not at this place.
pub(crate) fn unknown(id: ExecutionId, place: &Place) -> Failure {
    let (at, flag) = (place.words(), place.flag());
    let message = format!("there is no execution {id} {at}");
    let failure = Failure::invalid("UNKNOWN_EXECUTION", message);
    failure.advice(format!(
        "`nebula executions list{flag}` shows what is there; check {}",
        place.check()
    ))
}
