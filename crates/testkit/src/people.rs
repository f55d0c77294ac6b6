//! People who answer whatever executions ask them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use nebula::{
    Nebula,
    engine::{Report, Until, Waiting},
};
use nebula_core::{Clock as _, ExecutionId, TenantId};
use nebula_execution::{Ballot, Choice, InstanceId, NamedSignal, UnparkDecision};
use serde_json::{Value, json};

use crate::{Ledger, ManualClock};

/// How often people look at an execution and answer.
const MAX_LOOKS: usize = 100;

/// How long an answer takes to be heard.
const HEARD: Duration = Duration::from_millis(200);

/// People who look after executions until they have ended.
///
/// They send the signals that are waited for, with their names as payloads; approve what they are
/// asked, each of the approvers or `ada`; let go on what is paused; and say of effects of which nobody
/// knows whether they happened that they did.
#[derive(Debug, Clone)]
pub struct People {
    clock: ManualClock,
    answers: Value,
}

impl People {
    /// People who say something else where `answers` has it, by the name of a signal or the instance
    /// of an approval, with its path or without: a payload, or `approve`, `reject` or `defer`. To what is null they say nothing.
    #[must_use]
    pub fn new(clock: &ManualClock, answers: Value) -> Self {
        Self {
            clock: clock.clone(),
            answers,
        }
    }

    /// Waits until an execution has ended, and answers whatever it asks; some process must work
    /// meanwhile.
    ///
    /// # Panics
    /// If it waits for something that nobody can give.
    pub async fn see_off(&self, nebula: &Nebula, id: ExecutionId) -> Report {
        for _ in 0..MAX_LOOKS {
            let report = self.look(nebula, id).await;
            if report.status.is_terminal() {
                return report;
            }
            let answers = self.answer(nebula, &report).await;
            let rest = match report.wake_at {
                Some(due) if answers == 0 => due.since(self.clock.now()),
                None if answers == 0 => panic!("nobody can let it go on: {report:?}"),
                _ => Duration::ZERO,
            };
            self.clock.sleep(rest + HEARD).await;
        }
        panic!("{id} does not hear what people say")
    }

    /// Waits until an execution waits for a signal, or has ended; some process must work meanwhile.
    ///
    /// # Panics
    /// If the store fails.
    pub async fn await_question(&self, nebula: &Nebula, id: ExecutionId) {
        loop {
            let report = self.look(nebula, id).await;
            let mut waiting = report.waiting.iter();
            if report.status.is_terminal() || waiting.any(|it| matches!(it, Waiting::Signal { .. }))
            {
                return;
            }
            self.clock.sleep(HEARD).await;
        }
    }

    async fn look(&self, nebula: &Nebula, id: ExecutionId) -> Report {
        let until = Until::EndedOrParked;
        let report = nebula.engine().outcome(&tenant(), id, until, None).await;
        let report = report.expect("the store answers");
        report.expect("it has the execution")
    }

    fn says(&self, name: &str, otherwise: impl FnOnce() -> Value) -> Option<Value> {
        let node = name.rsplit('/').next().unwrap_or(name);
        match self.answers.get(name).or_else(|| self.answers.get(node)) {
            Some(Value::Null) => None,
            Some(said) => Some(said.clone()),
            None => Some(otherwise()),
        }
    }

    /// Answers what an execution asks; how many answers there were.
    async fn answer(&self, nebula: &Nebula, report: &Report) -> usize {
        let (engine, tenant, id) = (nebula.engine(), tenant(), report.execution);
        let mut answers = 0;
        for waiting in &report.waiting {
            let said = match waiting {
                Waiting::Signal { instance, name, .. } => {
                    let Some(payload) = self.says(name, || json!(name)) else {
                        continue;
                    };
                    let signal = NamedSignal::new(name, instance, Arc::new(payload));
                    let signal = signal.expect("it has a name that signals may have");
                    engine.send(&tenant, id, signal).await
                }
                Waiting::Approval {
                    instance,
                    approvers,
                    ..
                } => {
                    answers += self.vote(nebula, id, instance, approvers).await;
                    continue;
                }
                Waiting::Unpause => engine.unpause(&tenant, id).await,
                Waiting::Decision { instance, .. }
                | Waiting::CompensationDecision { instance, .. } => {
                    let decision = UnparkDecision::Succeeded(Arc::new(json!("decided")));
                    let instance = Some(parsed(instance));
                    engine.unpark(&tenant, id, instance, decision).await
                }
                _ => continue,
            };
            let _signalled = said.expect("the store answers");
            answers += 1;
        }
        answers
    }

