//! Where threads meet. In a unit test of this crate the test decides which of them goes on.

#[cfg(not(test))]
pub(crate) use {parking_lot::Mutex, tokio::sync::Notify};

#[cfg(test)]
pub(crate) use {shuttle_parking_lot::Mutex, shuttle_tokio::sync::Notify};
