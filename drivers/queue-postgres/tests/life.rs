//! What the rules of the port do not say: several handles, servers that forget, go and come, and what is
//! refused.

mod server;

use std::{
    collections::BTreeMap, os::unix::net::UnixListener, pin::pin, sync::Arc, time::Duration,
};

use nebula_ports::{Delivery, ErrorKind, PortError, Queued, Receipt, ReceiptOutcome, TaskQueue};
use nebula_postgres::Address;
use nebula_queue_postgres::{MAX_REASON, PostgresQueue, PostgresQueueConfig};
use nebula_system::{SystemClock, SystemEntropy};
use nebula_testkit::{ManualClock, run, servers::Postgres};
use server::{address, config, open, task};
use tokio::task::JoinSet;

const HOUR: Duration = Duration::from_secs(3_600);
const NOW: Duration = Duration::ZERO;

/// One whose waiting never ends by time: only the bell wakes it.
async fn handle(address: &str, config: &PostgresQueueConfig) -> Arc<PostgresQueue> {
    Arc::new(open(address, config, Arc::new(ManualClock::default())).await)
}

/// One that waits as long as it says.
async fn timed(address: &str, config: &PostgresQueueConfig) -> Arc<PostgresQueue> {
    Arc::new(open(address, config, Arc::new(SystemClock::default())).await)
}

async fn refusal(address: &str, config: PostgresQueueConfig) -> PortError {
    let address = Address::parse(address, &[]).unwrap();
    let clock = Arc::new(SystemClock::default());
    let opened = PostgresQueue::open(address, config, clock, &SystemEntropy);
    opened.await.expect_err("it is refused")
}

async fn ring(queue: &PostgresQueue, n: u32) -> Queued {
    queue.ring(task(n), NOW).await.unwrap()
}

async fn receive(queue: &PostgresQueue, max: usize) -> Vec<Delivery> {
    queue.receive(max, NOW, HOUR).await.unwrap()
}

async fn ack(queue: &PostgresQueue, receipt: &Receipt) -> ReceiptOutcome {
    queue.ack(std::slice::from_ref(receipt)).await.unwrap()[0]
}

type Waiting = JoinSet<Result<Vec<Delivery>, PortError>>;

/// One that waits for a task, and is asleep.
async fn waiting(address: &str, config: &PostgresQueueConfig) -> Waiting {
    let clock = Arc::new(ManualClock::default());
    let queue = open(address, config, Arc::clone(&clock) as _).await;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { queue.receive(1, HOUR, HOUR).await });
    asleep(&clock).await;
    tasks
}

async fn asleep(clock: &ManualClock) {
    while clock.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
}

async fn woken(tasks: &mut Waiting) -> Result<Delivery, PortError> {
    let taken = tasks.join_next().await.expect("one waits").unwrap();
    Ok(taken?.remove(0))
}

/// What is written to `database` of this server, by its superuser.
fn address_of(server: &Postgres) -> String {
    server.address("postgres")
}

#[test]
fn two_handles_share_one_queue() {
    let Some(address) = address() else { return };
    run(async {
        let config = config(8, 3);
        let mut other = waiting(&address, &config).await;
        let mine = handle(&address, &config).await;
        assert_eq!(ring(&mine, 1).await, Queued::Queued);
        let delivery = woken(&mut other).await.unwrap();
        assert_eq!((&delivery.task, delivery.delivery_count), (&task(1), 1));
        assert_eq!(receive(&mine, 8).await, []);
        assert_eq!(ack(&mine, &delivery.receipt).await, ReceiptOutcome::Done);
        for n in 1..=9 {
            let _ = ring(&mine, n).await;
        }
        // A third one hears of what was dropped.
        let third = handle(&address, &config).await;
        assert_eq!(receive(&third, 1).await.len(), 1);
        assert_eq!((mine.dropped(), third.dropped()), (1, 1));
    });
}

