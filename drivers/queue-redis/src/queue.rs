//! The port: each call is one script.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use nebula_core::{Clock, Entropy};
use nebula_ports::{Delivery, Queued, Receipt, ReceiptOutcome, Result, Task, TaskQueue, Weights};
use parking_lot::Mutex;
use redis::{FromRedisValue, Script};

use crate::{
    RedisQueueConfig, RedisServer,
    link::Link,
    scripts,
    wire::{self, beginning, micros},
};

/// How many tasks one call takes at most, and how many receipts or dead tasks one script works on: the
/// server runs nothing else meanwhile.
pub const MAX_TAKEN: usize = 1_000;

/// How much is kept of the reason for which a task was given back, in bytes.
pub const MAX_REASON: usize = 1_024;

/// Under which a queue lies in Redis, behind `nebula:{name}:`. The braces keep all of it on one server.
const KEYS: [&str; 10] = [
    "state", "tasks", "later", "ready", "served", "tenants", "dead", "letters", "waiting",
    "weights",
];

/// A [`TaskQueue`] in Redis: shared by all processes that open it under the same name.
///
/// Time is the server's, so that the clocks of the processes need not agree.
pub struct RedisQueue {
    link: Link,
    config: RedisQueueConfig,
    keys: [String; KEYS.len()],
    channel: String,
    clock: Arc<dyn Clock>,
    /// Whether the time of tasks is that of `clock`.
    is_timed_by_clock: bool,
    /// What the receipts of this handle begin with; no other's do.
    token: String,
    calls: AtomicU64,
    dropped: Mutex<Dropped>,
}

/// Rings that were dropped, as the server counts them.
#[derive(Default)]
struct Dropped {
    /// Which queue it was that counted: another one begins after the server forgot everything.
    life: String,
    count: u64,
    /// Of the queues before it that this process knew.
    before: u64,
}

/// What each script answers: the queue's life, its dropped rings, for how many microseconds one that waits may
/// sleep, and what it was asked.
type Answer<T> = (String, u64, u64, T);

/// One that waits, as a script is told of it.
struct Waits {
    /// Which.
    whose: String,
    /// Whether it does so also after this look.
    waits_on: bool,
    /// Whether nobody told it to look.
    by_itself: bool,
}

impl fmt::Debug for RedisQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisQueue")
            .field("name", &self.config.name)
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

impl RedisQueue {
    /// Opens the queue of that name on a server.
    ///
    /// # Errors
    /// `Invalid`: no such name. `Unavailable`: the server cannot be reached, or does not let us in.
    /// `Unsupported`: it is older than 7.0, throws keys away when memory is full, or is a cluster.
    pub async fn open(
        server: RedisServer,
        config: RedisQueueConfig,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
    ) -> Result<Self> {
        config.check()?;
        let key = |name: &str| format!("nebula:{{{}}}:{name}", config.name);
        let channel = key("bell");
        let token = format!("{:x}{:x}", entropy.next_u64(), entropy.next_u64());
        let channels = [channel.clone(), format!("{channel}:{token}")];
        Ok(Self {
            link: Link::open(server, channels, Arc::clone(&clock)).await?,
            keys: KEYS.map(key),
            channel,
            clock,
            is_timed_by_clock: false,
            token,
            calls: AtomicU64::new(0),
            dropped: Mutex::default(),
            config,
        })
    }

    /// Takes the time of tasks from the monotonic time of its clock, and not from the server. For tests
    /// under a clock that stands still: processes that share a queue have no such time in common.
    #[must_use]
    pub fn timed_by_clock(mut self) -> Self {
        self.is_timed_by_clock = true;
        self
    }

    /// Runs one script with these arguments behind the common ones; gives how long one that waits may sleep.
    async fn run<T: FromRedisValue>(
        &self,
        operation: &'static str,
        script: &Script,
        arguments: &[&[u8]],
    ) -> Result<(Duration, T)> {
        let now = match self.is_timed_by_clock {
            true => micros(self.clock.monotonic()).to_string(),
            false => String::new(),
        };
        let token = format!("{}.{}", self.token, self.calls.fetch_add(1, Relaxed));
        let mut call = script.prepare_invoke();
        call.key(&self.keys[..])
            .arg(now)
            .arg(self.config.capacity.get())
            .arg(self.config.max_deliveries.get())
            .arg(&self.channel)
            .arg(token)
            .arg(arguments);
        let (life, dropped, pause, result): Answer<T> = self.link.run(operation, &call).await?;
        self.dropped.lock().hear(life, dropped);
        Ok((Duration::from_micros(pause), result))
    }

    async fn take(
        &self,
        max: usize,
        visibility: Duration,
        waits: &Waits,
    ) -> Result<(Duration, Vec<Delivery>)> {
        let (max, visibility) = (
            max.min(MAX_TAKEN).to_string(),
            micros(visibility).to_string(),
        );
        let flag = |is: bool| if is { "1" } else { "0" };
        let (waits_on, by_itself) = (flag(waits.waits_on), flag(waits.by_itself));
        let arguments = [&max, &visibility, &waits.whose, waits_on, by_itself].map(str::as_bytes);
        let (pause, taken): (_, Vec<wire::Taken>) =
            self.run("receive", &scripts::RECEIVE, &arguments).await?;
        let taken: Result<_> = taken.into_iter().map(wire::delivery).collect();
        Ok((pause, taken?))
    }
}

