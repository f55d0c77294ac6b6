//! What an execution did, folded from its journal.

use std::borrow::Cow;

use indexmap::IndexMap;
use nebula_core::{ExecutionId, NodeId, TenantId, Timestamp, WorkflowId};
use nebula_execution::{Again, Ending, Fact, Machine, Parent, Status, Tries};
use nebula_ports::{ExecutionSummary, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Engine, Waiting, replay::Folded, waiting::waiting};

/// What became of an effect that is undone. JSON: `{ "instance", "status" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compensated {
    /// Whose effect.
    pub instance: String,
    /// How far that is.
    pub status: CompensationStatus,
}

/// How far an effect is undone. JSON: snake case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompensationStatus {
    /// It was undone.
    Compensated,
    /// A person gave that up: the effect stands.
    GivenUp,
    /// Somebody has begun to undo it.
    Running,
    /// A person must decide.
    Parked,
    /// Its turn comes.
    Pending,
}

impl CompensationStatus {
    /// The name in JSON and on screen.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compensated => "compensated",
            Self::GivenUp => "given_up",
            Self::Running => "running",
            Self::Parked => "parked",
            Self::Pending => "pending",
        }
    }
}

/// What an execution did. JSON: `{ "execution", "status", "output", "error", "nodes" }`, where
/// `nodes` has for each node that was reached a list of `{ "activation", "status", "port",
/// "output", "attempts", "started_at", "ended_at" }`; after 1,000 of them `{ "truncated": n }`.
/// An output that lies in a blob which cannot be read is null, and `output_unreadable` says why.
/// A node of a body stands under the path of those in whose bodies it stands, `orders/price`, and
/// says in `instance` of which run it was: `orders[3]/price`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Which execution.
    pub execution: ExecutionId,
    /// Of which workflow.
    pub workflow: WorkflowId,
    /// Of which version.
    pub version: u32,
    /// Where it stands.
    pub status: Status,
    /// What it gave; null unless it completed.
    pub output: Value,
    /// Why it failed.
    pub error: Option<ReportError>,
    /// What each node did, by its path.
    pub nodes: IndexMap<String, Vec<Value>>,
    /// What it told its watchers, as `{ "seq", "at", "instance", "event", "payload" }`; after 1,000 of
    /// them `{ "truncated": n }`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Value>,
    /// Who called it, if a node of another execution did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<CalledBy>,
    /// Which execution it goes over again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again: Option<Repeated>,
    /// What of the workflow it tries, if it is no execution of a saved version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial: Option<Tries>,
    /// Whose effects were undone, or are to be before it ends: the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compensations: Vec<Compensated>,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Waiting>,
    /// When it is due again.
    #[serde(skip)]
    pub wake_at: Option<Timestamp>,
    /// Whether somebody holds a valid lease.
    #[serde(skip)]
    pub leased: bool,
}

/// Why an execution failed, or a node did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportError {
    /// Stable code.
    pub code: String,
    /// What happened.
    pub message: String,
    /// The node that it came from.
    pub node: Option<NodeId>,
}

/// Who called an execution. JSON: `{ "execution", "instance", "waits" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalledBy {
    /// The execution whose node called it.
    pub execution: ExecutionId,
    /// Which instance of it.
    pub instance: String,
    /// Whether that one waits for its end.
    pub waits: bool,
}

impl CalledBy {
    /// What a first entry says of it.
    #[must_use]
    pub fn new(parent: &Parent) -> Self {
        Self {
            execution: parent.execution,
            instance: parent.instance.to_string(),
            waits: parent.waits,
        }
    }
}

/// Which execution another one goes over again. JSON: `{ "of", "how", "from", "origin" }`, where
/// `how` is `retry` or `restart`, and `from` is there if a restart began at a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeated {
    /// The one before it.
    pub of: ExecutionId,
    /// `retry` or `restart`.
    pub how: Cow<'static, str>,
    /// The node from which it was restarted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<NodeId>,
    /// The first one of all.
    pub origin: Option<ExecutionId>,
}