#[test]
fn every_way_into_the_queue_is_heard_elsewhere() {
    let Some(address) = address() else { return };
    run(async {
        let config = config(8, 1);
        let mine = handle(&address, &config).await;
        let _ = ring(&mine, 1).await;
        let first = receive(&mine, 1).await.remove(0);
        let _ = mine.nack(&first.receipt, NOW, "dead").await.unwrap();
        let mut other = waiting(&address, &config).await;
        assert_eq!(mine.redrive().await.unwrap(), 1);
        let second = woken(&mut other).await.unwrap();
        let mut other = waiting(&address, &config).await;
        let _ = ring(&mine, 1).await;
        assert_eq!(ack(&mine, &second.receipt).await, ReceiptOutcome::Done);
        assert_eq!(woken(&mut other).await.unwrap().task, task(1));
    });
}

/// Guard: who waits looks again by itself, where a pooler gives each transaction another session.
#[test]
fn without_the_bell_a_receiver_looks_again() {
    let Some(address) = address() else { return };
    run(async {
        let mut config = config(8, 3);
        config.listen = false;
        let clock = Arc::new(ManualClock::default());
        let other = Arc::new(open(&address, &config, Arc::clone(&clock) as _).await);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { other.receive(1, HOUR, HOUR).await });
        asleep(&clock).await;
        let mine = handle(&address, &config).await;
        let _ = ring(&mine, 1).await;
        assert_eq!(clock.next_wake(), Some(Duration::from_secs(1)));
        clock.advance_to_next();
        assert_eq!(woken(&mut tasks).await.unwrap().task, task(1));
    });
}

/// Guard: a receiver listens before it looks, so that what is rung between its look and its sleep is heard.
#[test]
fn what_is_rung_during_a_look_is_heard() {
    let Some(address) = address() else { return };
    run(async {
        for turns in 0..24 {
            let config = config(8, 3);
            let queue = handle(&address, &config).await;
            let mut call = pin!(queue.receive(1, HOUR, HOUR));
            for _ in 0..turns {
                let looks = tokio::select! {
                    biased;
                    _ = &mut call => false,
                    () = tokio::task::yield_now() => true,
                };
                assert!(looks, "there is nothing yet");
            }
            // Nobody here reads an answer meanwhile.
            let rings = || {
                run(async {
                    let _ = ring(&*handle(&address, &config).await, 1).await;
                });
            };
            std::thread::scope(|scope| scope.spawn(rings).join()).unwrap();
            let mut patience = 2_000_000;
            let taken = loop {
                tokio::select! {
                    biased;
                    taken = &mut call => break taken.unwrap(),
                    () = tokio::task::yield_now() => {}
                }
                patience -= 1;
                assert!(
                    patience > 0,
                    "it sleeps, although something was rung after {turns} turns"
                );
            };
            assert_eq!(taken.len(), 1);
        }
    });
}

#[test]
fn queues_of_two_names_have_nothing_in_common() {
    let Some(address) = address() else { return };
    run(async {
        let (one, other) = (config(1, 3), config(1, 3));
        let (one, other) = (handle(&address, &one).await, handle(&address, &other).await);
        assert_eq!(ring(&one, 1).await, Queued::Queued);
        assert_eq!(receive(&other, 8).await, []);
        assert_eq!(ring(&other, 2).await, Queued::Queued);
        let delivery = receive(&one, 8).await.remove(0);
        let _ = ring(&one, 1).await;
        let _ = other.nack(&delivery.receipt, NOW, "no").await.unwrap();
        assert_eq!(
            ack(&other, &delivery.receipt).await,
            ReceiptOutcome::Superseded
        );
        assert_eq!(ack(&one, &delivery.receipt).await, ReceiptOutcome::Done);
    });
}

