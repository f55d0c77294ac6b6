//! What whoever is on call wants to know: numbers that are counted on the way, and read when somebody asks.

mod bounded;
pub mod catalog;
mod reading;
#[cfg(test)]
mod tests;

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use nebula_action::{ActionError, ErrorClass};
use nebula_core::{Histogram, Timestamp, WorkflowId};
use nebula_execution::{Entry, Fact, ItemOutcome, Status};

use bounded::Bounded;
pub use reading::{CONTENT_TYPE, Reading, Sample, Source, Value};

/// How many workflows have numbers of their own; all others share those of `other`.
pub const MAX_WORKFLOWS: usize = 200;

/// How many combinations of method, route and status have; routes are of a fixed table.
pub const MAX_ANSWERS: usize = 1_000;

/// How requests to webhooks end, as their metric has it.
pub const WEBHOOK_OUTCOMES: &[&str] = &[
    "started", "replayed", "filtered", "refused", "invalid", "unknown", "busy", "failed",
];

/// The classes of errors, as their metric has them.
const CLASSES: &[&str] = &[
    "retryable",
    "deferred",
    "fatal",
    "cancelled",
    "denied",
    "invalid_input",
    "timeout",
    "limit_exceeded",
    "unknown",
];

const ENDS: &[Status] = &[
    Status::Completed,
    Status::Failed,
    Status::Cancelled,
    Status::TimedOut,
];

/// Counts what happens in one process. Whoever counts waits for nobody: all of it is atomics.
#[derive(Debug)]
pub struct Metrics {
    workflows: Bounded<OfWorkflow>,
    durations: Histogram,
    parked: Count,
    start_delays: Histogram,
    leases_granted: Count,
    leases_lost: Count,
    steps: Histogram,
    step_retries: Count,
    entries: Count,
    succeeded: Count,
    failed: Count,
    indeterminate: Count,
    attempts: Histogram,
    retries: Count,
    failures: [Count; CLASSES.len()],
    trigger_starts: Count,
    trigger_left_out: Count,
    trigger_lags: Histogram,
    webhooks: [Count; WEBHOOK_OUTCOMES.len()],
    answers: Bounded<Count>,
    answer_times: Histogram,
    rate_limited: Count,
    exported: [Exported; Signal::ALL.len()],
}

/// What is exported over OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// As the paths of the protocol have it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

#[derive(Debug, Default)]
struct Exported {
    sent: Count,
    lost: Count,
}

#[derive(Debug, Default)]
struct OfWorkflow {
    started: Count,
    ended: [Count; ENDS.len()],
}

#[derive(Debug, Default)]
struct Count(AtomicU64);

impl Count {
    fn more(&self, number: u64) {
        self.0.fetch_add(number, Relaxed);
    }

    fn one(&self) {
        self.more(1);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            workflows: Bounded::new(MAX_WORKFLOWS),
            durations: Histogram::new(Histogram::SPANS),
            parked: Count::default(),
            start_delays: Histogram::new(Histogram::MOMENTS),
            leases_granted: Count::default(),
            leases_lost: Count::default(),
            steps: Histogram::new(Histogram::MOMENTS),
            step_retries: Count::default(),
            entries: Count::default(),
            succeeded: Count::default(),
            failed: Count::default(),
            indeterminate: Count::default(),
            attempts: Histogram::new(Histogram::SPANS),
            retries: Count::default(),
            failures: Default::default(),
            trigger_starts: Count::default(),
            trigger_left_out: Count::default(),
            trigger_lags: Histogram::new(Histogram::SPANS),
            webhooks: Default::default(),
            answers: Bounded::new(MAX_ANSWERS),
            answer_times: Histogram::new(Histogram::MOMENTS),
            rate_limited: Count::default(),
            exported: Default::default(),
        }
    }
}

impl Metrics {
    /// An execution was created.
    pub fn started(&self, workflow: &WorkflowId) {
        self.workflows.get(workflow.as_str()).started.one();
    }

    /// An execution is in a worker's hands for the first time, so long after its creation.
    pub fn taken_up(&self, delay: Duration) {
        self.start_delays.took(delay);
    }

    /// A lease was granted.
    pub fn lease_granted(&self) {
        self.leases_granted.one();
    }

    /// An execution left the worker's hands because its lease did.
    pub fn lease_lost(&self) {
        self.leases_lost.one();
    }

    /// The store failed to write a step, which is tried again.
    pub fn step_retried(&self) {
        self.step_retries.one();
    }

    /// A step of an execution is durable, after so long: these entries are in its journal.
    pub fn committed(
        &self,
        (workflow, began): (&WorkflowId, Timestamp),
        entries: &[Entry],
        took: Duration,
    ) {
        self.steps.took(took);
        self.entries.more(entries.len() as u64);
        for entry in entries {
            self.fact(&entry.fact);
            if let Some(end) = EndOf::fact(&entry.fact) {
                self.durations.took(entry.at.since(began));
                self.workflows.get(workflow.as_str()).ended[end.0].one();
            }
        }
    }

    fn fact(&self, fact: &Fact) {
        match fact {
            Fact::AttemptSucceeded { micros, .. } | Fact::AttemptSpilled { micros, .. } => {
                self.succeeded.one();
                self.attempts.count(*micros);
            }
            Fact::AttemptFailed {
                error, retry_at, ..
            } => {
                self.failed(error);
                self.retries.more(u64::from(retry_at.is_some()));
            }
            Fact::AttemptIndeterminate { .. } => self.indeterminate.one(),
            Fact::ItemsSettled { outcomes, .. } => {
                for outcome in outcomes {
                    match outcome {
                        ItemOutcome::Ok(_) | ItemOutcome::Apart(_) => self.succeeded.one(),
                        ItemOutcome::Error(error) => self.failed(error),
                    }
                }
            }
            Fact::Parked { .. } => self.parked.one(),
            _ => {}
        }
    }

