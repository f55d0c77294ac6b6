//! The open database: its connections and the two ways in.

use std::{fmt, rc::Rc, sync::Arc, thread::JoinHandle};

use nebula_ports::{ErrorKind, Result};
use tokio::{
    runtime::Builder,
    sync::{Mutex, Semaphore, mpsc, oneshot},
    task::{JoinSet, LocalSet},
};

use crate::{
    PostgresConfig, PostgresStats,
    config::{MAX_QUEUED_BYTES, MAX_WRITE_BYTES, READ_QUEUE, SMALL_WRITE_BYTES, WRITE_QUEUE},
    error::Fault,
    known_plans::KnownPlans,
    lanes::{Reader, Writer},
    link::Link,
    opening::Opening,
    schema,
    stats::Counters,
    work::{Asked, Asking, Call, Claims, Doing, Question, Whose, Work},
};

/// One open database.
///
/// Dropping it finishes what was asked, and waits for that.
pub struct Postgres {
    shown: String,
    counters: Arc<Counters>,
    works: Option<mpsc::Sender<Box<dyn Work>>>,
    questions: Option<mpsc::Sender<Box<dyn Question>>>,
    /// One permit for each KiB of large writes that wait.
    room: Semaphore,
    thread: Option<JoinHandle<()>>,
    pub(crate) known_plans: parking_lot::Mutex<KnownPlans>,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("address", &self.shown)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Postgres {
    /// Opens the database that `config` names, and brings its tables to this build's schema.
    ///
    /// # Errors
    /// `Unavailable`: nobody is there. `ReadOnly`: it refuses who asks, or takes no writes. `Format`: a newer
    /// schema. `Unsupported`: an old server, an encoding that is not UTF-8, or
    /// a server that would forget what it has confirmed. `Invalid`: `config` has an
    /// impossible value.
    pub async fn open(config: PostgresConfig) -> Result<Self> {
        const OPEN: &str = "open the database";
        let opening = Opening::new(&config).map_err(|fault| fault.into_port(OPEN))?;
        let (shown, counters) = (opening.address.to_string(), Arc::clone(&opening.counters));
        let (works, waiting_works) = mpsc::channel(WRITE_QUEUE);
        let (questions, waiting_questions) = mpsc::channel(READ_QUEUE);
        let (reply, opened) = oneshot::channel();
        let work = move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _ = reply.send(Err(Fault::unavailable(format!("no runtime: {error}"))));
                    return;
                }
            };
            let serve = serve(&config, opening, reply, waiting_works, waiting_questions);
            LocalSet::new().block_on(&runtime, serve);
        };
        // Connections live on a thread of their own: who asks may be in any runtime, or in one without I/O.
        #[expect(
            clippy::disallowed_methods,
            reason = "the thread that carries the connections ends with the handle"
        )]
        let started = std::thread::Builder::new()
            .name("postgres".to_owned())
            .spawn(work);
        let thread = started.map_err(|error| {
            Fault::unavailable(format!("no thread for connections: {error}")).into_port(OPEN)
        })?;
        let opened = opened.await.unwrap_or_else(|_| Err(gone()));
        opened.map_err(|fault| fault.into_port(OPEN))?;
        Ok(Self {
            shown,
            counters,
            works: Some(works),
            questions: Some(questions),
            room: Semaphore::new(MAX_QUEUED_BYTES >> 10),
            thread: Some(thread),
            known_plans: parking_lot::Mutex::default(),
        })
    }

    /// What this handle did since it was opened.
    #[must_use]
    pub fn stats(&self) -> PostgresStats {
        self.counters.read()
    }

    /// Runs `run` in a transaction of its own, which leaves nothing if it fails. It may run again.
    pub(crate) async fn write<D: Send + 'static, T: Send + 'static>(
        &self,
        operation: &'static str,
        bytes: usize,
        data: D,
        run: Doing<D, T>,
    ) -> Result<T> {
        self.send(operation, (bytes, Claims::default(), true), data, run)
            .await
    }

    /// Runs `run` in a transaction that it shares with whatever else gathered, unless it is `alone`; `bytes` is
    /// what it brings along. It may run again in another transaction; where it refuses, it has written nothing.
    pub(crate) async fn send<D: Send + 'static, T: Send + 'static>(
        &self,
        operation: &'static str,
        (bytes, claims, alone): (usize, Claims, bool),
        data: D,
        run: Doing<D, T>,
    ) -> Result<T> {
        if bytes > MAX_WRITE_BYTES {
            let message = format!("a write of {bytes} bytes; the limit is {MAX_WRITE_BYTES}");
            return Err(Fault::invalid(message).into_port(operation));
        }
        let _room = if bytes > SMALL_WRITE_BYTES {
            let permits = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
            let room = self.room.acquire_many(permits).await;
            Some(room.map_err(|_| gone().into_port(operation))?)
        } else {
            None
        };
        let (reply, answer) = oneshot::channel();
        let call = Call {
            operation,
            claims,
            alone,
            bytes,
            data,
            run,
            outcome: None,
            reply,
        };
        let sent = match &self.works {
            Some(works) => works.send(Box::new(call)).await.is_ok(),
            None => false,
        };
        if !sent {
            return Err(gone().into_port(operation));
        }
        let answer = answer.await;
        self.located(answer.unwrap_or_else(|_| Err(gone().into_port(operation))))
    }

    /// Asks over a connection that reads; `ask` may run again, over another connection.
    pub(crate) async fn read<D: Whose + Send + 'static, T: Send + 'static>(
        &self,
        operation: &'static str,
        data: D,
        ask: Asking<D, T>,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let asked = Asked {
            operation,
            data,
            ask,
            outcome: None,
            reply,
        };
        let sent = match &self.questions {
            Some(questions) => questions.send(Box::new(asked)).await.is_ok(),
            None => false,
        };
        if !sent {
            return Err(gone().into_port(operation));
        }
        let answer = answer.await;
        self.located(answer.unwrap_or_else(|_| Err(gone().into_port(operation))))
    }

    /// Names the database where somebody has to do something about it.
    fn located<T>(&self, answer: Result<T>) -> Result<T> {
        answer.map_err(|mut error| {
            if matches!(
                error.kind,
                ErrorKind::Unavailable | ErrorKind::Full | ErrorKind::ReadOnly | ErrorKind::Corrupt
            ) && !error.message.contains(&self.shown)
            {
                error.message = format!("{}: {}", self.shown, error.message);
            }
            error
        })
    }
}

