//! Tasks of the host's async runtime.

use nebula_core::{BoxFuture, Spawn};
use tokio_util::task::AbortOnDropHandle;

/// Makes each piece of work a task of the tokio runtime that its caller runs in: all threads of that
/// runtime share them.
///
/// # Panics
/// [`Spawn::spawn`] panics outside of a tokio runtime.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemSpawn;

impl Spawn for SystemSpawn {
    fn spawn(&self, work: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
        #[expect(
            clippy::disallowed_methods,
            reason = "its handle ends it when it is dropped, so nothing outlives its owner"
        )]
        let task = AbortOnDropHandle::new(tokio::spawn(work));
        Box::pin(async move {
            // A panic has been reported by the panic hook and ends here.
            let _ = task.await;
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn in_runtime(test: impl Future<Output = ()>) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.build().unwrap().block_on(test);
    }

    /// Guard: work goes on whether or not anybody polls for its end.
    #[test]
    fn work_goes_on_beside_its_caller() {
        in_runtime(async {
            let (tell, told) = oneshot::channel();
            let _task = SystemSpawn.spawn(Box::pin(async move { tell.send(7).unwrap() }));
            assert_eq!(told.await, Ok(7));
        });
    }

    /// Guard: the handle ends the task that it stands for.
    #[test]
    fn who_drops_the_handle_stops_the_work() {
        in_runtime(async {
            let (held, dropped) = oneshot::channel::<()>();
            let task = SystemSpawn.spawn(Box::pin(async move {
                let _held = held;
                std::future::pending::<()>().await;
            }));
            tokio::task::yield_now().await;
            drop(task);
            assert!(dropped.await.is_err(), "it was dropped, and sent nothing");
        });
    }

    /// Guard: a panic ends the work, and nothing else.
    #[test]
    fn a_panic_ends_the_work_and_nothing_else() {
        in_runtime(async {
            let work = async { panic!("this is what it does") };
            SystemSpawn.spawn(Box::pin(work)).await;
        });
    }
}
