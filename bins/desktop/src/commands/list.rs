//! `nebula executions list`: a line for each, which fits a terminal of 100 columns.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use nebula_core::Timestamp;
use nebula_execution::Status;
use nebula_ports::{ExecutionFilter, ExecutionSummary};
use serde_json::{Value, json};

use crate::{
    commands::executions::summary_json,
    console::{Console, Paint},
    ending,
    failure::{Exit, Failure},
    reach::Listed,
    session::Session,
    table::table,
};

/// How many executions are asked about at a time.
const AT_A_TIME: usize = 8;
/// How much of a workflow's name is shown, in characters.
const MAX_NAME: usize = 20;

/// JSON: `{ "executions": [{ "execution", "workflow", "version", "status", "created_at", "updated_at",
/// "wake_at", "entries", "leased", "labels", "parent" }], "more": false }`, newest first; `parent` says who
/// called it.
pub(crate) async fn list(
    session: Option<&Session>,
    filter: &ExecutionFilter,
    limit: usize,
    console: &Console,
) -> Result<Exit, Failure> {
    let Listed { items: found, more } = match session {
        None => Listed::default(),
        Some(session) => session.reach.list(filter, None, limit).await?,
    };
    let mut parents = Vec::with_capacity(found.len());
    if let Some(session) = session {
        // In their order, and over a network not one after the other.
        let asked = found.iter().map(|it| session.reach.called_by(it.id));
        let mut asked = stream::iter(asked).buffered(AT_A_TIME);
        while let Some(parent) = asked.next().await {
            parents.push(parent?);
        }
    }
    if console.json {
        let list = found.iter().zip(&parents).map(|(summary, parent)| {
            let mut shown = summary_json(summary);
            shown["parent"] = json!(parent);
            shown
        });
        let list: Vec<Value> = list.collect();
        console.document(&json!({ "executions": list, "more": more }))?;
        return Ok(Exit::Completed);
    }
    if found.is_empty() {
        console.note("no executions");
        return Ok(Exit::Completed);
    }
    let now = session.map(|session| session.clock.now());
    let now = now.unwrap_or(Timestamp::from_millis(0));
    let rows: Vec<_> = found.iter().map(|summary| row(summary, now)).collect();
    let text = table(&["EXECUTION", "WORKFLOW", "STATUS", "AGE", "NEXT"], &rows);
    let mut lines = text.lines();
    console.line(lines.next().unwrap_or_default())?;
    for (line, parent) in lines.zip(&parents) {
        console.line(line)?;
        if let Some(parent) = parent {
            let called = format!("  called by {} of {}", parent.instance, parent.execution);
            console.line(&console.out.paint(Paint::Dim, called))?;
        }
    }
    if more {
        console.note("there are more: raise --limit, or filter with --status, --workflow, --label, --since and --until");
    }
    Ok(Exit::Completed)
}

fn row(summary: &ExecutionSummary, now: Timestamp) -> Vec<String> {
    let begins = summary
        .begins_at
        .filter(|_| summary.status == Status::Queued);
    let next = match (summary.leased, summary.wake_at) {
        _ if summary.status.is_terminal() => String::new(),
        (true, _) => "driven now".to_owned(),
        (false, Some(_)) if let Some(at) = begins => later(at, now),
        (false, _) if summary.status == Status::Paused => "unpause".to_owned(),
        (false, Some(at)) if matches!(summary.status, Status::Waiting | Status::Compensating) => {
            later(at, now)
        }
        (false, Some(_)) => "resume".to_owned(),
        (false, None) if summary.status == Status::Parked => "unpark".to_owned(),
        (false, None) if summary.status == Status::Waiting => "signal, vote or call".to_owned(),
        (false, None) if summary.status == Status::Queued => "its turn".to_owned(),
        (false, None) => String::new(),
    };
    vec![
        summary.id.to_string(),
        name(&ending::version(&summary.workflow, summary.version)),
        ending::words(summary.status).to_owned(),
        rough(now.since(summary.created_at)),
        next,
    ]
}

/// A name, with a gap in it where it is too long: its end has the version.
fn name(name: &str) -> String {
    let count = name.chars().count();
    if count <= MAX_NAME {
        return name.to_owned();
    }
    let head = MAX_NAME / 2;
    let tail = MAX_NAME - head - 1;
    let (start, end) = (name.chars().take(head), name.chars().skip(count - tail));
    start.chain(['…']).chain(end).collect()
}

fn later(at: Timestamp, now: Timestamp) -> String {
    format!("in {}", rough(at.since(now)))
}

/// A span of time in its largest unit.
fn rough(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use nebula_core::{ExecutionId, Labels, Priority, WorkflowId};

    use super::*;

    #[test]
    fn the_widest_line_fits_100_columns() {
        let now = Timestamp::from_millis(90_000_000_000);
        for status in Status::all() {
            let summary = ExecutionSummary {
                id: ExecutionId::from_bytes([7; 16]),
                workflow: WorkflowId::new("w".repeat(64)).unwrap(),
                version: 123_456,
                priority: Priority::Normal,
                status,
                created_at: Timestamp::from_millis(0),
                updated_at: now,
                begins_at: None,
                wake_at: None,
                entries: 1,
                leased: false,
                labels: Labels::default(),
            };
            let waits = ExecutionSummary {
                wake_at: Some(now.plus(Duration::from_secs(100 * 86_400))),
                ..summary.clone()
            };
            let rows = [row(&summary, now), row(&waits, now)];
            let widest = table(&["EXECUTION", "WORKFLOW", "STATUS", "AGE", "NEXT"], &rows);
            let widest = widest.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(100), "{rows:?}");
        }
    }

    #[test]
    fn spans_and_names_are_short() {
        let of = |seconds| rough(Duration::from_secs(seconds));
        assert_eq!(
            [of(0), of(59), of(60), of(7_199), of(86_400)],
            ["0s", "59s", "1m", "1h", "1d"]
        );
        assert_eq!(name("short@1"), "short@1");
        assert_eq!(
            name("a-very-long-name-of-a-workflow@12"),
            "a-very-lon…rkflow@12"
        );
    }
}
