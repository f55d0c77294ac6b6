//! Blocking work on the threads of the `Offload` port.

use std::sync::{Arc, Mutex, PoisonError};

use nebula_core::Offload;
use nebula_ports::ErrorKind;

use crate::error::Fault;

/// Runs `work` away from the async threads and gives its result.
///
/// # Cancel safety
/// Work that has begun goes on when the future is dropped; its result is dropped then.
pub(crate) async fn run<T: Send + 'static>(
    offload: &dyn Offload,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let result = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&result);
    let job = Box::new(move || {
        let done = work();
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
    });
    offload.run(job).await;
    let done = result.lock().unwrap_or_else(PoisonError::into_inner).take();
    done.unwrap_or_else(|| {
        let message = "the work on the file ended without a result: a fault of the driver";
        Err(Fault::new(ErrorKind::Unavailable, message))
    })
}
