//! Where threads meet. In a unit test of this crate the test decides which of them goes on.

#[cfg(not(test))]
pub(crate) use {
    std::{
        sync::{Mutex, mpsc},
        thread,
    },
    tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot},
};

#[cfg(test)]
pub(crate) use {
    shuttle::{
        sync::{Mutex, mpsc},
        thread,
    },
    shuttle_tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot},
};
