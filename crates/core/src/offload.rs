//! The port for long pure work that must not hold up the async threads.

use std::fmt;

use crate::BoxFuture;

/// A piece of blocking work.
pub type Job = Box<dyn FnOnce() + Send>;

/// Runs long pure work away from the async threads.
///
/// A job reports its result by what it captures, so that the trait stays object-safe.
pub trait Offload: fmt::Debug + Send + Sync + 'static {
    /// Runs `job` and ends when it has ended, also when it panicked.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop a job that has begun; its result is lost.
    fn run(&self, job: Job) -> BoxFuture<'static, ()>;
}
