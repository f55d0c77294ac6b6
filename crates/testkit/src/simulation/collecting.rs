//! Blobs: what journals name is readable all the time, and a collector deletes the others beside
//! those who write.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc, time::Duration};

use nebula_core::{BlobId, Clock, Digest, TenantId};
use nebula_execution::{Entry, Fact, ItemOutcome, PartEnd, Signal};
use nebula_memory::{Collected, Collector, spilled_content};
use nebula_ports::{
    BlobListing, BlobStore, BlobStoreExt, ErrorKind, ExecutionFilter, ExecutionRepo, InboxItem,
    Step,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::oneshot;

use super::{
    checks,
    director::Director,
    process::queue,
    scheduler::{Life, Order, Owner},
    swarm::Fault,
    time::ProcessClock,
    wire::Wire,
    world::World,
};
use crate::SeededEntropy;

/// How long the collector rests at most, in milliseconds.
const REST: u64 = 20_000;

/// How often it stands still in a world in which it does, in a hundred.
const STANDS: u64 = 50;

/// How long it is waited for, before it is ended.
const PATIENCE: Duration = Duration::from_mins(3);

/// How far the clock of the last collection is ahead: to it everything is old.
const FAR: i64 = 1_000_000_000;

/// Whose the collection is when all is over.
pub(super) const OVER: Life = Life(0);

/// What the end of a part names, as the inbox of whoever has the list holds it.
fn of_part(item: &InboxItem) -> Vec<Digest> {
    let mut named = Vec::new();
    if let Ok(Signal::ChildEnded(end)) = Signal::from_inbox(&item.kind, &item.payload)
        && let Some(output) = end.output
        && let Ok(end) = serde_json::from_value::<PartEnd>(Value::clone(&output))
    {
        for outcome in end.ended.iter().flat_map(|(_, run)| run) {
            if let ItemOutcome::Apart(given) = outcome {
                given.each_stored(&mut |stored| named.push(stored.blob().digest));
            }
        }
    }
    named
}

/// The blobs of the values that a fact names.
fn values_in_blobs(fact: &Fact) -> Vec<BlobId> {
    let mut all = Vec::new();
    fact.each_stored(&mut |blob| all.push(blob));
    all
}

impl World {
    /// The fact that stands in a journal, where it lies in a blob; which must be readable.
    pub(super) fn read_fact(&self, tenant: &TenantId, fact: &mut Fact) {
        if let Fact::Spilled { blob, .. } = fact {
            let blob = *blob;
            self.oracle.lock().name(tenant, blob.digest);
            if let Some(read) = self.read_blob(tenant, blob) {
                *fact = read;
            }
        }
        // A value that lies in a blob stays there: the state has its name.
        for blob in values_in_blobs(fact) {
            self.oracle.lock().name(tenant, blob.digest);
            let _: Option<Value> = self.read_blob(tenant, blob);
        }
    }

    /// What new entries name is named from now on, and must be readable.
    pub(super) fn read_entries(&self, tenant: &TenantId, entries: &[Entry]) {
        for entry in entries {
            self.read_fact(tenant, &mut entry.fact.clone());
        }
    }

    /// The kind and the content of a signal, also where that lies in a blob; which must be readable.
    pub(super) fn read_content<'s>(
        &self,
        tenant: &TenantId,
        kind: &'s str,
        payload: &'s Value,
    ) -> (&'s str, Cow<'s, Value>) {
        match spilled_content(kind, payload) {
            Ok(Some((kind, blob))) => {
                let read = self.read_blob(tenant, blob).unwrap_or_default();
                (kind, Cow::Owned(read))
            }
            _ => (kind, Cow::Borrowed(payload)),
        }
    }

    /// What lies in a blob that is named now.
    pub(super) fn read_blob<T: DeserializeOwned>(
        &self,
        tenant: &TenantId,
        blob: BlobId,
    ) -> Option<T> {
        let bytes = self.ask(self.blobs.get_bytes(tenant, blob));
        let read = match bytes {
            Ok(Some(bytes)) => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
            Ok(None) => Err("it is not there".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        read.map_err(|why| self.complain(checks::NAMED_READABLE, format!("{blob}: {why}")))
            .ok()
    }

    /// A step as the machine decided it; from now on journals name what it names, if it was applied.
    pub(super) fn read_step<'s>(
        &self,
        tenant: &TenantId,
        step: &'s Step,
        applied: bool,
    ) -> Cow<'s, Step> {
        for delivery in step.deliver.iter().filter(|_| applied) {
            let _ = self.read_content(tenant, &delivery.kind, &delivery.payload);
        }
        let spilled =
            |fact: &Fact| matches!(fact, Fact::Spilled { .. }) || !values_in_blobs(fact).is_empty();
        for child in step.children.iter().filter(|_| applied) {
            self.read_entries(tenant, &child.entries);
        }
        if !applied || !step.entries.iter().any(|entry| spilled(&entry.fact)) {
            return Cow::Borrowed(step);
        }
        let mut step = step.clone();
        for entry in &mut step.entries {
            self.read_fact(tenant, &mut entry.fact);
        }
        Cow::Owned(step)
    }

    /// When all is over, some executions are forgotten; then a collection must leave what the others
    /// name, and nothing else.
    pub(super) fn collect_at_the_end(self: &Arc<Self>) {
        self.heal();
        let tenants = self.ask(self.blobs.tenants(None, usize::MAX));
        for tenant in tenants.expect("the model knows its tenants") {
            let half = usize::try_from(self.swarm.executions / 2).unwrap_or(0);
            let forgotten = self.store.delete_ended(&tenant, self.clock.now(), half);
            let _ = self.ask(forgotten);
            let collected = self.ask(self.collect_all(&tenant));
            if let Err(error) = collected {
                self.complain(checks::ORPHANS_GO, error.to_string());
                continue;
            }
            let (named, left) = (self.named(&tenant), self.blobs_of(&tenant));
            for digest in named.difference(&left) {
                self.complain(checks::NAMED_STAYS, digest.to_string());
            }
            for digest in left.difference(&named) {
                self.complain(checks::ORPHANS_GO, digest.to_string());
            }
        }
    }

    /// A collection to which everything is old, and in which nothing goes wrong.
    async fn collect_all(self: &Arc<Self>, tenant: &TenantId) -> nebula_ports::Result<Collected> {
        // No fault happens any more: the way to the stores is a straight one.
        let wire = Arc::new(Wire {
            world: self.clone(),
            life: OVER,
            queue: queue(self),
        });
        self.oracle.lock().forget_names();
        self.collectors.lock().insert(OVER);
        let clock = Arc::new(ProcessClock::new(self.clock.clone(), FAR));
        let collector = Collector::new(wire.clone(), wire, clock, self.swarm.grace());
        collector.collect(tenant).await
    }

    /// What the journals and inboxes of a tenant name.
    fn named(&self, tenant: &TenantId) -> BTreeSet<Digest> {
        let (filter, mut after) = (ExecutionFilter::default(), None);
        let mut named = BTreeSet::new();
        loop {
            let page = self.store.list(tenant, &filter, after.as_ref(), 1_000);
            let page = self.ask(page).expect("the model lists");
            for summary in &page.items {
                for mut stored in self.stored(tenant, summary.id, 1) {
                    if let Fact::Spilled { blob, .. } = &stored.entry.fact {
                        named.insert(blob.digest);
                    }
                    self.read_fact(tenant, &mut stored.entry.fact);
                    let values = values_in_blobs(&stored.entry.fact).into_iter();
                    named.extend(values.map(|blob| blob.digest));
                }
                let items = self.store.inbox(tenant, summary.id, 0, usize::MAX);
                let items = self.ask(items).expect("the model reads its inboxes");
                named.extend(items.iter().flat_map(of_part));
                named.extend(items.iter().filter_map(|item| {
                    let content = spilled_content(&item.kind, &item.payload);
                    content.ok()?.map(|(_, blob)| blob.digest)
                }));
            }
            after = page.next;
            if after.is_none() {
                return named;
            }
        }
    }

    fn blobs_of(&self, tenant: &TenantId) -> BTreeSet<Digest> {
        let mut listing = BlobListing::default();
        let mut found = BTreeSet::new();
        loop {
            let page = self.ask(self.blobs.list(tenant, &listing));
            let page = page.expect("the model lists");
            found.extend(page.blobs.iter().map(|blob| blob.id.digest));
            listing.after = page.next;
            if listing.after.is_none() {
                return found;
            }
        }
    }
}

