//! The spans of an execution, read from its journal.

use nebula_core::{ExecutionId, SpanId, TenantId, Timestamp, TraceContext};
use nebula_execution::{Fact, Spell, Spent, Started, Status, StoredEntry, Times};
use opentelemetry_proto::tonic::trace::v1::{Span, Status as SpanStatus, span, status};

use super::wire::{nanos, number, text};

/// Reads spans from a journal, entry by entry: one for the execution, below it one for each attempt and
/// for each time that something was waited for.
///
/// Ids follow from the execution and what the span is of, as those that attempts send along with their
/// requests: so a span that is sent twice is the same one, and what a server tells belongs below the
/// attempt that asked it. No input, output or parameter is in them.
pub(super) struct Spans {
    tenant: TenantId,
    execution: ExecutionId,
    /// Which part of the traces that begin here is recorded.
    sample: f64,
    times: Times,
    began: Option<(Started, Timestamp)>,
    last: Timestamp,
    end: Option<(Status, Option<String>)>,
}

impl Spans {
    pub(super) fn new(tenant: TenantId, execution: ExecutionId, sample: f64) -> Self {
        Self {
            tenant,
            execution,
            sample,
            times: Times::default(),
            began: None,
            last: Timestamp::default(),
            end: None,
        }
    }

    pub(super) fn take(&mut self, stored: &StoredEntry) {
        let entry = &stored.entry;
        self.times.take(entry);
        self.last = entry.at;
        match &entry.fact {
            Fact::ExecutionStarted(started) => {
                self.began = Some((Started::clone(started), entry.at));
            }
            Fact::ExecutionCompleted { .. } => self.end = Some((Status::Completed, None)),
            Fact::ExecutionFailed { error } => {
                self.end = Some((Status::Failed, Some(error.error.code.to_string())));
            }
            Fact::ExecutionCancelled { .. } => self.end = Some((Status::Cancelled, None)),
            Fact::ExecutionTimedOut => self.end = Some((Status::TimedOut, None)),
            _ => {}
        }
    }

    /// Whether its trace is not recorded: by whoever began it, or by the share that is.
    pub(super) fn is_unwanted(&self) -> bool {
        let Some((started, _)) = &self.began else {
            return false;
        };
        match &started.trace {
            Some(trace) => !trace.is_sampled(),
            None => !sampled(started.trace_id(self.execution).bytes(), self.sample),
        }
    }

    pub(super) fn finish(self) -> Vec<Span> {
        let Some((started, began)) = self.began else {
            return Vec::new();
        };
        let trace = started.trace_of(self.execution);
        let of_execution = SpanId::of(self.execution, "");
        let mut spans = vec![Span {
            // Only what somebody else asked for lies below something.
            parent_span_id: match &started.trace {
                Some(trace) => trace.parent.bytes().to_vec(),
                None => Vec::new(),
            },
            name: started.workflow.to_string(),
            attributes: vec![
                text("nebula.tenant", self.tenant.to_string()),
                text("nebula.execution", self.execution.to_string()),
                text("nebula.workflow", started.workflow.to_string()),
                number("nebula.workflow.version", started.version),
            ],
            ..blank(&trace, of_execution, (began, self.last))
        }];
        if let Some((status, code)) = self.end {
            let root = &mut spans[0];
            root.attributes.push(text("nebula.status", status.as_str()));
            if let Some(code) = code {
                root.attributes.push(text("error.type", code));
            }
            if matches!(status, Status::Failed | Status::TimedOut) {
                root.status = Some(failed());
            }
        }
        let (spells, left_out) = self.times.into_spells();
        if left_out > 0 {
            let left_out = i64::try_from(left_out).unwrap_or(i64::MAX);
            spans[0]
                .attributes
                .push(number("nebula.spans.left_out", left_out));
        }
        for spell in spells {
            spans.push(below(
                &trace,
                (self.execution, of_execution),
                spell,
                self.last,
            ));
        }
        spans
    }
}

