//! Long pure work, done at once.

use std::panic::{AssertUnwindSafe, catch_unwind};

use nebula_core::{BoxFuture, Job, Offload};

/// An [`Offload`] that does the job in place when it is first polled: no thread, one order.
#[derive(Debug, Clone, Copy, Default)]
pub struct InlineOffload;

impl Offload for InlineOffload {
    fn run(&self, job: Job) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            // A job that panics has ended; whoever waits for its result sees that there is none.
            let _ = catch_unwind(AssertUnwindSafe(job));
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn it_ends_when_the_job_has_ended_also_by_a_panic() {
        let done = Arc::new(AtomicBool::new(false));
        let mine = Arc::clone(&done);
        crate::run(async move {
            InlineOffload
                .run(Box::new(move || mine.store(true, Ordering::SeqCst)))
                .await;
            InlineOffload
                .run(Box::new(|| panic!("a job went wrong")))
                .await;
        });
        assert!(done.load(Ordering::SeqCst));
    }
}
