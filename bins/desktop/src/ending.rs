//! What is said at the end of an execution, or of waiting for it.

use std::time::Duration;

use nebula_core::{ExecutionId, WorkflowId};
use nebula_engine::{CompensationStatus, Report, Waiting};
use nebula_execution::Status;
use nebula_system::{ShutdownRequest, Urgency};
use serde_json::Value;

use crate::{
    console::{Console, Paint},
    failure::{Exit, Failure},
    progress,
    settings::Place,
};

/// The most instances of which it is said by name that they were undone.
const MAX_UNDONE: usize = 10;

/// The exit code that a status means.
pub(crate) fn exit_of(status: Status) -> Exit {
    match status {
        Status::Completed => Exit::Completed,
        Status::Failed | Status::Cancelled | Status::TimedOut => Exit::Ended,
        Status::Queued
        | Status::Running
        | Status::Waiting
        | Status::Paused
        | Status::Compensating
        | Status::Parked => Exit::Waits,
    }
}

/// Says what became of an execution that was waited for.
pub(crate) fn settled(
    report: &Report,
    elapsed: Option<Duration>,
    place: &Place,
    console: &Console,
) -> Result<Exit, Failure> {
    summary(report, elapsed, place, console);
    if console.json {
        console.document(report)?;
    } else {
        output(&report.output, console)?;
    }
    Ok(exit_of(report.status))
}

/// The result itself, for people: text as it is, nothing for null.
fn output(output: &Value, console: &Console) -> Result<(), Failure> {
    match output {
        Value::Null => Ok(()),
        Value::String(text) => console.line(text),
        other => console.line(&format!("{other:#}")),
    }
}

/// A line on standard error for each thing to know: where it stands, why, what to do.
pub(crate) fn summary(
    report: &Report,
    elapsed: Option<Duration>,
    place: &Place,
    console: &Console,
) {
    let (mark, paint) = match report.status {
        Status::Completed => ("✓", Paint::Green),
        Status::Failed | Status::Cancelled | Status::TimedOut => ("✗", Paint::Red),
        Status::Queued
        | Status::Running
        | Status::Waiting
        | Status::Paused
        | Status::Compensating
        | Status::Parked => ("◔", Paint::Yellow),
    };
    let head = console
        .err
        .paint(paint, format!("{mark} {}", words(report.status)));
    let mut detail = match &report.trial {
        Some(_) => format!("a trial of {}", report.workflow),
        None => format!("{} version {}", report.workflow, report.version),
    };
    if let Some(elapsed) = elapsed {
        detail.push_str(&format!(", {}", progress::seconds(elapsed)));
    }
    let id = console.err.paint(Paint::Dim, report.execution.to_string());
    console.note(&format!("{head}  {detail}  {id}"));
    if let Some(parent) = &report.parent {
        console.note(&format!(
            "  called by `{}` of {}",
            parent.instance, parent.execution
        ));
    }
    if let Some(again) = &report.again {
        let from = again.from.as_ref().map(|node| format!(" from `{node}`"));
        let from = from.unwrap_or_default();
        console.note(&format!("  {} of {}{from}", again.how, again.of));
    }
    if let Some(error) = &report.error {
        let at = match &error.node {
            Some(node) => format!(" at node `{node}`"),
            None => String::new(),
        };
        let code = console
            .err
            .paint(Paint::Red, format!("error[{}]", error.code));
        // Whoever asked for quiet still wants to know what went wrong.
        console.error_text(&format!("  {code}{at}: {}", error.message));
    }
    compensations(report, console);
    let label = console.err.paint(Paint::Cyan, "what to do:");
    if report
        .error
        .as_ref()
        .is_some_and(|error| error.code == "CAPABILITY_DENIED")
    {
        console.note(&format!(
            "  {label} once the node asks for it, grant it with --grant CAPABILITY or --grant-requested"
        ));
    }
    match report.status {
        Status::Failed | Status::TimedOut if !matches!(place, Place::Memory) => {
            let command = format!(
                "nebula executions show {}{}",
                report.execution,
                place.flag()
            );
            console.note(&format!("  {label} {command} shows each node"));
            let command = format!(
                "nebula executions retry {}{}",
                report.execution,
                place.flag()
            );
            console.note(&format!(
                "  {label} {command} keeps what succeeded and runs the rest"
            ));
        }
        Status::Parked | Status::Paused | Status::Waiting => decisions(report, place, console),
        _ => {}
    }
}

/// What was undone, and what was not.
fn compensations(report: &Report, console: &Console) {
    for status in [
        CompensationStatus::Compensated,
        CompensationStatus::GivenUp,
        CompensationStatus::Pending,
    ] {
        let these = report.compensations.iter().filter(|it| it.status == status);
        let these: Vec<_> = these.map(|it| format!("`{}`", it.instance)).collect();
        if these.is_empty() {
            continue;
        }
        let shown = these[..these.len().min(MAX_UNDONE)].join(", ");
        let more = match these.len().saturating_sub(MAX_UNDONE) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let what = match status {
            CompensationStatus::Compensated => "undone",
            CompensationStatus::GivenUp => "given up, and not undone",
            _ => "still to be undone",
        };
        console.note(&format!("  {what}: {shown}{more}"));
    }
}

