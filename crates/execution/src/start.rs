//! What is needed to create an execution.

use std::{path::PathBuf, sync::Arc, time::Duration};

use nebula_action::Grants;
use nebula_core::{
    BlobId, Digest, ExecutionId, Group, Labels, Priority, TenantId, Timestamp, TraceContext,
    TriggerId, WorkflowId,
};
use nebula_tenant::Quotas;
use serde_json::Value;

use crate::{Entry, ExecutionPlan, Fact, Given, Parent, Part, Started, Stored, Tries};

/// An execution that does not exist yet. The engine makes one for a start, a worker for a child.
#[derive(Debug, Clone, PartialEq)]
pub struct NewExecution {
    /// Its id; from the Entropy port.
    pub id: ExecutionId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Which workflow, for listings.
    pub workflow: WorkflowId,
    /// Which version of it.
    pub version: u32,
    /// The first entries of its journal; the first of all is [`Fact::ExecutionStarted`].
    pub entries: Vec<Entry>,
    /// What it must hold from its start to its end, if anything.
    pub slot: Option<StartSlot>,
    /// How often it and others may begin, if anything bounds that.
    pub rate: Option<StartRate>,
    /// Which trigger goes on with its creation, if a schedule starts it.
    pub trigger: Option<TriggerMove>,
    /// How much its tenant may use; the creation is held against it. A child is never refused.
    pub quotas: Quotas,
}

/// How a registered trigger of the execution's workflow goes on, in the transaction of the creation. A
/// trigger that has changed since it was read starts nothing: the creation is not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerMove {
    /// Which trigger.
    pub trigger: TriggerId,
    /// Its revision when it was read.
    pub expected: u64,
    /// Up to when its occurrences are settled then.
    pub through: Timestamp,
    /// When it is due next; `None` is never. One that takes arrivals is due when the next of them is,
    /// if there is one.
    pub due: Option<Timestamp>,
    /// The numbers of the arrivals that the execution is started by; they are gone then.
    pub takes: Vec<u64>,
}

/// A bucket of tokens, of which an execution takes one when it is created. Where there is none, it
/// begins when one has come back that nobody has been promised before, or is not created at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartRate {
    /// Names the bucket, within the tenant.
    pub key: String,
    /// How many tokens come back in each `per`, evenly; at least 1.
    pub limit: u32,
    /// The span of time.
    pub per: Duration,
    /// How many tokens there are at most; at least 1.
    pub burst: u32,
    /// A creation is refused where so many wait already and it would have to wait, too. A child is
    /// never refused.
    pub max_waiting: u32,
}

/// A slot that an execution takes with its creation, or waits for before it begins, and holds to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartSlot {
    /// Names what is shared, within the tenant.
    pub key: String,
    /// The slot is free while fewer executions than this hold one of the key; at least 1.
    pub capacity: u32,
    /// A creation is refused where so many wait already and it would have to wait, too. A child is
    /// never refused.
    pub max_waiting: u32,
}

/// What the one who starts an execution decides beside plan and input.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StartOptions {
    /// What its nodes may touch at most.
    pub grants: Grants,
    /// Where relative paths in its parameters begin.
    pub folder: Option<PathBuf>,
    /// `$vars`, pinned for the whole execution.
    pub vars: Value,
    /// `$trigger`.
    pub trigger: Value,
    /// The execution whose work this one continues.
    pub origin: Option<ExecutionId>,
    /// Who calls it, if a node of another execution does.
    pub parent: Option<Parent>,
    /// What it tries, if it is no execution of a saved version.
    pub trial: Option<Tries>,
    /// How urgent it is, if not as its workflow says.
    pub priority: Option<Priority>,
    /// What it is found by.
    pub labels: Labels,
    /// The trace in which it is asked for, if in one.
    pub trace: Option<TraceContext>,
}

impl NewExecution {
    /// Has it belong to the trace of whoever asks for it.
    pub fn within(&mut self, trace: TraceContext) {
        let first = self.entries.first_mut().map(|first| &mut first.fact);
        if let Some(Fact::ExecutionStarted(started)) = first {
            started.trace = Some(Box::new(trace));
        }
    }

    /// Says which blobs came with what starts it.
    pub fn with_blobs(&mut self, blobs: Vec<BlobId>) {
        self.change_start(|started| Started { blobs, ..started });
    }

    /// How urgent it is; by its first entry.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.started().map(|it| it.priority).unwrap_or_default()
    }

    /// For which workers it is; by its first entry.
    #[must_use]
    pub fn group(&self) -> Group {
        self.started()
            .map(|it| it.labels.group())
            .unwrap_or_default()
    }

    /// What it begins with; by its first entry.
    #[must_use]
    pub fn started(&self) -> Option<&Started> {
        match &self.entries.first()?.fact {
            Fact::ExecutionStarted(started) => Some(started),
            _ => None,
        }
    }

    /// From now on its input lies in a blob of this name.
    pub fn on_blob(&mut self, blob: BlobId) {
        self.change_start(|started| started.on_blob(blob));
    }

    /// From now on what started it lies in a blob of this name.
    pub fn triggered_by_blob(&mut self, blob: BlobId) {
        self.change_start(|started| started.triggered_by_blob(blob));
    }

    /// It runs this part of another execution's list, and nothing else of its plan.
    /// Its input is the `given` one, wherever it lies; and so is what started it, if it sees that of
    /// another beginning.
    pub fn runs_part(&mut self, part: Part, (given, trigger): (&Given, Option<&Started>)) {
        let part = Some(Arc::new(part));
        let input_blob = match given {
            Given::Blob(stored) => Some(Arc::new(Stored::new(stored.blob()))),
            _ => None,
        };
        let blob = |stored: &Arc<Stored>| Arc::new(Stored::new(stored.blob()));
        let trigger_blob = trigger.and_then(|it| it.trigger_blob.as_ref()).map(blob);
        self.change_start(|started| Started {
            part,
            input_blob,
            trigger_blob,
            ..started
        });
    }

    fn change_start(&mut self, change: impl FnOnce(Started) -> Started) {
        let first = self.entries.first_mut().map(|first| &mut first.fact);
        if let Some(Fact::ExecutionStarted(started)) = first {
            **started = change((**started).clone());
        }
    }

    /// An execution of `plan`, stored under `digest`, on `input`, which the caller has checked.
    #[must_use]
    pub fn new(
        id: ExecutionId,
        tenant: TenantId,
        at: Timestamp,
        (plan, digest): (&ExecutionPlan, Digest),
        input: Value,
        options: StartOptions,
    ) -> Self {
        let started = Started {
            workflow: plan.workflow.clone(),
            version: plan.version,
            plan: digest,
            input: Arc::new(input),
            input_blob: None,
            trigger_blob: None,
            vars: options.vars,
            trigger: options.trigger,
            origin: options.origin,
            grants: options.grants,
            folder: options.folder,
            parent: options.parent.map(Box::new),
            repeats: None,
            trial: options.trial,
            priority: options.priority.unwrap_or(plan.priority),
            labels: options.labels.in_group(&plan.runs_on),
            trace: options.trace.map(Box::new),
            blobs: Vec::new(),
            part: None,
        };
        let fact = Fact::ExecutionStarted(Box::new(started));
        Self {
            id,
            tenant,
            workflow: plan.workflow.clone(),
            version: plan.version,
            entries: vec![Entry { at, fact }],
            slot: None,
            rate: None,
            trigger: None,
            quotas: Quotas::default(),
        }
    }
}
