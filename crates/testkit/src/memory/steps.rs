//! What a step does to the model.

use nebula_core::Timestamp;
use nebula_execution::{NewExecution, Status};
use nebula_ports::{
    Announcement, ErrorKind, InboxDelivery, Lease, MAX_SLOT_CAPACITY, MAX_SLOT_CHANGES, NewSignal,
    PortError, Rate, RateTurn, Result, SLOT_PREFIX, Signalled, SlotClaim, Step, Stepped,
};

use super::{
    ExecutionGuard as Guard, TriggerGuard,
    record::{DRIVER, Record},
    records::{Guards, Records, fingerprint},
};

impl Records {
    /// Applies a step, or says why not. An error leaves the caller's copy half done: it is thrown away.
    pub(super) fn step(&mut self, lease: &Lease, step: Step, now: Timestamp) -> Result<Stepped> {
        let guards = self.guards;
        check_shape(guards, &step)?;
        let (tenant, id) = (&lease.tenant, lease.execution);
        let owner = if guards.keep(Guard::TenantWrites) {
            Some(tenant.clone())
        } else {
            self.owner(id)
        };
        let tainted = std::mem::take(&mut self.tainted);
        let Some(row) = owner.and_then(|owner| self.get_mut(&owner, id)) else {
            return Err(invalid(format!("there is no execution {id}")));
        };
        if let Some(refused) = refusal(guards, row, lease, &step, now) {
            let replayed = matches!(refused, Stepped::Replayed { .. });
            self.tainted =
                matches!(refused, Stepped::Conflict { .. }) && !guards.keep(Guard::Neighbours);
            if !self.triggers.lock().keep(TriggerGuard::AnnounceWritten) {
                self.announce(lease, &step.announce, now);
            }
            if replayed && !guards.keep(Guard::ReplayWritesNothing) {
                self.deliver(lease, &step.deliver, now)?;
            }
            let still = match refused {
                Stepped::Replayed { .. } => guards.keep(Guard::SlotReplay),
                _ => guards.keep(Guard::SlotRefusal),
            };
            if !still {
                self.change_slots((tenant, id), &step.slots, false, now);
            }
            return Ok(refused);
        }
        if tainted {
            return Ok(Stepped::Conflict {
                actual: row.next_seq(),
            });
        }
        let loses = row.is_expired(guards, now) && !guards.keep(Guard::SlotExpiredKeeps);
        write(guards, row, lease, &step, now);
        let (head, through) = (row.inbox_head(), row.inbox_through);
        let ended = row.status.is_terminal();
        if ended {
            self.end_keys(tenant, id, now);
        }
        self.wait_for(lease, &step, ended);
        let Step {
            children,
            deliver,
            slots,
            release,
            inbox_through,
            announce,
            ..
        } = step;
        if guards.keep(Guard::Children) {
            children
                .into_iter()
                .try_for_each(|child| self.begin_child(lease, child, now))?;
        }
        if guards.keep(Guard::FinalDelivery) || !ended {
            self.deliver(lease, &deliver, now)?;
        }
        self.change_slots((tenant, id), &slots, ended, now);
        if loses || (release && !ended && !guards.keep(Guard::SlotSleepKeeps)) {
            self.lose_at_takeover(tenant, id, now);
        }
        // Checked last, so that the test of the suite can see a transaction that is not rolled back.
        check_mark(guards, inbox_through, (through, head))?;
        let row = self.get_mut(tenant, id).expect("it was there a moment ago");
        row.inbox_through = inbox_through;
        if !slots.is_empty() && !guards.keep(Guard::SlotGrantUnread) {
            row.inbox_through = row.inbox_head();
        }
        let unread = row.inbox_through < row.inbox_head();
        let stay_awake = if guards.keep(Guard::ReadSleeps) {
            unread
        } else {
            row.inbox_head() > 0
        };
        if stay_awake && !row.status.is_terminal() && guards.keep(Guard::UnreadWakes) {
            row.wake(guards, now);
        }
        let inbox_head = if guards.keep(Guard::StepHead) {
            row.inbox_head()
        } else {
            row.inbox_through
        };
        let next_seq = row.next_seq();
        self.announce(lease, &announce, now);
        Ok(Stepped::Applied {
            next_seq,
            inbox_head,
        })
    }

    /// Tells triggers what a step announces; nothing can refuse it any more.
    fn announce(&self, lease: &Lease, all: &[Announcement], now: Timestamp) {
        let (tenant, id) = (&lease.tenant, lease.execution);
        if let Some(row) = self.get(tenant, id) {
            let mut triggers = self.triggers.lock();
            triggers.announce((tenant, &row.workflow), id, all, now);
        }
    }

