//! The engine over ports that are slow, dead or full: nothing begins that must not.

mod world;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use nebula::{
    core::{ByteSize, Clock},
    engine::{EngineConfig, Until},
    execution::Status,
    ports::*,
    runtime::WorkerConfig,
    telemetry::{EventKind, Parking, Received},
};
use nebula_testkit::{MemoryEventSink, MemoryTaskQueue};
use tokio_util::sync::CancellationToken;
use world::{LONG, World, in_world, states, tenant, with};

const ONE_EFFECT: &str = "nodes: [ { id: a, action: test.once, parameters: { label: a } } ]";

#[test]
fn what_is_cancelled_before_it_runs_begins_no_attempt() {
    in_world(async |world| {
        let nebula = world.process();
        let id = world.begin(&nebula, ONE_EFFECT).await;
        let reason = "enough".to_owned();
        let cancelled = nebula.engine().cancel(&tenant(), id, reason).await.unwrap();
        assert_eq!(cancelled, Signalled::Delivered { seq: 1 });
        let report = world.finish(&nebula, id).await;
        assert_eq!(
            (report.status, states(&report).as_str()),
            (Status::Cancelled, "a:cancelled")
        );
        assert!(world.ledger.labels().is_empty());
    });
}

#[test]
fn starts_beyond_what_a_worker_holds_do_not_wait_for_it() {
    in_world(async |world| {
        let config = WorkerConfig {
            executions: 1,
            ..WorkerConfig::default()
        };
        let nebula = world.process_with(world.executions.clone(), config);
        let installed = world.install(&nebula, ONE_EFFECT).await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(world.start(&nebula, &installed).await);
        }
        for id in ids {
            assert_eq!(world.finish(&nebula, id).await.status, Status::Completed);
        }
    });
}

/// Cancels an execution of one action that does not hear of it; says how long it took to end, and
/// how it and its node did.
fn cancelled_in_vain(action: &str) -> (Duration, String) {
    in_world(async |world| {
        let nebula = world.process();
        let yaml = format!(
            "nodes: [ {{ id: a, action: {action}, parameters: {{ label: a, deaf: true }}, retry: {{ max_attempts: 3 }} }} ]"
        );
        let id = world.begin(&nebula, &yaml).await;
        let (tenant, engine, clock) = (tenant(), nebula.engine(), &world.clock);
        let cancel = async {
            clock.sleep(Duration::from_secs(1)).await;
            let asked = clock.monotonic();
            let _ = engine
                .cancel(&tenant, id, "enough".to_owned())
                .await
                .unwrap();
            let report = engine
                .outcome(&tenant, id, Until::EndedOrParked, None)
                .await;
            (clock.monotonic() - asked, report.unwrap().unwrap())
        };
        let (took, report) = with(&nebula, cancel).await;
        assert_eq!(world.ledger.labels(), ["a"]);
        (took, format!("{} {}", report.status, states(&report)))
    })
}

#[test]
fn an_attempt_that_does_not_stop_is_abandoned_after_the_grace_period() {
    let grace = WorkerConfig::default().grace;
    for (action, ends) in [
        ("test.read", "cancelled a:failed"),
        ("test.idempotent", "cancelled a:failed"),
        // Nobody knows whether it happened, and who cancels wants no question.
        ("test.once", "cancelled a:indeterminate"),
    ] {
        let (took, end) = cancelled_in_vain(action);
        assert_eq!(end, ends, "{action}");
        let late = took.saturating_sub(grace);
        assert!(took >= grace && late < grace / 2, "{action}: {took:?}");
    }
}

#[test]
fn a_lease_that_grew_old_before_it_was_adopted_begins_nothing_of_another_holder() {
    in_world(async |world| {
        let nebula = world.process();
        let yaml = "nodes: [ { id: a, action: test.read, parameters: { label: a } } ]";
        let id = world.begin(&nebula, yaml).await;
        // Nobody drives it until its lease is over, and somebody else has it.
        world.clock.advance(Duration::from_secs(20));
        world.seize(id).await;
        tokio::select! {
            biased;
            _ = nebula.run(CancellationToken::new()) => unreachable!(),
            () = world.clock.sleep(Duration::from_secs(5)) => {}
        };
        assert!(world.ledger.labels().is_empty());
    });
}

