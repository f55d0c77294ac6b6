//! Blocking work on the threads of the `Offload` port.

use std::sync::{Arc, Mutex, PoisonError};

use nebula_action::{ActionError, ErrorClass};
use nebula_core::Offload;

/// Runs `work` away from the async threads and gives its result; `lost` is the class of the error
/// for when it panicked.
///
/// # Cancel safety
/// Work that has begun goes on when the future is dropped; its result is lost.
pub(crate) async fn run<T: Send + 'static>(
    offload: &dyn Offload,
    lost: ErrorClass,
    work: impl FnOnce() -> Result<T, ActionError> + Send + 'static,
) -> Result<T, ActionError> {
    let result = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&result);
    let job = Box::new(move || {
        let done = work();
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
    });
    offload.run(job).await;
    let done = result.lock().unwrap_or_else(PoisonError::into_inner).take();
    done.unwrap_or_else(|| {
        let message = "the work on the file ended without a result: a fault of the action";
        Err(ActionError::new("ACTION_PANICKED", message, lost))
    })
}
