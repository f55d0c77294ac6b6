//! What the rules of the port do not say: several handles, servers that forget, go and come, and what is
//! refused.

mod server;

use std::{
    collections::BTreeMap, os::unix::net::UnixListener, pin::pin, sync::Arc, time::Duration,
};

use nebula_core::SecretString;
use nebula_ports::{Delivery, ErrorKind, PortError, Queued, Receipt, ReceiptOutcome, TaskQueue};
use nebula_queue_redis::{MAX_REASON, RedisQueue, RedisQueueConfig, RedisServer, Trusting};
use nebula_system::{SystemClock, SystemEntropy};
use nebula_testkit::{ManualClock, run, servers::Redis};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use server::{SERVER, config, open, task};
use tokio::task::JoinSet;

const HOUR: Duration = Duration::from_secs(3_600);
const NOW: Duration = Duration::ZERO;

/// One whose waiting never ends by time: only the bell wakes it.
async fn handle(server: &Redis, config: &RedisQueueConfig) -> Arc<RedisQueue> {
    Arc::new(open(server, config, Arc::new(ManualClock::default())).await)
}

/// One that waits as long as it says.
async fn timed(server: &Redis, config: &RedisQueueConfig) -> Arc<RedisQueue> {
    Arc::new(open(server, config, Arc::new(SystemClock::default())).await)
}

async fn refusal(address: &str) -> PortError {
    let address = SecretString::from(address);
    match RedisServer::at(&address) {
        Ok(server) => refused(server).await,
        Err(error) => error,
    }
}

async fn refused(server: RedisServer) -> PortError {
    let clock = Arc::new(SystemClock::default());
    let opened = RedisQueue::open(server, RedisQueueConfig::default(), clock, &SystemEntropy);
    opened.await.expect_err("it is refused")
}

async fn ring(queue: &RedisQueue, n: u32) -> Queued {
    queue.ring(task(n), NOW).await.unwrap()
}

async fn receive(queue: &RedisQueue, max: usize) -> Vec<Delivery> {
    queue.receive(max, NOW, HOUR).await.unwrap()
}

async fn ack(queue: &RedisQueue, receipt: &Receipt) -> ReceiptOutcome {
    queue.ack(std::slice::from_ref(receipt)).await.unwrap()[0]
}

/// One that waits for a task, and is asleep.
async fn waiting(
    server: &Redis,
    config: &RedisQueueConfig,
) -> JoinSet<Result<Vec<Delivery>, PortError>> {
    let clock = Arc::new(ManualClock::default());
    let queue = open(server, config, Arc::clone(&clock) as _).await;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { queue.receive(1, HOUR, HOUR).await });
    while clock.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
    tasks
}

async fn woken(
    tasks: &mut JoinSet<Result<Vec<Delivery>, PortError>>,
) -> Result<Delivery, PortError> {
    let taken = tasks.join_next().await.expect("one waits").unwrap();
    Ok(taken?.remove(0))
}

#[test]
fn two_handles_share_one_queue() {
    let Some(server) = SERVER.get() else { return };
    run(async {
        let config = config(8, 3);
        let mut other = waiting(server, &config).await;
        let mine = handle(server, &config).await;
        assert_eq!(ring(&mine, 1).await, Queued::Queued);
        let delivery = woken(&mut other).await.unwrap();
        assert_eq!((&delivery.task, delivery.delivery_count), (&task(1), 1));
        assert_eq!(receive(&mine, 8).await, []);
        assert_eq!(ack(&mine, &delivery.receipt).await, ReceiptOutcome::Done);
        for n in 1..=9 {
            let _ = ring(&mine, n).await;
        }
        // A third one hears of what was dropped.
        let third = handle(server, &config).await;
        assert_eq!(receive(&third, 1).await.len(), 1);
        assert_eq!((mine.dropped(), third.dropped()), (1, 1));
    });
}