/// A crash of the server empties it, since nothing of it waits for the disk; who stops it in peace keeps it.
#[test]
fn a_server_that_was_killed_is_found_again_and_empty() {
    let Some(server) = Postgres::start(&[]) else {
        return;
    };
    let address = address_of(&server);
    run(async {
        let config = config(1, 3);
        let mine = handle(&address, &config).await;
        let _ = ring(&mine, 1).await;
        assert_eq!(ring(&mine, 2).await, Queued::Dropped);
        server.end("INT");
        server.go_on();
        while mine.receive(0, NOW, HOUR).await.is_err() {}
        let before = receive(&mine, 1).await.remove(0);
        let mut other = waiting(&address, &config).await;
        server.end("KILL");
        let error = woken(&mut other).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        let error = mine.ring(task(1), NOW).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        server.go_on();
        while mine.receive(0, NOW, HOUR).await.is_err() {}
        assert_eq!(ring(&mine, 1).await, Queued::Queued);
        let after = receive(&mine, 8).await.remove(0);
        assert_eq!(after.delivery_count, 1);
        assert_eq!(
            ack(&mine, &before.receipt).await,
            ReceiptOutcome::Superseded
        );
        assert_eq!(ack(&mine, &after.receipt).await, ReceiptOutcome::Done);
        // What was dropped before is still known, and what is dropped later, too.
        assert_eq!(mine.dropped(), 1);
        let _ = ring(&mine, 1).await;
        assert_eq!(ring(&mine, 2).await, Queued::Dropped);
        assert_eq!(mine.dropped(), 2);
    });
}

#[test]
fn who_waits_survives_the_loss_of_its_connection() {
    let Some(server) = Postgres::start(&[]) else {
        return;
    };
    let address = address_of(&server);
    run(async {
        let config = config(8, 3);
        let clock = Arc::new(ManualClock::default());
        let queue = open(&address, &config, Arc::clone(&clock) as _).await;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { queue.receive(1, HOUR, HOUR).await });
        asleep(&clock).await;
        let sleeper = clock.sleepers();
        server.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'nebula-queue'");
        // It has heard of that when it is not asleep any more, and then sleeps again.
        while clock.sleepers() == sleeper {
            tokio::task::yield_now().await;
        }
        asleep(&clock).await;
        let mine = handle(&address, &config).await;
        let _ = ring(&mine, 1).await;
        assert_eq!(woken(&mut tasks).await.unwrap().task, task(1));
    });
}

/// Guard: what the queue asks is made again where it is gone.
#[test]
fn a_schema_that_somebody_dropped_is_made_again() {
    let Some(server) = Postgres::start(&[]) else {
        return;
    };
    let address = address_of(&server);
    run(async {
        let queue = timed(&address, &config(8, 3)).await;
        let _ = ring(&queue, 1).await;
        server.ask("DROP SCHEMA nebula_queue CASCADE");
        let error = queue.ring(task(1), NOW).await.unwrap_err();
        assert!(error.message.contains("nebula_queue"), "{error}");
        assert_eq!(ring(&queue, 1).await, Queued::Queued);
    });
}

#[test]
fn the_task_of_one_that_stopped_goes_to_another() {
    let Some(address) = address() else { return };
    run(async {
        let config = config(8, 3);
        let stops = timed(&address, &config).await;
        let _ = ring(&stops, 1).await;
        let short = Duration::from_millis(50);
        let before = stops.receive(1, NOW, short).await.unwrap().remove(0);
        drop(stops);
        let other = timed(&address, &config).await;
        let after = other.receive(1, HOUR, HOUR).await.unwrap().remove(0);
        assert_eq!((after.task, after.delivery_count), (task(1), 2));
        assert_eq!(
            ack(&other, &before.receipt).await,
            ReceiptOutcome::Superseded
        );
        assert_eq!(ack(&other, &after.receipt).await, ReceiptOutcome::Done);
    });
}