impl Director {
    /// Collects again and again, in a process of its own each time, as an operator's command does.
    pub(super) async fn collect(&self) {
        let chance = self.world.swarm.chance(5);
        if !self.world.swarm.spills() {
            return;
        }
        loop {
            self.sleep_up_to(&chance, REST).await;
            for tenant in super::world::tenants(&self.world.swarm) {
                self.collect_once(tenant, &chance).await;
            }
        }
    }

    async fn collect_once(&self, tenant: TenantId, chance: &SeededEntropy) {
        let (world, life) = (&self.world, self.new_life());
        world.collectors.lock().insert(life);
        let wire = Arc::new(Wire {
            world: world.clone(),
            life,
            queue: queue(world),
        });
        let skew = world.swarm.skew;
        let off_by = i64::try_from(chance.below(2 * skew + 1)).unwrap_or(0)
            - i64::try_from(skew).unwrap_or(0);
        let clock = Arc::new(ProcessClock::new(world.clock.clone(), off_by));
        let collector = Collector::new(wire.clone(), wire, clock, world.swarm.grace());
        let (answer, answered) = oneshot::channel();
        world.board.spawn(Owner::Process(life), async move {
            let _ = answer.send(collector.collect(&tenant).await);
        });
        let may_stand = world.is_faulty() && world.swarm.has(Fault::CollectorPaused);
        if may_stand && chance.chance(STANDS) {
            world.struck(Fault::CollectorPaused);
            let (world, chance) = (world.clone(), (chance.below(2_000), chance.below(60_000)));
            world.clone().board.spawn(Owner::World, async move {
                world.clock.sleep(Duration::from_millis(chance.0)).await;
                world.board.order(Order::Pause(life));
                world.clock.sleep(Duration::from_millis(chance.1)).await;
                world.board.order(Order::Resume(life));
            });
        }
        let collected = tokio::select! {
            biased;
            collected = answered => collected.ok(),
            () = world.clock.sleep(PATIENCE) => None,
        };
        match collected {
            Some(Ok(collected)) => {
                world.note("collected", format_args!("{collected:?}"));
                if collected.unreadable > 0 && !world.swarm.has(Fault::BlobFlipped) {
                    let what = format!("{} by {life}", collected.unreadable);
                    world.complain(checks::NAMED_READABLE, what);
                }
            }
            // The next one goes on where this one stopped.
            Some(Err(error)) if error.kind == ErrorKind::Unavailable => {}
            Some(Err(error)) => world.complain(checks::ORPHANS_GO, error.to_string()),
            None => world.kill(life),
        }
    }
}
