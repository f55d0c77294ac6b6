//! A queue for each group: it is a queue as any other, and keeps what is for others apart.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use nebula_cluster::{MAX_GROUPS, OpenQueue, QueueByGroup};
use nebula_core::{Clock, ExecutionId, Group, Groups, Priority, TenantId, WorkflowId};
use nebula_ports::{
    ErrorKind, PortError, Queued, Receipt, ReceiptOutcome, Result, Task, TaskQueue,
};
use nebula_testkit::{
    ManualClock, MemoryTaskQueue, run_timed,
    task_queue::{CAPACITY, MAX_DELIVERIES},
};
use parking_lot::Mutex;

const MINUTE: Duration = Duration::from_secs(60);

/// What all processes see: a queue for each name.
#[derive(Debug)]
struct Server {
    clock: Arc<dyn Clock>,
    capacity: usize,
    queues: Mutex<BTreeMap<Group, Arc<MemoryTaskQueue>>>,
    gone: AtomicBool,
}

impl Server {
    fn new(clock: Arc<dyn Clock>, capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            clock,
            capacity,
            queues: Mutex::default(),
            gone: AtomicBool::new(false),
        })
    }
}

#[async_trait]
impl OpenQueue for Server {
    async fn open(&self, group: &Group) -> Result<Arc<dyn TaskQueue>> {
        if self.gone.load(SeqCst) {
            let message = "the server is gone";
            return Err(PortError::new(
                ErrorKind::Unavailable,
                "test",
                "open",
                message,
            ));
        }
        let mut queues = self.queues.lock();
        let queue = queues.entry(group.clone()).or_insert_with(|| {
            let (clock, capacity) = (Arc::clone(&self.clock), self.capacity);
            Arc::new(MemoryTaskQueue::new(clock, capacity, MAX_DELIVERIES))
        });
        Ok(queue.clone())
    }
}

fn group(name: &str) -> Group {
    Group::new(name).unwrap()
}

fn groups(names: &[&str]) -> Groups {
    names.iter().map(|name| group(name)).collect()
}

fn task(n: u8, of: &str) -> Task {
    Task {
        tenant: TenantId::local(),
        execution: ExecutionId::from_bytes([n; 16]),
        workflow: WorkflowId::new("orders").unwrap(),
        priority: Priority::Normal,
        group: group(of),
    }
}

mod one_group {
    use super::*;

    nebula_testkit::task_queue!(|clock| async move {
        let server = Server::new(clock, usize::from(CAPACITY));
        let queue = QueueByGroup::open(server, &Groups::All).await;
        Arc::new(queue.unwrap()) as Arc<_>
    });
}

fn in_time<F: Future<Output = ()>>(test: impl FnOnce(Arc<Server>, ManualClock) -> F) {
    let clock = ManualClock::default();
    let server = Server::new(Arc::new(clock.clone()), 4);
    run_timed(&clock.clone(), test(server, clock));
}

async fn hears(server: &Arc<Server>, names: &[&str]) -> QueueByGroup {
    let queue = QueueByGroup::open(server.clone(), &groups(names)).await;
    queue.unwrap()
}

/// The tasks that are there now: their numbers and groups.
async fn taken(queue: &QueueByGroup, max: usize) -> Vec<(u8, String)> {
    let given = queue.receive(max, Duration::ZERO, MINUTE).await.unwrap();
    let one = |task: &Task| (task.execution.as_bytes()[0], task.group.to_string());
    let mut taken: Vec<_> = given.iter().map(|it| one(&it.task)).collect();
    taken.sort();
    taken
}

