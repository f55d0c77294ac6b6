//! The port: each call is one statement.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use nebula_core::{Clock, Entropy, ExecutionId, Group, Priority, TenantId, WorkflowId};
use nebula_ports::{
    Delivery, ErrorKind, PortError, Queued, Receipt, ReceiptOutcome, Result, Task, TaskQueue,
    Weight, Weights,
};
use nebula_postgres::{Address, Param, Row, params};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::{
    PostgresQueueConfig,
    error::DRIVER,
    link::{Link, Listens},
    receipt::{parts, receipt, uuid},
};

/// How many tasks one call takes at most, and how many receipts or dead tasks one statement works on: others
/// wait for the queue meanwhile.
pub const MAX_TAKEN: usize = 1_000;

/// How much is kept of the reason for which a task was given back, in bytes.
pub const MAX_REASON: usize = 1_024;

/// A [`TaskQueue`] in PostgreSQL: shared by all processes that open it under the same name.
///
/// Time is the database's, so that the clocks of the processes need not agree.
pub struct PostgresQueue {
    link: Link,
    config: PostgresQueueConfig,
    clock: Arc<dyn Clock>,
    /// Whether the time of tasks is that of `clock`.
    is_timed_by_clock: bool,
    /// What the receipts of this handle begin with; no other's do.
    token: String,
    calls: AtomicU64,
    /// Of each priority, how often it may be passed over.
    patience: Vec<Option<i32>>,
    dropped: Mutex<Dropped>,
}

/// One that waits, as the database is told of it.
struct Waits {
    /// Which; empty where it cannot be told of anything.
    whose: String,
    /// Whether it does so also after this look.
    waits_on: bool,
    /// Whether nobody told it to look.
    by_itself: bool,
}

/// Rings that were dropped, as the database counts them.
#[derive(Default)]
struct Dropped {
    /// Which queue it was that counted: another one begins after a crash of the server.
    life: String,
    count: u64,
    /// Of the queues before it that this process knew.
    before: u64,
}

impl fmt::Debug for PostgresQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresQueue")
            .field("name", &self.config.name)
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

impl PostgresQueue {
    /// Opens the queue of that name in a database; what it asks is made there, if it is not there yet.
    ///
    /// # Errors
    /// `Invalid`: no such name. `Unavailable`: the server cannot be reached, does not let us in, or is a
    /// standby. `Unsupported`: it is older than 13. `Format`: a newer build made what is there.
    pub async fn open(
        address: Address,
        config: PostgresQueueConfig,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
    ) -> Result<Self> {
        config.check()?;
        let token = format!("{:x}{:x}", entropy.next_u64(), entropy.next_u64());
        let listens = config.listen.then(|| Listens {
            to_all_of: config.name.clone(),
            to_mine: format!("nebula_queue_{token}"),
        });
        let patience = Priority::ALL.map(|it| it.patience().and_then(|it| i32::try_from(it).ok()));
        Ok(Self {
            link: Link::open(address, listens).await?,
            config,
            clock,
            is_timed_by_clock: false,
            token,
            calls: AtomicU64::new(0),
            patience: patience.to_vec(),
            dropped: Mutex::default(),
        })
    }

    /// Takes the time of tasks from the monotonic time of its clock, and not from the database. For tests
    /// under a clock that stands still: processes that share a queue have no such time in common.
    #[must_use]
    pub fn timed_by_clock(mut self) -> Self {
        self.is_timed_by_clock = true;
        self
    }

    /// Calls a function with these arguments behind the common ones; gives its row, and how long one
    /// that waits may sleep.
    async fn call(
        &self,
        operation: &'static str,
        sql: &str,
        arguments: &[&dyn Param],
    ) -> Result<(Duration, Row)> {
        let now = self
            .is_timed_by_clock
            .then(|| micros(self.clock.monotonic()));
        let capacity = i64::try_from(self.config.capacity.get()).unwrap_or(i64::MAX);
        let most = i32::try_from(self.config.max_deliveries.get()).unwrap_or(i32::MAX);
        let token = format!("{}.{}", self.token, self.calls.fetch_add(1, Relaxed));
        let common = params![self.config.name, now, capacity, most, token,];
        let parameters: Vec<_> = common.iter().chain(arguments).copied().collect();
        let row = self.link.ask(operation, sql, &parameters).await?;
        let (life, dropped): (String, i64) = (row.get("life"), row.get("dropped"));
        self.dropped
            .lock()
            .hear(life, u64::try_from(dropped).unwrap_or(0));
        let pause = u64::try_from(row.get::<_, i64>("pause")).unwrap_or(0);
        Ok((Duration::from_micros(pause), row))
    }

