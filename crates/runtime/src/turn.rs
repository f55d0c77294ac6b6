//! Taking turns: an execution begins when its rate lets it, and, where its plan asks for a start slot,
//! only while it holds one.

use std::sync::Arc;

use nebula_core::Timestamp;
use nebula_execution::{Event, Given, Rest, Status};
use nebula_ports::{ErrorKind, PortError, SlotClaim};

use crate::drive::{Drive, Driven, Stop};

impl Drive {
    /// Whether [`Drive::wait_for_turn`] has anything to do.
    pub(crate) fn takes_turns(&self) -> bool {
        // A part belongs to the turn of whoever has the list.
        let admitted = self.machine.plan().admission.is_some() && self.machine.part().is_none();
        self.begins_at.is_some() || admitted
    }

    /// Makes sure that the execution may begin by its rate, and that it holds the slot that its plan
    /// asks for. It can lack it for three reasons: it had to wait for its time before; it was woken by
    /// a signal while it waits; or its last holder's lease expired and took the slot along. Then it claims one, unless it does already, and sleeps until the grant.
    ///
    /// What has ended, is paused or parked needs no slot for that.
    pub(crate) async fn wait_for_turn(&mut self) -> Result<Option<Driven>, Stop> {
        if !matches!(self.machine.rest(), Rest::Busy | Rest::Waiting { .. }) {
            return Ok(None);
        }
        // Of what is paused or about to end nothing begins, so it needs no turn either, unless effects
        // are undone.
        let state = self.machine.state();
        let ends = state.ending().is_some() && state.compensations().open().is_empty();
        if ends || state.is_paused() {
            return Ok(None);
        }
        if let Some(at) = self.begins_at {
            return self.wait_for_time(at).await.map(Some);
        }
        let Some(claim) = self.start_claim().await? else {
            return Ok(None);
        };
        if self.holds(&claim).await? {
            return Ok(None);
        }
        self.tell(Event::Queued);
        // Claiming what waits already changes nothing.
        self.commit_claim(&claim).await?;
        if self.holds(&claim).await? {
            // Also what came for slots that it has given up.
            while self.read_inbox().await? {}
            return Ok(None);
        }
        // The grant may come just now: then it is unread, and the store wakes the execution at once.
        let due = self.machine.next_due();
        self.commit_last(Status::Queued, due).await?;
        let unread = self.inbox_head > self.inbox_through;
        let now = self.shared.ports.clock.now();
        Ok(Some(Driven::Rests {
            due: if unread { Some(now) } else { due },
        }))
    }

    /// Somebody has woken the execution before its rate lets it begin. It hears what there is to hear,
    /// and sleeps on.
    async fn wait_for_time(&mut self, at: Timestamp) -> Result<Driven, Stop> {
        self.tell(Event::Queued);
        let due = self.machine.next_due().map_or(at, |due| due.min(at));
        self.commit_last(Status::Queued, Some(due)).await?;
        let unread = self.inbox_head > self.inbox_through;
        let now = self.shared.ports.clock.now();
        Ok(Driven::Rests {
            due: Some(if unread { now } else { due }),
        })
    }

    async fn start_claim(&mut self) -> Result<Option<SlotClaim>, Stop> {
        let plan = self.machine.plan().clone();
        if plan.admission.is_none() || self.machine.part().is_some() {
            return Ok(None);
        }
        let corrupt =
            |why: String| PortError::new(ErrorKind::Corrupt, "runtime", "take a turn", why);
        let started = self.machine.state().started();
        let started = started.ok_or_else(|| corrupt("the execution has no start".to_owned()))?;
        let given = started.given();
        if let (Given::Blob(stored), true) = (&given, plan.begins_by_input()) {
            Box::pin(self.read_all(vec![stored.clone()])).await?;
        }
        let input = match plan.begins_by_input() {
            true => given
                .value()
                .map_err(|unread| corrupt(unread.to_string()))?,
            // No expression looks at it.
            false => Arc::default(),
        };
        self.let_go();
        // The same input gave a slot when it was created.
        let slot = plan
            .start_slot(&input)
            .map_err(|error| corrupt(error.to_string()))?;
        Ok(slot.as_ref().map(SlotClaim::of_start).transpose()?)
    }

    /// Whether the slot is granted to this execution; those that are granted stand first.
    async fn holds(&mut self, claim: &SlotClaim) -> Result<bool, PortError> {
        let (tenant, id) = (&self.lease.tenant, self.lease.execution);
        let most = nebula_ports::MAX_SLOT_CAPACITY as usize;
        let repo = self.shared.ports.executions.clone();
        let places = repo.slots(tenant, &claim.id.key, most).await?;
        Ok(places
            .iter()
            .any(|place| place.granted && place.execution == id && place.owner == claim.id.owner))
    }
}
