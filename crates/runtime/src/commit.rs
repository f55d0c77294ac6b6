//! From entries to steps.

use std::{sync::Arc, time::Duration};

use nebula_core::{BoxFuture, Timestamp};
use nebula_execution::{Entry, Status, Topic};
use nebula_ports::{
    Announcement, Begun, ErrorKind, Lease, PortError, SlotClaim, Snapshot, Step, StepId, Stepped,
};
use tracing::warn;

use crate::{
    Beginning,
    drive::{Drive, Stop},
    ring::Bell,
    signals::delivery,
};

/// The first pause after a failed commit; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// About how many bytes an entry has beside the results in it.
const ENTRY_BYTES: usize = 100;

impl Drive {
    /// Commits what was decided; the execution stays in our hands.
    pub(crate) async fn commit(&mut self) -> Result<(), Stop> {
        let mut step = self.next_step();
        // What a person has unparked or unpaused is no longer held while it runs on.
        let state = self.machine.state();
        let held = state.parked().is_some() || state.is_paused();
        let stands = match state.is_compensating() {
            true => Status::Compensating,
            false => Status::Running,
        };
        if self.status != stands && !held {
            step.to = Some(stands);
            self.status = stands;
        }
        let through = self.next_seq + step.entries.len() as u64 - 1;
        if self.is_snapshot_due(through) {
            let state = self.machine.snapshot();
            #[cfg(sim_bug)]
            let through = match nebula_core::sim_bug::is_awake("snapshot-is-misplaced") {
                true => through - 1,
                false => through,
            };
            self.last_snapshot = through;
            self.snapshot_bytes = state.len();
            self.bytes_since_snapshot = 0;
            // A store may refuse the whole step for it; the journal says the same, and takes longer.
            let fits = state.len() <= self.shared.config.max_snapshot.as_usize();
            let state = Arc::new(state);
            step.snapshot = fits.then_some(Snapshot { through, state });
        }
        self.write(&step).await
    }

    /// Whether enough has come since the last snapshot. A large state is written again only after
    /// about as much has happened as it has bytes: so all snapshots together cost no more than a
    /// few times the journal.
    fn is_snapshot_due(&self, through: u64) -> bool {
        let entries = through - self.last_snapshot;
        entries >= self.shared.config.snapshot_entries
            && self.bytes_since_snapshot + ENTRY_BYTES * entries as usize >= self.snapshot_bytes
    }

    /// Commits what was decided together with the status in which the execution is left.
    pub(crate) async fn commit_last(
        &mut self,
        to: Status,
        wake_at: Option<Timestamp>,
    ) -> Result<(), Stop> {
        let mut step = self.next_step();
        step.to = Some(to);
        step.wake_at = wake_at;
        step.release = true;
        #[cfg(sim_bug)]
        {
            step.release = !nebula_core::sim_bug::is_awake("lease-is-not-given-back");
            if nebula_core::sim_bug::is_awake("sleeps-for-ever") {
                step.wake_at = None;
            }
        }
        self.write(&step).await
    }

    /// Commits what was decided and gives the lease back; there is work left for the next holder.
    pub(crate) async fn commit_release(&mut self) -> Result<(), Stop> {
        let mut step = self.next_step();
        step.wake_at = Some(self.shared.ports.clock.now());
        step.release = true;
        self.write(&step).await
    }

    /// Commits what was decided together with a claim; the execution stays in our hands.
    pub(crate) async fn commit_claim(&mut self, claim: &SlotClaim) -> Result<(), Stop> {
        let mut step = self.next_step();
        step.slots.claim.push(claim.clone());
        self.write(&step).await
    }

    fn next_step(&mut self) -> Box<Step> {
        let id = StepId(self.shared.ports.entropy.uuid());
        let entries = std::mem::take(&mut self.pending);
        let mut deliver = std::mem::take(&mut self.deliver);
        deliver.extend(entries.iter().filter_map(delivery));
        deliver.extend(self.tells_parent(&entries));
        let children = self.children_of(&entries);
        let announce = self.announces(&entries);
        // On the heap, so that a drive is no larger for what it writes now and then.
        let mut step = Box::new(Step::append(id, self.next_seq, entries, self.inbox_through));
        // While we hold the lease, what is not done is due: if we vanish, somebody must look.
        step.wake_at = Some(self.shared.ports.clock.now());
        step.deliver = deliver;
        step.announce = announce;
        self.move_waits(&mut step);
        step.children = children;
        step.slots = self.slot_changes();
        self.marked = false;
        self.bytes_since_snapshot += self.pending_bytes;
        self.pending_bytes = 0;
        step
    }

    /// What triggers are told with these entries.
    fn announces(&self, entries: &[Entry]) -> Vec<Announcement> {
        let Some(started) = self.machine.state().started() else {
            return Vec::new();
        };
        let announced = (self.next_seq..).zip(entries).filter_map(|(seq, entry)| {
            let topic = Topic::of(&entry.fact, started)?.to_string();
            Some(Announcement { topic, seq })
        });
        announced.collect()
    }

