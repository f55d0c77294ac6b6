//! The one thread that writes, with group commit.
//!
//! A batch is what gathered while the last commit was on its way to the disk. Who writes alone never
//! waits for company; where many write, the next batch gives them a moment to come, because a page
//! that all of them touch is then written once. The works of a batch run one after the other in one transaction; each checks everything
//! before it writes anything, so that a work that is refused leaves its neighbours alone. A work
//! that fails in the middle takes the transaction back, and then each work gets one of its own.

use std::{cell::Cell, ffi::c_int, fs::File, sync::Arc, time::Duration};

use nebula_core::{Clock, Timestamp};
use nebula_ports::{ErrorKind, PortError};
use rusqlite::{Connection, hooks::Wal};

use crate::{
    checkpoint::{self, CHECKPOINT_FRAMES},
    config::MAX_BATCH,
    error::Fault,
    holders::{Dead, Holders},
    opening::Opened,
    stats::Counters,
    sync::{blocking, mpsc, oneshot, thread},
};

/// From how many works in the last batch on the next one waits for company.
const COMPANY: usize = 4;
/// It waits until as many have come, for as long as some come in each of these moments,
const MOMENT: Duration = Duration::from_micros(100);
/// and no longer than so many of them.
const MOMENTS: usize = 3;

/// What a work may use.
pub(crate) struct Tx<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) holders: &'a mut Holders,
    /// The store's clock, read when the work began.
    pub(crate) now: Timestamp,
    /// Holders whose leases expired in this transaction.
    buried: &'a mut Vec<Dead>,
    pub(crate) tally: &'a mut Tally,
}

impl Tx<'_> {
    /// Lets the leases of somebody who is known to be dead expire, now and in the same transaction.
    pub(crate) fn bury(&mut self, dead: Dead) -> Result<(), Fault> {
        dead.expire(self.connection, self.now)?;
        self.buried.push(dead);
        Ok(())
    }
}

/// What one transaction did, for the statistics.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) steps: u64,
    pub(crate) created: u64,
}

/// How a work wants to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// With its neighbours in one transaction.
    Shared,
    /// By itself, outside of a transaction.
    Alone,
}

/// A piece of work for the writer, with the one who waits for its answer.
pub(crate) trait Work: Send {
    fn mode(&self) -> Mode;
    /// Does the work and keeps its outcome; says whether it succeeded.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Answers with the outcome that was kept.
    fn answer(self: Box<Self>);
    /// Answers that the transaction failed.
    fn fail(self: Box<Self>, kind: ErrorKind, message: &str);
}

/// Work that is a function of the transaction; it may run more than once.
pub(crate) struct Call<T, F> {
    pub(crate) operation: &'static str,
    pub(crate) mode: Mode,
    pub(crate) work: F,
    pub(crate) outcome: Option<Result<T, Fault>>,
    pub(crate) reply: oneshot::Sender<Result<T, PortError>>,
}