#[test]
fn no_attempt_begins_after_an_answer_that_outlasted_the_lease() {
    in_world(async |world| {
        let late = world.mortal(None);
        late.answer_step_after(&world.clock, Duration::from_secs(30));
        let nebula = world.process_over(late);
        let id = world.begin(&nebula, ONE_EFFECT).await;
        let thief = async {
            world.clock.sleep(Duration::from_secs(15)).await;
            world.seize(id).await;
            world.clock.sleep(Duration::from_secs(16)).await;
        };
        tokio::select! {
            biased;
            _ = nebula.run(CancellationToken::new()) => unreachable!(),
            () = thief => {}
        }
        assert!(world.ledger.labels().is_empty());
    });
}

#[test]
fn a_worker_that_stops_keeps_its_lease_until_attempts_have_ended() {
    in_world(async |world| {
        let config = WorkerConfig {
            grace: Duration::from_secs(60),
            ..WorkerConfig::default()
        };
        let nebula = world.process_with(world.executions.clone(), config);
        let yaml = "nodes: [ { id: a, action: test.once, parameters: { label: a, seconds: 30 } } ]";
        let id = world.begin(&nebula, yaml).await;
        let shutdown = CancellationToken::new();
        let watch = async {
            world.clock.sleep(Duration::from_secs(1)).await;
            shutdown.cancel();
            world.clock.sleep(Duration::from_secs(20)).await;
            world.executions.get(&tenant(), id).await.unwrap().unwrap()
        };
        let (stopped, summary) = tokio::join!(nebula.run(shutdown.clone()), watch);
        stopped.unwrap();
        assert!(summary.leased, "the lease lapsed while the attempt ran");
        let report = world.finish(&world.process(), id).await;
        assert_eq!(report.status, Status::Completed);
        assert_eq!(world.ledger.labels(), ["a"]);
    });
}

#[test]
fn a_lease_that_could_not_be_renewed_is_renewed_while_it_lasts() {
    in_world(async |world| {
        let store = world.mortal(None);
        let nebula = world.process_over(store.clone());
        let yaml = "nodes: [ { id: a, action: test.once, parameters: { label: a, seconds: 60 } } ]";
        let id = world.begin(&nebula, yaml).await;
        store.renew_in_vain(3);
        let watched = async {
            for second in 0..59 {
                world.clock.sleep(Duration::from_secs(1)).await;
                let summary = world.executions.get(&tenant(), id).await.unwrap();
                assert!(summary.unwrap().leased, "it lapsed after {second} seconds");
            }
            world.settled(&nebula, id).await
        };
        let report = with(&nebula, watched).await;
        assert_eq!(report.status, Status::Completed);
        assert_eq!(world.ledger.labels(), ["a"]);
    });
}

#[test]
fn an_attempt_is_cut_off_where_its_lease_cannot_be_renewed() {
    in_world(async |world| {
        let store = world.mortal(None);
        let nebula = world.process_over(store.clone());
        let yaml =
            "nodes: [ { id: a, action: test.keyed, parameters: { label: a, seconds: 30 } } ]";
        let id = world.begin(&nebula, yaml).await;
        store.renew_in_vain(u32::MAX);
        let config = WorkerConfig::default();
        // Until then nobody else may have the lease, and by then whoever has it lets go.
        let over = config.lease_ttl - config.lease_margin / 2;
        let watched = async {
            world.clock.sleep(over).await;
            assert_eq!((world.ledger.busy(), world.ledger.labels().len()), (0, 1));
            store.renew_in_vain(0);
            world.settled(&nebula, id).await
        };
        let report = with(&nebula, watched).await;
        assert_eq!(report.status, Status::Completed);
        assert_eq!(world.ledger.labels(), ["a", "a"]);
    });
}

