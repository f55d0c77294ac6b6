//! The rules of [`EventSink`]: what everything that shows events must prove.
//!
//! A driver's test is `nebula_testkit::event_sink!(|clock| async move { … })`, where the expression makes a
//! sink, as `Arc<dyn EventSink>`, that nobody watches and that keeps [`CAPACITY`] events for those who are
//! behind.

use std::{future::Future, sync::Arc};

use nebula_core::{ExecutionId, TenantId, Timestamp};
use nebula_execution::{EventKind, ExecutionEvent, Status};
use nebula_ports::{EventSink, EventWatch, Received};

use crate::{ManualClock, suite::rule_table};

/// How many events a sink keeps that is made for this suite: a power of two.
pub const CAPACITY: usize = 8;

/// Makes one test for each rule of [`EventSink`] on what the expression makes.
#[macro_export]
macro_rules! event_sink {
    ($make:expr) => {
        $crate::event_sink_rules! { $crate::rule_tests, (event_sink, $make) }
    };
}

/// Hands the list of rules to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! event_sink_rules {
    ($then:path, $args:tt) => {
        $then! {
            $args
            every_watcher_gets_every_event,
            events_come_in_the_order_of_their_publication,
            an_event_is_seen_as_it_was_published,
            what_came_before_is_not_for_a_watcher,
            a_slow_watcher_is_told_how_many_events_it_lost,
            a_slow_watcher_gets_the_newest_events,
            a_slow_watcher_goes_on_after_its_loss,
            a_slow_watcher_costs_no_other_an_event,
            a_call_that_is_given_up_loses_nothing,
            whoever_waits_is_woken,
            a_sink_knows_whether_anybody_watches,
            a_watcher_that_left_does_not_count,
        }
    };
}

event_sink_rules! { rule_table, (dyn EventSink) }

type Sink = Arc<dyn EventSink>;
type NoClock = Arc<ManualClock>;

/// Event number `seq`, of a tenant of its own for every third.
fn event(seq: u64) -> ExecutionEvent {
    let tenant = match seq % 3 {
        0 => TenantId::new("other").expect("it is a name"),
        _ => TenantId::local(),
    };
    ExecutionEvent {
        tenant,
        execution: ExecutionId::from_bytes([1; 16]),
        seq,
        at: Timestamp::from_millis(7),
        kind: EventKind::Ended {
            status: Status::Completed,
            error: None,
        },
    }
}

fn publish(sink: &Sink, numbers: impl IntoIterator<Item = u64>) {
    numbers.into_iter().for_each(|seq| sink.publish(event(seq)));
}

/// What is there for a watcher now: numbers of events, and `-n` for n lost ones.
async fn seen(watch: &mut Box<dyn EventWatch>) -> Vec<i64> {
    let mut seen = Vec::new();
    while let Some(received) = at_once(watch).await {
        seen.push(match received {
            Received::Event(event) => i64::try_from(event.seq).expect("the numbers are small"),
            Received::Lost(lost) => -i64::try_from(lost).expect("the numbers are small"),
        });
    }
    seen
}

/// What there is without waiting for anything but other tasks.
async fn at_once(watch: &mut Box<dyn EventWatch>) -> Option<Received> {
    tokio::select! {
        biased;
        received = watch.next() => received,
        () = others_go_on() => None,
    }
}

async fn others_go_on() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Each watcher has its own place. Guard: `EventGuard::Everyone`.
pub async fn every_watcher_gets_every_event(sink: &Sink, _: &NoClock) {
    let (mut first, mut second) = (sink.watch(), sink.watch());
    publish(sink, 1..=3);
    assert_eq!(seen(&mut first).await, [1, 2, 3]);
    assert_eq!(seen(&mut second).await, [1, 2, 3]);
}

/// Also over several publications, and between reads. Guard: `EventGuard::Order`.
pub async fn events_come_in_the_order_of_their_publication(sink: &Sink, _: &NoClock) {
    let mut watch = sink.watch();
    publish(sink, [5, 3, 9]);
    assert_eq!(seen(&mut watch).await, [5, 3, 9]);
    publish(sink, [2, 8]);
    assert_eq!(seen(&mut watch).await, [2, 8]);
}

/// Tenant, number, time and kind are those that were published. Guard: `EventGuard::Whole`.
pub async fn an_event_is_seen_as_it_was_published(sink: &Sink, _: &NoClock) {
    let mut watch = sink.watch();
    publish(sink, [2, 3]);
    for seq in [2, 3] {
        let received = at_once(&mut watch).await;
        assert_eq!(received, Some(Received::Event(Arc::new(event(seq)))));
    }
}

