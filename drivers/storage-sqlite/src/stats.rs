//! What the driver did, for benches and `doctor`.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use nebula_core::{Histogram, HistogramReading};

use crate::writer::Tally;

/// What one handle did since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SqliteStats {
    /// Database commits that wrote something.
    pub commits: u64,
    /// Writes that were asked for, refused ones included.
    pub writes: u64,
    /// Steps that were applied.
    pub steps: u64,
    /// Executions that were created.
    pub created: u64,
    /// The most writes that shared one commit.
    pub largest_batch: u64,
}

/// How long transactions took, and how many writes shared one, since the handle was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteBatches {
    /// From the first write of a transaction until it was durable, in microseconds.
    pub commit_micros: HistogramReading,
    /// Writes that were asked for, by transaction.
    pub writes: HistogramReading,
}

/// The live counters behind [`SqliteStats`], and the checkpointer's word to the writer.
#[derive(Debug)]
pub(crate) struct Counters {
    commits: AtomicU64,
    writes: AtomicU64,
    steps: AtomicU64,
    created: AtomicU64,
    largest_batch: AtomicU64,
    checkpointed: AtomicBool,
    commit_micros: Histogram,
    batches: Histogram,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            commits: AtomicU64::default(),
            writes: AtomicU64::default(),
            steps: AtomicU64::default(),
            created: AtomicU64::default(),
            largest_batch: AtomicU64::default(),
            checkpointed: AtomicBool::default(),
            commit_micros: Histogram::new(Histogram::MOMENTS),
            batches: Histogram::new(Histogram::NUMBERS),
        }
    }
}

impl Counters {
    pub(crate) fn batch(&self, (commits, took): (u64, Duration), writes: usize, tally: Tally) {
        if commits > 0 {
            self.commit_micros.took(took);
            self.batches.count(writes as u64);
        }
        self.commits.fetch_add(commits, Relaxed);
        self.steps.fetch_add(tally.steps, Relaxed);
        self.created.fetch_add(tally.created, Relaxed);
        self.writes.fetch_add(writes as u64, Relaxed);
        self.largest_batch.fetch_max(writes as u64, Relaxed);
    }

    pub(crate) fn batches(&self) -> SqliteBatches {
        SqliteBatches {
            commit_micros: self.commit_micros.read(),
            writes: self.batches.read(),
        }
    }

    pub(crate) fn set_checkpointed(&self) {
        self.checkpointed.store(true, Relaxed);
    }

    pub(crate) fn take_checkpointed(&self) -> bool {
        self.checkpointed.swap(false, Relaxed)
    }

    pub(crate) fn read(&self) -> SqliteStats {
        SqliteStats {
            commits: self.commits.load(Relaxed),
            writes: self.writes.load(Relaxed),
            steps: self.steps.load(Relaxed),
            created: self.created.load(Relaxed),
            largest_batch: self.largest_batch.load(Relaxed),
        }
    }
}