/// Restarts a worker in order, again and again, while an attempt runs; then lets it come to its end.
#[track_caller]
fn survives_restarts(parameters: &str) {
    in_world(async |world| {
        let yaml = format!(
            "nodes: [ {{ id: a, action: test.keyed, parameters: {{ label: a, {parameters} }} }} ]"
        );
        let id = world.begin(&world.process(), &yaml).await;
        // Who created it never ran, and held it for as long as a lease lasts.
        world.clock.advance(WorkerConfig::default().lease_ttl);
        // Often enough to give up what is lost with its worker each time.
        for restarts in 1..=15 {
            let config = WorkerConfig {
                grace: Duration::from_secs(1),
                ..WorkerConfig::default()
            };
            let nebula = world.process_with(world.executions.clone(), config);
            nebula.engine().wake(&tenant(), id).await;
            let shutdown = CancellationToken::new();
            let stop = async {
                world.clock.sleep(Duration::from_secs(5)).await;
                shutdown.cancel();
            };
            let (stopped, ()) = tokio::join!(nebula.run(shutdown.clone()), stop);
            stopped.unwrap();
            assert_eq!(world.ledger.keys("a").len(), restarts, "it begins again");
        }
        let nebula = world.process();
        nebula.engine().wake(&tenant(), id).await;
        tokio::select! {
            biased;
            _ = nebula.run(CancellationToken::new()) => unreachable!(),
            () = world.clock.sleep(Duration::from_secs(60)) => {}
        }
        let summary = world.executions.get(&tenant(), id).await.unwrap();
        let status = summary.unwrap().status;
        let ends = !parameters.contains("hang");
        let expected = if ends {
            Status::Completed
        } else {
            Status::Running
        };
        assert_eq!(status, expected);
    });
}

#[test]
fn an_attempt_that_stops_when_it_is_told_to_is_never_given_up() {
    survives_restarts("hang: true");
}

#[test]
fn an_attempt_that_is_dropped_by_a_worker_that_stops_is_never_given_up() {
    survives_restarts("seconds: 30");
}

#[test]
fn an_attempt_that_says_that_it_was_told_to_stop_and_was_not_has_failed() {
    in_world(async |world| {
        let yaml = "nodes: [ { id: a, action: test.keyed, retry: { max_attempts: 3 }, parameters: { label: a, quits: true } } ]";
        let nebula = world.process();
        let id = world.begin(&nebula, yaml).await;
        assert_eq!(world.finish(&nebula, id).await.status, Status::Failed);
        assert_eq!(world.ledger.keys("a").len(), 3);
    });
}

#[test]
fn a_question_that_is_never_answered_stands_in_no_ones_way() {
    in_world(async |world| {
        let yaml = "nodes: [ { id: a, action: test.reconciled, timeout: 5s, parameters: { label: a, hang: true } } ]";
        let first = world.process();
        let id = world.begin(&first, yaml).await;
        tokio::select! {
            biased;
            _ = first.run(CancellationToken::new()) => unreachable!(),
            () = world.clock.sleep(Duration::from_secs(1)) => {}
        }
        let second = world.process();
        let tenant = tenant();
        let waited = world.clock.sleep(LONG);
        let outcome = second
            .engine()
            .outcome(&tenant, id, Until::EndedOrParked, None);
        tokio::select! {
            biased;
            _ = second.run(CancellationToken::new()) => unreachable!(),
            report = outcome => assert_eq!(report.unwrap().unwrap().status, Status::Parked),
            () = waited => panic!("it still asks"),
        }
    });
}

