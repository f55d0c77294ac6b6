//! Rules of signals, and of what they wake.

use futures_util::future::join_all;
use nebula_core::Clock;
use nebula_execution::Status;
use nebula_ports::{Acquired, Signalled, Step, Stepped};
use serde_json::json;

use super::fixture::*;
use crate::ManualClock;

/// A signal makes a waiting execution due now. Guard: `ExecutionGuard::SignalWakes`.
pub async fn a_signal_wakes_a_waiting_execution(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    apply(repo, &lease, sleep(1, 2, Some(clock.now().plus(DAY)))).await;
    clock.advance(SECOND);
    assert_eq!(
        send(repo, lease.execution, "a").await,
        Signalled::Delivered { seq: 1 }
    );
    let summary = summary(repo, lease.execution).await;
    assert_eq!(
        (summary.status, summary.wake_at),
        (Status::Waiting, Some(clock.now()))
    );
    assert_eq!(due(repo).await, [lease.execution]);
    let _ = grant(repo, lease.execution, 2).await;
}

/// A step that leaves an item unread leaves the execution due, whatever it says. Guard: `ExecutionGuard::UnreadWakes`.
pub async fn a_signal_while_the_holder_goes_to_sleep_is_not_lost(repo: &Repo, clock: &ManualClock) {
    let (never, later) = (driven(repo, clock, 1).await, driven(repo, clock, 2).await);
    for (lease, wake_at) in [(&never, None), (&later, Some(clock.now().plus(DAY)))] {
        let _ = send(repo, lease.execution, "cancel").await;
        let stepped = repo.step(lease, sleep(1, 2, wake_at)).await.unwrap();
        assert_eq!(
            stepped,
            Stepped::Applied {
                next_seq: 3,
                inbox_head: 1
            }
        );
        assert_eq!(
            summary(repo, lease.execution).await.wake_at,
            Some(clock.now())
        );
        let _ = grant(repo, lease.execution, 2).await;
    }
}

/// Once everything is read, the execution may sleep. Guard: `ExecutionGuard::ReadSleeps`.
pub async fn an_inbox_read_to_its_end_lets_the_execution_sleep(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let _ = send(repo, lease.execution, "a").await;
    apply(
        repo,
        &lease,
        Step {
            inbox_through: 1,
            ..sleep(1, 2, None)
        },
    )
    .await;
    assert_eq!(acquire(repo, lease.execution, 2).await, Acquired::NotDue);
}

/// A signal or an unread item never moves a wake-up to a later time. Guard: `ExecutionGuard::EarlierWakeStays`.
pub async fn a_signal_never_makes_the_wake_up_later(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let then = clock.now();
    apply(repo, &lease, sleep(1, 2, Some(then))).await;
    clock.advance(SECOND);
    let _ = send(repo, lease.execution, "a").await;
    assert_eq!(summary(repo, lease.execution).await.wake_at, Some(then));
}

/// Items are numbered from 1 in the order in which they came, and keep what they say.
/// Guard: `ExecutionGuard::InboxNumbers`.
pub async fn signals_are_numbered_without_gaps(repo: &Repo, clock: &ManualClock) {
    let id = created(repo, clock, 1).await;
    for (seq, name) in (1..).zip(["a", "b", "c"]) {
        clock.advance(SECOND);
        assert_eq!(send(repo, id, name).await, Signalled::Delivered { seq });
    }
    let items = repo.inbox(&tenant(), id, 0, 10).await.unwrap();
    assert_eq!(
        items.iter().map(|item| item.seq).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!((items[2].at, items[2].kind.as_str()), (clock.now(), "poke"));
    assert_eq!(items[2].payload, json!({ "key": "c" }));
}

/// Signals that arrive at once are all there, each in its own place. Guard: `ExecutionGuard::InboxNumbers`.
pub async fn signals_at_once_are_all_kept(repo: &Repo, clock: &ManualClock) {
    let id = created(repo, clock, 1).await;
    let names: Vec<_> = (0..16).map(|n| n.to_string()).collect();
    let answers = join_all(names.iter().map(|name| send(repo, id, name))).await;
    let mut seqs: Vec<_> = answers
        .into_iter()
        .map(|answer| match answer {
            Signalled::Delivered { seq } => seq,
            other => panic!("not delivered: {other:?}"),
        })
        .collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=16).collect::<Vec<_>>());
    assert_eq!(inbox(repo, id).await.len(), 16);
}