/// Guard: what is given back, sent again or comes after an answer wakes those who wait elsewhere, too.
#[test]
fn every_way_into_the_queue_is_heard_elsewhere() {
    let Some(server) = SERVER.get() else { return };
    run(async {
        let config = config(8, 1);
        let mine = handle(server, &config).await;
        let _ = ring(&mine, 1).await;
        let first = receive(&mine, 1).await.remove(0);
        let _ = mine.nack(&first.receipt, NOW, "dead").await.unwrap();
        let mut other = waiting(server, &config).await;
        assert_eq!(mine.redrive().await.unwrap(), 1);
        let second = woken(&mut other).await.unwrap();
        let mut other = waiting(server, &config).await;
        let _ = ring(&mine, 1).await;
        assert_eq!(ack(&mine, &second.receipt).await, ReceiptOutcome::Done);
        assert_eq!(woken(&mut other).await.unwrap().task, task(1));
    });
}

/// Guard: a receiver listens before it looks, so that what is rung between its look and its sleep is heard.
#[test]
fn what_is_rung_during_a_look_is_heard() {
    let Some(server) = SERVER.get() else { return };
    run(async {
        for turns in 0..24 {
            let config = config(8, 3);
            let queue = handle(server, &config).await;
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
                    let _ = ring(&*handle(server, &config).await, 1).await;
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
    let Some(server) = SERVER.get() else { return };
    run(async {
        let (one, other) = (config(1, 3), config(1, 3));
        let (one, other) = (handle(server, &one).await, handle(server, &other).await);
        assert_eq!(ring(&one, 1).await, Queued::Queued);
        assert_eq!(receive(&other, 8).await, []);
        assert_eq!(ring(&other, 2).await, Queued::Queued);
        let delivery = receive(&one, 8).await.remove(0);
        assert_eq!(
            ack(&other, &delivery.receipt).await,
            ReceiptOutcome::Superseded
        );
    });
}

/// Guard: a receipt has bits of chance; a number that begins anew would answer for another's delivery.
#[test]
fn a_queue_that_was_wiped_goes_on() {
    let Some(server) = Redis::start(&[]) else {
        return;
    };
    run(async {
        let config = config(1, 3);
        let mine = handle(&server, &config).await;
        let _ = ring(&mine, 1).await;
        assert_eq!(ring(&mine, 2).await, Queued::Dropped);
        let before = receive(&mine, 1).await.remove(0);
        let mut other = waiting(&server, &config).await;
        assert_eq!(server.asked(&["FLUSHALL"]), "OK");
        assert_eq!(receive(&mine, 1).await, []);
        assert_eq!(mine.dead(10).await.unwrap(), []);
        // Who waited hears of the next ring, and what is from before answers for nothing.
        assert_eq!(ring(&mine, 1).await, Queued::Queued);
        let after = woken(&mut other).await.unwrap();
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
fn a_server_that_was_killed_is_found_again() {
    let Some(server) = Redis::start(&[]) else {
        return;
    };
    run(async {
        let config = config(8, 3);
        let mine = handle(&server, &config).await;
        let _ = ring(&mine, 1).await;
        let before = receive(&mine, 1).await.remove(0);
        let mut other = waiting(&server, &config).await;
        server.end("KILL");
        let error = woken(&mut other).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        for _ in 0..2 {
            let error = mine.ring(task(1), NOW).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        }
        server.go_on();
        assert_eq!(ring(&mine, 1).await, Queued::Queued);
        let after = receive(&mine, 8).await.remove(0);
        assert_eq!(
            ack(&mine, &before.receipt).await,
            ReceiptOutcome::Superseded
        );
        assert_eq!(ack(&mine, &after.receipt).await, ReceiptOutcome::Done);
    });
}

/// Another server takes over, and has nothing: who waits is woken by the loss of its connection.
#[test]
fn a_queue_goes_on_at_an_empty_server() {
    let (Some(first), Some(second)) = (Redis::start(&[]), Redis::start(&[])) else {
        return;
    };
    run(async {
        let config = config(8, 3);
        let way = first.socket().with_file_name("way");
        std::os::unix::fs::symlink(first.socket(), &way).unwrap();
        let address = SecretString::from(format!("unix://{}", way.display()));
        let clock = Arc::new(ManualClock::default());
        let at = RedisServer::at(&address).unwrap();
        let opened = RedisQueue::open(at, config.clone(), clock.clone(), &SystemEntropy);
        let queue = Arc::new(opened.await.unwrap());
        let _ = ring(&queue, 1).await;
        let before = receive(&queue, 1).await.remove(0);
        let mut tasks = JoinSet::new();
        let waits = Arc::clone(&queue);
        tasks.spawn(async move { waits.receive(1, HOUR, HOUR).await });
        while clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        std::fs::remove_file(&way).unwrap();
        std::os::unix::fs::symlink(second.socket(), &way).unwrap();
        first.end("KILL");
        // It listens at the second one now, as soon as it is asleep again: nothing else wakes it there.
        let there = handle(&second, &config).await;
        let channel = format!("nebula:{{{}}}:bell", config.name);
        while second.asked(&["PUBLISH", &channel, ""]) != "2" {
            tokio::task::yield_now().await;
        }
        assert_eq!(ring(&there, 1).await, Queued::Queued);
        let after = woken(&mut tasks).await.unwrap();
        assert_eq!(after.delivery_count, 1);
        assert_eq!(
            ack(&queue, &before.receipt).await,
            ReceiptOutcome::Superseded
        );
        assert_eq!(ack(&there, &after.receipt).await, ReceiptOutcome::Done);
    });
}

#[test]
fn the_task_of_one_that_stopped_goes_to_another() {
    let Some(server) = SERVER.get() else { return };
    run(async {
        let config = config(8, 3);
        let stops = timed(server, &config).await;
        let _ = ring(&stops, 1).await;
        let short = Duration::from_millis(50);
        let before = stops.receive(1, NOW, short).await.unwrap().remove(0);
        drop(stops);
        let other = timed(server, &config).await;
        let after = other.receive(1, HOUR, HOUR).await.unwrap().remove(0);
        assert_eq!((after.task, after.delivery_count), (task(1), 2));
        assert_eq!(
            ack(&other, &before.receipt).await,
            ReceiptOutcome::Superseded
        );
        assert_eq!(ack(&other, &after.receipt).await, ReceiptOutcome::Done);
    });
}

#[test]
fn of_many_receivers_each_task_goes_to_one() {
    const TASKS: u32 = 600;
    let Some(server) = SERVER.get() else { return };
    run(async {
        let config = config(10_000, 3);
        let mut workers = JoinSet::new();
        for _ in 0..4 {
            let queue = timed(server, &config).await;
            for max in 1..=3 {
                let queue = Arc::clone(&queue);
                workers.spawn(async move {
                    let mut taken = Vec::new();
                    // The last word for each is a task that tells it to go.
                    loop {
                        let some = queue.receive(max, HOUR, HOUR).await.unwrap();
                        let receipts: Vec<_> = some.iter().map(|it| it.receipt.clone()).collect();
                        let outcomes = queue.ack(&receipts).await.unwrap();
                        assert!(outcomes.iter().all(|it| *it == ReceiptOutcome::Done));
                        let goes = some
                            .iter()
                            .filter(|it| it.task.tenant.as_str() == "end")
                            .count();
                        taken.extend(some.into_iter().map(|it| it.task));
                        if goes > 0 {
                            return (taken, goes);
                        }
                    }
                });
            }
        }
        let queue = timed(server, &config).await;
        for n in 0..TASKS {
            let _ = ring(&queue, n).await;
        }
        let mut count = BTreeMap::new();
        let mut next = TASKS;
        while !workers.is_empty() {
            let mut end = task(next);
            end.tenant = nebula_core::TenantId::new("end").unwrap();
            next += 1;
            let _ = queue.ring(end, NOW).await.unwrap();
            while let Some(done) = workers.try_join_next() {
                for task in done.unwrap().0 {
                    *count.entry(task.execution).or_insert(0) += 1;
                }
            }
        }
        for left in receive(&queue, 1_000).await {
            *count.entry(left.task.execution).or_insert(0) += 1;
        }
        assert!(count.values().all(|it| *it == 1), "{count:?}");
        assert!(count.len() >= TASKS as usize);
    });
}

#[test]
fn a_receive_that_is_dropped_loses_nothing() {
    const TASKS: u32 = 40;
    let Some(server) = SERVER.get() else { return };
    run(async {
        let config = config(100, 1_000);
        let queue = timed(server, &config).await;
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
fn scripts_that_were_thrown_away_are_loaded_again() {
    let Some(server) = Redis::start(&[]) else {
        return;
    };
    run(async {
        let config = config(8, 1);
        let queue = timed(&server, &config).await;
        let flush = || assert_eq!(server.asked(&["SCRIPT", "FLUSH"]), "OK");
        flush();
        let _ = ring(&queue, 1).await;
        flush();
        let delivery = receive(&queue, 1).await.remove(0);
        flush();
        let outcome = queue
            .extend(std::slice::from_ref(&delivery.receipt), HOUR)
            .await
            .unwrap();
        assert_eq!(outcome, [ReceiptOutcome::Done]);
        flush();
        let outcome = queue.nack(&delivery.receipt, NOW, "no").await.unwrap();
        assert_eq!(outcome, ReceiptOutcome::Done);
        flush();
        assert_eq!(queue.dead(8).await.unwrap(), [(task(1), "no".to_owned())]);
        flush();
        assert_eq!(queue.redrive().await.unwrap(), 1);
        let delivery = receive(&queue, 1).await.remove(0);
        flush();
        assert_eq!(ack(&queue, &delivery.receipt).await, ReceiptOutcome::Done);
    });
}

/// Guards: a ring needs memory, and says that there is none; an answer never does.
#[test]
fn a_server_without_memory_takes_answers_and_no_ring() {
    let Some(server) = Redis::start(&[]) else {
        return;
    };
    run(async {
        let config = config(8, 3);
        let queue = timed(&server, &config).await;
        for n in 1..=3 {
            let _ = ring(&queue, n).await;
        }
        let mine = receive(&queue, 1).await.remove(0);
        assert_eq!(server.asked(&["CONFIG", "SET", "maxmemory", "1"]), "OK");
        let error = queue.ring(task(9), NOW).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Full, "{error}");
        assert!(error.message.contains("maxmemory"), "{error}");
        assert_eq!(ack(&queue, &mine.receipt).await, ReceiptOutcome::Done);
        let others = receive(&queue, 8).await;
        assert_eq!(others.len(), 2);
        let outcome = queue
            .extend(&[others[0].receipt.clone()], HOUR)
            .await
            .unwrap();
        assert_eq!(outcome, [ReceiptOutcome::Done]);
        let outcome = queue.nack(&others[0].receipt, NOW, "no").await.unwrap();
        assert_eq!(outcome, ReceiptOutcome::Done);
        assert_eq!(server.asked(&["CONFIG", "SET", "maxmemory", "0"]), "OK");
        assert_eq!(ring(&queue, 9).await, Queued::Queued);
    });
}

#[test]
fn more_than_one_call_moves_come_due_and_are_sent_again() {
    const TASKS: u32 = 5_000;
    let Some(server) = SERVER.get() else { return };
    run(async {
        let clock = Arc::new(ManualClock::default());
        let config = config(TASKS as usize, 1);
        let queue = open(server, &config, Arc::clone(&clock) as _)
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
fn a_long_reason_is_cut() {
    let Some(server) = SERVER.get() else { return };
    run(async {
        let queue = timed(server, &config(8, 1)).await;
        let _ = ring(&queue, 1).await;
        let delivery = receive(&queue, 1).await.remove(0);
        let reason = format!("-{}", "ü".repeat(MAX_REASON));
        let _ = queue.nack(&delivery.receipt, NOW, &reason).await.unwrap();
        let (_, kept) = queue.dead(1).await.unwrap().remove(0);
        assert!(kept.len() == MAX_REASON - 1 && reason.starts_with(&kept));
    });
}

/// Guard: what somebody removed by hand stops no call.
#[test]
fn what_is_missing_holds_nobody_up() {
    let Some(server) = SERVER.get() else { return };
    run(async {
        let (config, clock) = (config(8, 3), Arc::new(ManualClock::default()));
        let queue = open(server, &config, Arc::clone(&clock) as _).await;
        let queue = queue.timed_by_clock();
        let _ = ring(&queue, 1).await;
        let _ = queue.ring(task(2), HOUR).await.unwrap();
        clock.advance(HOUR);
        let tasks = format!("nebula:{{{}}}:tasks", config.name);
        assert_eq!(server.asked(&["DEL", &tasks]), "1");
        let _ = ring(&queue, 3).await;
        let taken = queue.receive(8, NOW, HOUR).await.unwrap();
        assert_eq!(
            taken.into_iter().map(|it| it.task).collect::<Vec<_>>(),
            [task(3)]
        );
    });
}

#[test]
fn something_else_under_its_keys_is_said() {
    let Some(server) = SERVER.get() else { return };
    run(async {
        let config = config(8, 3);
        let tasks = format!("nebula:{{{}}}:tasks", config.name);
        assert_eq!(server.asked(&["SET", &tasks, "mine"]), "OK");
        let queue = timed(server, &config).await;
        let error = queue.ring(task(1), NOW).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Corrupt, "{error}");
        assert!(error.message.contains("another name"), "{error}");
    });
}

/// Guard: the policy is looked at with each connection.
#[test]
fn a_server_that_throws_tasks_away_is_refused() {
    let Some(server) = Redis::start(&["--maxmemory-policy", "allkeys-lru"]) else {
        return;
    };
    run(async {
        let error = refusal(&server.address()).await;
        assert_eq!(error.kind, ErrorKind::Unsupported);
        assert!(error.message.contains("allkeys-lru"), "{error}");
        let set = |policy| server.asked(&["CONFIG", "SET", "maxmemory-policy", policy]);
        assert_eq!(set("noeviction"), "OK");
        let queue = timed(&server, &config(8, 3)).await;
        let _ = ring(&queue, 1).await;
        server.end("KILL");
        // It comes again as it was started first.
        server.go_on();
        let mut error = queue.ring(task(1), NOW).await.unwrap_err();
        if error.kind == ErrorKind::Unavailable {
            error = queue.ring(task(1), NOW).await.unwrap_err();
        }
        assert_eq!(error.kind, ErrorKind::Unsupported, "{error}");
    });
}

#[test]
fn a_replica_is_not_taken_for_the_server() {
    let Some(server) = Redis::start(&[]) else {
        return;
    };
    run(async {
        let queue = timed(&server, &config(8, 3)).await;
        let _ = ring(&queue, 1).await;
        assert_eq!(server.asked(&["REPLICAOF", "127.0.0.1", "1"]), "OK");
        let error = queue.ring(task(2), NOW).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        assert!(error.message.contains("takes no writes"), "{error}");
        assert_eq!(server.asked(&["REPLICAOF", "NO", "ONE"]), "OK");
        assert_eq!(ring(&queue, 2).await, Queued::Queued);
    });
}

#[test]
fn no_password_is_shown() {
    let Some(server) = Redis::start(&[]) else {
        return;
    };
    let set = server.asked(&[
        "ACL",
        "SETUSER",
        "nebula",
        "on",
        ">hunter2",
        "allkeys",
        "allchannels",
        "+@all",
    ]);
    assert_eq!(set, "OK");
    let address = |password: &str| format!("{}?user=nebula&pass={password}", server.address());
    run(async {
        let right = SecretString::from(address("hunter2"));
        let clock = Arc::new(SystemClock::default());
        let queue = RedisQueue::open(
            RedisServer::at(&right).unwrap(),
            config(8, 3),
            clock,
            &SystemEntropy,
        );
        let queue = queue.await.unwrap();
        assert_eq!(ring(&queue, 1).await, Queued::Queued);
        let shown = format!("{queue:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        for address in [
            address("wrong-hunter2"),
            "redis://me:hunter2@[:1".to_owned(),
        ] {
            let error = refusal(&address).await;
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        let error = refusal(&address("wrong")).await;
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(error.message.contains("password"), "{error}");
    });
}

#[test]
fn what_is_no_address_or_name_is_refused() {
    run(async {
        for address in ["", "localhost", "http://localhost", "redis://"] {
            let error = refusal(address).await;
            let expected = [ErrorKind::Invalid, ErrorKind::Unavailable];
            assert!(expected.contains(&error.kind), "{address}: {error}");
        }
        let error = refusal("localhost").await;
        assert!(
            error.kind == ErrorKind::Invalid && error.message.contains("redis://"),
            "{error}"
        );
        for name in ["", "a b", "a{b}", "ü", &"x".repeat(65)] {
            let config = RedisQueueConfig {
                name: name.to_owned(),
                ..RedisQueueConfig::default()
            };
            let address = SecretString::from("unix:///nobody");
            let clock = Arc::new(SystemClock::default());
            let at = RedisServer::at(&address).unwrap();
            let opened = RedisQueue::open(at, config, clock, &SystemEntropy).await;
            let error = opened.expect_err("it is refused");
            assert_eq!(error.kind, ErrorKind::Invalid, "{name}: {error}");
        }
    });
}

/// Guards: an answer may only take so long; those who come meanwhile share what a try comes to.
#[test]
fn a_server_that_says_nothing_is_asked_once_for_all() {
    let Some(server) = Redis::start(&[]) else {
        return;
    };
    run(async {
        let queue = timed(&server, &config(8, 3)).await;
        server.end("KILL");
        let error = queue.ring(task(1), NOW).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        let _ = std::fs::remove_file(server.socket());
        let silent = UnixListener::bind(server.socket()).unwrap();
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

/// Guard: a certificate must be of an authority that is trusted.
#[test]
fn over_tls_a_server_must_be_vouched_for() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../http-reqwest/tests/certificates"
    );
    let file = |name: &str| format!("{folder}/{name}");
    let port = {
        // It is free again when the server takes it.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port().to_string()
    };
    let (authority, certificate, key) = (file("ca.pem"), file("leaf.pem"), file("leaf.key"));
    let settings = [
        ["--tls-port", &port],
        ["--tls-cert-file", &certificate],
        ["--tls-key-file", &key],
        ["--tls-ca-cert-file", &authority],
        ["--tls-auth-clients", "no"],
        ["--bind", "127.0.0.1"],
    ];
    let Some(_server) = Redis::start(settings.as_flattened()) else {
        return;
    };
    let trusting = |authority: Option<String>| -> Trusting {
        Arc::new(move || {
            let mut roots = RootCertStore::empty();
            if let Some(file) = &authority {
                roots
                    .add(CertificateDer::from_pem_file(file).unwrap())
                    .unwrap();
            }
            let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap();
            Ok(config.with_root_certificates(roots).with_no_client_auth())
        })
    };
    run(async {
        let by_name = |host: &str| {
            let address = SecretString::from(format!("rediss://{host}:{port}"));
            RedisServer::at(&address).unwrap()
        };
        let at = || by_name("localhost");
        let clock = Arc::new(SystemClock::default());
        let authority = trusting(Some(authority));
        let trusted = at().trusting(authority.clone());
        let queue = RedisQueue::open(trusted, config(8, 3), clock, &SystemEntropy)
            .await
            .unwrap();
        assert_eq!(ring(&queue, 1).await, Queued::Queued);
        for other in [
            at().trusting(trusting(None)),
            by_name("127.0.0.1").trusting(authority),
        ] {
            let error = refused(other).await;
            assert_eq!(error.kind, ErrorKind::Unavailable);
            assert!(error.message.contains("certificate"), "{error}");
        }
        let error = refused(at()).await;
        assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
        let plain = SecretString::from(format!("redis://127.0.0.1:{port}"));
        let error = refused(RedisServer::at(&plain).unwrap()).await;
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    });
}
