//! What a random run knows of its executions, and the steps that it makes up.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use nebula_action::Grants;
use nebula_core::{
    Clock, Digest, Entropy, ExecutionId, Group, Labels, NodeId, Priority, TenantId, Timestamp,
    WorkflowId,
};
use nebula_execution::{
    Entry, Fact, InstanceId, NewExecution, StartRate, StartSlot, Started, Status,
};
use nebula_ports::{
    DedupeKey, ExecutionSummary, InboxDelivery, Incarnation, Lease, LeaseRequest,
    MAX_SLOT_CAPACITY, MAX_SLOT_CHANGES, Quotas, SLOT_LOST, SlotChanges, SlotClaim, SlotId,
    SlotKey, SlotOwner, Snapshot, Step, StepId, WaitToken,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{ManualClock, SeededEntropy};

/// How far a run looks back for leases and steps to use again.
const MEMORY: usize = 32;

/// Whose the executions are; the first one's are more.
pub(super) const TENANTS: [&str; 2] = ["local", "other"];

/// How many wait tokens an execution has.
pub(super) const TOKENS: u64 = 2;

/// What the run has seen so far.
pub(super) struct World {
    pub(super) clock: Arc<ManualClock>,
    pub(super) random: SeededEntropy,
    pub(super) executions: Vec<(TenantId, ExecutionId)>,
    pub(super) leases: Vec<Lease>,
    pub(super) steps: Vec<(Lease, Step)>,
    /// Inbox head and mark of each execution.
    pub(super) inboxes: BTreeMap<ExecutionId, (u64, u64)>,
    /// The step that was applied last.
    pub(super) last: BTreeMap<ExecutionId, StepId>,
    /// The beginning that was applied last.
    pub(super) begun: Option<(Lease, Option<DedupeKey>, Step)>,
}

impl World {
    pub(super) fn new(clock: Arc<ManualClock>, seed: u64) -> Self {
        Self {
            clock,
            random: SeededEntropy::new(seed),
            executions: Vec::new(),
            leases: Vec::new(),
            steps: Vec::new(),
            inboxes: BTreeMap::new(),
            last: BTreeMap::new(),
            begun: None,
        }
    }

    pub(super) fn tenant(&self) -> TenantId {
        TenantId::new(*self.random.pick(&[TENANTS[0], TENANTS[0], TENANTS[1]])).expect("an id")
    }

    /// One of the executions, a young one more likely; sometimes one that never was.
    pub(super) fn execution(&self) -> (TenantId, ExecutionId) {
        if self.executions.is_empty() || self.random.chance(2) {
            return (self.tenant(), self.random.execution_id(self.clock.now()));
        }
        let young = self.executions.len().saturating_sub(6);
        let from = if self.random.chance(70) { young } else { 0 };
        self.random.pick(&self.executions[from..]).clone()
    }

    /// Labels as executions have them, mostly none.
    pub(super) fn labels(&self) -> Labels {
        let text = *self.random.pick(&["", "", "a=1", "a=2", "a=1,b=x1"]);
        let labels = match text {
            "" => Labels::default(),
            text => text.parse().expect("labels"),
        };
        let group = *self.random.pick(&["default", "default", "gpu", "eu-1.far"]);
        labels.in_group(&Group::new(group).expect("a group"))
    }

    /// An execution to begin; sometimes one that exists.
    pub(super) fn new_execution(&self, tenant: &TenantId) -> NewExecution {
        let now = self.clock.now();
        let mine: Vec<_> = self
            .executions
            .iter()
            .filter(|(owner, _)| owner == tenant)
            .collect();
        let id = match mine.last() {
            Some((_, id)) if self.random.chance(10) => *id,
            _ => self.random.execution_id(now),
        };
        let workflow = WorkflowId::new(*self.random.pick(&["orders", "refunds"])).expect("an id");
        let started = Started {
            workflow: workflow.clone(),
            version: 1,
            plan: Digest::of(workflow.as_str().as_bytes()),
            input: Arc::new(json!({ "n": self.random.below(2) })),
            input_blob: None,
            trigger_blob: None,
            vars: Value::Null,
            trigger: Value::Null,
            origin: None,
            grants: Grants::default(),
            folder: None,
            parent: None,
            repeats: None,
            trial: None,
            priority: *self.random.pick(&Priority::ALL),
            labels: self.labels(),
            trace: None,
            blobs: Vec::new(),
            part: None,
        };
        let entries = vec![Entry {
            at: now,
            fact: Fact::ExecutionStarted(Box::new(started)),
        }];
        NewExecution {
            id,
            tenant: tenant.clone(),
            workflow,
            version: 1,
            entries,
            slot: self.random.chance(40).then(|| self.start_slot()),
            rate: self.random.chance(45).then(|| self.start_rate()),
            trigger: None,
            quotas: self.quotas(),
        }
    }

    /// Seldom any, and then so few that they are used up.
    fn quotas(&self) -> Quotas {
        let few = || Some(1 + u32::from(self.random.chance(50)));
        Quotas {
            executions: self.random.chance(15).then(few).flatten(),
            starts_per_second: self.random.chance(15).then(few).flatten(),
            ..Quotas::default()
        }
    }

    /// The beginning that was applied last; sometimes as another step, or with another key.
    pub(super) fn begun_before(&self) -> Option<(Lease, Option<DedupeKey>, Step)> {
        let (lease, key, mut step) = self.begun.clone()?;
        if self.random.chance(20) {
            step.id = StepId(self.random.uuid());
        }
        let key = if self.random.chance(80) {
            key
        } else {
            Some(self.dedupe())
        };
        Some((lease, key, step))
    }

    /// A creation with its first step; mostly right, sometimes not.
    pub(super) fn beginning(&self) -> (Lease, Option<DedupeKey>, Step) {
        let (tenant, random, request) = (self.tenant(), &self.random, self.request());
        let new = self.new_execution(&tenant);
        let lease = Lease {
            tenant,
            execution: new.id,
            holder: request.holder,
            epoch: if random.chance(3) { 2 } else { 1 },
            ttl: request.ttl,
        };
        let then = self.step(&lease, None);
        let mut entries = if random.chance(3) {
            Vec::new()
        } else {
            new.entries
        };
        entries.extend(then.entries);
        let step = Step {
            expected_seq: if random.chance(3) { 2 } else { 1 },
            entries,
            inbox_through: u64::from(random.chance(4)),
            ..then
        };
        let key = random.chance(40).then(|| self.dedupe());
        (lease, key, step)
    }

    /// One of two buckets.
    fn start_rate(&self) -> StartRate {
        let below = |limit| u32::try_from(self.random.below(limit)).expect("it is small");
        StartRate {
            key: (*self.random.pick(&["slow", "fast"])).to_owned(),
            limit: 1 + below(7),
            per: Duration::from_secs(*self.random.pick(&[1, 3_600, 3_600])),
            burst: 1 + below(2),
            max_waiting: below(9),
        }
    }

    /// A slot of one of the keys that steps claim, too.
    fn start_slot(&self) -> StartSlot {
        let keys: Vec<_> = Self::slot_keys().collect();
        let below = |limit| u32::try_from(self.random.below(limit)).expect("it is small");
        StartSlot {
            key: self.random.pick(&keys).as_str().to_owned(),
            capacity: 1 + below(2),
            max_waiting: below(4),
        }
    }

    pub(super) fn dedupe(&self) -> DedupeKey {
        DedupeKey(format!("key {}", self.random.below(12)))
    }

    pub(super) fn request(&self) -> LeaseRequest {
        let holder = Incarnation(Uuid::from_u128(u128::from(self.random.below(3))));
        LeaseRequest {
            holder,
            ttl: Duration::from_secs(10),
        }
    }

    /// A lease that was granted, the latest more likely; its holder may have lost it since.
    pub(super) fn lease(&self) -> Option<Lease> {
        let young = self.leases.len().saturating_sub(4);
        let from = if self.random.chance(75) { young } else { 0 };
        let choices = &self.leases[from..];
        (!choices.is_empty()).then(|| self.random.pick(choices).clone())
    }

    pub(super) fn remember(&mut self, lease: Lease) {
        self.leases.push(lease);
        let old = self.leases.len().saturating_sub(MEMORY);
        self.leases.drain(..old);
    }

    /// A step that was sent before and may be sent again.
    ///
    /// One without entries is recognised only until another is applied: later ones are not sent again.
    pub(super) fn sent_before(&self) -> Option<(Lease, Step)> {
        let known = |(lease, step): &&(Lease, Step)| {
            !step.entries.is_empty() || self.last.get(&lease.execution) == Some(&step.id)
        };
        let choices: Vec<_> = self.steps.iter().filter(known).collect();
        (!choices.is_empty()).then(|| (*self.random.pick(&choices)).clone())
    }

    pub(super) fn sent(&mut self, lease: Lease, step: Step) {
        self.steps.push((lease, step));
        let old = self.steps.len().saturating_sub(MEMORY);
        self.steps.drain(..old);
    }

    pub(super) fn later(&self) -> Timestamp {
        let now = self.clock.now();
        let millis = i64::try_from(self.random.below(25_000)).expect("below 25,000") - 2_000;
        Timestamp::from_millis(now.as_millis() + millis)
    }

    pub(super) fn token(&self, execution: ExecutionId, n: u8) -> WaitToken {
        WaitToken(Digest::of_parts(&[execution.as_bytes(), &[n]]))
    }

    /// A step for an execution that the model describes like this; mostly right, sometimes not.
    pub(super) fn step(&self, lease: &Lease, summary: Option<&ExecutionSummary>) -> Step {
        let random = &self.random;
        let (head, mark) = self
            .inboxes
            .get(&lease.execution)
            .copied()
            .unwrap_or_default();
        let next_seq = summary.map_or(2, |summary| summary.entries + 1);
        let expected_seq = if random.chance(90) {
            next_seq
        } else {
            random.below(next_seq + 2)
        };
        let to = *random.pick(&[
            None,
            None,
            None,
            Some(Status::Running),
            Some(Status::Waiting),
            Some(Status::Waiting),
            Some(Status::Paused),
            Some(Status::Compensating),
            Some(Status::Parked),
            Some(Status::Failed),
        ]);
        let status = to
            .or(summary.map(|summary| summary.status))
            .unwrap_or(Status::Running);
        let mut entries: Vec<_> = (0..random.below(4)).map(|_| self.entry()).collect();
        if status.is_terminal() != random.chance(3) {
            entries.push(Entry {
                at: self.clock.now(),
                fact: Fact::ExecutionTimedOut,
            });
        }
        let inbox_through = match random.below(20) {
            0 => mark.saturating_sub(1),
            1 => head + 1,
            2..10 => head,
            _ => mark,
        };
        let at = expected_seq + entries.len() as u64;
        let (waits_opened, waits_closed) = self.waits(lease);
        Step {
            id: StepId(random.uuid()),
            expected_seq,
            entries,
            to,
            wake_at: random.chance(60).then(|| self.later()),
            inbox_through,
            waits_opened,
            waits_closed,
            children: if random.chance(8) {
                vec![self.new_execution(&lease.tenant)]
            } else {
                Vec::new()
            },
            announce: Vec::new(),
            deliver: self.deliveries(lease),
            slots: self.slots(),
            snapshot: random.chance(10).then(|| Snapshot {
                through: at.saturating_sub(1),
                state: vec![0, 1, 255].into(),
            }),
            // Whether a lease that expires on what waits for a person makes it due is left open.
            release: random.chance(30) || matches!(status, Status::Parked | Status::Paused),
        }
    }

    fn entry(&self) -> Entry {
        let node = NodeId::new(format!("node_{}", self.random.below(1_000))).expect("an id");
        Entry {
            at: self.clock.now(),
            fact: Fact::InstanceSkipped {
                instance: InstanceId::new(node, 1),
            },
        }
    }

    /// Tokens that a step opens and closes; never the same in one step, whose order is left open.
    fn waits(&self, lease: &Lease) -> (Vec<WaitToken>, Vec<WaitToken>) {
        let n = u8::try_from(self.random.below(TOKENS)).expect("a small number");
        let token = self.token(lease.execution, n);
        match self.random.below(10) {
            0 => (vec![token], Vec::new()),
            1 => (Vec::new(), vec![token]),
            _ => (Vec::new(), Vec::new()),
        }
    }

    /// The keys that executions share: few, so that they meet.
    pub(super) fn slot_keys() -> impl Iterator<Item = SlotKey> {
        ["a", "b", "c"]
            .map(|name| SlotKey::new(name).expect("a name"))
            .into_iter()
    }

    fn slot(&self) -> SlotId {
        let keys: Vec<_> = Self::slot_keys().collect();
        let owner = *self.random.pick(&["", "item 1"]);
        SlotId {
            key: self.random.pick(&keys).clone(),
            owner: SlotOwner::new(owner).expect("a name"),
        }
    }

    /// What a step does to slots: mostly nothing; seldom what no step may do.
    fn slots(&self) -> SlotChanges {
        let random = &self.random;
        let claims = *random.pick(&[0, 0, 0, 1, 1, 2]);
        let frees = *random.pick(&[0, 0, 0, 1, 2]);
        let frees = if random.chance(1) {
            MAX_SLOT_CHANGES + 1
        } else {
            frees
        };
        let claim = (0..claims).map(|_| SlotClaim {
            id: self.slot(),
            capacity: match random.below(60) {
                0 => 0,
                1 => MAX_SLOT_CAPACITY + 1,
                n => *random.pick(&[1, 1, 2, 2 + u32::from(n > 30)]),
            },
        });
        SlotChanges {
            claim: claim.collect(),
            free: (0..frees).map(|_| self.slot()).collect(),
        }
    }

    fn deliveries(&self, lease: &Lease) -> Vec<InboxDelivery> {
        if !self.random.chance(15) {
            return Vec::new();
        }
        let (_, to) = self.execution();
        let kinds = ["child", "child", "child", SLOT_LOST];
        let (dedupe, kind) = (self.dedupe(), (*self.random.pick(&kinds)).to_owned());
        // What a step delivers to its own execution is left open.
        let others = (to != lease.execution).then(|| InboxDelivery {
            to,
            dedupe,
            kind,
            payload: json!(1),
        });
        others.into_iter().collect()
    }
}
