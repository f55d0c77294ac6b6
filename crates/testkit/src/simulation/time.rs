//! The clock of one process: the world's time, seen askew.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use nebula_core::{BoxFuture, Clock, Timestamp};

use crate::ManualClock;

/// Wall time that is wrong by so much, and may jump; monotonic time is the world's.
#[derive(Debug, Clone)]
pub(super) struct ProcessClock {
    world: ManualClock,
    off_by: Arc<AtomicI64>,
}

impl ProcessClock {
    pub(super) fn new(world: ManualClock, off_by_millis: i64) -> Self {
        Self {
            world,
            off_by: Arc::new(AtomicI64::new(off_by_millis)),
        }
    }

    /// Moves wall time, as an operator or NTP does.
    pub(super) fn jump(&self, millis: i64) {
        self.off_by.fetch_add(millis, Ordering::Relaxed);
    }

    /// Shows the world's wall time from now on.
    pub(super) fn set_right(&self) {
        self.off_by.store(0, Ordering::Relaxed);
    }
}

impl Clock for ProcessClock {
    fn now(&self) -> Timestamp {
        let now = self.world.now().as_millis();
        Timestamp::from_millis(now + self.off_by.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        self.world.monotonic()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.world.sleep(duration)
    }
}
