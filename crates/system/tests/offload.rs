//! The pool of threads for long pure work.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use nebula_core::Offload;
use nebula_system::ThreadPoolOffload;

fn pool(threads: usize) -> ThreadPoolOffload {
    ThreadPoolOffload::new(NonZeroUsize::new(threads).unwrap()).unwrap()
}

#[tokio::test]
async fn a_job_that_panics_ends_and_its_thread_takes_the_next() {
    let pool = pool(1);
    pool.run(Box::new(|| panic!("a panic that this test wants")))
        .await;
    let (give, take) = mpsc::channel();
    pool.run(Box::new(move || give.send(7).unwrap())).await;
    assert_eq!(take.try_recv(), Ok(7));
}

#[tokio::test]
async fn no_more_jobs_run_at_once_than_there_are_threads() {
    let pool = pool(3);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut jobs = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        jobs.spawn(pool.run(Box::new(move || {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::yield_now();
            now.fetch_sub(1, Ordering::SeqCst);
        })));
    }
    jobs.join_all().await;
    assert!((1..=3).contains(&most.load(Ordering::SeqCst)));
    assert_eq!(now.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_job_that_is_dropped_before_its_turn_never_runs() {
    let pool = pool(1);
    let (open, gate) = mpsc::channel::<()>();
    let mut first = pool.run(Box::new(move || gate.recv().unwrap_or_default()));
    let ran = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&ran);
    let mut second = pool.run(Box::new(move || seen.store(1, Ordering::SeqCst)));
    tokio::select! {
        biased;
        () = &mut first => panic!("the gate is closed"),
        () = &mut second => panic!("there is one thread"),
        () = std::future::ready(()) => {}
    }
    drop(second);
    open.send(()).unwrap();
    first.await;
    pool.run(Box::new(|| {})).await;
    assert_eq!(ran.load(Ordering::SeqCst), 0);
}
