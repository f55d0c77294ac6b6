//! Where threads meet. In a unit test of this crate the test decides which of them goes on.

#[cfg(not(test))]
pub(crate) use {
    parking_lot::Mutex,
    std::{
        sync::mpsc as blocking,
        thread::{self, JoinHandle},
    },
    tokio::sync::{Semaphore, mpsc, oneshot},
};

#[cfg(test)]
pub(crate) use {
    shuttle::{
        sync::mpsc as blocking,
        thread::{self, JoinHandle},
    },
    shuttle_parking_lot::Mutex,
    shuttle_tokio::sync::{Semaphore, mpsc, oneshot},
};