/// Rings, takes and acks of many at once; says how often each task was taken.
async fn crowd(address: &str, tasks: u32) -> BTreeMap<nebula_core::ExecutionId, u32> {
    let config = config(10_000, 3);
    let queue = timed(address, &config).await;
    let mut workers = JoinSet::new();
    for max in 1..=4 {
        let queue = timed(address, &config).await;
        workers.spawn(async move {
            for n in (max..=tasks).step_by(4) {
                let _ = queue.ring(task(n), NOW).await.unwrap();
            }
            let mut taken = Vec::new();
            loop {
                let some = queue.receive(max as usize, NOW, HOUR).await.unwrap();
                if some.is_empty() {
                    return taken;
                }
                let receipts: Vec<_> = some.iter().map(|it| it.receipt.clone()).collect();
                let outcomes = queue.ack(&receipts).await.unwrap();
                assert!(outcomes.iter().all(|it| *it == ReceiptOutcome::Done));
                taken.extend(some.into_iter().map(|it| it.task.execution));
            }
        });
    }
    let mut count = BTreeMap::new();
    while let Some(done) = workers.join_next().await {
        for execution in done.unwrap() {
            *count.entry(execution).or_insert(0) += 1;
        }
    }
    assert_eq!(receive(&queue, 1).await, []);
    count
}

#[test]
fn of_many_receivers_each_task_goes_to_one() {
    let Some(address) = address() else { return };
    run(async {
        let count = crowd(&address, 400).await;
        assert!(
            count.len() == 400 && count.values().all(|it| *it == 1),
            "{count:?}"
        );
    });
}

/// Guard: a call that was in the way of another is tried again.
#[test]
fn a_database_that_isolates_more_gives_the_same() {
    let Some(server) = Postgres::start(&["-c", "default_transaction_isolation=repeatable read"])
    else {
        return;
    };
    run(async {
        let count = crowd(&address_of(&server), 100).await;
        assert!(
            count.len() == 100 && count.values().all(|it| *it == 1),
            "{count:?}"
        );
    });
}

#[test]
fn a_receive_that_is_dropped_loses_nothing() {
    const TASKS: u32 = 40;
    let Some(address) = address() else { return };
    run(async {
        let queue = timed(&address, &config(100, 1_000)).await;
        for n in 0..TASKS {
            let _ = ring(&queue, n).await;
        }
        for turns in 0..60 {
            let call = queue.receive(1, HOUR, Duration::from_millis(20));
            let gives_up = async {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                biased;
                _ = call => {}
                () = gives_up => {}
            }
        }
        let mut seen = BTreeMap::new();
        while seen.len() < TASKS as usize {
            for delivery in queue.receive(100, HOUR, HOUR).await.unwrap() {
                assert_eq!(seen.insert(delivery.task.execution, ()), None);
                assert_eq!(ack(&queue, &delivery.receipt).await, ReceiptOutcome::Done);
            }
        }
    });
}

#[test]
fn more_than_one_call_moves_come_due_and_are_sent_again() {
    const TASKS: u32 = 1_500;
    let Some(address) = address() else { return };
    run(async {
        let clock = Arc::new(ManualClock::default());
        let config = config(TASKS as usize, 1);
        let queue = open(&address, &config, Arc::clone(&clock) as _)
            .await
            .timed_by_clock();
        for n in 0..TASKS {
            let _ = ring(&queue, n).await;
        }
        let mut taken = 0;
        while taken < TASKS as usize {
            taken += queue.receive(usize::MAX, NOW, HOUR).await.unwrap().len();
        }
        clock.advance(HOUR);
        // All of them die, in more than one call.
        assert_eq!(receive(&queue, 1).await, []);
        assert_eq!(receive(&queue, 1).await, []);
        assert_eq!(queue.dead(usize::MAX).await.unwrap().len(), TASKS as usize);
        assert_eq!(ring(&queue, TASKS).await, Queued::Queued);
        // There is no room for one of them.
        assert_eq!(queue.redrive().await.unwrap(), TASKS as usize - 1);
        assert_eq!(queue.dead(8).await.unwrap().len(), 1);
        assert_eq!(queue.dropped(), 0);
    });
}

#[test]
fn a_long_reason_is_cut_and_a_zero_byte_left_out() {
    let Some(address) = address() else { return };
    run(async {
        let queue = timed(&address, &config(8, 1)).await;
        let _ = ring(&queue, 1).await;
        let delivery = receive(&queue, 1).await.remove(0);
        let reason = format!("\0{}", "ü".repeat(MAX_REASON));
        let _ = queue.nack(&delivery.receipt, NOW, &reason).await.unwrap();
        let (_, kept) = queue.dead(1).await.unwrap().remove(0);
        assert!(
            kept.len() == MAX_REASON - 1 && kept.starts_with(" üü"),
            "{kept}"
        );
    });
}