    fn failed(&self, error: &ActionError) {
        self.failed.one();
        let class = match error.class {
            ErrorClass::Retryable { .. } => 0,
            ErrorClass::Deferred { .. } => 1,
            ErrorClass::Fatal => 2,
            ErrorClass::Cancelled => 3,
            ErrorClass::Denied { .. } => 4,
            ErrorClass::InvalidInput { .. } => 5,
            ErrorClass::Timeout => 6,
            ErrorClass::LimitExceeded => 7,
            ErrorClass::Unknown => 8,
        };
        self.failures[class].one();
    }

    /// An occurrence of a schedule started an execution, so long after its time.
    pub fn trigger_started(&self, lag: Duration) {
        self.trigger_starts.one();
        self.trigger_lags.took(lag);
    }

    /// It was decided that occurrences of a schedule start nothing.
    pub fn trigger_left_out(&self) {
        self.trigger_left_out.one();
    }

    /// A request to a webhook ended like this: one of [`WEBHOOK_OUTCOMES`].
    pub fn webhook(&self, outcome: &str) {
        let place = WEBHOOK_OUTCOMES.iter().position(|it| *it == outcome);
        debug_assert!(place.is_some(), "`{outcome}` is in the list");
        if let Some(place) = place {
            self.webhooks[place].one();
        }
    }

    /// A request of a method to a route was answered with a status, after so long.
    pub fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        self.answers
            .get(&format!("{method} {route} {status}"))
            .one();
        self.answer_times.took(took);
    }

    /// A request was refused because its caller made too many.
    pub fn rate_limited(&self) {
        self.rate_limited.one();
    }

    /// So much of a signal was taken by a receiver of OTLP, and so much was not.
    #[cfg(feature = "otlp")]
    pub(crate) fn exported(&self, signal: Signal, sent: u64, lost: u64) {
        let exported = &self.exported[signal as usize];
        exported.sent.more(sent);
        exported.lost.more(lost);
    }

    /// Adds what was counted so far.
    pub fn read(&self, to: &mut Reading) {
        for (name, of) in self.workflows.all() {
            to.add(
                catalog::EXECUTIONS_STARTED,
                &[name],
                Value::Count(of.started.get()),
            );
            for (status, count) in ENDS.iter().zip(&of.ended) {
                let labels = [name, status.as_str()];
                to.add(
                    catalog::EXECUTIONS_ENDED,
                    &labels,
                    Value::Count(count.get()),
                );
            }
        }
        to.spread(catalog::EXECUTION_DURATION, self.durations.read());
        to.count(catalog::EXECUTIONS_PARKED, self.parked.get());
        to.spread(catalog::START_DELAY, self.start_delays.read());
        to.count(catalog::LEASES_GRANTED, self.leases_granted.get());
        to.count(catalog::LEASES_LOST, self.leases_lost.get());
        to.spread(catalog::STEP_DURATION, self.steps.read());
        to.count(catalog::STEP_RETRIES, self.step_retries.get());
        to.count(catalog::ENTRIES, self.entries.get());
        let outcomes = [
            ("succeeded", &self.succeeded),
            ("failed", &self.failed),
            ("indeterminate", &self.indeterminate),
        ];
        for (outcome, count) in outcomes {
            to.add(catalog::ATTEMPTS, &[outcome], Value::Count(count.get()));
        }
        to.spread(catalog::ATTEMPT_DURATION, self.attempts.read());
        to.count(catalog::RETRIES, self.retries.get());
        for (class, count) in CLASSES.iter().zip(&self.failures) {
            to.add(catalog::FAILURES, &[class], Value::Count(count.get()));
        }
        to.count(catalog::TRIGGER_STARTS, self.trigger_starts.get());
        to.count(catalog::TRIGGER_LEFT_OUT, self.trigger_left_out.get());
        to.spread(catalog::TRIGGER_LAG, self.trigger_lags.read());
        for (outcome, count) in WEBHOOK_OUTCOMES.iter().zip(&self.webhooks) {
            to.add(catalog::WEBHOOKS, &[outcome], Value::Count(count.get()));
        }
        for (answer, count) in self.answers.all() {
            let mut parts = answer.splitn(3, ' ');
            let labels = [(); 3].map(|()| parts.next().unwrap_or(answer));
            to.add(catalog::HTTP_REQUESTS, &labels, Value::Count(count.get()));
        }
        to.spread(catalog::HTTP_DURATION, self.answer_times.read());
        to.count(catalog::HTTP_RATE_LIMITED, self.rate_limited.get());
        for (signal, it) in Signal::ALL.iter().zip(&self.exported) {
            let (signal, count) = (signal.as_str(), Value::Count);
            to.add(catalog::OTLP_SENT, &[signal], count(it.sent.get()));
            to.add(catalog::OTLP_LOST, &[signal], count(it.lost.get()));
        }
    }
}

/// Which of [`ENDS`] a fact is.
struct EndOf(usize);

impl EndOf {
    fn fact(fact: &Fact) -> Option<Self> {
        Some(Self(match fact {
            Fact::ExecutionCompleted { .. } => 0,
            Fact::ExecutionFailed { .. } => 1,
            Fact::ExecutionCancelled { .. } => 2,
            Fact::ExecutionTimedOut => 3,
            _ => return None,
        }))
    }
}