    fn wait_for(&mut self, lease: &Lease, step: &Step, ended: bool) {
        let guards = self.guards;
        for token in step
            .waits_opened
            .iter()
            .filter(|_| guards.keep(Guard::WaitsOpened))
        {
            self.waits
                .insert((lease.tenant.clone(), token.0), lease.execution);
        }
        for token in step
            .waits_closed
            .iter()
            .filter(|_| guards.keep(Guard::WaitsClosed))
        {
            self.waits.remove(&(lease.tenant.clone(), token.0));
        }
        if ended && guards.keep(Guard::EndClosesWaits) {
            self.waits
                .retain(|(tenant, _), id| *tenant != lease.tenant || *id != lease.execution);
        }
    }

    fn begin_child(&mut self, lease: &Lease, child: NewExecution, now: Timestamp) -> Result<()> {
        let tenant = if self.keep(Guard::ChildTenant) {
            lease.tenant.clone()
        } else {
            child.tenant.clone()
        };
        let fingerprint = fingerprint(self.guards, &child)?;
        if self.get(&tenant, child.id).is_none() || !self.keep(Guard::ChildOnce) {
            let claim = child.slot.as_ref().map(SlotClaim::of_start).transpose()?;
            let id = child.id;
            let rate = child.rate.as_ref().map(Rate::of_start).transpose()?;
            let rate = rate.filter(|_| self.keep(Guard::RateOfChild));
            self.insert(&tenant, child, fingerprint, now)?;
            let turn = rate.and_then(|it| self.take_of_rate(&tenant, &it.never_full(), now));
            if let Some(RateTurn::Later { begins_at, .. }) = turn {
                self.begin_later((&tenant, id), begins_at);
                return Ok(());
            }
            if let Some(claim) = claim.filter(|_| self.keep(Guard::StartSlotOfChild)) {
                let waits = self.must_wait(&tenant, &claim, now).is_some();
                self.claim_start((&tenant, id), &claim, waits, now);
            }
        }
        Ok(())
    }

    pub(super) fn deliver(
        &mut self,
        lease: &Lease,
        deliveries: &[InboxDelivery],
        now: Timestamp,
    ) -> Result<()> {
        let guards = self.guards;
        for delivery in deliveries.iter().filter(|_| guards.keep(Guard::Deliveries)) {
            let owner = if guards.keep(Guard::DeliveryTenant) {
                None
            } else {
                self.owner(delivery.to)
            };
            let tenant = owner.unwrap_or_else(|| lease.tenant.clone());
            let before = self.get(&tenant, delivery.to).and_then(|row| row.wake_at);
            let mut signal = NewSignal {
                kind: delivery.kind.clone(),
                payload: delivery.payload.clone(),
                dedupe: delivery.dedupe.clone(),
            };
            if !guards.keep(Guard::DeliveryDedupe) || !guards.keep(Guard::ReplayWritesNothing) {
                let head = self.get(&tenant, delivery.to).map_or(0, Record::inbox_head);
                signal.dedupe.0 = format!("{}/{head}", signal.dedupe.0);
            }
            let done = self.signal(&tenant, delivery.to, signal, now);
            if matches!(done, Signalled::Unknown) && !guards.keep(Guard::DeliveryToNobody) {
                return Err(invalid(format!("there is no execution {}", delivery.to)));
            }
            if let (Some(row), false) = (
                self.get_mut(&tenant, delivery.to),
                guards.keep(Guard::DeliveryWakes),
            ) {
                row.wake_at = before;
            }
        }
        Ok(())
    }
}

fn invalid(message: impl Into<String>) -> PortError {
    PortError::new(ErrorKind::Invalid, DRIVER, "step", message)
}

/// What contradicts itself, whatever is stored.
pub(super) fn check_shape(guards: Guards, step: &Step) -> Result<()> {
    let ends = step.to.is_some_and(Status::is_terminal);
    let last = step
        .entries
        .last()
        .is_some_and(|entry| entry.fact.is_terminal());
    let before = step
        .entries
        .split_last()
        .map_or(&[][..], |(_, before)| before);
    if step.expected_seq == 0 && guards.keep(Guard::PlaceFromOne) {
        return Err(invalid("the first entry of a journal has the number 1"));
    }
    if ends && !last && guards.keep(Guard::TerminalNeedsFact) {
        return Err(invalid("a terminal status needs a terminal last entry"));
    }
    if last && !ends && guards.keep(Guard::TerminalNeedsStatus) {
        return Err(invalid("a terminal entry needs a terminal status"));
    }
    if before.iter().any(|entry| entry.fact.is_terminal()) && guards.keep(Guard::TerminalIsLast) {
        return Err(invalid("a terminal entry is not the last"));
    }
    check_slots(guards, step)
}