#[test]
fn watchers_learn_that_an_execution_is_parked_as_poison() {
    in_world(async |world| {
        let id = world.begin(&world.process(), ONE_EFFECT).await;
        for _ in 0..2 {
            world.clock.advance(LONG * 2);
            world.seize(id).await;
        }
        world.clock.advance(LONG * 2);
        let config = WorkerConfig {
            max_grants: 2,
            ..WorkerConfig::default()
        };
        let clock = Arc::new(world.clock.clone());
        let nebula = world.builder().clock(clock).worker(config).build().unwrap();
        let mut events = nebula.bus().subscribe();
        let parked = async {
            let Some(Received::Event(event)) = events.next().await else {
                panic!("there is no first event");
            };
            match &event.kind {
                EventKind::Parked { about } => (event.execution, about.clone()),
                other => panic!("{other:?}"),
            }
        };
        tokio::select! {
            biased;
            _ = nebula.run(CancellationToken::new()) => unreachable!(),
            told = parked => assert_eq!(told, (id, Parking::Poison { grants: 3 })),
            () = world.clock.sleep(LONG) => panic!("nobody told"),
        }
    });
}

/// A queue that nobody reaches.
#[derive(Debug)]
struct DeadQueue;

fn unreachable_queue() -> PortError {
    PortError::new(ErrorKind::Unavailable, "dead", "answer", "nobody is there")
}

#[async_trait]
impl TaskQueue for DeadQueue {
    async fn ring(&self, _: Task, _: Duration) -> Result<Queued> {
        Err(unreachable_queue())
    }

    async fn receive(&self, _: usize, _: Duration, _: Duration) -> Result<Vec<Delivery>> {
        Err(unreachable_queue())
    }

    async fn ack(&self, _: &[Receipt]) -> Result<Vec<ReceiptOutcome>> {
        Err(unreachable_queue())
    }

    async fn nack(&self, _: &Receipt, _: Duration, _: &str) -> Result<ReceiptOutcome> {
        Err(unreachable_queue())
    }

    async fn extend(&self, _: &[Receipt], _: Duration) -> Result<Vec<ReceiptOutcome>> {
        Err(unreachable_queue())
    }

    async fn dead(&self, _: usize) -> Result<Vec<(Task, String)>> {
        Err(unreachable_queue())
    }

    async fn redrive(&self) -> Result<usize> {
        Err(unreachable_queue())
    }

    async fn set_weights(&self, _: &Weights) -> Result<()> {
        Err(unreachable_queue())
    }

    fn dropped(&self) -> u64 {
        0
    }
}

#[test]
fn a_queue_that_is_away_slows_nothing_that_runs() {
    in_world(async |world| {
        let queue = Arc::new(DeadQueue);
        let nebula = world.process_of(world.executions.clone(), queue, WorkerConfig::default());
        let nodes: Vec<_> = (0..20)
            .map(|i| format!("{{ id: n{i}, action: test.read, parameters: {{ label: n{i}, seconds: 0.01 }} }}"))
            .collect();
        let yaml = format!("nodes: [ {} ]", nodes.join(", "));
        let installed = world.install(&nebula, &yaml).await;
        let before = world.clock.monotonic();
        let id = world.start(&nebula, &installed).await;
        let report = world.finish(&nebula, id).await;
        assert_eq!(report.status, Status::Completed);
        let took = world.clock.monotonic() - before;
        assert!(took < Duration::from_secs(1), "{took:?}");
    });
}

/// A queue that counts what it hands out.
#[derive(Debug)]
struct Counted {
    inner: MemoryTaskQueue,
    handed_out: AtomicUsize,
}

