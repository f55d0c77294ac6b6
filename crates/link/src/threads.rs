//! Those who wait among threads whose order chance decides.

use std::{pin::pin, sync::Arc};

use futures_util::future::{Either, select};
use nebula_testkit::threads::check;
use shuttle::{
    future::{block_on, yield_now},
    thread,
};

use crate::Waiters;

/// Guard: what is told to one that goes away is told to another.
#[test]
fn who_goes_away_takes_no_word_along() {
    check(|| {
        let waiters = Arc::new(Waiters::default());
        let others = waiters.clone();
        let patient = waiters.enter();
        let leaves = thread::spawn(move || {
            let impatient = others.enter();
            let number = impatient.number();
            let tells = {
                let others = others.clone();
                thread::spawn(move || others.tell(number))
            };
            let heard = block_on(async {
                let told = pin!(impatient.told());
                matches!(select(told, pin!(yield_now())).await, Either::Left(_))
            });
            drop(impatient);
            tells.join().unwrap();
            if heard {
                others.tell(number);
            }
        });
        // It would wait for ever if the word were lost.
        block_on(patient.told());
        leaves.join().unwrap();
    });
}

/// Guard: one that does not listen at the moment hears it when it does.
#[test]
fn what_is_told_between_two_waits_is_heard() {
    check(|| {
        let waiters = Arc::new(Waiters::default());
        let waiter = waiters.enter();
        let number = waiter.number();
        let tells = {
            let waiters = waiters.clone();
            thread::spawn(move || waiters.tell(number))
        };
        block_on(waiter.told());
        waiters.tell_all();
        block_on(waiter.told());
        tells.join().unwrap();
    });
}