/// A watcher begins where it came. Guard: `EventGuard::FromNow`.
pub async fn what_came_before_is_not_for_a_watcher(sink: &Sink, _: &NoClock) {
    let mut early = sink.watch();
    publish(sink, [1]);
    let mut late = sink.watch();
    publish(sink, [2]);
    assert_eq!(seen(&mut late).await, [2]);
    assert_eq!(seen(&mut early).await, [1, 2]);
}

/// The number is exact: what it lost and what it gets is everything. Guard: `EventGuard::Tells`.
pub async fn a_slow_watcher_is_told_how_many_events_it_lost(sink: &Sink, _: &NoClock) {
    let mut slow = sink.watch();
    publish(sink, 1..=CAPACITY as u64 + 5);
    let first = at_once(&mut slow).await;
    assert_eq!(first, Some(Received::Lost(5)));
}

/// What is old is lost, not what is new. Guard: `EventGuard::Newest`.
pub async fn a_slow_watcher_gets_the_newest_events(sink: &Sink, _: &NoClock) {
    let mut slow = sink.watch();
    publish(sink, 1..=20);
    let seen = seen(&mut slow).await;
    let newest: Vec<_> = (13..=20).collect();
    assert_eq!(
        seen.iter()
            .copied()
            .filter(|it| *it > 0)
            .collect::<Vec<_>>(),
        newest
    );
}

/// A loss is told once, in its place. Guard: `EventGuard::GoesOn`.
pub async fn a_slow_watcher_goes_on_after_its_loss(sink: &Sink, _: &NoClock) {
    let mut slow = sink.watch();
    publish(sink, 1..=10);
    assert_eq!(seen(&mut slow).await, [-2, 3, 4, 5, 6, 7, 8, 9, 10]);
    publish(sink, [11]);
    assert_eq!(seen(&mut slow).await, [11]);
}

/// Who reads in time loses nothing to one who does not. Guard: `EventGuard::HoldsNobody`.
pub async fn a_slow_watcher_costs_no_other_an_event(sink: &Sink, _: &NoClock) {
    let (_slow, mut quick) = (sink.watch(), sink.watch());
    for seq in 1..=50 {
        publish(sink, [seq]);
        assert_eq!(seen(&mut quick).await, [seq.cast_signed()]);
    }
}

/// A `next` that is dropped before it answers takes nothing along. Guard: `EventGuard::GivenUp`.
pub async fn a_call_that_is_given_up_loses_nothing(sink: &Sink, _: &NoClock) {
    let mut watch = sink.watch();
    assert_eq!(at_once(&mut watch).await, None);
    publish(sink, [1, 2]);
    // One look, and away.
    let first = tokio::select! {
        biased;
        received = watch.next() => received,
        () = std::future::ready(()) => None,
    };
    let first = first.map(|it| Received::Event(Arc::new(event(1))) == it);
    let rest = seen(&mut watch).await;
    let all = [&[1, 2][..], &[2]][usize::from(first == Some(true))];
    assert_eq!(rest, all);
}

/// An event comes to one who was there before it. Guard: `EventGuard::Wakes`.
pub async fn whoever_waits_is_woken(sink: &Sink, _: &NoClock) {
    let mut watch = sink.watch();
    let publishing = async {
        others_go_on().await;
        publish(sink, [4]);
        others_go_on().await;
    };
    let received = tokio::select! {
        biased;
        received = watch.next() => received,
        () = publishing => None,
    };
    assert_eq!(received, Some(Received::Event(Arc::new(event(4)))));
}

/// So that nothing is made for nobody. Guard: `EventGuard::Watched`.
pub async fn a_sink_knows_whether_anybody_watches(sink: &Sink, _: &NoClock) {
    assert!(!sink.is_watched());
    publish(sink, [1]);
    let mut watch = sink.watch();
    assert!(sink.is_watched());
    assert!(seen(&mut watch).await.is_empty());
}

/// Its place is free again. Guard: `EventGuard::Leaves`.
pub async fn a_watcher_that_left_does_not_count(sink: &Sink, _: &NoClock) {
    let (first, second) = (sink.watch(), sink.watch());
    drop(first);
    assert!(sink.is_watched());
    drop(second);
    assert!(!sink.is_watched());
}
