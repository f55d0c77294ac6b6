//! The way of one execution while it is in memory.
//!
//! A round: do what the machine commands; read the inbox if something is there; commit what was
//! decided; begin what had to wait for the commit; wait for whatever comes first. Pure work is done
//! in place, so a chain of pure nodes is decided whole before its one commit. Attempts that are under
//! way go on whatever the drive waits for.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use nebula_action::{ActionError, ActionKind, ControlKind, ErrorClass};
use nebula_core::{BoxFuture, Digest, ExecutionId, Timestamp};
use nebula_execution::{
    ClaimedSlot, Command, Decision, Elements, Entry, Event, InstanceId, Machine, NewExecution,
    Part, Rest, ResumeKey, Status, Stored,
};
use nebula_ports::{Granted, InboxDelivery, Invocation, Lease, PortError};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::{
    approvals::waits, begin::Unborn, blobs::Put, finish::Finished, flush::weight,
    grants::NodeGrants, items::Segment, kept::State, lease::LeaseEnd, memory::Held, sync::Notify,
    worker::Shared,
};

/// How an execution left the worker's hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driven {
    /// It has ended.
    Ended,
    /// Nothing to do until then, or until somebody rings.
    Rests {
        /// When.
        due: Option<Timestamp>,
    },
    /// Somebody else has it, or nothing is to be done.
    NotOurs,
    /// The lease is gone, or may be.
    Lost,
}

/// For how many entries and commands of a decision room is kept: most have one of each.
const KEPT: usize = 4;
/// For how many entries of an execution that begins there is room at once, at most.
const BEGINS_WITH: usize = 32;

/// One execution in this worker's hands.
pub(crate) struct Drive {
    pub(crate) shared: Arc<Shared>,
    pub(crate) machine: Machine,
    pub(crate) lease: Lease,
    /// Where the store says that the execution stands.
    pub(crate) status: Status,
    pub(crate) next_seq: u64,
    pub(crate) inbox_head: u64,
    /// The last inbox item that is in the machine; committed with the next step.
    pub(crate) inbox_through: u64,
    /// The entries that wait for their commit.
    pub(crate) pending: Vec<Entry>,
    /// About how many bytes their results have.
    pub(crate) pending_bytes: usize,
    /// By our own clock: when the oldest of them was decided.
    pub(crate) pending_since: Duration,
    /// Whether something but entries waits for a commit: an inbox mark.
    pub(crate) marked: bool,
    /// Whether holders before us went away without a commit, and we have made none yet.
    pub(crate) unproven: bool,
    /// By our own clock: until when the lease is certainly ours.
    pub(crate) lease_until: Duration,
    /// The same, for attempts.
    pub(crate) lease_end: LeaseEnd,
    /// By our own clock: when it is to be renewed.
    pub(crate) renew_at: Duration,
    pub(crate) last_snapshot: u64,
    /// How many bytes it has.
    pub(crate) snapshot_bytes: usize,
    /// About how many bytes of results came into the journal after it.
    pub(crate) bytes_since_snapshot: usize,
    commands: VecDeque<Command>,
    /// How many of them say to stop.
    aborts: usize,
    /// What the last decision was made in, for the next one.
    decision: Decision,
    pub(crate) attempts: FuturesUnordered<BoxFuture<'static, Finished>>,
    /// Attempts that ended while the drive waited for something else.
    pub(crate) finished: VecDeque<Finished>,
    pub(crate) running: BTreeMap<InstanceId, CancellationToken>,
    /// Whether they were told to stop because the worker does.
    pub(crate) stops: bool,
    /// What those put that may put blobs.
    pub(crate) put: BTreeMap<InstanceId, Put>,
    /// Attempts that are resolved and begin once their start is committed.
    pub(crate) prepared: BTreeMap<InstanceId, Box<Invocation>>,
    pub(crate) cleared: Vec<InstanceId>,
    /// Children that are ready and begin with the step that says so.
    pub(crate) children: BTreeMap<ExecutionId, NewExecution>,
    /// What goes into other inboxes with the next step and follows from no entry.
    pub(crate) deliver: Vec<InboxDelivery>,
    /// Lists of open `for_each` instances: expressions give the same list again after a crash.
    pub(crate) lists: BTreeMap<InstanceId, Elements>,
    /// What parts of the list that is being cut begin with, all alike.
    pub(crate) part: Option<Part>,
    /// The part of a long one that was read last.
    pub(crate) segment: Option<Segment>,
    /// What it holds in memory.
    pub(crate) held: Held,
    /// Whether results of it lie in blobs.
    pub(crate) names_blobs: bool,
    /// Those of them that are at hand now.
    pub(crate) read: Vec<Arc<Stored>>,
    pub(crate) grants: NodeGrants,
    /// From which resume tokens follow; none where the plan asks nobody.
    pub(crate) resume: Option<ResumeKey>,
    /// The hashes of the resume tokens that the store waits on for this execution.
    pub(crate) waits: BTreeSet<Digest>,
    /// Before when it must not begin.
    pub(crate) begins_at: Option<Timestamp>,
    /// The slots of bodies that the store has for the execution.
    pub(crate) slots: BTreeSet<ClaimedSlot>,
    /// Who waits for the execution to exist, until it does: its start is the first of the entries
    /// that wait for their commit, and no lease is in the store.
    pub(crate) unborn: Option<Unborn>,
    bell: Arc<Notify>,
    shutdown: CancellationToken,
}

