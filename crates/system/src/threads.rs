//! The pool for long work, among threads whose order chance decides.

use std::{
    num::NonZeroUsize,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use futures_util::future::{Either, select};
use nebula_core::Offload;
use nebula_testkit::threads::check;
use shuttle::{
    future::{block_on, yield_now},
    thread,
};

use crate::ThreadPoolOffload;

fn pool(threads: usize) -> Arc<ThreadPoolOffload> {
    Arc::new(ThreadPoolOffload::new(NonZeroUsize::new(threads).unwrap()).unwrap())
}

/// Guard: a place is given back before the caller is told, and to nobody twice.
#[test]
fn every_job_runs_once_and_never_more_than_there_are_threads() {
    check(|| {
        let pool = pool(2);
        let (now, ran) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let callers: Vec<_> = (0..4)
            .map(|_| {
                let (pool, now, ran) = (pool.clone(), now.clone(), ran.clone());
                thread::spawn(move || {
                    block_on(pool.run(Box::new(move || {
                        assert!(now.fetch_add(1, SeqCst) < 2, "two threads, three jobs");
                        thread::yield_now();
                        now.fetch_sub(1, SeqCst);
                        ran.fetch_add(1, SeqCst);
                    })));
                })
            })
            .collect();
        callers.into_iter().for_each(|it| it.join().unwrap());
        assert_eq!(ran.load(SeqCst), 4);
    });
}

/// Guard: a job whose caller went away before its turn never runs, and takes no place along.
#[test]
fn who_goes_away_takes_no_place_along() {
    check(|| {
        let pool = pool(1);
        let impatient = {
            let pool = pool.clone();
            thread::spawn(move || {
                let job = pool.run(Box::new(|| {}));
                let turn = pin!(yield_now());
                matches!(block_on(select(job, turn)), Either::Left(_))
            })
        };
        block_on(pool.run(Box::new(|| {})));
        impatient.join().unwrap();
        block_on(pool.run(Box::new(|| {})));
    });
}

/// Guard: a caller holds a sender, so that the threads outlive what was asked of them.
#[test]
fn a_pool_that_goes_away_finishes_what_was_asked() {
    check(|| {
        let ran = Arc::new(AtomicUsize::new(0));
        let job = {
            let (pool, ran) = (pool(1), ran.clone());
            pool.run(Box::new(move || {
                ran.fetch_add(1, SeqCst);
            }))
        };
        block_on(job);
        assert_eq!(ran.load(SeqCst), 1);
    });
}
