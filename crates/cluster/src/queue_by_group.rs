//! One queue for each group of workers, behind the port of one.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use nebula_core::{Group, Groups};
use nebula_ports::{Delivery, Queued, Receipt, ReceiptOutcome, Result, Task, TaskQueue, Weights};
use tokio::sync::Mutex;
use tracing::warn;

/// How many groups one process rings for at most; a ring for a further one is dropped and counted, and
/// workers of that group find its work by looking for themselves.
pub const MAX_GROUPS: usize = 64;

/// How long a worker of several groups waits at the queue of one before it looks at the next.
const LOOK: Duration = Duration::from_millis(100);

/// Between the group and the receipt of its queue; no name of a group has it.
const OF: char = '|';

/// Opens the queue of a group, which others who open the same one share.
#[async_trait]
pub trait OpenQueue: fmt::Debug + Send + Sync + 'static {
    /// Opens it.
    ///
    /// # Errors
    /// Those of the driver.
    async fn open(&self, group: &Group) -> Result<Arc<dyn TaskQueue>>;
}

/// A queue for each group: a ring goes to that of its task's group, and whoever receives hears those of
/// some groups. So nobody takes what is for others, and what waits for a group that has no workers is in
/// nobody's way.
#[derive(Debug)]
pub struct QueueByGroup {
    opener: Arc<dyn OpenQueue>,
    hears: Vec<Group>,
    open: Mutex<BTreeMap<Group, Arc<dyn TaskQueue>>>,
    turn: AtomicUsize,
    dropped: AtomicU64,
    /// What tenants weigh, for queues that are opened later.
    weights: Mutex<Option<Weights>>,
}

impl QueueByGroup {
    /// Hears the queues of these groups, each of which is opened now; of no particular ones, that of the
    /// default group.
    ///
    /// # Errors
    /// One cannot be opened.
    pub async fn open(opener: Arc<dyn OpenQueue>, hears: &Groups) -> Result<Self> {
        let hears: Vec<Group> = match hears {
            Groups::All => vec![Group::default()],
            Groups::Of(groups) => groups.iter().take(MAX_GROUPS).cloned().collect(),
        };
        let mut open = BTreeMap::new();
        for group in &hears {
            open.insert(group.clone(), opener.open(group).await?);
        }
        Ok(Self {
            opener,
            hears,
            open: Mutex::new(open),
            turn: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            weights: Mutex::new(None),
        })
    }

    /// The queue of a group; nothing if there are too many.
    async fn of(&self, group: &Group) -> Result<Option<Arc<dyn TaskQueue>>> {
        let mut open = self.open.lock().await;
        if let Some(queue) = open.get(group) {
            return Ok(Some(Arc::clone(queue)));
        }
        if open.len() >= MAX_GROUPS {
            return Ok(None);
        }
        let queue = self.opener.open(group).await?;
        if let Some(weights) = &*self.weights.lock().await {
            queue.set_weights(weights).await?;
        }
        open.insert(group.clone(), Arc::clone(&queue));
        Ok(Some(queue))
    }

    async fn all(&self) -> Vec<(Group, Arc<dyn TaskQueue>)> {
        let open = self.open.lock().await;
        let all = open
            .iter()
            .map(|(group, queue)| (group.clone(), Arc::clone(queue)));
        all.collect()
    }

    async fn heard(&self) -> Vec<(Group, Arc<dyn TaskQueue>)> {
        let mut all = self.all().await;
        all.retain(|(group, _)| self.hears.contains(group));
        all
    }

    /// The queue that gave a receipt, and its own receipt.
    async fn given_by(&self, receipt: &Receipt) -> Option<(Arc<dyn TaskQueue>, Receipt)> {
        let (group, own) = receipt.0.split_once(OF)?;
        let queue = self
            .open
            .lock()
            .await
            .get(&Group::new(group).ok()?)
            .cloned()?;
        Some((queue, Receipt(own.to_owned())))
    }

