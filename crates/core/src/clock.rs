//! The port through which the core learns the time.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use crate::Timestamp;

/// A future on the heap, as object-safe traits return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Tells the time and wakes sleepers; the only source of either in the core.
///
/// `system` reads the host; the test kit's manual clock moves when it is told to.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Wall time, in milliseconds since 1970-01-01T00:00Z. It may jump in both directions.
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary start; never goes back. For leases and measured durations.
    fn monotonic(&self) -> Duration;

    /// Ends once [`Clock::monotonic`] has advanced by `duration`.
    ///
    /// # Cancel safety
    /// Dropping the future forgets the wake-up and nothing else.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}
