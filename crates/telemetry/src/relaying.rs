//! What a bus tells those of other processes, and hears of them.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use nebula_core::{Clock, ExecutionId};
use nebula_execution::{ExecutionEvent, Status};
use nebula_ports::{Listening, Relay, RelayTopic};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc};
use tracing::{debug, warn};

use crate::Bus;

/// How many things wait to be told to other processes; what comes while it is full is not told.
pub const MAX_RELAYED: usize = 4_096;

/// How often a process says what it wants to hear.
const BEAT: Duration = Duration::from_secs(3);
/// How long that counts: three of them may be lost.
const COUNTS: Duration = Duration::from_secs(10);
/// When to try again after the way was lost.
const AGAIN: Duration = Duration::from_secs(1);

/// What a process of a fleet is to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relayed {
    /// It drives executions: others want to hear how they go.
    pub drives: bool,
    /// It answers people: it wants to hear how executions of others go.
    pub answers: bool,
}

/// Where a bus leaves what other processes want to hear.
#[derive(Debug)]
pub(crate) struct Outward {
    wants_halts: Arc<AtomicBool>,
    wants_events: Arc<AtomicBool>,
    queue: mpsc::Sender<Line>,
}

/// One thing that is told; a line of a message.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    /// Who answers should say what they want to hear.
    Asks,
    /// Who sends this wants to hear of halts, and of events or not.
    Wants { events: bool },
    /// An execution came to a halt, with this entry of its journal.
    Halt(ExecutionId, Status, u64),
    /// Something was announced to triggers.
    Announced,
    /// Something became true.
    Event(Box<ExecutionEvent>),
}

impl Line {
    fn topic(&self) -> RelayTopic {
        match self {
            Self::Wants { .. } => RelayTopic::Interest,
            Self::Asks | Self::Halt(..) | Self::Announced => RelayTopic::Halts,
            Self::Event(_) => RelayTopic::Events,
        }
    }
}

impl Outward {
    pub(crate) fn wants_events(&self) -> bool {
        self.wants_events.load(Relaxed)
    }

    pub(crate) fn halt(&self, execution: ExecutionId, status: Status, seq: u64) {
        if self.wants_halts.load(Relaxed) {
            self.tell(Line::Halt(execution, status, seq));
        }
    }

    pub(crate) fn announced(&self) {
        if self.wants_halts.load(Relaxed) {
            self.tell(Line::Announced);
        }
    }

    pub(crate) fn event(&self, event: ExecutionEvent) {
        self.tell(Line::Event(Box::new(event)));
    }

    fn tell(&self, line: Line) {
        // Who is told too much loses some of it: they look into the store, only later.
        let _ = self.queue.try_send(line);
    }
}

impl Bus {
    /// Tells other processes over `relay` what they want to hear of what is published here, and tells those
    /// who wait and watch here what others publish. It never ends: whoever drops it leaves the others. `name`
    /// is another one for each process. A bus has one relay; another one has nothing to do and waits.
    ///
    /// # Cancel safety
    /// Dropping the future loses messages only.
    pub async fn relay(
        &self,
        relay: Arc<dyn Relay>,
        clock: Arc<dyn Clock>,
        name: String,
        what: Relayed,
    ) {
        let (queue, told) = mpsc::channel(MAX_RELAYED);
        let (wants_halts, wants_events) = (Arc::default(), Arc::default());
        let way = Way {
            bus: self.clone(),
            relay,
            clock,
            name,
            what,
            wants_halts: Arc::clone(&wants_halts),
            wants_events: Arc::clone(&wants_events),
            until: Mutex::default(),
            asked: Notify::new(),
            queue: queue.clone(),
        };
        let outward = Outward {
            wants_halts,
            wants_events,
            queue,
        };
        if what.drives && !self.set_outward(outward) {
            return std::future::pending().await;
        }
        tokio::join!(
            way.tell(told),
            way.hear(),
            way.watch(),
            way.wish(),
            way.forget()
        );
    }
}

/// Until when others want to hear, by the monotonic clock.
#[derive(Debug, Default, Clone, Copy)]
struct Until {
    halts: Duration,
    events: Duration,
}

struct Way {
    bus: Bus,
    relay: Arc<dyn Relay>,
    clock: Arc<dyn Clock>,
    name: String,
    what: Relayed,
    wants_halts: Arc<AtomicBool>,
    wants_events: Arc<AtomicBool>,
    until: Mutex<Until>,
    /// Rings when somebody asks what this process wants to hear.
    asked: Notify,
    queue: mpsc::Sender<Line>,
}