/// Carries the connections, until nobody can ask any more.
async fn serve(
    config: &PostgresConfig,
    opening: Opening,
    reply: oneshot::Sender<std::result::Result<(), Fault>>,
    works: mpsc::Receiver<Box<dyn Work>>,
    questions: mpsc::Receiver<Box<dyn Question>>,
) {
    let opened = async {
        let link = Link::open(&opening).await?;
        schema::migrate(&link, config.may_forget).await
    };
    let opened = opened.await;
    let failed = opened.is_err();
    if reply.send(opened).is_err() || failed {
        return;
    }
    let opening = Rc::new(opening);
    let (works, questions) = (Rc::new(Mutex::new(works)), Rc::new(Mutex::new(questions)));
    let mut all = JoinSet::new();
    for _ in 0..config.writers {
        all.spawn_local(Writer::new(Rc::clone(&opening)).run(Rc::clone(&works)));
    }
    for _ in 0..config.readers {
        all.spawn_local(Reader::new(Rc::clone(&opening)).run(Rc::clone(&questions)));
    }
    while all.join_next().await.is_some() {}
}

impl Drop for Postgres {
    fn drop(&mut self) {
        (self.works, self.questions) = (None, None);
        if let Some(thread) = self.thread.take() {
            // It answers everybody before it ends; that it panicked was told by the answers that did not come.
            let _ = thread.join();
        }
    }
}

fn gone() -> Fault {
    Fault::unavailable("the thread of the connections has ended")
}
