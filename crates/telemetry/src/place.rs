//! Which execution, node and attempt is at work, for the lines that are logged meanwhile.

use std::{
    cell::RefCell,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use nebula_core::{ExecutionId, SpanId, TraceId};
use nebula_execution::InstanceId;

/// Where work belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The execution.
    pub execution: ExecutionId,
    /// Its trace.
    pub trace: TraceId,
    /// The attempt, where it is one.
    pub attempt: Option<(InstanceId, u32)>,
}

impl Place {
    /// The span of the attempt, or of the execution.
    pub(crate) fn span(&self) -> SpanId {
        match &self.attempt {
            Some((instance, attempt)) => {
                SpanId::of(self.execution, &format!("{instance}/{attempt}"))
            }
            None => SpanId::of(self.execution, ""),
        }
    }
}

thread_local! {
    static NOW: RefCell<Option<Arc<Place>>> = const { RefCell::new(None) };
}

/// Work in its place; from [`at`].
#[must_use = "it does nothing until it is polled"]
pub struct Placed<F> {
    place: Option<Arc<Place>>,
    work: F,
}

/// Does `work`, and has each line that it logs say where it belongs; but not those of what it has others do
/// on threads or tasks of their own. A place within a place stands for itself. It takes no lock, and clones
/// nothing.
///
/// # Cancel safety
/// That of `work`.
pub fn at<F: Future>(place: Arc<Place>, work: F) -> Placed<F> {
    Placed {
        place: Some(place),
        work,
    }
}

impl<F> fmt::Debug for Placed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placed")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl<F: Future + Unpin> Future for Placed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let before = NOW.replace(this.place.take());
        let scope = Scope(before, &mut this.place);
        let polled = Pin::new(&mut this.work).poll(context);
        drop(scope);
        polled
    }
}

/// Whoever was at work before is again, also after a panic.
struct Scope<'p>(Option<Arc<Place>>, &'p mut Option<Arc<Place>>);

impl Drop for Scope<'_> {
    fn drop(&mut self) {
        *self.1 = NOW.replace(self.0.take());
    }
}

/// Who is at work on this thread.
pub(crate) fn now() -> Option<Arc<Place>> {
    NOW.try_with(|now| now.try_borrow().ok()?.clone()).ok()?
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        pin::pin,
        task::Waker,
    };

    use super::*;

    fn place(n: u8) -> Arc<Place> {
        let execution = ExecutionId::from_bytes([n; 16]);
        let trace = nebula_core::TraceContext::of_execution(execution).trace;
        let attempt = None;
        Arc::new(Place {
            execution,
            trace,
            attempt,
        })
    }

    fn who() -> Option<u8> {
        now().map(|it| it.execution.as_bytes()[0])
    }

    fn polled(work: impl Future<Output = ()>) -> bool {
        let mut work = pin!(work);
        work.as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[test]
    fn a_place_within_a_place_stands_for_itself() {
        assert_eq!(who(), None);
        let inner = async { assert_eq!(who(), Some(2)) };
        let outer = async {
            assert_eq!(who(), Some(1));
            at(place(2), Box::pin(inner)).await;
            assert_eq!(who(), Some(1));
        };
        assert!(polled(at(place(1), Box::pin(outer))));
        assert_eq!(who(), None);
    }

    #[test]
    fn work_that_waits_is_in_its_place_again_afterwards() {
        let waits = async {
            let mut first = true;
            std::future::poll_fn(|_| match std::mem::take(&mut first) {
                true => Poll::Pending,
                false => Poll::Ready(()),
            })
            .await;
            assert_eq!(who(), Some(1));
        };
        let mut work = pin!(at(place(1), Box::pin(waits)));
        let context = &mut Context::from_waker(Waker::noop());
        assert!(work.as_mut().poll(context).is_pending());
        assert_eq!(who(), None);
        assert!(work.as_mut().poll(context).is_ready());
    }

    #[test]
    fn a_panic_leaves_nobody_at_work() {
        let panics = AssertUnwindSafe(|| polled(at(place(1), Box::pin(async { panic!("a") }))));
        assert!(catch_unwind(panics).is_err());
        assert_eq!(who(), None);
    }
}