impl Way {
    /// Sends what is left for others, as many things in a message as fit: those that came while the message
    /// before was on its way.
    async fn tell(&self, mut told: mpsc::Receiver<Line>) {
        let mut lines = Vec::new();
        while told.recv_many(&mut lines, MAX_RELAYED).await > 0 {
            for topic in RelayTopic::ALL {
                let of_topic = lines.iter().filter(|line| line.topic() == topic);
                for message in messages(&self.name, self.relay.longest(), of_topic) {
                    if let Err(error) = self.relay.send(topic, &message).await {
                        debug!(%error, "other processes are not told");
                        self.clock.sleep(AGAIN).await;
                    }
                }
            }
            lines.clear();
        }
    }

    /// Hears what others want, and where executions of others come to a halt.
    async fn hear(&self) {
        let mut topics = Vec::new();
        if self.what.drives {
            topics.push(RelayTopic::Interest);
        }
        if self.what.answers {
            topics.push(RelayTopic::Halts);
        }
        let mut is_warned = false;
        loop {
            match self.relay.listen(&topics).await {
                Ok(listening) => {
                    is_warned = false;
                    if self.what.drives {
                        self.say(Line::Asks);
                    }
                    // What was said while nobody listened is looked for.
                    self.asked.notify_one();
                    self.listen(listening, || true).await;
                }
                Err(error) if !is_warned => {
                    is_warned = true;
                    warn!(%error, "what other processes say is not heard: whoever waits or watches here looks into the store instead");
                }
                Err(_) => {}
            }
            self.clock.sleep(AGAIN).await;
        }
    }

    /// Hears what becomes true elsewhere while somebody watches here.
    async fn watch(&self) {
        if !self.what.answers {
            return;
        }
        loop {
            if !self.bus.is_watched() {
                self.bus.begins_to_be_watched().await;
                continue;
            }
            if let Ok(listening) = self.relay.listen(&[RelayTopic::Events]).await {
                self.asked.notify_one();
                self.listen(listening, || self.bus.is_watched()).await;
            }
            self.clock.sleep(AGAIN).await;
        }
    }

    /// Takes what is said, as long as it may be worth it.
    async fn listen(&self, mut listening: Box<dyn Listening>, is_wanted: impl Fn() -> bool) {
        loop {
            tokio::select! {
                biased;
                heard = listening.next() => match heard {
                    Some((_, message)) => self.take(&message),
                    None => return,
                },
                () = self.clock.sleep(BEAT) => if !is_wanted() {
                    return;
                }
            }
        }
    }

    /// Says what this process wants to hear, now and then, and when it is asked.
    async fn wish(&self) {
        if !self.what.answers {
            return;
        }
        loop {
            let events = self.bus.is_watched();
            self.say(Line::Wants { events });
            tokio::select! {
                biased;
                () = self.asked.notified() => {}
                () = self.clock.sleep(BEAT) => {}
            }
        }
    }

    /// Forgets what others wanted to hear and do not say any more.
    async fn forget(&self) {
        if !self.what.drives {
            return;
        }
        loop {
            self.clock.sleep(BEAT).await;
            self.settle();
        }
    }

    /// Says one thing at once.
    fn say(&self, line: Line) {
        // Its own queue: it is only full where the relay does not get through.
        let _ = self.queue.try_send(line);
    }

    fn take(&self, message: &str) {
        let mut lines = message.lines();
        if lines.next() == Some(&self.name) {
            return;
        }
        for line in lines {
            match serde_json::from_str(line) {
                Ok(Line::Asks) => self.asked.notify_one(),
                Ok(Line::Wants { events }) => self.wanted(events),
                Ok(Line::Halt(execution, status, seq)) => {
                    self.bus.halted_elsewhere(execution, status, seq);
                }
                Ok(Line::Announced) => self.bus.announced_elsewhere(),
                Ok(Line::Event(event)) => self.bus.happened_elsewhere(*event),
                // A newer process may say more than this one knows.
                Err(error) => debug!(%error, "another process says what is not understood"),
            }
        }
    }

    fn wanted(&self, events: bool) {
        let until = self.clock.monotonic() + COUNTS;
        {
            let mut wanted = self.until.lock().unwrap_or_else(PoisonError::into_inner);
            wanted.halts = until;
            if events {
                wanted.events = until;
            }
        }
        self.settle();
    }

    fn settle(&self) {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.monotonic();
        self.wants_halts.store(now < until.halts, Relaxed);
        self.wants_events.store(now < until.events, Relaxed);
    }
}