impl Engine {
    /// What an execution did so far; `None` if there is no such execution.
    ///
    /// # Errors
    /// The store failed, or what it holds cannot be read.
    pub async fn report(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
    ) -> Result<Option<Report>> {
        let Some(summary) = self.ports.executions.get(tenant, execution).await? else {
            return Ok(None);
        };
        let folded = self.fold(tenant, execution).await?;
        self.read_stored(&folded.machine).await;
        let mut waiting = waiting(&folded.machine);
        self.look_into_queues(tenant, execution, &folded.machine, &mut waiting)
            .await?;
        let group = summary.labels.group();
        let begins = matches!(summary.status, Status::Queued | Status::Running);
        if begins && !summary.leased && waiting.is_empty() && !group.is_default() {
            waiting.push(Waiting::Worker { group });
        }
        if let Some(begins_at) = summary.begins_at {
            let due = begins_at.to_string();
            waiting.insert(0, Waiting::Start { due });
        }
        Ok(Some(report(&summary, folded, waiting)))
    }

    /// Who called an execution; `None` if nobody did, or there is no such execution.
    ///
    /// # Errors
    /// The store failed, or what it holds cannot be read.
    pub async fn called_by(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
    ) -> Result<Option<CalledBy>> {
        let page = self
            .ports
            .executions
            .journal(tenant, execution, 1, 1)
            .await?;
        Ok(match page.entries.first().map(|first| &first.entry.fact) {
            Some(Fact::ExecutionStarted(started)) => started.parent.as_deref().map(CalledBy::new),
            _ => None,
        })
    }
}

/// What was undone, and, of an execution that is about to end, what still is to be.
fn compensations(machine: &Machine) -> Vec<Compensated> {
    let state = machine.state();
    let known = state.compensations();
    let settled = known.settled().iter().map(|it| Compensated {
        instance: it.instance.to_string(),
        status: match it.given_up {
            true => CompensationStatus::GivenUp,
            false => CompensationStatus::Compensated,
        },
    });
    let ends = state.ending().is_some_and(Ending::compensates);
    let open = known.open().iter().rev();
    let open = open
        .filter(|it| ends || it.has_begun())
        .map(|it| Compensated {
            instance: it.instance.to_string(),
            status: match (it.stuck, it.has_begun()) {
                (true, _) => CompensationStatus::Parked,
                (false, true) => CompensationStatus::Running,
                (false, false) => CompensationStatus::Pending,
            },
        });
    settled.chain(open).collect()
}

fn report(summary: &ExecutionSummary, folded: Folded, waiting: Vec<Waiting>) -> Report {
    let machine = &folded.machine;
    let state = machine.state();
    let error = state.failure().map(|failure| ReportError {
        code: failure.error.code.to_string(),
        message: failure.error.message.clone(),
        node: failure.node.clone(),
    });
    let started = state.started();
    let again = started.and_then(|started| {
        let repeats = started.repeats.as_ref()?;
        let (how, from) = match &repeats.how {
            Again::Retry => ("retry", None),
            Again::Restart { from } => ("restart", from.clone()),
        };
        Some(Repeated {
            of: repeats.of,
            how: how.into(),
            from,
            origin: started.origin,
        })
    });
    Report {
        execution: summary.id,
        workflow: summary.workflow.clone(),
        version: summary.version,
        // The summary was read first: an end that came in between is in the journal.
        status: state.end_status().unwrap_or(summary.status),
        output: state
            .output()
            .map(|output| (**output).clone())
            .unwrap_or_default(),
        error,
        nodes: folded.closed.with_state(machine),
        events: folded.emitted.into_list(),
        parent: started.and_then(|it| it.parent.as_deref().map(CalledBy::new)),
        again,
        trial: started.and_then(|started| started.trial.clone()),
        compensations: compensations(machine),
        waiting,
        wake_at: summary.wake_at,
        leased: summary.leased,
    }
}