#[async_trait]
impl TaskQueue for Counted {
    async fn ring(&self, task: Task, delay: Duration) -> Result<Queued> {
        self.inner.ring(task, delay).await
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<Delivery>> {
        let received = self.inner.receive(max, wait, visibility).await?;
        self.handed_out.fetch_add(received.len(), Ordering::Relaxed);
        Ok(received)
    }

    async fn ack(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>> {
        self.inner.ack(receipts).await
    }

    async fn nack(
        &self,
        receipt: &Receipt,
        delay: Duration,
        reason: &str,
    ) -> Result<ReceiptOutcome> {
        self.inner.nack(receipt, delay, reason).await
    }

    async fn extend(&self, receipts: &[Receipt], by: Duration) -> Result<Vec<ReceiptOutcome>> {
        self.inner.extend(receipts, by).await
    }

    async fn dead(&self, limit: usize) -> Result<Vec<(Task, String)>> {
        self.inner.dead(limit).await
    }

    async fn redrive(&self) -> Result<usize> {
        self.inner.redrive().await
    }

    async fn set_weights(&self, weights: &Weights) -> Result<()> {
        self.inner.set_weights(weights).await
    }

    fn dropped(&self) -> u64 {
        self.inner.dropped()
    }
}

/// Guard: a worker keeps its deliveries, since a visibility is shorter than many an execution.
#[test]
fn a_delivery_stays_with_its_worker_for_longer_than_a_lease() {
    in_world(async |world| {
        let queue = Arc::new(Counted {
            inner: MemoryTaskQueue::new(Arc::new(world.clock.clone()), 1_000, 100),
            handed_out: AtomicUsize::new(0),
        });
        let nebula = world.process_of(
            world.executions.clone(),
            queue.clone(),
            WorkerConfig::default(),
        );
        let long = WorkerConfig::default().lease_ttl * 5;
        let yaml = format!(
            "nodes: [ {{ id: a, action: test.once, parameters: {{ label: a, seconds: {} }} }} ]",
            long.as_secs()
        );
        let installed = world.install(&nebula, &yaml).await;
        let id = world.queue(&nebula, &installed).await;
        let report = world.finish(&nebula, id).await;
        assert_eq!(report.status, Status::Completed);
        assert_eq!(queue.handed_out.load(Ordering::Relaxed), 1);
    });
}

/// Guard: a delivery is kept for little longer than a lease, so that of a worker that is gone another one gets it then, and
/// nobody looks over the store for it.
#[test]
fn what_a_worker_that_is_gone_had_in_hand_goes_on_after_a_lease() {
    in_world(async |world| {
        let config = WorkerConfig::default();
        let inner = MemoryTaskQueue::new(Arc::new(world.clock.clone()), 1_000, 100);
        let queue = Arc::new(Counted {
            inner,
            handed_out: AtomicUsize::new(0),
        });
        let process = || world.process_of(world.executions.clone(), queue.clone(), config.clone());
        let yaml =
            "nodes: [ { id: a, action: test.keyed, parameters: { label: a, seconds: 100 } } ]";
        let first = process();
        let installed = world.install(&first, yaml).await;
        let id = world.queue(&first, &installed).await;
        tokio::select! {
            biased;
            _ = first.run(CancellationToken::new()) => unreachable!(),
            () = world.clock.sleep(Duration::from_secs(60)) => {}
        }
        drop(first);
        let gone = world.clock.monotonic();
        let second = process();
        let taken_over = async {
            while queue.handed_out.load(Ordering::Relaxed) < 2 {
                world.clock.sleep(Duration::from_millis(100)).await;
            }
            world.clock.monotonic() - gone
        };
        let after = with(&second, taken_over).await;
        assert!(
            after > config.lease_ttl && after < config.lease_ttl * 2,
            "{after:?}"
        );
        // It was stopped in the middle as well: what it had, it keeps no longer when it goes on.
        let gone = world.clock.monotonic();
        let report = tokio::select! {
            report = world.finish(&second, id) => report,
            () = world.clock.sleep(LONG) => panic!("nobody gets it"),
        };
        assert_eq!(report.status, Status::Completed);
        assert_eq!(queue.handed_out.load(Ordering::Relaxed), 3);
        let after = world.clock.monotonic() - gone - Duration::from_secs(100);
        assert!(after < config.lease_ttl * 2, "{after:?}");
    });
}

#[test]
fn what_waits_for_long_keeps_no_place_in_the_queue() {
    in_world(async |world| {
        let queue = MemoryTaskQueue::new(Arc::new(world.clock.clone()), 1, 100);
        let executions = world.executions.clone();
        let nebula = world.process_of(executions, Arc::new(queue), WorkerConfig::default());
        let slow = "{ id: slow, nodes: [ { id: a, action: flow.wait, parameters: { for: 1h } } ] }";
        let quick = "{ id: quick, nodes: [ { id: a, action: data.set } ] }";
        let (slow, quick) = (
            world.install(&nebula, slow).await,
            world.install(&nebula, quick).await,
        );
        let waits = async {
            world.start(&nebula, &slow).await;
            world.clock.sleep(Duration::from_secs(2)).await;
        };
        with(&nebula, waits).await;
        let quick = world.queue(&nebula, &quick).await;
        let report = world.finish(&nebula, quick).await;
        assert_eq!(report.status, Status::Completed);
        assert!(world.clock.monotonic() < Duration::from_mins(1));
    });
}

#[test]
fn a_caller_waits_no_longer_than_its_deadline() {
    in_world(async |world| {
        let nebula = world.process();
        let id = world.begin(&nebula, ONE_EFFECT).await;
        let deadline = Duration::from_millis(10);
        let before = world.clock.monotonic();
        let status = nebula
            .engine()
            .wait(&tenant(), id, Until::Ended, Some(deadline))
            .await;
        assert_eq!(status.unwrap(), Some(Status::Running));
        assert_eq!(world.clock.monotonic() - before, deadline);
    });
}

#[test]
fn limits_that_let_nothing_run_are_refused() {
    let world = World::default();
    let refused = |worker: WorkerConfig, engine: EngineConfig| {
        let nebula = world.builder().worker(worker).engine(engine).build();
        nebula.unwrap_err().to_string()
    };
    let (worker, engine) = (WorkerConfig::default(), EngineConfig::default());
    let zero = |name: &str, worker: WorkerConfig, engine: EngineConfig| {
        let expected = format!("`{name}` is zero; it must be more");
        assert_eq!(refused(worker, engine), expected);
    };
    let mut none = engine.clone();
    none.sweep_interval = Duration::ZERO;
    zero("sweep_interval", worker.clone(), none);
    let mut none = engine.clone();
    none.outcome_interval = Duration::ZERO;
    zero("outcome_interval", worker.clone(), none);
    let mut none = engine.clone();
    none.concurrency = 0;
    zero("concurrency", worker.clone(), none);
    let mut none = worker.clone();
    none.executions = 0;
    zero("executions", none, engine.clone());
    let mut none = worker.clone();
    none.max_grants = 0;
    zero("max_grants", none, engine.clone());
    let mut none = worker.clone();
    none.memory = ByteSize::kib(0);
    zero("memory", none, engine.clone());
    let mut none = worker.clone();
    none.execution_memory = ByteSize::kib(0);
    zero("execution_memory", none, engine.clone());
    let no_lease = WorkerConfig {
        lease_ttl: Duration::from_secs(1),
        ..worker
    };
    assert_eq!(
        refused(no_lease, engine),
        "`lease_ttl` must be longer than `lease_margin`"
    );
}

/// Guard: everything that watchers see goes through the sink, and nothing is made where nobody watches it.
#[test]
fn events_go_through_the_sink_that_was_given() {
    in_world(async |world| {
        let sink: Arc<dyn EventSink> = Arc::new(MemoryEventSink::default());
        let clock = Arc::new(world.clock.clone());
        let nebula = world.builder().clock(clock).events(sink.clone());
        let nebula = nebula
            .actions(nebula_testkit::effects(&world.ledger, &world.clock))
            .build()
            .unwrap();
        let mut seen = sink.watch();
        let id = world.begin(&nebula, ONE_EFFECT).await;
        world.finish(&nebula, id).await;
        let mut kinds = Vec::new();
        loop {
            let Some(Received::Event(event)) = seen.next().await else {
                panic!("nothing is lost");
            };
            assert_eq!(event.execution, id);
            let end = matches!(event.kind, EventKind::Ended { .. });
            kinds.push(event.kind.clone());
            if end {
                break;
            }
        }
        let started = |it: &&EventKind| matches!(it, EventKind::Started { .. });
        assert!(started(&&kinds[0]), "{kinds:?}");
        assert_eq!(kinds.iter().filter(started).count(), 1, "{kinds:?}");
        let begun = |it: &EventKind| matches!(it, EventKind::NodeStarted { .. });
        assert!(kinds.iter().any(begun), "{kinds:?}");
    });
}