/// Guards: a ring goes to the queue of its group, and whoever receives hears its own groups alone.
#[test]
fn each_hears_what_is_for_its_groups() {
    in_time(async |server, _| {
        let plane = QueueByGroup::open(server.clone(), &Groups::All).await;
        let plane = plane.unwrap();
        let (gpu, both) = (
            hears(&server, &["gpu"]).await,
            hears(&server, &["default", "eu"]).await,
        );
        for (n, of) in [
            (1, "default"),
            (2, "gpu"),
            (3, "eu"),
            (4, "gpu"),
            (5, "nobody"),
        ] {
            let queued = plane.ring(task(n, of), Duration::ZERO).await.unwrap();
            assert_eq!(queued, Queued::Queued);
        }
        let of = |n, of: &str| (n, of.to_owned());
        assert_eq!(taken(&gpu, 9).await, [of(2, "gpu"), of(4, "gpu")]);
        assert_eq!(taken(&both, 9).await, [of(1, "default"), of(3, "eu")]);
        assert_eq!(taken(&plane, 9).await, []);
    });
}

/// Guards: an answer goes to the queue that gave the receipt, and answers keep their order.
#[test]
fn answers_go_where_the_task_came_from() {
    in_time(async |server, clock| {
        let queue = hears(&server, &["default", "gpu"]).await;
        for (n, of) in [(1, "default"), (2, "gpu"), (3, "default"), (4, "gpu")] {
            let _ = queue.ring(task(n, of), Duration::ZERO).await.unwrap();
        }
        let given = queue.receive(9, Duration::ZERO, MINUTE).await.unwrap();
        let receipt = |n: u8| {
            let mut of = given
                .iter()
                .filter(|it| it.task.execution.as_bytes()[0] == n);
            of.next().unwrap().receipt.clone()
        };
        let made_up = Receipt("gpu|nothing".to_owned());
        let elsewhere = Receipt("far|1".to_owned());
        let acks = [
            receipt(2),
            made_up,
            receipt(1),
            elsewhere,
            Receipt("x".to_owned()),
        ];
        let (done, late) = (ReceiptOutcome::Done, ReceiptOutcome::Superseded);
        assert_eq!(
            queue.ack(&acks).await.unwrap(),
            [done, late, done, late, late]
        );
        let back = queue.nack(&receipt(4), Duration::ZERO, "again").await;
        assert_eq!(back.unwrap(), done);
        assert_eq!(
            queue.extend(&[receipt(3)], MINUTE * 2).await.unwrap(),
            [done]
        );
        assert_eq!(taken(&queue, 9).await, [(4, "gpu".to_owned())]);
        clock.advance(MINUTE + Duration::from_secs(1));
        assert_eq!(taken(&queue, 9).await, [(4, "gpu".to_owned())]);
        clock.advance(MINUTE);
        assert!(taken(&queue, 9).await.contains(&(3, "default".to_owned())));
    });
}

/// Guards: none of several groups is heard before the others all the time, and no call takes more than
/// it may.
#[test]
fn groups_are_heard_in_turns() {
    in_time(async |server, _| {
        let queue = hears(&server, &["a", "b"]).await;
        for n in 1..=4 {
            let _ = queue.ring(task(n, "a"), Duration::ZERO).await.unwrap();
            let _ = queue.ring(task(n + 4, "b"), Duration::ZERO).await.unwrap();
        }
        let mut of = BTreeMap::new();
        for _ in 0..4 {
            let taken = taken(&queue, 1).await;
            assert_eq!(taken.len(), 1);
            *of.entry(taken[0].1.clone()).or_insert(0) += 1;
        }
        assert_eq!(of.into_values().collect::<Vec<_>>(), [2, 2]);
        assert_eq!(taken(&queue, 3).await.len(), 3);
    });
}