/// Whether a trace of this id is among the share that is recorded. The same id gives the same answer in
/// every process; the last 7 bytes of an id are random.
fn sampled(id: [u8; 16], share: f64) -> bool {
    let mut tail = [0; 8];
    tail[1..].copy_from_slice(&id[9..]);
    let random = u64::from_be_bytes(tail);
    #[expect(clippy::cast_precision_loss, reason = "a share has no 56 bits")]
    let part = random as f64 / (1_u64 << 56) as f64;
    part < share
}

fn blank(trace: &TraceContext, id: SpanId, (from, to): (Timestamp, Timestamp)) -> Span {
    Span {
        trace_id: trace.trace.bytes().to_vec(),
        span_id: id.bytes().to_vec(),
        trace_state: trace.tracestate().to_owned(),
        flags: 1,
        kind: span::SpanKind::Internal.into(),
        start_time_unix_nano: nanos(from),
        end_time_unix_nano: nanos(to.max(from)),
        ..Span::default()
    }
}

fn failed() -> SpanStatus {
    SpanStatus {
        code: status::StatusCode::Error.into(),
        message: String::new(),
    }
}

/// The span of a stretch of time.
fn below(
    trace: &TraceContext,
    (execution, parent): (ExecutionId, SpanId),
    spell: Spell,
    last: Timestamp,
) -> Span {
    let (name, part) = named(&spell);
    let span = (spell.from, spell.to.unwrap_or(last));
    let mut attributes = vec![text("nebula.spent", spent(spell.spent))];
    if let Some(instance) = &spell.instance {
        attributes.push(text("nebula.node", instance.node.as_str()));
        attributes.push(text("nebula.instance", instance.to_string()));
    }
    if let Some(attempt) = spell.attempt {
        attributes.push(number("nebula.attempt", attempt));
    }
    let mut status = None;
    match (spell.spent, spell.note) {
        (Spent::Attempt, Some(code)) => {
            attributes.push(text("error.type", code));
            status = Some(failed());
        }
        (Spent::Signal, Some(name)) => attributes.push(text("nebula.signal", name)),
        // What titles, keys and inputs of others say is theirs.
        _ => {}
    }
    Span {
        parent_span_id: parent.bytes().to_vec(),
        name,
        attributes,
        status,
        ..blank(trace, SpanId::of(execution, &part), span)
    }
}

/// The name of a span, of which there are few, and the part of the execution that its id is of.
fn named(spell: &Spell) -> (String, String) {
    let what = spent(spell.spent);
    let Some(instance) = &spell.instance else {
        let part = format!("{what} {}", spell.from.as_millis());
        return (what.to_owned(), part);
    };
    let node = instance.node.as_str();
    match (spell.spent, spell.attempt) {
        // As the runtime names them where they send requests.
        (Spent::Attempt, Some(attempt)) => (node.to_owned(), format!("{instance}/{attempt}")),
        (Spent::Compensation, Some(attempt)) => (
            format!("{node} {what}"),
            format!("{instance}/undo/{attempt}"),
        ),
        _ => (
            format!("{node} {what}"),
            format!("{instance} {what} {}", spell.from.as_millis()),
        ),
    }
}

const fn spent(spent: Spent) -> &'static str {
    match spent {
        Spent::Queue => "queue",
        Spent::Attempt => "attempt",
        Spent::Retry => "retry",
        Spent::Timer => "timer",
        Spent::Signal => "signal",
        Spent::Approval => "approval",
        Spent::Slot => "slot",
        Spent::Milestone => "milestone",
        Spent::Call => "call",
        Spent::Body => "body",
        Spent::Compensation => "compensation",
        Spent::Pause => "pause",
        Spent::Parked => "parked",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_all_traces_is_recorded_and_of_one_trace_all_or_nothing() {
        let id = |n: u64| {
            let mut id = [0xff; 16];
            // The first bytes of an id are its time, and decide nothing.
            id[8..].copy_from_slice(&nebula_core::Digest::of(&n.to_be_bytes()).as_bytes()[..8]);
            id
        };
        let share = |share| (0..10_000).filter(|&n| sampled(id(n), share)).count();
        assert_eq!((share(0.0), share(1.0)), (0, 10_000));
        let tenth = share(0.1);
        assert!((900..1_100).contains(&tenth), "{tenth}");
        assert!((0..10_000).all(|n| !sampled(id(n), 0.1) || sampled(id(n), 0.2)));
    }
}