/// What somebody must say, and the commands that do.
fn decisions(report: &Report, place: &Place, console: &Console) {
    let label = console.err.paint(Paint::Cyan, "what to do:");
    let (id, flag) = (report.execution, place.flag());
    let expires = |waiting: &Waiting| {
        let (Waiting::Signal { due, .. } | Waiting::Approval { due, .. }) = waiting else {
            return false;
        };
        due.is_some()
    };
    for waiting in &report.waiting {
        match waiting {
            Waiting::Time { .. }
            | Waiting::Retry { .. }
            | Waiting::Slot { .. }
            | Waiting::Milestone { .. }
            | Waiting::Start { .. }
            | Waiting::Worker { .. }
            | Waiting::Compensation { .. } => {}
            Waiting::CompensationDecision { instance, reason } => {
                let reason = reason.trim_end_matches('.');
                console.error_text(&format!("  `{instance}` could not be undone: {reason}"));
                console.error_text(&format!(
                    "  {label} undo it by hand, then: nebula executions unpark {id} --node {} --as succeeded{flag}; or --as retry, or --as failed to leave it",
                    crate::shell::quoted(instance)
                ));
            }
            Waiting::Signal {
                instance,
                name,
                due,
            } => {
                let due = due.as_ref().map(|due| format!(" until {due}"));
                let due = due.unwrap_or_default();
                console.error_text(&format!("  `{instance}` waits for signal `{name}`{due}"));
                console.error_text(&format!(
                    "  {label} send it with: nebula executions signal {id} {name} --payload JSON{flag}"
                ));
            }
            Waiting::Approval {
                instance,
                title,
                due,
                ..
            } => {
                let title = title
                    .as_ref()
                    .map(|it| format!(": {it}"))
                    .unwrap_or_default();
                let due = due.as_ref().map(|due| format!(" until {due}"));
                let due = due.unwrap_or_default();
                console.error_text(&format!("  `{instance}` asks for an approval{due}{title}"));
                let node = crate::shell::quoted(instance);
                console.error_text(&format!(
                    "  {label} decide with: nebula executions approve|reject|defer {id} {node} --by WHO{flag}"
                ));
            }
            Waiting::Child {
                instance,
                execution,
                ..
            } => {
                console.error_text(&format!("  `{instance}` waits for execution {execution}"));
                console.error_text(&format!(
                    "  {label} see what that one waits for: nebula executions show {execution}{flag}"
                ));
            }
            Waiting::Unpause => console.error_text(&format!(
                "  {label} let it go on with: nebula executions unpause {id}{flag}"
            )),
            Waiting::Decision { instance, reason } => {
                let reason = reason.trim_end_matches('.');
                console.error_text(&format!(
                    "  `{instance}` may or may not have acted: {reason}"
                ));
                console.error_text(&format!(
                    "  {label} find out, then: nebula executions unpark {id} --node {} --as succeeded|failed|retry{flag}",
                    crate::shell::quoted(instance)
                ));
            }
            Waiting::Poison { grants } => {
                console.error_text(&format!(
                    "  {grants} attempts in a row to go on brought no progress"
                ));
                console.error_text(&format!(
                    "  {label} look at the log, then: nebula executions unpark {id} --as retry{flag}"
                ));
            }
        }
    }
    if report.status == Status::Waiting
        && report.waiting.iter().any(expires)
        && !matches!(place, Place::Server(_))
    {
        console.error_text(&format!(
            "  {label} or let its time come, and then: nebula resume {id}{flag}"
        ));
    }
}

/// Says what a signal stopped, and how to go on.
pub(crate) fn stopped(
    request: ShutdownRequest,
    id: Option<ExecutionId>,
    place: &Place,
    console: &Console,
) -> Exit {
    let how = match request.urgency {
        Urgency::Graceful => "stopped",
        Urgency::Now => "stopped at once",
    };
    let label = console.err.paint(Paint::Cyan, "what to do:");
    match (id, place) {
        (None, _) => console.note(&format!("{how}; nothing was started")),
        (Some(_), Place::Memory) => {
            console.note(&format!("{how}; the execution was in memory and is gone"));
        }
        (Some(id), Place::Server(_)) => {
            console.note("nobody waits for it any more; the server goes on with it");
            console.note(&format!(
                "  {label} watch it with: nebula executions watch {id}{}",
                place.flag()
            ));
        }
        (Some(id), _) => {
            console.note(&format!("{how}; what was done is saved"));
            console.note(&format!(
                "  {label} go on with: nebula resume {id}{}",
                place.flag()
            ));
        }
    }
    request.signal.into()
}

/// Which version of which workflow; a trial is of none.
pub(crate) fn version(workflow: &WorkflowId, version: u32) -> String {
    match version {
        0 => format!("{workflow} (trial)"),
        version => format!("{workflow}@{version}"),
    }
}

/// The status as people say it.
pub(crate) fn words(status: Status) -> &'static str {
    match status {
        Status::TimedOut => "timed out",
        other => other.as_str(),
    }
}
