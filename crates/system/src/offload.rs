//! A bounded pool of threads for long pure work.

use std::{
    fmt, io,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError},
};

use nebula_core::{BoxFuture, Job, Offload};

use crate::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, thread};

/// Runs jobs on threads of its own, one job per thread at a time.
///
/// There is no queue: a job waits in its caller's future until a thread is free, in the order of
/// the calls, so the number of waiting jobs is bounded by the number of callers. A job whose future
/// is dropped before its turn never runs. Dropping the pool lets the jobs that have begun finish.
///
/// ```
/// use std::sync::mpsc;
///
/// use nebula_core::Offload;
/// use nebula_system::ThreadPoolOffload;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// let pool = ThreadPoolOffload::new(2.try_into()?)?;
/// let (give, take) = mpsc::channel();
/// let job = Box::new(move || give.send((1..=10_u64).product::<u64>()).unwrap());
/// runtime.block_on(pool.run(job));
/// assert_eq!(take.try_recv(), Ok(3_628_800));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ThreadPoolOffload {
    free: Arc<Semaphore>,
    work: mpsc::Sender<Work>,
}

impl fmt::Debug for ThreadPoolOffload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPoolOffload").finish_non_exhaustive()
    }
}

/// A job on its way to a thread.
struct Work {
    job: Job,
    /// Says that the job is over by being dropped.
    done: oneshot::Sender<()>,
    /// Gives the thread's place back.
    place: OwnedSemaphorePermit,
}

impl ThreadPoolOffload {
    /// A pool of `threads` threads, which start now and end with the pool.
    ///
    /// # Errors
    /// The operating system gives no more threads.
    pub fn new(threads: NonZeroUsize) -> io::Result<Self> {
        let (work, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for number in 1..=threads.get() {
            let queue = Arc::clone(&queue);
            let thread = thread::Builder::new().name(format!("nebula-offload-{number}"));
            #[cfg_attr(
                not(test),
                expect(
                    clippy::disallowed_methods,
                    reason = "this is the pool that everybody else is sent to; its threads end with it"
                )
            )]
            thread.spawn(move || while next(&queue).map(run).is_some() {})?;
        }
        Ok(Self {
            free: Arc::new(Semaphore::new(threads.get())),
            work,
        })
    }
}

impl Offload for ThreadPoolOffload {
    fn run(&self, job: Job) -> BoxFuture<'static, ()> {
        let (free, work) = (Arc::clone(&self.free), self.work.clone());
        Box::pin(async move {
            let place = free.acquire_owned().await;
            let place = place.expect("nothing closes the semaphore");
            let (done, over) = oneshot::channel();
            // The threads end only when every sender is gone, and this is one.
            let sent = work.send(Work { job, done, place });
            assert!(sent.is_ok(), "the pool's threads outlive its senders");
            drop(work);
            // Always an error, because the sender is dropped and never used.
            let _ = over.await;
        })
    }
}

/// The next piece of work; `None` when the pool is gone.
fn next(queue: &Mutex<mpsc::Receiver<Work>>) -> Option<Work> {
    let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    queue.recv().ok()
}

/// Runs one job. Its panic has been reported by the panic hook and ends here.
fn run(Work { job, done, place }: Work) {
    let _ = catch_unwind(AssertUnwindSafe(job));
    // First the place, so that whoever waits for the job finds the thread free.
    drop(place);
    drop(done);
}
