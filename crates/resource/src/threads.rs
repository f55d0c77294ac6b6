//! One resource for each key, among threads whose order chance decides.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use nebula_testkit::{ManualClock, threads::check};
use shuttle::{
    future::{block_on, yield_now},
    thread,
};

use crate::{Limits, Shared};

type Numbers = Shared<u32, usize>;

fn shared(most: usize) -> Arc<Numbers> {
    let limits = Limits {
        most: NonZeroUsize::new(most).unwrap(),
        ..Limits::default()
    };
    Arc::new(Shared::new(limits, Arc::new(ManualClock::default())))
}

/// Counts who makes one key's resource now, and how often it was begun.
#[derive(Clone, Default)]
struct Making {
    now: Arc<AtomicUsize>,
    begun: Arc<AtomicUsize>,
}

impl Making {
    /// Makes it; the first `failures` times that fails.
    async fn make(&self, failures: usize) -> Result<usize, &'static str> {
        assert_eq!(self.now.fetch_add(1, SeqCst), 0, "two make it");
        let number = self.begun.fetch_add(1, SeqCst);
        yield_now().await;
        self.now.fetch_sub(1, SeqCst);
        match number < failures {
            true => Err("refused"),
            false => Ok(number),
        }
    }
}

/// Guards: the cell that all who ask for one key have in common, and that a failure lets go of it only when
/// nobody else makes it.
#[test]
fn one_makes_it_and_the_others_wait() {
    check(|| {
        let (shared, making) = (shared(4), Making::default());
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let (shared, making) = (shared.clone(), making.clone());
                thread::spawn(move || block_on(shared.get(&1, async || making.make(1).await)))
            })
            .collect();
        let all: Vec<_> = callers.into_iter().map(|it| it.join().unwrap()).collect();
        let made: Vec<_> = all.iter().flatten().collect();
        assert_eq!((made.len(), making.begun.load(SeqCst)), (2, 2));
        assert!(Arc::ptr_eq(made[0], made[1]));
    });
}

/// Guard: what is being made does not make room while something else could.
#[test]
fn what_is_being_made_does_not_make_room() {
    check(|| {
        let (shared, making) = (shared(2), Making::default());
        block_on(shared.get(&2, async || Ok::<_, ()>(0))).unwrap();
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let (shared, making) = (shared.clone(), making.clone());
                thread::spawn(move || {
                    let made = block_on(shared.get(&1, async || making.make(0).await));
                    made.unwrap()
                })
            })
            .collect();
        let other = thread::spawn(move || {
            block_on(shared.get(&3, async || Ok::<_, ()>(0))).unwrap();
            shared.len()
        });
        for caller in callers {
            caller.join().unwrap();
        }
        assert_eq!(other.join().unwrap(), 2);
    });
}