/// What a drive waited for.
enum Woken {
    Attempt(Finished),
    Rung,
    Renew,
    Due,
    Shutdown,
}

/// Why a drive stops before its execution rests.
pub(crate) enum Stop {
    /// The lease is gone, or may be: nothing more is written.
    Lost,
    /// The store failed.
    Store(PortError),
}

impl From<PortError> for Stop {
    fn from(error: PortError) -> Self {
        Self::Store(error)
    }
}

impl Drive {
    pub(crate) fn new(
        shared: Arc<Shared>,
        machine: Machine,
        granted: Granted,
        asked: Duration,
        bell: Arc<Notify>,
        shutdown: CancellationToken,
    ) -> Self {
        let grants = NodeGrants::new(machine.plan(), machine.state());
        let approval = ActionKind::Control(ControlKind::Approval);
        let asks = machine.plan().nodes.iter().any(|it| it.kind == approval);
        let resume = shared.ports.resume.clone().filter(|_| asks);
        let waits = resume.as_ref().map(|key| waits(key, &machine));
        let slots = machine.slots();
        let held = Held::new(&shared, &machine);
        let names_blobs = machine.state().names_blobs();
        let mut drive = Self {
            shared,
            held,
            machine,
            status: granted.status,
            begins_at: granted.begins_at,
            next_seq: granted.next_seq,
            inbox_head: granted.inbox_head,
            inbox_through: granted.inbox_through,
            pending: Vec::new(),
            pending_bytes: 0,
            pending_since: Duration::ZERO,
            marked: false,
            unproven: granted.grants_without_progress > 0,
            lease_until: Duration::ZERO,
            lease_end: LeaseEnd::default(),
            renew_at: Duration::ZERO,
            snapshot_bytes: granted.snapshot.as_ref().map_or(0, |it| it.state.len()),
            bytes_since_snapshot: 0,
            last_snapshot: granted.snapshot.map_or(0, |snapshot| snapshot.through),
            lease: granted.lease,
            commands: VecDeque::new(),
            aborts: 0,
            decision: Decision::default(),
            attempts: FuturesUnordered::new(),
            finished: VecDeque::new(),
            running: BTreeMap::new(),
            stops: false,
            put: BTreeMap::new(),
            prepared: BTreeMap::new(),
            cleared: Vec::new(),
            children: BTreeMap::new(),
            deliver: Vec::new(),
            lists: BTreeMap::new(),
            part: None,
            segment: None,
            names_blobs,
            read: Vec::new(),
            grants,
            resume,
            waits: waits.unwrap_or_default(),
            slots,
            unborn: None,
            bell,
            shutdown,
        };
        drive.renewed_at(asked);
        drive
    }