    async fn take(
        &self,
        max: usize,
        visibility: Duration,
        waits: &Waits,
    ) -> Result<(Duration, Vec<Delivery>)> {
        const SQL: &str =
            "SELECT * FROM nebula_queue.receive($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        let (max, visibility) = (number(max.min(MAX_TAKEN)), micros(visibility));
        let Waits {
            whose,
            waits_on,
            by_itself,
        } = waits;
        let arguments = params![
            max,
            visibility,
            self.patience,
            *whose,
            *waits_on,
            *by_itself,
        ];
        let (pause, row) = self.call("receive", SQL, arguments).await?;
        let (counts, receipts) = (
            many::<i32>(&row, "counts"),
            many::<String>(&row, "receipts"),
        );
        let taken = tasks("receive", &row)?
            .into_iter()
            .zip(counts)
            .zip(receipts);
        let delivery = |((task, count), token): ((Task, i32), String)| Delivery {
            receipt: receipt(&token, task.tenant.as_str(), uuid(task.execution)),
            delivery_count: u32::try_from(count).unwrap_or(u32::MAX),
            task,
        };
        Ok((pause, taken.map(delivery).collect()))
    }
}

impl Dropped {
    fn hear(&mut self, life: String, count: u64) {
        if self.life != life {
            self.before += self.count;
            self.life = life;
            self.count = 0;
        }
        // Answers may come in another order than the database gave them.
        self.count = self.count.max(count);
    }
}

