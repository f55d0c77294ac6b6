//! What an execution did, as its journal tells it: which instances ended how, and in which order.

use std::{collections::BTreeMap, sync::Arc};

use nebula_core::{ExecutionId, TenantId};
use nebula_execution::{ExecutionPlan, Fact, InstanceStatus, Machine, Status, StoredEntry};
use nebula_ports::{ExecutionRepo, Snapshot, WorkflowRepo};
use serde_json::Value;

/// How many entries are read at a time.
const PAGE: usize = 1_000;

/// One activation of a node. Entries of the journal are the only time that it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lived {
    /// The entry after which it was there.
    pub began: u64,
    /// The entry after which it had ended.
    pub ended: Option<u64>,
    /// How it ended, or how it stands.
    pub status: InstanceStatus,
}

/// What an execution did.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// How it ended, or stands.
    pub status: Status,
    /// What it gave.
    pub output: Value,
    /// The code of its failure.
    pub failure: Option<String>,
    /// Every activation of every node, by the text form of its instance.
    pub lived: BTreeMap<String, Lived>,
    /// The instances whose effects were undone, in that order.
    pub undone: Vec<String>,
}

impl History {
    /// Folds the journal of an execution, entry by entry, over the plan that it began with.
    pub(crate) async fn read(
        executions: &dyn ExecutionRepo,
        workflows: &dyn WorkflowRepo,
        id: ExecutionId,
        snapshots: Vec<Snapshot>,
    ) -> Self {
        let (tenant, mut entries, mut next) = (TenantId::local(), Vec::new(), Some(1));
        while let Some(from) = next {
            let page = executions.journal(&tenant, id, from, PAGE).await;
            let page = page.expect("the store answers");
            entries.extend(page.entries);
            next = page.next;
        }
        let Some(Fact::ExecutionStarted(started)) = entries.first().map(|it| &it.entry.fact) else {
            panic!("the journal of {id} does not begin with a start");
        };
        let plan = workflows.plan(&tenant, started.plan).await;
        let plan = plan.expect("the store answers").expect("it has the plan");
        let plan = ExecutionPlan::decode(&plan).expect("the plan can be read");
        Self::folded(
            Machine::new(Arc::new(plan), tenant, id),
            &entries,
            &snapshots,
        )
    }

    fn folded(mut machine: Machine, entries: &[StoredEntry], snapshots: &[Snapshot]) -> Self {
        let mut lived = BTreeMap::new();
        for entry in entries {
            machine.apply(entry);
            observe(&machine, entry.seq, &mut lived);
            for lived in snapshots.iter().filter(|it| it.through == entry.seq) {
                let (lived, replayed) = (text(&lived.state), text(&machine.snapshot()));
                assert_eq!(
                    replayed, lived,
                    "replayed, lived, after entry {}",
                    entry.seq
                );
            }
        }
        let state = machine.state();
        Self {
            status: state.end_status().unwrap_or(Status::Running),
            output: state
                .output()
                .map(|output| (**output).clone())
                .unwrap_or_default(),
            failure: state
                .failure()
                .map(|failure| failure.error.code.to_string()),
            lived,
            undone: entries.iter().filter_map(undone).collect(),
        }
    }

    /// How it ended and which instances did, such as `completed: a b, skipped c, cancelled d`.
    /// Instances stand in alphabetical order.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut groups: BTreeMap<_, Vec<&str>> = BTreeMap::new();
        for (id, lived) in &self.lived {
            let status = format!("{:?}", lived.status).to_lowercase();
            // Those that succeeded come first and need no word.
            let word = if lived.status == InstanceStatus::Succeeded {
                String::new()
            } else {
                format!("{status} ")
            };
            groups.entry(word).or_default().push(id);
        }
        let groups = groups
            .iter()
            .map(|(word, ids)| format!("{word}{}", ids.join(" ")));
        format!("{}: {}", self.status, groups.collect::<Vec<_>>().join(", "))
    }

    /// Checks how it ended ([`History::shown`]), and then the order: each of `order`, separated by
    /// commas, is `a < b` (the first ended before the second began, also for several in a row), or
    /// `a | b` (each began before the other ended).
    ///
    /// # Panics
    /// If something else became of it.
    pub fn check(&self, shown: &str, order: &str) {
        assert_eq!(self.shown(), shown);
        for relation in order.split(',').map(str::trim).filter(|it| !it.is_empty()) {
            let chain: Vec<_> = relation.split('<').map(str::trim).collect();
            for pair in chain.windows(2) {
                self.is_before(pair[0], pair[1], relation);
            }
            let beside: Vec<_> = relation.split('|').map(str::trim).collect();
            for pair in beside.windows(2) {
                self.is_beside(pair[0], pair[1], relation);
            }
        }
    }

    fn is_before(&self, first: &str, second: &str, relation: &str) {
        let (a, b) = (self.of(first), self.of(second));
        let holds = a.ended.is_some_and(|ended| ended <= b.began);
        assert!(holds, "`{relation}` does not hold: {a:?}, {b:?}");
    }

    fn is_beside(&self, first: &str, second: &str, relation: &str) {
        let (a, b) = (self.of(first), self.of(second));
        let holds = a.began < b.ended.unwrap_or(u64::MAX) && b.began < a.ended.unwrap_or(u64::MAX);
        assert!(holds, "`{relation}` does not hold: {a:?}, {b:?}");
    }

    /// One activation.
    ///
    /// # Panics
    /// If there was none.
    #[must_use]
    pub fn of(&self, instance: &str) -> Lived {
        let lived = self.lived.get(instance).copied();
        lived.unwrap_or_else(|| panic!("there is no {instance}: {}", self.shown()))
    }
}

/// Whose effect an entry says was undone.
fn undone(entry: &StoredEntry) -> Option<String> {
    match &entry.entry.fact {
        Fact::CompensationSucceeded { instance, .. } => Some(instance.to_string()),
        _ => None,
    }
}

/// Notes what the entry `seq` made of the activations.
fn observe(machine: &Machine, seq: u64, lived: &mut BTreeMap<String, Lived>) {
    let (plan, state) = (machine.plan(), machine.state());
    let mut there = std::collections::BTreeSet::new();
    for (at, activation) in state.all() {
        let instance = state.instance(plan, at.whole()).to_string();
        let new = Lived {
            began: seq,
            ended: None,
            status: activation.status,
        };
        let known = lived.entry(instance.clone()).or_insert(new);
        known.status = activation.status;
        if has_ended(activation.status) {
            known.ended.get_or_insert(seq);
        }
        there.insert(instance);
    }
    // What a closed run of a body had left open was stopped.
    for (instance, known) in lived.iter_mut() {
        if known.ended.is_none() && !there.contains(instance) {
            known.ended = Some(seq);
            known.status = InstanceStatus::Cancelled;
        }
    }
}

fn has_ended(status: InstanceStatus) -> bool {
    use InstanceStatus::{Cancelled, Compensated, Failed, Skipped, Succeeded};
    matches!(
        status,
        Succeeded | Failed | Skipped | Cancelled | Compensated
    )
}

fn text(state: &[u8]) -> String {
    String::from_utf8_lossy(state).into_owned()
}
