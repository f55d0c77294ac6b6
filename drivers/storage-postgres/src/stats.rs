//! What one handle did since it was opened.

use std::sync::atomic::{AtomicU64, Ordering};

/// What one handle did since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PostgresStats {
    /// Writes that were answered for.
    pub writes: u64,
    /// Transactions that were committed for them.
    pub commits: u64,
    /// Transactions that were tried again, because others were in the way.
    pub again: u64,
    /// Times at which this side waited for the server: each for one or several statements that went together.
    pub round_trips: u64,
    /// Connections that came about.
    pub connections: u64,
}

/// The counters behind it.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) writes: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) again: AtomicU64,
    pub(crate) round_trips: AtomicU64,
    pub(crate) connections: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> PostgresStats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PostgresStats {
            writes: of(&self.writes),
            commits: of(&self.commits),
            again: of(&self.again),
            round_trips: of(&self.round_trips),
            connections: of(&self.connections),
        }
    }
}
