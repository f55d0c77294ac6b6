//! Whether the host is short of memory, looked up now and then.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nebula_core::{Clock, MemoryPressure};

use crate::Host;

/// How long an answer is good.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// Whether the host is short of memory ([`Host::is_short_of_memory`]), at most a second ago.
#[derive(Debug)]
pub struct HostPressure {
    clock: Arc<dyn Clock>,
    read: fn() -> bool,
    /// By the clock, until when it is good, and the answer.
    seen: Mutex<Option<(Duration, bool)>>,
}

impl HostPressure {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            read: || Host::read().is_short_of_memory(),
            seen: Mutex::default(),
        }
    }
}

impl MemoryPressure for HostPressure {
    fn is_short(&self) -> bool {
        let now = self.clock.monotonic();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match *seen {
            Some((until, short)) if now < until => short,
            _ => {
                let short = (self.read)();
                *seen = Some((now + GOOD_FOR, short));
                short
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use nebula_core::{BoxFuture, Timestamp};

    use super::*;

    /// Shows the milliseconds that it holds.
    #[derive(Debug)]
    struct Shows(AtomicUsize);

    impl Clock for Shows {
        fn now(&self) -> Timestamp {
            Timestamp::default()
        }

        fn monotonic(&self) -> Duration {
            Duration::from_millis(self.0.load(SeqCst) as u64)
        }

        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }
    }

    static READS: AtomicUsize = AtomicUsize::new(0);

    /// Guards: an answer is remembered, and not for ever.
    #[test]
    fn the_host_is_read_once_a_second() {
        let clock = Arc::new(Shows(AtomicUsize::new(0)));
        let pressure = HostPressure {
            // Short at every other look.
            read: || READS.fetch_add(1, SeqCst).is_multiple_of(2),
            ..HostPressure::new(clock.clone())
        };
        for (millis, short, reads) in [
            (0, true, 1),
            (999, true, 1),
            (1_000, false, 2),
            (2_500, true, 3),
        ] {
            clock.0.store(millis, SeqCst);
            assert_eq!(
                (pressure.is_short(), READS.load(SeqCst)),
                (short, reads),
                "{millis}"
            );
        }
    }
}