/// Whole microseconds: no more than until the year 2255, also behind those until now.
fn micros(time: Duration) -> i64 {
    const MOST: i64 = (1 << 53) - 1;
    i64::try_from(time.as_micros()).unwrap_or(MOST).min(MOST)
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A column of many values; there are none where it is null.
fn many<'r, T: nebula_postgres::FromSql<'r>>(row: &'r Row, column: &str) -> Vec<T> {
    row.get::<_, Option<Vec<T>>>(column).unwrap_or_default()
}

/// The tasks that a row tells of.
fn tasks(operation: &'static str, row: &Row) -> Result<Vec<Task>> {
    let tenants = many::<String>(row, "tenants").into_iter();
    let executions = many::<Uuid>(row, "executions").into_iter();
    let workflows = many::<String>(row, "workflows").into_iter();
    let priorities = many::<i32>(row, "priorities").into_iter();
    let of = tenants.zip(executions).zip(workflows.zip(priorities));
    let task = |((tenant, execution), (workflow, priority)): ((String, Uuid), (String, i32))| {
        let task = || {
            Some(Task {
                tenant: TenantId::new(tenant).ok()?,
                execution: ExecutionId::from(execution),
                workflow: WorkflowId::new(workflow).ok()?,
                priority: Priority::from_number(u8::try_from(priority).ok()?)?,
                // Each group has a queue of its own: whoever opened this one knows whose it is.
                group: Group::default(),
            })
        };
        task().ok_or_else(|| {
            let message = "the queue holds something that is no task: empty its tables, and the sweep fills them again";
            PortError::new(ErrorKind::Corrupt, DRIVER, operation, message)
        })
    };
    of.map(task).collect()
}

fn outcome(counted: bool) -> ReceiptOutcome {
    match counted {
        false => ReceiptOutcome::Superseded,
        true => ReceiptOutcome::Done,
    }
}

#[async_trait]
impl TaskQueue for PostgresQueue {
    async fn ring(&self, task: Task, delay: Duration) -> Result<Queued> {
        const SQL: &str =
            "SELECT * FROM nebula_queue.ring($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let (tenant, workflow) = (task.tenant.as_str(), task.workflow.as_str());
        let (execution, priority) = (uuid(task.execution), i32::from(task.priority.number()));
        let delay = micros(delay);
        let arguments = params![tenant, execution, workflow, priority, delay,];
        let (_, row) = self.call("ring", SQL, arguments).await?;
        Ok(match row.get("outcome") {
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
        let is_told = self.config.listen && !wait.is_zero() && max > 0;
        let mut waits = Waits {
            whose: String::new(),
            waits_on: false,
            by_itself: false,
        };
        if is_told {
            waits.whose = format!("{}/{}", self.token, waiter.number());
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
        const SQL: &str = "SELECT * FROM nebula_queue.ack($1, $2, $3, $4, $5, $6, $7, $8)";
        let mut outcomes = Vec::with_capacity(receipts.len());
        for receipts in receipts.chunks(MAX_TAKEN) {
            let parts: Vec<_> = receipts.iter().map(parts).collect();
            let tokens: Vec<_> = parts.iter().map(|it| it.token).collect();
            let tenants: Vec<_> = parts.iter().map(|it| it.tenant).collect();
            let executions: Vec<_> = parts.iter().map(|it| it.execution).collect();
            let arguments = params![tokens, tenants, executions];
            let (_, row) = self.call("ack", SQL, arguments).await?;
            outcomes.extend(many::<bool>(&row, "outcomes").into_iter().map(outcome));
        }
        Ok(outcomes)
    }

    async fn nack(
        &self,
        receipt: &Receipt,
        delay: Duration,
        reason: &str,
    ) -> Result<ReceiptOutcome> {
        const SQL: &str =
            "SELECT * FROM nebula_queue.nack($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let (parts, delay) = (parts(receipt), micros(delay));
        // A text of the database has no zero byte.
        let reason = reason[..reason.floor_char_boundary(MAX_REASON)].replace('\0', " ");
        let arguments = params![parts.token, parts.tenant, parts.execution, delay, reason,];
        let (_, row) = self.call("nack", SQL, arguments).await?;
        Ok(outcome(row.get("outcome")))
    }

    async fn extend(&self, receipts: &[Receipt], by: Duration) -> Result<Vec<ReceiptOutcome>> {
        const SQL: &str = "SELECT * FROM nebula_queue.extend($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let by = micros(by);
        let mut outcomes = Vec::with_capacity(receipts.len());
        for receipts in receipts.chunks(MAX_TAKEN) {
            let parts: Vec<_> = receipts.iter().map(parts).collect();
            let tokens: Vec<_> = parts.iter().map(|it| it.token).collect();
            let tenants: Vec<_> = parts.iter().map(|it| it.tenant).collect();
            let executions: Vec<_> = parts.iter().map(|it| it.execution).collect();
            let arguments = params![tokens, tenants, executions, by,];
            let (_, row) = self.call("extend", SQL, arguments).await?;
            outcomes.extend(many::<bool>(&row, "outcomes").into_iter().map(outcome));
        }
        Ok(outcomes)
    }

    async fn dead(&self, limit: usize) -> Result<Vec<(Task, String)>> {
        const SQL: &str = "SELECT * FROM nebula_queue.dead($1, $2, $3, $4, $5, $6)";
        let limit = i64::from(number(limit));
        let (_, row) = self.call("list the dead", SQL, params![limit]).await?;
        let tasks = tasks("list the dead", &row)?.into_iter();
        Ok(tasks.zip(many::<String>(&row, "reasons")).collect())
    }

    async fn redrive(&self) -> Result<usize> {
        const SQL: &str = "SELECT * FROM nebula_queue.redrive($1, $2, $3, $4, $5, $6, $7)";
        let most = i64::from(number(MAX_TAKEN));
        let (mut sent, mut left) = (0, 0);
        loop {
            let (_, row) = self.call("redrive", SQL, params![left, most]).await?;
            let (more, stay): (i64, i64) = (row.get("sent"), row.get("stay"));
            sent += more;
            left += stay;
            if more + stay < most {
                return Ok(usize::try_from(sent).unwrap_or(0));
            }
        }
    }

    async fn set_weights(&self, weights: &Weights) -> Result<()> {
        const SQL: &str = "SELECT * FROM nebula_queue.weighed($1, $2, $3, $4, $5, $6, $7)";
        let of = |weight: Weight| i32::try_from(weight.get()).unwrap_or(i32::MAX);
        let (tenants, weights): (Vec<_>, Vec<_>) = weights
            .iter()
            .map(|(tenant, weight)| (tenant.as_str(), of(weight)))
            .unzip();
        let arguments = params![tenants, weights];
        self.call("weigh", SQL, arguments).await.map(|_| ())
    }

    fn dropped(&self) -> u64 {
        let dropped = self.dropped.lock();
        dropped.before + dropped.count
    }
}