    /// Says at each queue that its deliveries are done with, or are kept for so long.
    async fn answer(
        &self,
        receipts: &[Receipt],
        kept: Option<Duration>,
    ) -> Result<Vec<ReceiptOutcome>> {
        let mut outcomes = vec![ReceiptOutcome::Superseded; receipts.len()];
        let mut by_group: BTreeMap<&str, (Vec<usize>, Vec<Receipt>)> = BTreeMap::new();
        for (place, receipt) in receipts.iter().enumerate() {
            if let Some((group, own)) = receipt.0.split_once(OF) {
                let (places, owns) = by_group.entry(group).or_default();
                places.push(place);
                owns.push(Receipt(own.to_owned()));
            }
        }
        for (places, owns) in by_group.into_values() {
            let Some((queue, _)) = self.given_by(&receipts[places[0]]).await else {
                continue;
            };
            let answered = match kept {
                None => queue.ack(&owns).await?,
                Some(by) => queue.extend(&owns, by).await?,
            };
            for (place, outcome) in places.into_iter().zip(answered) {
                outcomes[place] = outcome;
            }
        }
        Ok(outcomes)
    }
}

/// What the queue of a group gave, as that of all.
fn of_group(group: &Group, given: Vec<Delivery>) -> impl Iterator<Item = Delivery> {
    given.into_iter().map(move |delivery| Delivery {
        receipt: Receipt(format!("{group}{OF}{}", delivery.receipt.0)),
        task: Task {
            group: group.clone(),
            ..delivery.task
        },
        ..delivery
    })
}

#[async_trait]
impl TaskQueue for QueueByGroup {
    async fn ring(&self, task: Task, delay: Duration) -> Result<Queued> {
        match self.of(&task.group).await? {
            Some(queue) => queue.ring(task, delay).await,
            None => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                Ok(Queued::Dropped)
            }
        }
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<Delivery>> {
        let queues = self.heard().await;
        if let [(group, queue)] = &queues[..] {
            let given = queue.receive(max, wait, visibility).await?;
            return Ok(of_group(group, given).collect());
        }
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let from = |at: usize| &queues[(first.wrapping_add(at)) % queues.len()];
        let mut found = Vec::new();
        for at in 0..queues.len() {
            let (group, queue) = from(at);
            match queue
                .receive(max - found.len(), Duration::ZERO, visibility)
                .await
            {
                Ok(given) => found.extend(of_group(group, given)),
                Err(error) if found.is_empty() => return Err(error),
                // What was taken is not let go of.
                Err(error) => warn!(%group, %error, "the queue of a group cannot be heard"),
            }
            if found.len() >= max {
                break;
            }
        }
        let (mut left, mut at) = (wait, 0_usize);
        while found.is_empty() && max > 0 && !left.is_zero() && !queues.is_empty() {
            let look = left.min(LOOK);
            let (group, queue) = from(at);
            found.extend(of_group(group, queue.receive(max, look, visibility).await?));
            (left, at) = (left.saturating_sub(look), at.wrapping_add(1));
        }
        Ok(found)
    }

    async fn ack(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>> {
        self.answer(receipts, None).await
    }

    async fn nack(
        &self,
        receipt: &Receipt,
        delay: Duration,
        reason: &str,
    ) -> Result<ReceiptOutcome> {
        match self.given_by(receipt).await {
            Some((queue, own)) => queue.nack(&own, delay, reason).await,
            None => Ok(ReceiptOutcome::Superseded),
        }
    }

    async fn extend(&self, receipts: &[Receipt], by: Duration) -> Result<Vec<ReceiptOutcome>> {
        self.answer(receipts, Some(by)).await
    }

    /// Those of the groups that this process hears or has rung for.
    async fn dead(&self, limit: usize) -> Result<Vec<(Task, String)>> {
        let mut dead = Vec::new();
        for (group, queue) in self.all().await {
            let of = queue.dead(limit - dead.len()).await?;
            dead.extend(of.into_iter().map(|(task, reason)| {
                let group = group.clone();
                (Task { group, ..task }, reason)
            }));
        }
        Ok(dead)
    }

    /// Those of the groups that this process hears or has rung for.
    async fn redrive(&self) -> Result<usize> {
        let mut back = 0;
        for (_, queue) in self.all().await {
            back += queue.redrive().await?;
        }
        Ok(back)
    }

    async fn set_weights(&self, weights: &Weights) -> Result<()> {
        *self.weights.lock().await = Some(weights.clone());
        for (_, queue) in self.all().await {
            queue.set_weights(weights).await?;
        }
        Ok(())
    }

    fn dropped(&self) -> u64 {
        let own = self.dropped.load(Ordering::Relaxed);
        let open = self.open.try_lock().ok();
        let of = open.iter().flat_map(|open| open.values());
        own + of.map(|queue| queue.dropped()).sum::<u64>()
    }
}