    /// Writes a step until its outcome is known or the lease may be gone: a store that is away may
    /// come back, and a full one may be given room. One that is read-only needs a person.
    async fn write(&mut self, step: &Step) -> Result<(), Stop> {
        let clock = self.shared.ports.clock.clone();
        let (began, mut pause) = (clock.monotonic(), FIRST_PAUSE);
        loop {
            let asked = clock.monotonic();
            if asked >= self.lease_until && !self.attempts.is_empty() {
                // Nobody may have taken it yet, but our attempts must not act any longer.
                return Err(Stop::Lost);
            }
            match self.put(step).await? {
                Ok(
                    Stepped::Applied {
                        next_seq,
                        inbox_head,
                    }
                    | Stepped::Replayed {
                        next_seq,
                        inbox_head,
                    },
                ) => {
                    self.publish(step);
                    self.meter(step, clock.monotonic().saturating_sub(began));
                    if let Some(unborn) = self.unborn.take() {
                        unborn.becomes(Beginning::There(self.lease.execution));
                    }
                    if let Some(rings) = self.rings(step) {
                        self.within_lease(rings).await?;
                    }
                    self.unproven = false;
                    self.next_seq = next_seq;
                    self.inbox_head = self.inbox_head.max(inbox_head);
                    self.renewed_at(asked);
                    return Ok(());
                }
                Ok(Stepped::Fenced { .. } | Stepped::Terminal(_)) => return Err(Stop::Lost),
                Ok(Stepped::Conflict { actual }) => {
                    let message = format!(
                        "the journal of {} goes on at {actual}, this holder expected {}",
                        self.lease.execution, step.expected_seq
                    );
                    warn!("{message}");
                    return Err(Stop::Lost);
                }
                // The same step again is safe: the store recognises it.
                Err(error)
                    if self.is_to_be_tried_again(&error)
                        && clock.monotonic() + pause < self.lease_until =>
                {
                    self.shared.bus.metrics().step_retried();
                    if pause == FIRST_PAUSE {
                        warn!(execution = %self.lease.execution, %error, "a commit failed; trying again while the lease lasts");
                    }
                    self.within_lease(clock.sleep(pause)).await?;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(Stop::Store(error)),
            }
        }
    }

    /// Gives a step to the store: of an execution that does not exist yet, the one that begins it.
    async fn put(&mut self, step: &Step) -> Result<nebula_ports::Result<Stepped>, Stop> {
        let (repo, lease) = (self.shared.ports.executions.clone(), self.lease.clone());
        let Some(unborn) = &self.unborn else {
            return self.within_lease(repo.step(&lease, step.clone())).await;
        };
        #[cfg(sim_bug)]
        if nebula_core::sim_bug::is_awake("end-is-told-before-it-stands") {
            self.publish(step);
        }
        let begun = repo.begin(&lease, unborn.dedupe.clone(), step.clone());
        Ok(match self.within_lease(begun).await? {
            Ok(Begun::Applied {
                next_seq,
                inbox_head,
            }) => Ok(Stepped::Applied {
                next_seq,
                inbox_head,
            }),
            Ok(Begun::Replayed {
                next_seq,
                inbox_head,
            }) => Ok(Stepped::Replayed {
                next_seq,
                inbox_head,
            }),
            Ok(Begun::Exists { id, .. }) => {
                if let Some(unborn) = self.unborn.take() {
                    unborn.becomes(Beginning::There(id));
                }
                return Err(Stop::Lost);
            }
            Err(error) => Err(error),
        })
    }

    /// A store that is away may come back, and a full one may be given room; but whoever wants to
    /// begin something is told at once that there is none.
    fn is_to_be_tried_again(&self, error: &PortError) -> bool {
        match error.kind {
            ErrorKind::Unavailable => true,
            ErrorKind::Full => self.unborn.is_none(),
            _ => false,
        }
    }

    /// The rings that a step asks for; most ask for none.
    fn rings(&self, step: &Step) -> Option<BoxFuture<'static, ()>> {
        if step.deliver.is_empty() && step.children.is_empty() && step.slots.free.is_empty() {
            return None;
        }
        let receivers = self.ring_receivers(step);
        let next_holders = self.ring_next_holders(step);
        Some(Box::pin(async move {
            receivers.await;
            next_holders.await;
        }))
    }

    /// Rings for those whom a step sent something, and for those that began with it. A ring that is
    /// lost costs time only.
    fn ring_receivers(&self, step: &Step) -> impl Future<Output = ()> + use<> {
        let (bell, tenant) = (Bell::new(&self.shared.ports), self.lease.tenant.clone());
        let told = step.deliver.iter().map(|delivery| delivery.to);
        let begun = step.children.iter().map(|child| child.id);
        let receivers: Vec<_> = begun.chain(told).collect();
        async move {
            for execution in receivers {
                bell.ring(&tenant, execution).await;
            }
        }
    }

    /// Counts what a step wrote, that of an execution that began with it and of its children included.
    fn meter(&self, step: &Step, took: Duration) {
        let (metrics, plan) = (self.shared.bus.metrics(), self.machine.plan());
        if self.unborn.is_some() {
            metrics.started(&plan.workflow);
        }
        for child in &step.children {
            metrics.started(&child.workflow);
        }
        let began = self.machine.state().started_at();
        metrics.committed((&plan.workflow, began), &step.entries, took);
    }

    fn publish(&self, step: &Step) {
        let Lease {
            tenant, execution, ..
        } = &self.lease;
        let bus = &self.shared.bus;
        bus.publish_entries(tenant, *execution, step.expected_seq, &step.entries);
        for child in &step.children {
            bus.publish_entries(&child.tenant, child.id, 1, &child.entries);
        }
        if !step.announce.is_empty() {
            bus.announced();
        }
    }
}
