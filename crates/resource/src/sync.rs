//! Where threads meet. In a unit test of this crate the test decides which of them goes on.

#[cfg(not(test))]
pub(crate) use {
    std::sync::{Mutex, MutexGuard},
    tokio::sync::OnceCell,
};

#[cfg(test)]
pub(crate) use {
    shuttle::sync::{Mutex, MutexGuard},
    shuttle_tokio::sync::OnceCell,
};