/// A signal that is sent again is recognised by its key. Guard: `ExecutionGuard::SignalDedupe`.
pub async fn a_repeated_signal_is_recognised(repo: &Repo, clock: &ManualClock) {
    let id = created(repo, clock, 1).await;
    for name in ["a", "b"] {
        let _ = send(repo, id, name).await;
    }
    assert_eq!(send(repo, id, "a").await, Signalled::Duplicate { seq: 1 });
    assert_eq!(inbox(repo, id).await.len(), 2);
}

/// The same key in another inbox is another signal. Guard: `ExecutionGuard::SignalDedupePerInbox`.
pub async fn signals_are_deduplicated_per_inbox(repo: &Repo, clock: &ManualClock) {
    let (first, second) = (created(repo, clock, 1).await, created(repo, clock, 2).await);
    let _ = send(repo, first, "a").await;
    assert_eq!(
        send(repo, second, "a").await,
        Signalled::Delivered { seq: 1 }
    );
}

/// What has ended takes no signal. Guard: `ExecutionGuard::SignalTerminal`.
pub async fn a_signal_after_the_end_is_refused(repo: &Repo, clock: &ManualClock) {
    let lease = ended(repo, clock, 1).await;
    assert_eq!(
        send(repo, lease.execution, "late").await,
        Signalled::Terminal(Status::Completed)
    );
    assert_eq!(inbox(repo, lease.execution).await, []);
}

/// A signal that came before the end is recognised after it. Guard: `ExecutionGuard::SignalReplay`.
pub async fn a_repeated_signal_is_recognised_after_the_end(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let _ = send(repo, lease.execution, "a").await;
    apply(repo, &lease, end(1, 2)).await;
    assert_eq!(
        send(repo, lease.execution, "a").await,
        Signalled::Duplicate { seq: 1 }
    );
}

/// A signal needs somebody to receive it. Guard: `ExecutionGuard::SignalUnknown`.
pub async fn a_signal_to_nobody_is_unknown(repo: &Repo, clock: &ManualClock) {
    assert_eq!(
        send(repo, execution_id(clock, 9), "a").await,
        Signalled::Unknown
    );
}

/// A signal has an order of its own: the holder's next step is at the place that it knows. Guard: `ExecutionGuard::SignalOwnOrder`.
pub async fn a_signal_never_disturbs_the_holder(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let _ = send(repo, lease.execution, "a").await;
    assert_eq!(apply(repo, &lease, append(1, 2, 1)).await, 3);
    let _ = send(repo, lease.execution, "b").await;
    assert_eq!(apply(repo, &lease, append(2, 3, 1)).await, 4);
}

/// The inbox is read from any item on, at most so many. Guard: `ExecutionGuard::InboxPages`.
pub async fn the_inbox_is_read_in_pages(repo: &Repo, clock: &ManualClock) {
    let id = created(repo, clock, 1).await;
    for name in ["a", "b", "c", "d"] {
        let _ = send(repo, id, name).await;
    }
    let read = async |after, limit| {
        let items = repo.inbox(&tenant(), id, after, limit).await.unwrap();
        items.into_iter().map(|item| item.seq).collect::<Vec<_>>()
    };
    assert_eq!(read(0, 2).await, [1, 2]);
    assert_eq!(read(2, 10).await, [3, 4]);
    assert_eq!(read(4, 10).await, Vec::<u64>::new());
}
