//! What is logged while somebody who knows secrets is at work.

use std::{
    cell::RefCell,
    fmt,
    future::poll_fn,
    io::Write as _,
    panic,
    pin::pin,
    sync::{Arc, Once},
};

/// Takes secrets out of a text; `None` if it has none.
#[derive(Clone)]
pub struct Redact(Arc<Function>);

type Function = dyn Fn(&str) -> Option<String> + Send + Sync;

impl fmt::Debug for Redact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redact").finish_non_exhaustive()
    }
}

impl Redact {
    /// By this function.
    #[must_use]
    pub fn new(redact: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(redact))
    }
}

thread_local! {
    static NOW: RefCell<Option<Redact>> = const { RefCell::new(None) };
}

/// Does `work`, and takes out of each line that it logs, and of the message of its panic, what `redact`
/// finds; but not of what it has others do on threads or tasks of their own.
///
/// # Cancel safety
/// That of `work`.
pub async fn redacting<T>(redact: Redact, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        let before = NOW.replace(Some(redact.clone()));
        let _scope = Scope(before);
        work.as_mut().poll(context)
    })
    .await
}

/// Whoever was at work before is again, also after a panic.
struct Scope(Option<Redact>);

impl Drop for Scope {
    fn drop(&mut self) {
        NOW.set(self.0.take());
    }
}

/// The text without the secrets of whoever is at work on this thread; `None` if it has none.
pub(crate) fn redacted(text: &str) -> Option<String> {
    let redact = NOW.try_with(|now| now.try_borrow().ok()?.clone()).ok()??;
    (redact.0)(text)
}

/// Has panics show their message without secrets. Once for a process.
pub(crate) fn redact_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| match redacted(&info.to_string()) {
            // Nobody is left to tell if it cannot be written.
            Some(clean) => drop(writeln!(std::io::stderr(), "{clean}")),
            None => usual(info),
        }));
    });
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        task::{Context, Waker},
    };

    use super::*;

    fn hides(secret: &'static str) -> Redact {
        Redact::new(move |text| text.contains(secret).then(|| text.replace(secret, "*")))
    }

    fn polled(work: impl Future<Output = ()>) {
        let mut work = pin!(work);
        let ready = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(ready.is_ready());
    }

    #[test]
    fn whoever_is_at_work_hides_its_own_secrets() {
        assert_eq!(redacted("a b"), None);
        polled(redacting(hides("a"), async {
            assert_eq!(redacted("a b").as_deref(), Some("* b"));
            redacting(hides("b"), async {
                assert_eq!(redacted("a b").as_deref(), Some("a *"));
            })
            .await;
            assert_eq!(redacted("a b").as_deref(), Some("* b"));
            // Others are not at work.
            std::thread::scope(|scope| {
                scope.spawn(|| assert_eq!(redacted("a b"), None));
            });
        }));
        assert_eq!(redacted("a b"), None);
    }

    #[test]
    fn a_panic_leaves_nobody_at_work() {
        let panics = AssertUnwindSafe(|| polled(redacting(hides("a"), async { panic!("a") })));
        assert!(catch_unwind(panics).is_err());
        assert_eq!(redacted("a"), None);
    }
}
