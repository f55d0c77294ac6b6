//! Random operations, done to a driver and to the model: every answer must be the same.
//!
//! A driver's test is one line per port and seed, such as
//! `nebula_testkit::agree::execution_repos(seed, 1_000, |clock| async move { … })` with the expression of the
//! driver's suite. On the first difference the test fails with the seed and with what was done to
//! the thing in question until then; the same seed and number of operations fail again.

mod blobs;
mod choice;
mod credentials;
mod executions;
mod identities;
mod log;
mod queues;

pub use blobs::blob_stores;
pub use credentials::credential_repos;
pub use executions::execution_repos;
pub use identities::{identity_repos, session_repos};
pub use queues::task_queues;