    /// What is left of it once it rests, for when it goes on here; of values in blobs only the names.
    pub(crate) fn leaves(&mut self) -> (State, usize) {
        self.read.drain(..).for_each(|stored| stored.forget());
        let (plan, tenant) = (self.machine.plan().clone(), self.lease.tenant.clone());
        let gone = Machine::new(plan, tenant, self.lease.execution);
        let state = State {
            machine: std::mem::replace(&mut self.machine, gone),
            next_seq: self.next_seq,
            snapshot: (
                self.last_snapshot,
                self.snapshot_bytes,
                self.bytes_since_snapshot,
            ),
        };
        (state, self.held.state_bytes())
    }

    /// Has the execution begin with its first step, of which `entries` are the first.
    pub(crate) fn bears(&mut self, unborn: Unborn, entries: Vec<Entry>) {
        self.unborn = Some(unborn);
        self.next_seq = 1;
        self.pending = entries;
        // One for each node, and the end.
        let entries = self.machine.plan().nodes.len() + 1;
        self.pending.reserve_exact(entries.min(BEGINS_WITH));
        self.pending_since = self.shared.ports.clock.monotonic();
    }

    /// Drives until the execution ends, rests, or is no longer ours.
    pub(crate) async fn run(&mut self) -> Result<Driven, PortError> {
        match self.rounds().await {
            Ok(driven) => Ok(driven),
            Err(Stop::Lost) => {
                debug!(execution = %self.lease.execution, "the lease is gone");
                Ok(Driven::Lost)
            }
            Err(Stop::Store(error)) => Err(error),
        }
    }

    async fn rounds(&mut self) -> Result<Driven, Stop> {
        self.tell(Event::Begin);
        // Before anything begins: somebody may have said that nothing is to.
        while self.has_mail() && Box::pin(self.read_inbox()).await? {}
        if self.takes_turns() {
            // On the heap, so that what needs no turn is no larger for it.
            if let Some(driven) = Box::pin(self.wait_for_turn()).await? {
                return Ok(driven);
            }
        }
        self.tell(Event::Admitted);
        loop {
            // On the heap, so that what waits is no larger for what it does before and afterwards.
            if let Some(driven) = Box::pin(self.work_and_rest()).await? {
                return Ok(driven);
            }
            match self.wait().await {
                Woken::Attempt(finished) => {
                    if let Some(reading) = self.take_in(finished) {
                        reading.await?;
                    }
                }
                Woken::Rung | Woken::Renew => Box::pin(self.renew()).await?,
                Woken::Due => self.tell(Event::Tick),
                // On the heap, so that what waits is no larger for how it ends.
                Woken::Shutdown => return Box::pin(self.drain()).await,
            }
        }
    }

    /// Does what can be done now, and then rests if nothing is left to wait for in memory.
    async fn work_and_rest(&mut self) -> Result<Option<Driven>, Stop> {
        self.work().await?;
        self.rest().await
    }

    /// Does everything that can be done now: commands, inbox, commit, and what the commit allows.
    async fn work(&mut self) -> Result<(), Stop> {
        loop {
            while let Some(command) = self.next_command() {
                self.hold().await?;
                self.execute(command).await?;
                if self.must_flush() {
                    self.commit().await?;
                    // Long pure work hears of a cancellation here, not only at its end.
                    if !self.read_inbox().await? {
                        self.begin_cleared().await?;
                    }
                    self.let_attempts_go_on();
                }
            }
            if self.read_inbox().await? {
                continue;
            }
            let resting = !matches!(self.machine.rest(), Rest::Busy) && !self.is_acting();
            // A slot that is free comes with the step that claims it.
            if resting && self.cleared.is_empty() && !self.claims_slot() {
                // The last step carries the status as well.
                return Ok(());
            }
            if !self.pending.is_empty() || self.marked {
                self.commit().await?;
                if resting || self.inbox_head > self.inbox_through {
                    // It may say that nothing more is to begin.
                    continue;
                }
            }
            if self.cleared.is_empty() {
                return Ok(());
            }
            self.begin_cleared().await?;
        }
    }