    /// Lets everybody vote who may; how many votes there were.
    async fn vote(
        &self,
        nebula: &Nebula,
        id: ExecutionId,
        instance: &str,
        approvers: &[String],
    ) -> usize {
        let Some(said) = self.says(instance, || json!("approve")) else {
            return 0;
        };
        let choice = match said.as_str() {
            Some("defer") => Choice::Defer,
            Some("reject") => Choice::Reject,
            _ => Choice::Approve,
        };
        let engine = nebula.engine();
        let open = engine.approvals(&tenant(), id).await;
        let open = open.expect("the store answers").unwrap_or_default();
        let mut open = open.into_iter();
        let Some(open) = open.find(|it| it.instance.to_string() == instance) else {
            return 0;
        };
        let ada = ["ada".to_owned()];
        let voters = if approvers.is_empty() {
            &ada[..]
        } else {
            approvers
        };
        for by in voters {
            let ballot = Ballot {
                instance: open.instance.clone(),
                round: open.approval.round,
                id: format!("{instance} {by}"),
                by: by.clone(),
                choice,
                comment: None,
                seat: None,
                at: None,
            };
            let voted = engine.vote(&tenant(), id, ballot).await;
            let _voted = voted.expect("the store answers");
        }
        voters.len()
    }
}

/// What came of an execution, as far as no death of a process may change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its status, and its output or the code of its failure.
    pub gives: String,
    /// How its nodes ended, sorted; those of bodies are closed with their runs.
    pub nodes: Vec<String>,
    /// What it told.
    pub events: Vec<String>,
    /// Under how many keys each effect arrived outside. Those whose labels begin with `maybe` are left
    /// out: what must not be repeated may not have happened, and a person has said that it did.
    pub effects: BTreeMap<String, usize>,
    /// The labels of effects in the order in which they happened, without repetitions in a row.
    pub order: Vec<String>,
}

impl Ended {
    /// Reads a report, and what happened outside.
    ///
    /// # Panics
    /// If an effect whose label begins with `maybe` happened twice.
    #[must_use]
    pub fn new(report: &Report, ledger: &Ledger) -> Self {
        let end = match &report.error {
            Some(error) => error.code.clone(),
            None => report.output.to_string(),
        };
        let nodes = report.nodes.iter().filter(|(id, _)| !id.contains('/'));
        let nodes = nodes.map(|(id, activations)| {
            let states = activations.iter().map(|it| it["status"].as_str());
            let states: Vec<_> = states.map(|state| state.unwrap_or("?")).collect();
            format!("{id}:{}", states.join(","))
        });
        let mut nodes: Vec<_> = nodes.collect();
        nodes.sort_unstable();
        let events = report.events.iter();
        let events = events.map(|it| it["event"].as_str().unwrap_or("?").to_owned());
        let mut order = ledger.labels();
        let mut effects = BTreeMap::new();
        for label in &order {
            let mut keys = ledger.keys(label);
            if label.starts_with("maybe ") {
                assert_eq!(keys.len(), 1, "`{label}` twice");
                continue;
            }
            keys.sort_unstable();
            keys.dedup();
            effects.insert(label.clone(), keys.len());
        }
        order.retain(|label| effects.contains_key(label));
        order.dedup();
        Self {
            gives: format!("{} {end}", report.status),
            nodes,
            events: events.collect(),
            effects,
            order,
        }
    }
}

fn parsed(instance: &str) -> InstanceId {
    instance.parse().expect("a report has ids that can be read")
}

fn tenant() -> TenantId {
    TenantId::local()
}