/// Guard: a receipt that no text of the database can be is nobody's.
#[test]
fn a_receipt_with_a_zero_byte_is_superseded() {
    let Some(address) = address() else { return };
    run(async {
        let queue = timed(&address, &config(8, 1)).await;
        let _ = ring(&queue, 1).await;
        let delivery = receive(&queue, 1).await.remove(0);
        let made_up = Receipt(format!("\0{}", delivery.receipt.0));
        assert_eq!(ack(&queue, &made_up).await, ReceiptOutcome::Superseded);
        assert_eq!(ack(&queue, &delivery.receipt).await, ReceiptOutcome::Done);
    });
}

#[test]
fn no_password_is_shown_and_no_foreigner_let_in() {
    let Some(address) = address() else { return };
    run(async {
        let (owner, place) = address.split_once('@').expect("it says as whom");
        let stranger = format!("postgres://stranger:hunter2@{place}");
        let error = refusal(&stranger, config(8, 3)).await;
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        let shown = format!("{error} {error:?}");
        assert!(
            !shown.contains("hunter2") && shown.contains("stranger"),
            "{shown}"
        );
        let known = format!("{owner}:hunter2@{place}");
        let queue = timed(&known, &config(8, 3)).await;
        let shown = format!("{queue:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        for name in ["", "a b", "ü", &"x".repeat(65)] {
            let config = PostgresQueueConfig {
                name: name.to_owned(),
                ..PostgresQueueConfig::default()
            };
            let error = refusal(&address, config).await;
            assert_eq!(error.kind, ErrorKind::Invalid, "{name}: {error}");
        }
    });
}

#[test]
fn what_a_newer_build_made_is_refused() {
    let Some(server) = Postgres::start(&[]) else {
        return;
    };
    let address = address_of(&server);
    run(async {
        drop(timed(&address, &config(8, 3)).await);
        server.ask("INSERT INTO nebula_queue.versions VALUES (2)");
        let error = refusal(&address, config(8, 3)).await;
        assert_eq!(error.kind, ErrorKind::Format, "{error}");
        assert!(error.message.contains("newer build"), "{error}");
    });
}

/// Guard: of those who come first at once, one makes what the queue asks, and the others find it.
#[test]
fn many_may_come_first_at_once() {
    let Some(server) = Postgres::start(&[]) else {
        return;
    };
    let address = address_of(&server);
    run(async {
        let config = config(100, 3);
        let mut opened = JoinSet::new();
        for n in 0..8 {
            let (address, config) = (address.clone(), config.clone());
            opened.spawn(async move {
                let queue = timed(&address, &config).await;
                ring(&queue, n).await
            });
        }
        while let Some(queued) = opened.join_next().await {
            assert_eq!(queued.unwrap(), Queued::Queued);
        }
    });
}

/// Guards: an answer may only take so long; those who come meanwhile share what a try comes to.
#[test]
fn a_server_that_says_nothing_is_asked_once_for_all() {
    let Some(server) = Postgres::start(&[]) else {
        return;
    };
    run(async {
        let queue = timed(&address_of(&server), &config(8, 3)).await;
        server.end("INT");
        while queue.ring(task(1), NOW).await.is_ok() {}
        let socket = server.socket_folder().join(".s.PGSQL.5432");
        let _ = std::fs::remove_file(&socket);
        let silent = UnixListener::bind(socket).unwrap();
        let mut calls = JoinSet::new();
        for n in 0..20 {
            let queue = Arc::clone(&queue);
            calls.spawn(async move { queue.ring(task(n), NOW).await });
        }
        while let Some(done) = calls.join_next().await {
            let error = done.unwrap().unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        }
        silent.set_nonblocking(true).unwrap();
        let asked = std::iter::from_fn(|| silent.accept().ok()).count();
        assert_eq!(asked, 1);
    });
}
