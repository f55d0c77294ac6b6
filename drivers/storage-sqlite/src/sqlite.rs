//! The open database: its threads and the two ways in.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use nebula_core::Clock;
use nebula_ports::{ErrorKind, PortError, Result};
use rusqlite::Connection;

use crate::{
    SqliteBatches, SqliteConfig, SqliteStats, checkpoint,
    config::{MAX_QUEUED_BYTES, MAX_WRITE_BYTES, SMALL_WRITE_BYTES, WRITE_QUEUE},
    error::Fault,
    known_plans::KnownPlans,
    opening,
    readers::{self, Readers},
    schema,
    stats::Counters,
    sync::{JoinHandle, Mutex, Semaphore, blocking, mpsc, oneshot},
    writer::{Call, Mode, Tx, Work, Writer},
};

/// One open database: an `ExecutionRepo`, a `WorkflowRepo`, a `CredentialRepo`, an `IdentityRepo`, a
/// `SessionRepo` and an `AuditLog`.
///
/// Dropping it finishes what was asked, closes the database and waits for that: some milliseconds,
/// or as long as the last checkpoint takes.
pub struct Sqlite {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) known_plans: Mutex<KnownPlans>,
    path: Option<PathBuf>,
    counters: Arc<Counters>,
    readers: Option<Readers>,
    works: Option<mpsc::Sender<Box<dyn Work>>>,
    /// One permit for each KiB of large writes that wait.
    room: Semaphore,
    threads: Vec<JoinHandle<()>>,
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite")
            .field("path", &self.path)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Sqlite {
    /// Opens the database that `config` names, creates it if it is missing, and brings its tables to
    /// this build's schema. `clock` is the store's clock: it alone decides when leases expire.
    ///
    /// # Errors
    /// `Unavailable`: a folder is missing or in the way, or another process keeps the file locked.
    /// `ReadOnly`, `Full`. `Format`: not a database, another program's, or a newer schema.
    /// `Corrupt`: the file is damaged; where nobody else uses it, it was renamed, and the message
    /// says to what. `Invalid`: `config` has an impossible value.
    pub async fn open(config: SqliteConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let (reply, opened) = oneshot::channel();
        let path = config.path.clone();
        // Opening reads and syncs: not on the caller's thread. The thread that opens hands over the
        // finished database and ends.
        let work = move || {
            let _ = reply.send(Self::open_blocking(&config, clock));
        };
        let opener = readers::start("sqlite-open".to_owned(), work);
        let opened = match opener {
            Ok(_) => opened.await.unwrap_or_else(|_| Err(gone())),
            Err(fault) => Err(fault),
        };
        opened.map_err(|fault| located(path.as_deref(), fault.into_port("open the database")))
    }

    fn open_blocking(
        config: &SqliteConfig,
        clock: Arc<dyn Clock>,
    ) -> std::result::Result<Self, Fault> {
        let opened = opening::open(config, &clock)?;
        let counters = Arc::new(Counters::default());
        let (works, waiting) = mpsc::channel(WRITE_QUEUE);
        let mut sqlite = Self {
            clock: Arc::clone(&clock),
            known_plans: Mutex::default(),
            path: config.path.clone(),
            counters: Arc::clone(&counters),
            readers: None,
            works: Some(works),
            room: Semaphore::new(MAX_QUEUED_BYTES >> 10),
            threads: Vec::new(),
        };
        let mut bell = None;
        if let Some(path) = &config.path {
            sqlite.readers = Some(Readers::start(path, config)?);
            bell = Some(sqlite.start_checkpointer(path, config)?);
        }
        let mut writer = Writer::new(opened, clock, counters, bell);
        writer.expire_dead();
        let work = move || writer.run(waiting);
        sqlite
            .threads
            .push(readers::start("sqlite-write".to_owned(), work)?);
        Ok(sqlite)
    }

    fn start_checkpointer(
        &mut self,
        path: &Path,
        config: &SqliteConfig,
    ) -> std::result::Result<blocking::SyncSender<()>, Fault> {
        let connection = opening::writer(path, config)?;
        schema::sync_fully(&connection)?;
        let (bell, rings) = blocking::sync_channel(1);
        let counters = Arc::clone(&self.counters);
        let work = move || checkpoint::run(&connection, &counters, &rings);
        self.threads
            .push(readers::start("sqlite-checkpoint".to_owned(), work)?);
        Ok(bell)
    }

    /// What this handle did since it was opened.
    #[must_use]
    pub fn stats(&self) -> SqliteStats {
        self.counters.read()
    }

    /// How long its transactions took, and how many writes shared one.
    #[must_use]
    pub fn batches(&self) -> SqliteBatches {
        self.counters.batches()
    }

    /// Runs `work` in a transaction that it shares with whatever else gathered; `bytes` is what it
    /// brings along. It may run again in a transaction of its own.
    pub(crate) async fn write<T, F>(
        &self,
        operation: &'static str,
        bytes: usize,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> std::result::Result<T, Fault> + Send + 'static,
    {
        if bytes > MAX_WRITE_BYTES {
            let message = format!("a write of {bytes} bytes; the limit is {MAX_WRITE_BYTES}");
            return Err(Fault::invalid(message).into_port(operation));
        }
        let _room = if bytes > SMALL_WRITE_BYTES {
            let permits = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
            Some(
                self.room
                    .acquire_many(permits)
                    .await
                    .map_err(|_| gone().into_port(operation))?,
            )
        } else {
            None
        };
        self.send(operation, Mode::Shared, work).await
    }

    /// Runs `work` on the writer's connection outside of a transaction.
    pub(crate) async fn alone<T, F>(&self, operation: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> std::result::Result<T, Fault> + Send + 'static,
    {
        self.send(operation, Mode::Alone, work).await
    }

    async fn send<T, F>(&self, operation: &'static str, mode: Mode, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> std::result::Result<T, Fault> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let call = Call {
            operation,
            mode,
            work,
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
        answer
            .await
            .unwrap_or_else(|_| Err(gone().into_port(operation)))
            .map_err(|error| located(self.path.as_deref(), error))
    }

    /// Runs `question` on a connection that reads.
    pub(crate) async fn read<T, F>(&self, operation: &'static str, question: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> std::result::Result<T, Fault> + Send + 'static,
    {
        let Some(readers) = &self.readers else {
            // A database in memory has one connection.
            let mut question = Some(question);
            return self
                .alone(operation, move |tx| match question.take() {
                    Some(question) => question(tx.connection),
                    None => Err(gone()),
                })
                .await;
        };
        let (reply, answer) = oneshot::channel();
        let ask = Box::new(move |connection: &Connection| {
            let _ = reply.send(question(connection));
        });
        let sent = match readers.questions() {
            Some(questions) => questions.send(ask).await.is_ok(),
            None => false,
        };
        if !sent {
            return Err(gone().into_port(operation));
        }
        let answer = answer.await.unwrap_or_else(|_| Err(gone()));
        answer.map_err(|fault| located(self.path.as_deref(), fault.into_port(operation)))
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        // The readers first: the last connection that closes empties the write-ahead log, and that
        // must be one that writes. The writer's end ends the checkpointer.
        self.readers = None;
        self.works = None;
        self.threads.drain(..).rev().for_each(readers::join);
    }
}

/// Names the file where somebody has to do something about it, or about its disk.
fn located(path: Option<&Path>, mut error: PortError) -> PortError {
    let concerns = matches!(
        error.kind,
        ErrorKind::Unavailable | ErrorKind::Full | ErrorKind::ReadOnly | ErrorKind::Corrupt
    );
    if let Some(shown) = path
        .filter(|_| concerns)
        .map(|path| path.display().to_string())
        && !error.message.contains(&shown)
    {
        error.message = format!("`{shown}`: {}", error.message);
    }
    error
}

fn gone() -> Fault {
    Fault::new(ErrorKind::Unavailable, "the database's thread has ended")
}