    /// The next thing to do. Of a worker that stops, only what the journal is to say of attempts
    /// that begin: all else is left to the next holder.
    fn next_command(&mut self) -> Option<Command> {
        if self.shutdown.is_cancelled() {
            self.commands
                .retain(|command| matches!(command, Command::Start { .. } | Command::Abort { .. }));
        }
        let next = self.commands.pop_front();
        self.aborts -= usize::from(matches!(next, Some(Command::Abort { .. })));
        next
    }

    /// Leaves what was commanded to the next holder.
    pub(crate) fn forget_commands(&mut self) {
        self.commands.clear();
        self.aborts = 0;
    }

    /// Begins what had to wait for its commit, but for what was told to stop meanwhile.
    async fn begin_cleared(&mut self) -> Result<(), Stop> {
        if self.cleared.is_empty() {
            return Ok(());
        }
        self.hold().await?;
        for instance in std::mem::take(&mut self.cleared) {
            if self.is_called_off(&instance) {
                self.cleared.push(instance);
            } else {
                self.begin_prepared(&instance);
            }
        }
        Ok(())
    }

    /// Gives every attempt that can go on a chance to, without waiting for any.
    pub(crate) fn let_attempts_go_on(&mut self) {
        while let Some(Some(finished)) = self.attempts.next().now_or_never() {
            self.finished.push_back(finished);
        }
    }

    /// Whether attempts are under way, or have ended without the machine knowing.
    pub(crate) fn is_acting(&self) -> bool {
        !self.attempts.is_empty() || !self.finished.is_empty()
    }

    /// Commits the last step and gives the execution away, if there is nothing to do for a while.
    async fn rest(&mut self) -> Result<Option<Driven>, Stop> {
        let now = self.shared.ports.clock.now();
        let (to, due) = match self.machine.rest() {
            Rest::Busy => return Ok(None),
            Rest::Ended(status) => (status, None),
            Rest::Parked { due } => (Status::Parked, due),
            Rest::Paused { due } => (Status::Paused, due),
            Rest::Waiting { due } => (Status::Waiting, due),
            Rest::Compensating { due } => (Status::Compensating, due),
        };
        if self.is_acting() {
            return Ok(None);
        }
        if let Some(due) = due
            && due.since(now) <= self.shared.config.wait_in_memory
            // A wait is no progress: a few workers that die meanwhile would make it poison.
            && !self.unproven
            && matches!(to, Status::Waiting | Status::Compensating)
        {
            if !self.pending.is_empty() || self.marked {
                self.commit().await?;
            }
            return Ok(None);
        }
        self.commit_last(to, due).await?;
        if to.is_terminal() {
            return Ok(Some(Driven::Ended));
        }
        // What arrived meanwhile made it due at once.
        let unread = self.inbox_head > self.inbox_through;
        Ok(Some(Driven::Rests {
            due: if unread { Some(now) } else { due },
        }))
    }

    async fn wait(&mut self) -> Woken {
        if let Some(finished) = self.finished.pop_front() {
            return Woken::Attempt(finished);
        }
        let clock = self.shared.ports.clock.clone();
        let due = self.machine.next_due();
        let due = async {
            match due {
                // One millisecond more: a timer never fires early, also where clocks round down.
                Some(due) => {
                    clock
                        .sleep(due.since(clock.now()) + Duration::from_millis(1))
                        .await;
                }
                None => std::future::pending().await,
            }
        };
        let renew_in = self.renew_at.saturating_sub(clock.monotonic());
        tokio::select! {
            biased;
            Some(finished) = self.attempts.next(), if !self.attempts.is_empty() => Woken::Attempt(finished),
            () = self.bell.notified() => Woken::Rung,
            () = self.shutdown.cancelled() => Woken::Shutdown,
            () = clock.sleep(renew_in) => Woken::Renew,
            () = due => Woken::Due,
        }
    }