impl Dropped {
    fn hear(&mut self, life: String, count: u64) {
        if self.life != life {
            self.before += self.count;
            self.life = life;
            self.count = 0;
        }
        // Answers may come in another order than the server gave them.
        self.count = self.count.max(count);
    }
}

fn outcome(counted: u32) -> ReceiptOutcome {
    match counted {
        0 => ReceiptOutcome::Superseded,
        _ => ReceiptOutcome::Done,
    }
}

#[async_trait]
impl TaskQueue for RedisQueue {
    async fn ring(&self, task: Task, delay: Duration) -> Result<Queued> {
        let (key, priority) = (wire::key(&task), task.priority.number().to_string());
        let delay = micros(delay).to_string();
        let arguments = [&key, task.workflow.as_str(), &priority, &delay].map(str::as_bytes);
        let (_, queued): (_, String) = self.run("ring", &scripts::RING, &arguments).await?;
        Ok(match queued.as_str() {
            "queued" => Queued::Queued,
            "merged" => Queued::Merged,
            _ => Queued::Dropped,
        })
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<Delivery>> {
        let until = self.clock.monotonic().saturating_add(wait);
        // Hears from here on what it is told.
        let waiter = self.link.waiters.enter();
        let mut waits = Waits {
            whose: format!("{}/{}", self.token, waiter.number()),
            waits_on: false,
            by_itself: false,
        };
        if wait.is_zero() || max == 0 {
            waits.whose = String::new();
        }
        loop {
            waits.waits_on = self.clock.monotonic() < until;
            let (pause, taken) = self.take(max, visibility, &waits).await?;
            if !taken.is_empty() || !waits.waits_on || max == 0 {
                return Ok(taken);
            }
            let left = until.saturating_sub(self.clock.monotonic());
            tokio::select! {
                biased;
                () = waiter.told() => waits.by_itself = false,
                () = self.clock.sleep(pause.min(left)) => waits.by_itself = true,
            }
        }
    }

    async fn ack(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>> {
        let mut outcomes = Vec::with_capacity(receipts.len());
        for receipts in receipts.chunks(MAX_TAKEN) {
            let arguments: Vec<_> = receipts.iter().map(|it| it.0.as_bytes()).collect();
            let (_, counted): (_, Vec<u32>) = self.run("ack", &scripts::ACK, &arguments).await?;
            outcomes.extend(counted.into_iter().map(outcome));
        }
        Ok(outcomes)
    }

    async fn nack(
        &self,
        receipt: &Receipt,
        delay: Duration,
        reason: &str,
    ) -> Result<ReceiptOutcome> {
        let delay = micros(delay).to_string();
        let arguments = [&receipt.0, &delay, beginning(reason, MAX_REASON)].map(str::as_bytes);
        let (_, counted) = self.run("nack", &scripts::NACK, &arguments).await?;
        Ok(outcome(counted))
    }

    async fn extend(&self, receipts: &[Receipt], by: Duration) -> Result<Vec<ReceiptOutcome>> {
        let by = micros(by).to_string();
        let mut outcomes = Vec::with_capacity(receipts.len());
        for receipts in receipts.chunks(MAX_TAKEN) {
            let mut arguments = vec![by.as_bytes()];
            arguments.extend(receipts.iter().map(|it| it.0.as_bytes()));
            let (_, counted): (_, Vec<u32>) =
                self.run("extend", &scripts::EXTEND, &arguments).await?;
            outcomes.extend(counted.into_iter().map(outcome));
        }
        Ok(outcomes)
    }

    async fn dead(&self, limit: usize) -> Result<Vec<(Task, String)>> {
        let limit = limit.min(self.config.capacity.get()).to_string();
        let (_, letters): (_, Vec<(String, String, u8, String)>) = self
            .run("list the dead", &scripts::DEAD, &[limit.as_bytes()])
            .await?;
        let letter = |(key, workflow, priority, reason): (String, String, u8, String)| {
            Ok((
                wire::task("list the dead", &key, &workflow, priority)?,
                reason,
            ))
        };
        letters.into_iter().map(letter).collect()
    }

    async fn redrive(&self) -> Result<usize> {
        let (most, mut sent, mut left) = (MAX_TAKEN.to_string(), 0, 0);
        loop {
            let skip = left.to_string();
            let arguments = [skip.as_bytes(), most.as_bytes()];
            let (_, (more, stay)): (_, (usize, usize)) =
                self.run("redrive", &scripts::REDRIVE, &arguments).await?;
            sent += more;
            left += stay;
            if more + stay < MAX_TAKEN {
                return Ok(sent);
            }
        }
    }

    async fn set_weights(&self, weights: &Weights) -> Result<()> {
        let weights = weights.iter();
        let weights = weights.flat_map(|(id, it)| [id.to_string(), it.get().to_string()]);
        let weights: Vec<_> = weights.collect();
        let arguments: Vec<_> = weights.iter().map(String::as_bytes).collect();
        let (_, _): (_, u64) = self.run("weigh", &scripts::WEIGH, &arguments).await?;
        Ok(())
    }

    fn dropped(&self) -> u64 {
        let dropped = self.dropped.lock();
        dropped.before + dropped.count
    }
}