/// Guards: whoever waits at several queues hears a ring at each of them soon, and waits no longer than
/// it said.
#[test]
fn a_ring_is_heard_at_each_queue() {
    in_time(async |server, clock| {
        let queue = hears(&server, &["a", "b", "c"]).await;
        for (n, of) in [(1, "a"), (2, "b"), (3, "c")] {
            let began = clock.monotonic();
            let ring = async {
                clock.sleep(Duration::from_secs(5)).await;
                let _ = queue.ring(task(n, of), Duration::ZERO).await.unwrap();
            };
            let hear = queue.receive(1, MINUTE * 60, MINUTE);
            let (heard, ()) = tokio::join!(hear, ring);
            assert_eq!(heard.unwrap()[0].task.group, group(of));
            let took = clock.monotonic().saturating_sub(began);
            assert!(took <= Duration::from_millis(5_300), "{took:?}");
        }
        let began = clock.monotonic();
        let heard = queue.receive(1, Duration::from_millis(250), MINUTE).await;
        assert_eq!(heard.unwrap(), []);
        let took = clock.monotonic().saturating_sub(began);
        assert_eq!(took, Duration::from_millis(250));
    });
}

/// Guards: the number of queues that a process opens is bounded, and what is left out is counted.
#[test]
fn a_ring_for_one_group_too_many_is_dropped() {
    in_time(async |server, _| {
        let queue = QueueByGroup::open(server.clone(), &Groups::All).await;
        let queue = queue.unwrap();
        let ring = async |n: usize| {
            let task = task(1, &format!("g{n}"));
            queue.ring(task, Duration::ZERO).await.unwrap()
        };
        for n in 1..MAX_GROUPS {
            assert_eq!(ring(n).await, Queued::Queued, "{n}");
        }
        assert_eq!(ring(MAX_GROUPS).await, Queued::Dropped);
        assert_eq!(ring(1).await, Queued::Merged);
        assert_eq!(queue.dropped(), 1);
        for n in 1..=4 {
            let _ = queue
                .ring(task(n, "default"), Duration::ZERO)
                .await
                .unwrap();
        }
        let full = queue.ring(task(5, "default"), Duration::ZERO).await;
        assert_eq!((full.unwrap(), queue.dropped()), (Queued::Dropped, 2));
    });
}

#[test]
fn what_is_dead_is_shown_with_its_group_and_sent_again() {
    in_time(async |server, clock| {
        let queue = hears(&server, &["default", "gpu"]).await;
        for (n, of) in [(1, "default"), (2, "gpu")] {
            let _ = queue.ring(task(n, of), Duration::ZERO).await.unwrap();
        }
        for _ in 0..MAX_DELIVERIES {
            for delivery in queue.receive(9, Duration::ZERO, MINUTE).await.unwrap() {
                let back = queue.nack(&delivery.receipt, Duration::ZERO, "broke down");
                assert_eq!(back.await.unwrap(), ReceiptOutcome::Done);
            }
        }
        clock.advance(MINUTE);
        let dead = queue.dead(9).await.unwrap();
        let dead: Vec<_> = dead
            .iter()
            .map(|(task, why)| (task.group.as_str(), &**why))
            .collect();
        assert_eq!(dead, [("default", "broke down"), ("gpu", "broke down")]);
        assert_eq!(queue.dead(1).await.unwrap().len(), 1);
        assert_eq!(queue.redrive().await.unwrap(), 2);
        assert_eq!(taken(&queue, 9).await.len(), 2);
    });
}

/// A group whose queue cannot be opened is in nobody's way, and can be opened later.
#[test]
fn a_queue_that_cannot_be_opened_is_opened_later() {
    in_time(async |server, _| {
        let queue = hears(&server, &["default"]).await;
        server.gone.store(true, SeqCst);
        let refused = queue.ring(task(1, "gpu"), Duration::ZERO).await;
        assert_eq!(refused.unwrap_err().kind, ErrorKind::Unavailable);
        let queued = queue.ring(task(2, "default"), Duration::ZERO).await;
        assert_eq!(queued.unwrap(), Queued::Queued);
        server.gone.store(false, SeqCst);
        let queued = queue.ring(task(1, "gpu"), Duration::ZERO).await;
        assert_eq!(queued.unwrap(), Queued::Queued);
    });
}
