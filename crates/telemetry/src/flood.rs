//! How many lines one place of the code may log, and what is said of the rest.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tracing::{Event, Level, Metadata, Subscriber, callsite::Identifier};
use tracing_subscriber::{Layer, layer::Context};

/// The target of the lines that say how many others were left out. They are never left out
/// themselves, whatever the filter says.
pub(crate) const LEFT_OUT: &str = "nebula_telemetry::left_out";

/// How many lines one place may log: `burst` at once, and then `per_second`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) burst: u32,
    pub(crate) per_second: u32,
}

/// What a place may log at levels below `error`.
pub(crate) const USUAL: Allowance = Allowance {
    burst: 100,
    per_second: 20,
};

/// What a place may log at level `error`: whoever looks for a fault needs most of them.
pub(crate) const ERRORS: Allowance = Allowance {
    burst: 1_000,
    per_second: 200,
};

impl Allowance {
    fn of(level: Level) -> Self {
        match level {
            Level::ERROR => ERRORS,
            _ => USUAL,
        }
    }

    /// The time that one line costs.
    fn cost(self) -> Duration {
        Duration::from_secs(1) / self.per_second
    }
}

/// A token bucket, kept as the time at which it is full again (GCRA, ITU-T I.371).
#[derive(Debug, Default)]
struct Bucket {
    full_at: Duration,
}

impl Bucket {
    /// Takes a token, if one is there.
    fn takes(&mut self, allowance: Allowance, now: Duration) -> bool {
        let full_at = self.full_at.max(now) + allowance.cost();
        let fits = full_at - now <= allowance.cost() * allowance.burst;
        if fits {
            self.full_at = full_at;
        }
        fits
    }
}

/// One place of the code that logs. There are as many as were compiled in.
struct Place {
    metadata: &'static Metadata<'static>,
    bucket: Bucket,
    left_out: u64,
}

/// Lets each place log what it may, and counts what it logged beyond. Clones are one.
#[derive(Clone)]
pub(crate) struct Floods(Arc<Inner>);

struct Inner {
    now: Box<dyn Fn() -> Duration + Send + Sync>,
    places: Mutex<HashMap<Identifier, Place>>,
    left_out: AtomicU64,
}

impl Floods {
    /// With a time that never goes back.
    pub(crate) fn new(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        let places = Mutex::default();
        let now = Box::new(now);
        let left_out = AtomicU64::new(0);
        Self(Arc::new(Inner {
            now,
            places,
            left_out,
        }))
    }

    /// How many lines were left out in all.
    pub(crate) fn left_out(&self) -> u64 {
        self.0.left_out.load(Relaxed)
    }

    /// The time by which lines are counted.
    pub(crate) fn now(&self) -> Duration {
        (self.0.now)()
    }

    fn takes(&self, metadata: &'static Metadata<'static>) -> bool {
        let now = self.now();
        let mut places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry(metadata.callsite()).or_insert_with(|| Place {
            metadata,
            bucket: Bucket::default(),
            left_out: 0,
        });
        let takes = place.bucket.takes(Allowance::of(*metadata.level()), now);
        place.left_out += u64::from(!takes);
        self.0.left_out.fetch_add(u64::from(!takes), Relaxed);
        takes
    }

    /// Logs one line for each place of which lines were left out since the last report.
    pub(crate) fn report(&self) {
        for (metadata, lines) in self.counted() {
            let place = Named(metadata);
            tracing::warn!(target: LEFT_OUT, lines, %place, "log lines were left out: too many came from one place");
        }
    }

    /// Takes the counts, in the order of the places' names; logging needs the lock again.
    fn counted(&self) -> Vec<(&'static Metadata<'static>, u64)> {
        let mut places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
        let flooded = places.values_mut().filter(|place| place.left_out > 0);
        let mut counted: Vec<_> = flooded
            .map(|place| (place.metadata, std::mem::take(&mut place.left_out)))
            .collect();
        counted.sort_by_key(|(metadata, _)| (metadata.target(), metadata.line()));
        counted
    }
}

impl<S: Subscriber> Layer<S> for Floods {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        metadata.target() == LEFT_OUT || self.takes(metadata)
    }
}

/// `nebula_runtime::worker:186`: where a line comes from.
struct Named(&'static Metadata<'static>);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.target())?;
        match self.0.line() {
            Some(line) => write!(f, ":{line}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Allowance = Allowance {
        burst: 3,
        per_second: 2,
    };

    /// At which of these moments, in milliseconds, a line is let through.
    fn check(moments: &[u64], expected: &[u64]) {
        let mut bucket = Bucket::default();
        let mut takes = |at: &&u64| bucket.takes(FEW, Duration::from_millis(**at));
        let taken: Vec<_> = moments.iter().filter(|at| takes(at)).copied().collect();
        assert_eq!(taken, expected);
    }

    #[test]
    fn a_burst_is_let_through_and_then_so_many_a_second() {
        check(&[0, 0, 0, 0, 0], &[0, 0, 0]);
        check(
            &[0, 0, 0, 400, 500, 600, 1_000, 1_001],
            &[0, 0, 0, 500, 1_000],
        );
    }

    #[test]
    fn what_was_not_used_is_kept_up_to_a_burst() {
        check(
            &[0, 60_000, 60_000, 60_000, 60_000],
            &[0, 60_000, 60_000, 60_000],
        );
    }

    #[test]
    fn lines_that_are_left_out_cost_nothing() {
        check(&[0, 0, 0, 1, 2, 3, 4, 500], &[0, 0, 0, 500]);
    }
}