impl<T, F> Work for Call<T, F>
where
    T: Send,
    F: FnMut(&mut Tx<'_>) -> Result<T, Fault> + Send,
{
    fn mode(&self) -> Mode {
        self.mode
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        self.outcome.insert((self.work)(tx)).is_ok()
    }

    fn answer(self: Box<Self>) {
        let outcome = self.outcome.unwrap_or_else(|| {
            Err(Fault::new(
                ErrorKind::Unavailable,
                "the writer did not run it",
            ))
        });
        // Who no longer waits needs no answer.
        let _ = self
            .reply
            .send(outcome.map_err(|fault| fault.into_port(self.operation)));
    }

    fn fail(self: Box<Self>, kind: ErrorKind, message: &str) {
        let fault = Fault::new(kind, message);
        let _ = self.reply.send(Err(fault.into_port(self.operation)));
    }
}

thread_local! {
    /// Frames in the write-ahead log after this thread's last commit; the hook can keep no state.
    static FRAMES: Cell<i64> = const { Cell::new(0) };
    /// Commits of this thread that reached the log.
    static COMMITS: Cell<u64> = const { Cell::new(0) };
}

fn note_commit(_: &Wal, frames: c_int) -> rusqlite::Result<()> {
    FRAMES.set(frames.into());
    COMMITS.set(COMMITS.get() + 1);
    Ok(())
}

/// The thread's own state.
pub(crate) struct Writer {
    connection: Connection,
    holders: Holders,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    /// Rings the checkpointer; `None` for a database in memory.
    checkpointer: Option<blocking::SyncSender<()>>,
    /// Frames at which the checkpointer is rung next.
    next_checkpoint: i64,
    in_memory: bool,
    _presence: Option<File>,
}

impl Writer {
    pub(crate) fn new(
        opened: Opened,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
        checkpointer: Option<blocking::SyncSender<()>>,
    ) -> Self {
        opened.connection.wal_hook(Some(note_commit));
        Self {
            connection: opened.connection,
            holders: opened.holders,
            clock,
            counters,
            in_memory: checkpointer.is_none(),
            checkpointer,
            next_checkpoint: CHECKPOINT_FRAMES,
            _presence: opened.presence,
        }
    }

    /// Lets the leases end of processes that died before this one began.
    pub(crate) fn expire_dead(&mut self) {
        // Where that fails, the leases end by time.
        let dead = self.holders.all_dead();
        let _ = self.expire(dead);
    }

    /// Works until the last sender is gone, then closes the database.
    pub(crate) fn run(mut self, mut works: mpsc::Receiver<Box<dyn Work>>) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        // How many the last batch had: who was many is likely to be many again.
        let mut last = 0;
        while let Some(first) = works.blocking_recv() {
            batch.push(first);
            take_up(&mut batch, &mut works);
            if last >= COMPANY {
                await_company(&mut batch, &mut works, last);
            }
            last = batch.len();
            self.work_off(&mut batch);
            self.mind_the_log();
        }
        let dead = self.holders.leave();
        let _ = self.expire(dead);
    }

    /// Runs everything gathered: neighbours that share a transaction together, the others alone.
    fn work_off(&mut self, gathered: &mut Vec<Box<dyn Work>>) {
        let mut shared = Vec::with_capacity(gathered.len());
        for mut work in gathered.drain(..) {
            match work.mode() {
                Mode::Shared => shared.push(work),
                Mode::Alone => {
                    self.transaction(std::mem::take(&mut shared));
                    self.run_one(&mut work, &mut Vec::new(), &mut Tally::default());
                    work.answer();
                }
            }
        }
        self.transaction(shared);
    }

    fn run_one(
        &mut self,
        work: &mut Box<dyn Work>,
        buried: &mut Vec<Dead>,
        tally: &mut Tally,
    ) -> bool {
        let mut tx = Tx {
            connection: &self.connection,
            holders: &mut self.holders,
            now: self.clock.now(),
            buried,
            tally,
        };
        work.run(&mut tx)
    }

    /// Runs `works` in one transaction, commits, then answers all.
    fn transaction(&mut self, mut works: Vec<Box<dyn Work>>) {
        if works.is_empty() {
            return;
        }
        let began = self.clock.monotonic();
        if let Err(error) = self.execute("BEGIN IMMEDIATE") {
            return fail_all(works, error);
        }
        let (mut buried, mut tally) = (Vec::new(), Tally::default());
        let untouched = self.connection.total_changes();
        for at in 0..works.len() {
            let before = self.connection.total_changes();
            let succeeded = self.run_one(&mut works[at], &mut buried, &mut tally);
            let clean = self.connection.total_changes() == before;
            // A refusal before the first write concerns nobody else.
            if succeeded || (clean && !self.connection.is_autocommit()) {
                continue;
            }
            self.roll_back();
            drop(buried);
            if works.len() == 1 {
                return works.into_iter().for_each(Work::answer);
            }
            return works
                .into_iter()
                .for_each(|work| self.transaction(vec![work]));
        }
        if let Err(error) = self.execute("COMMIT") {
            self.roll_back();
            return fail_all(works, error);
        }
        buried.into_iter().for_each(Dead::forget);
        let commits = match self.in_memory {
            true => u64::from(self.connection.total_changes() > untouched),
            false => COMMITS.take(),
        };
        let took = self.clock.monotonic().saturating_sub(began);
        self.counters.batch((commits, took), works.len(), tally);
        works.into_iter().for_each(Work::answer);
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }

    fn roll_back(&self) {
        // SQLite takes some failed transactions back by itself.
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    fn expire(&mut self, dead: Vec<Dead>) -> rusqlite::Result<()> {
        if dead.is_empty() {
            return Ok(());
        }
        self.execute("BEGIN IMMEDIATE")?;
        let now = self.clock.now();
        if dead
            .iter()
            .any(|one| one.expire(&self.connection, now).is_err())
        {
            self.roll_back();
            return Ok(());
        }
        if let Err(error) = self.execute("COMMIT") {
            self.roll_back();
            return Err(error);
        }
        dead.into_iter().for_each(Dead::forget);
        Ok(())
    }

    /// Keeps the write-ahead log short without a checkpoint on the way of a commit: the
    /// checkpointer copies the bulk; the few frames that were added meanwhile are copied here,
    /// between two batches, after which the log begins anew.
    fn mind_the_log(&mut self) {
        let Some(checkpointer) = &self.checkpointer else {
            return;
        };
        let frames = FRAMES.get();
        if frames < CHECKPOINT_FRAMES {
            self.next_checkpoint = CHECKPOINT_FRAMES;
        } else if self.counters.take_checkpointed() {
            checkpoint::passive(&self.connection);
        } else if frames >= self.next_checkpoint {
            self.next_checkpoint = frames + CHECKPOINT_FRAMES;
            let _ = checkpointer.try_send(());
        }
    }
}

/// Takes what is there, up to a full batch.
fn take_up(batch: &mut Vec<Box<dyn Work>>, works: &mut mpsc::Receiver<Box<dyn Work>>) {
    while batch.len() < MAX_BATCH {
        match works.try_recv() {
            Ok(work) => batch.push(work),
            Err(_) => break,
        }
    }
}

/// Lets others come, for as long as some do and they are fewer than last time.
fn await_company(
    batch: &mut Vec<Box<dyn Work>>,
    works: &mut mpsc::Receiver<Box<dyn Work>>,
    last: usize,
) {
    for _ in 0..MOMENTS {
        let before = batch.len();
        if before >= last {
            return;
        }
        #[cfg_attr(
            not(test),
            expect(
                clippy::disallowed_methods,
                reason = "the thread's own pause, a fraction of what a disk takes; nothing is due by it"
            )
        )]
        thread::sleep(MOMENT);
        take_up(batch, works);
        if batch.len() == before {
            return;
        }
    }
}

fn fail_all(works: Vec<Box<dyn Work>>, error: rusqlite::Error) {
    let port = Fault::Sql(error).into_port("commit");
    for work in works {
        work.fail(port.kind, &port.message);
    }
}