    /// Tells the machine, takes its entries and commands.
    pub(crate) fn tell(&mut self, event: Event) {
        let at = self
            .shared
            .ports
            .clock
            .now()
            .max(self.machine.state().started_at());
        let mut decision = std::mem::take(&mut self.decision);
        self.machine.decide_into(event, at, &mut decision);
        for entry in &decision.entries {
            self.pending_bytes += weight(&entry.fact);
            self.counts(&entry.fact);
            entry.fact.each_stored(&mut |_| self.names_blobs = true);
        }
        if self.pending.is_empty() {
            self.pending_since = self.shared.ports.clock.monotonic();
        }
        self.pending.append(&mut decision.entries);
        for command in decision.commands.drain(..) {
            self.aborts += usize::from(matches!(command, Command::Abort { .. }));
            match command {
                // It is asked about each end by itself, before anything that was commanded earlier.
                weigh @ Command::Weigh { .. } => self.commands.push_front(weigh),
                other => self.commands.push_back(other),
            }
        }
        if decision
            .commands
            .capacity()
            .max(decision.entries.capacity())
            <= KEPT
        {
            self.decision = decision;
        }
    }

    async fn execute(&mut self, command: Command) -> Result<(), Stop> {
        if self.names_blobs {
            // By itself, since most executions have nothing in blobs.
            Box::pin(self.read_before(&command)).await?;
        }
        let done = self.carry_out(command).await;
        self.let_go();
        done
    }

    async fn carry_out(&mut self, command: Command) -> Result<(), Stop> {
        match command {
            Command::Run {
                instance,
                attempt,
                journal_start,
            } => {
                if self.is_called_off(&instance) {
                    self.failed_with(instance, called_off(), 0);
                } else if self.machine.state().is_paused() || self.machine.lacks_slot(&instance) {
                    self.tell(Event::Withheld { instance });
                } else {
                    self.run_attempt(instance, attempt, journal_start).await?;
                }
            }
            Command::Start { instance } => self.cleared.push(instance),
            Command::Open { instance } => self.open(&instance),
            Command::Weigh { instance } => self.weigh(instance),
            Command::Collect { instance, error } => self.collect(instance, error),
            Command::Enter { instance } => Box::pin(self.enter(instance)).await?,
            Command::Catch { instance, failure } => self.catch(instance, &failure),
            Command::Fire { instance } => self.fire(instance),
            Command::Take { instance } => self.take(instance),
            Command::Expire { instance } => self.expire(instance),
            Command::Settle { instance } => self.settle(instance),
            Command::Compensate { instance, attempt } => {
                if self.machine.state().is_paused() {
                    self.tell(Event::Withheld { instance });
                } else {
                    self.compensate(instance, attempt);
                }
            }
            Command::Reconcile { instance, attempt } => self.reconcile(instance, attempt),
            Command::Abort { instance } => {
                if let Some(token) = self.running.get(&instance) {
                    token.cancel();
                }
                if let Some(invocation) = self.prepared.get(&instance) {
                    invocation.context.cancellation.cancel();
                }
            }
            Command::Cut { instance, most } => Box::pin(self.cut(instance, most)).await?,
            Command::CancelChild { child } => self.cancel_child(child),
            Command::Output => self.evaluate_output(),
        }
        Ok(())
    }

    /// Whether the machine has told this instance to stop since it told it to run.
    fn is_called_off(&self, instance: &InstanceId) -> bool {
        if self.aborts == 0 {
            // Else each of many that begin at once would look at all of them.
            return false;
        }
        let mut commands = self.commands.iter();
        commands.any(
            |command| matches!(command, Command::Abort { instance: other } if other == instance),
        )
    }
}

impl Drop for Drive {
    /// Attempts end with their drive; what they have begun elsewhere learns it here.
    fn drop(&mut self) {
        for token in self.running.values() {
            token.cancel();
        }
    }
}

/// What an attempt gives that was told to stop before it began.
pub(crate) fn called_off() -> ActionError {
    ActionError::new(
        "CANCELLED",
        "it was told to stop before it began",
        ErrorClass::Cancelled,
    )
}