/// Messages with these lines, each with the name of the sender before them. What is too long for a message of
/// its own is left out: it is in the journal.
fn messages<'a>(name: &str, longest: usize, lines: impl Iterator<Item = &'a Line>) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    for line in lines {
        let Ok(line) = serde_json::to_string(line) else {
            continue;
        };
        if name.len() + 1 + line.len() > longest {
            continue;
        }
        let fits = |message: &&mut String| message.len() + 1 + line.len() <= longest;
        match messages.last_mut().filter(fits) {
            Some(message) => {
                message.push('\n');
                message.push_str(&line);
            }
            None => messages.push(format!("{name}\n{line}")),
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use nebula_core::{TenantId, Timestamp};
    use nebula_execution::{Entry, EventKind, Fact};
    use nebula_ports::Received;
    use nebula_testkit::{ManualClock, MemoryRelay, run_timed};
    use tokio::task::{AbortHandle, JoinSet};

    use super::*;
    use crate::Watcher;

    /// Processes with a bus each, over one relay.
    struct Fleet {
        clock: Arc<ManualClock>,
        relay: MemoryRelay,
        tasks: JoinSet<()>,
        processes: HashMap<String, AbortHandle>,
    }

    const WORKER: Relayed = Relayed {
        drives: true,
        answers: false,
    };
    const CONTROL_PLANE: Relayed = Relayed {
        drives: false,
        answers: true,
    };

    impl Fleet {
        fn run<T>(test: impl AsyncFnOnce(&mut Self) -> T) -> T {
            let clock = Arc::new(ManualClock::default());
            run_timed(&clock.clone(), async {
                let mut fleet = Self {
                    clock,
                    relay: MemoryRelay::default(),
                    tasks: JoinSet::new(),
                    processes: HashMap::new(),
                };
                test(&mut fleet).await
            })
        }

        /// A process that is there from now on.
        async fn process(&mut self, name: &str, what: Relayed) -> Bus {
            let bus = Bus::new(64);
            let (relay, clock) = (Arc::new(self.relay.clone()), self.clock.clone());
            let (own, called) = (bus.clone(), name.to_owned());
            let task = self
                .tasks
                .spawn(async move { own.relay(relay, clock, called, what).await });
            self.processes.insert(name.to_owned(), task);
            self.clock.sleep(Duration::from_millis(1)).await;
            bus
        }

        /// It says nothing more.
        async fn dies(&mut self, name: &str) {
            self.processes[name].abort();
            while !self.processes[name].is_finished() {
                tokio::task::yield_now().await;
            }
        }

        /// What anybody says on a topic from now on.
        async fn said_on(&self, topic: RelayTopic) -> Box<dyn Listening> {
            self.relay.listen(&[topic]).await.unwrap()
        }
    }

    fn id(n: u8) -> ExecutionId {
        ExecutionId::from_bytes([n; 16])
    }

    fn ended(bus: &Bus, execution: u8) {
        let entry = Entry {
            at: Timestamp::from_millis(5),
            fact: Fact::ExecutionTimedOut,
        };
        bus.publish_entries(&TenantId::local(), id(execution), 4, &[entry]);
    }

    async fn next(watcher: &mut Watcher) -> ExecutionId {
        match watcher.next().await {
            Some(Received::Event(event)) => event.execution,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_caller_is_told_of_a_halt_in_another_process_and_not_how_it_ended() {
        Fleet::run(async |fleet| {
            let worker = fleet.process("worker", WORKER).await;
            let answers = fleet.process("control plane", CONTROL_PLANE).await;
            let (mut first, mut second) = (answers.wait_for(id(1)), answers.wait_for(id(2)));
            ended(&worker, 2);
            let halt = second.next().await;
            assert_eq!(
                (halt.status, halt.seq, halt.end),
                (Status::TimedOut, 4, None)
            );
            ended(&worker, 1);
            assert_eq!(first.next().await.status, Status::TimedOut);
        });
    }

    #[test]
    fn a_watcher_sees_what_another_process_publishes_as_it_was() {
        Fleet::run(async |fleet| {
            let worker = fleet.process("worker", WORKER).await;
            let answers = fleet.process("control plane", CONTROL_PLANE).await;
            let mut watcher = answers.subscribe();
            // Until they know of each other.
            fleet.clock.sleep(Duration::from_millis(1)).await;
            ended(&worker, 3);
            let received = watcher.next().await;
            let event = ExecutionEvent {
                tenant: TenantId::local(),
                execution: id(3),
                seq: 4,
                at: Timestamp::from_millis(5),
                kind: EventKind::Ended {
                    status: Status::TimedOut,
                    error: None,
                },
            };
            assert_eq!(received, Some(Received::Event(Arc::new(event))));
        });
    }

    #[test]
    fn what_a_process_publishes_itself_comes_to_its_watchers_once() {
        Fleet::run(async |fleet| {
            let both = Relayed {
                drives: true,
                answers: true,
            };
            let first = fleet.process("first", both).await;
            let second = fleet.process("second", both).await;
            let mut watcher = first.subscribe();
            let _other = second.subscribe();
            fleet.clock.sleep(Duration::from_millis(1)).await;
            ended(&first, 1);
            fleet.clock.sleep(Duration::from_millis(1)).await;
            ended(&second, 2);
            assert_eq!(next(&mut watcher).await, id(1));
            assert_eq!(next(&mut watcher).await, id(2));
        });
    }

    #[test]
    fn triggers_are_told_of_what_was_announced_elsewhere() {
        Fleet::run(async |fleet| {
            let worker = fleet.process("worker", WORKER).await;
            let answers = fleet.process("control plane", CONTROL_PLANE).await;
            worker.announced();
            answers.announcement().await;
        });
    }

    #[test]
    fn nothing_is_told_that_nobody_wants_to_hear() {
        Fleet::run(async |fleet| {
            let (mut halts, mut events) = (
                fleet.said_on(RelayTopic::Halts).await,
                fleet.said_on(RelayTopic::Events).await,
            );
            let worker = fleet.process("worker", WORKER).await;
            ended(&worker, 1);
            worker.announced();
            let answers = fleet.process("control plane", CONTROL_PLANE).await;
            ended(&worker, 2);
            // Not even while somebody watched who is gone.
            drop(answers.subscribe());
            fleet.clock.sleep(COUNTS + BEAT).await;
            ended(&worker, 3);
            fleet.clock.sleep(BEAT).await;
            fleet.dies("control plane").await;
            fleet.dies("worker").await;
            fleet
                .relay
                .send(RelayTopic::Halts, "the end")
                .await
                .unwrap();
            fleet
                .relay
                .send(RelayTopic::Events, "the end")
                .await
                .unwrap();
            let mut told = Vec::new();
            loop {
                let (_, message) = halts.next().await.unwrap();
                if message == "the end" {
                    break;
                }
                told.push(message);
            }
            assert!(
                !told.iter().any(|it| it.contains(&format!("{}", id(1)))),
                "{told:?}"
            );
            assert_eq!(
                told.iter().filter(|it| it.contains("halt")).count(),
                2,
                "{told:?}"
            );
            assert_eq!(events.next().await.unwrap().1, "the end");
        });
    }

    #[test]
    fn who_is_gone_is_not_told_for_ever() {
        Fleet::run(async |fleet| {
            let worker = fleet.process("worker", WORKER).await;
            let answers = fleet.process("control plane", CONTROL_PLANE).await;
            let _watcher = answers.subscribe();
            fleet.clock.sleep(BEAT).await;
            assert!(worker.outward_wants());
            fleet.dies("control plane").await;
            fleet.clock.sleep(COUNTS + BEAT).await;
            assert!(!worker.outward_wants());
        });
    }

    #[test]
    fn after_the_way_was_cut_they_find_each_other_again() {
        Fleet::run(async |fleet| {
            let worker = fleet.process("worker", WORKER).await;
            let answers = fleet.process("control plane", CONTROL_PLANE).await;
            let mut watcher = answers.subscribe();
            fleet.clock.sleep(BEAT).await;
            fleet.relay.cut(true);
            ended(&worker, 1);
            fleet.clock.sleep(COUNTS * 2).await;
            fleet.relay.cut(false);
            fleet.clock.sleep(AGAIN * 3 + BEAT).await;
            let mut caller = answers.wait_for(id(2));
            ended(&worker, 2);
            assert_eq!(caller.next().await.status, Status::TimedOut);
            assert_eq!(next(&mut watcher).await, id(2));
        });
    }

    #[test]
    fn what_is_not_understood_is_left_out() {
        Fleet::run(async |fleet| {
            let worker = fleet.process("worker", WORKER).await;
            let answers = fleet.process("control plane", CONTROL_PLANE).await;
            let mut caller = answers.wait_for(id(2));
            for nonsense in ["", "worker", "x\n{\"halt\":7}\n\n{\"later\":{}}"] {
                let sent = fleet.relay.send(RelayTopic::Halts, nonsense);
                sent.await.unwrap();
            }
            ended(&worker, 2);
            assert_eq!(caller.next().await.status, Status::TimedOut);
        });
    }

    #[test]
    fn messages_hold_as_many_lines_as_fit() {
        let lines = vec![Line::Announced; 5];
        let line = serde_json::to_string(&Line::Announced).unwrap();
        let longest = "me".len() + 2 * (1 + line.len());
        let two = format!("me\n{line}\n{line}");
        let packed = messages("me", longest, lines.iter());
        assert_eq!(packed, [two.clone(), two, format!("me\n{line}")]);
        assert!(messages("me", line.len() + 2, lines.iter()).is_empty());
    }
}
