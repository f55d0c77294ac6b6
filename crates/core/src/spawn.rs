//! The port for work that goes on beside its caller.

use std::fmt;

use crate::BoxFuture;

/// Drives futures beside their caller, so that several threads share what one task would do alone.
pub trait Spawn: fmt::Debug + Send + Sync + 'static {
    /// Begins to drive `work` now; the future that is given ends when `work` has ended, also when it
    /// panicked.
    ///
    /// `work` reports its result by what it captures, so that the trait stays object-safe.
    ///
    /// # Cancel safety
    /// Dropping the future drops `work`: at once, or, where a thread drives it at that moment, as soon
    /// as it waits for something.
    fn spawn(&self, work: BoxFuture<'static, ()>) -> BoxFuture<'static, ()>;
}