fn check_slots(guards: Guards, step: &Step) -> Result<()> {
    let changes = step.slots.claim.len() + step.slots.free.len();
    if changes > MAX_SLOT_CHANGES && guards.keep(Guard::SlotLimit) {
        return Err(invalid(format!(
            "{changes} changes of slots; the limit is {MAX_SLOT_CHANGES}"
        )));
    }
    for claim in &step.slots.claim {
        let capacity = claim.capacity;
        if !(1..=MAX_SLOT_CAPACITY).contains(&capacity) && guards.keep(Guard::SlotCapacity) {
            return Err(invalid(format!(
                "a claim of a slot has the capacity {capacity}; it is from 1 to {MAX_SLOT_CAPACITY}"
            )));
        }
    }
    let own = |delivery: &InboxDelivery| {
        delivery.kind.starts_with(SLOT_PREFIX) || delivery.dedupe.0.starts_with(SLOT_PREFIX)
    };
    if step.deliver.iter().any(own) && guards.keep(Guard::SlotDeliveries) {
        return Err(invalid(format!(
            "a kind or a key of a delivery begins with `{SLOT_PREFIX}`"
        )));
    }
    Ok(())
}

fn check_mark(guards: Guards, mark: u64, (through, head): (u64, u64)) -> Result<()> {
    if mark > head && guards.keep(Guard::MarkWithinInbox) {
        return Err(invalid(format!(
            "inbox item {mark} is read, but the last is {head}"
        )));
    }
    if mark < through && guards.keep(Guard::MarkNeverFalls) {
        return Err(invalid(format!(
            "the inbox was read to {through}, now to {mark}"
        )));
    }
    Ok(())
}

/// The checks, in their order.
fn refusal(
    guards: Guards,
    row: &Record,
    lease: &Lease,
    step: &Step,
    now: Timestamp,
) -> Option<Stepped> {
    let expired = row.lease.is_some() && !row.is_held(guards, now);
    let released = row.lease.is_none() && guards.keep(Guard::ReleasedWritesNothing);
    let stale = (row.epoch != lease.epoch && guards.keep(Guard::Epoch))
        || (released && !row.status.is_terminal())
        || (expired && !guards.keep(Guard::ExpiredWrites));
    let fenced = stale.then_some(Stepped::Fenced { current: row.epoch });
    let ended = row.status.is_terminal() && guards.keep(Guard::NothingFollows);
    let terminal = ended.then_some(Stepped::Terminal(row.status));
    let elsewhere = step.expected_seq != row.next_seq() && guards.keep(Guard::ExpectedSeq);
    let conflict = elsewhere.then_some(Stepped::Conflict {
        actual: row.next_seq(),
    });
    let replayed = row.has(guards, step).then(|| Stepped::Replayed {
        next_seq: row.next_seq(),
        inbox_head: row.inbox_head(),
    });

    let order = if !guards.keep(Guard::ReplayBeforeFence) {
        [terminal, fenced, replayed, conflict]
    } else if !guards.keep(Guard::ReplayBeforeTerminal) {
        [terminal, replayed, fenced, conflict]
    } else if !guards.keep(Guard::TerminalBeforeFence) {
        [replayed, fenced, terminal, conflict]
    } else if !guards.keep(Guard::FenceBeforeConflict) {
        [replayed, terminal, conflict, fenced]
    } else {
        [replayed, terminal, fenced, conflict]
    };
    order.into_iter().flatten().next()
}

/// Moves what belongs to the execution itself.
fn write(guards: Guards, row: &mut Record, lease: &Lease, step: &Step, now: Timestamp) {
    let before = row.status;
    row.append(guards, lease.epoch, &step.entries);
    row.remember(step);
    let kept = if guards.keep(Guard::StepKeepsStatus) {
        row.status
    } else {
        Status::Running
    };
    if guards.keep(Guard::StepStatus) {
        row.status = step.to.unwrap_or(kept);
    }
    if guards.keep(Guard::StoreTime) {
        row.updated_at = now;
    }
    let ended = row.status.is_terminal();
    if ended {
        row.ended_at = Some(now);
    }
    if guards.keep(Guard::WakeReplaced) || step.wake_at.is_some() {
        row.wake_at = step.wake_at;
    }
    if ended && guards.keep(Guard::EndTakesWake) {
        row.wake_at = None;
    }
    if let Some(snapshot) = &step.snapshot {
        row.snapshot = Some(snapshot.clone());
    }
    if step.release || (ended && guards.keep(Guard::EndTakesLease)) {
        row.lease = None;
    } else if row.lease.is_some() && guards.keep(Guard::StepRenews) {
        row.lease = Some(now.plus(lease.ttl));
    }
    let entries = !step.entries.is_empty() && guards.keep(Guard::EntriesAreProgress);
    let status = row.status != before && guards.keep(Guard::StatusIsProgress);
    if entries || status || !guards.keep(Guard::EmptyIsNoProgress) {
        row.grants = 0;
    }
}
