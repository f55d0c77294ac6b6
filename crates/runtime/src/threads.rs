//! What drives in several threads share, among threads whose order chance decides.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};

use nebula_core::ExecutionId;
use nebula_testkit::threads::check;
use shuttle::thread;

use crate::live::Live;

fn execution() -> ExecutionId {
    ExecutionId::from_bytes([7; 16])
}

/// Guard: the bell is heard once more after the execution has left. (That it is rung under the lock is beyond
/// this test: to ring is no place where threads take turns here.)
#[test]
fn who_rings_is_heard_or_knows_that_nobody_is_there() {
    check(|| {
        let (live, open) = (Arc::new(Live::default()), Arc::new(AtomicU32::new(0)));
        let drive = {
            let (live, open) = (live.clone(), open.clone());
            thread::spawn(move || {
                let held = live.take(execution());
                // It looks, finds that there is nothing more to do, and goes.
                open.swap(0, SeqCst);
                held.leave()
            })
        };
        let ringer = {
            let (live, open) = (live.clone(), open.clone());
            thread::spawn(move || {
                open.fetch_add(1, SeqCst);
                live.ring(execution())
            })
        };
        let (again, heard) = (drive.join().unwrap(), ringer.join().unwrap());
        let left = open.load(SeqCst);
        assert!(left == 0 || again || !heard, "nobody looks again");
    });
}

/// Guard: who leaves takes its own bell along, and no other.
#[test]
fn who_leaves_late_takes_no_later_bell_along() {
    check(|| {
        let live = Arc::new(Live::default());
        let (late, taken) = (live.clone(), Arc::new(AtomicU32::new(0)));
        let both = taken.clone();
        let late = thread::spawn(move || {
            let held = late.take(execution());
            both.store(1, SeqCst);
            thread::yield_now();
            drop(held);
        });
        while taken.load(SeqCst) == 0 {
            thread::yield_now();
        }
        let held = live.take(execution());
        thread::yield_now();
        assert!(live.ring(execution()), "it is in our hands");
        assert!(held.leave());
        late.join().unwrap();
        assert!(!live.ring(execution()), "nobody has it");
    });
}
