//! `nebula executions list --waiting`: what each execution that has not ended waits for.

use nebula_engine::{Report, Waiting};
use nebula_execution::Status;
use nebula_ports::{ExecutionFilter, ExecutionSummary};
use serde_json::{Value, json};

use crate::{
    commands::executions::{shortened, summary_json},
    console::Console,
    ending,
    failure::{Exit, Failure},
    session::Session,
    table::table,
};

/// JSON: as `executions list`, where each execution also has `waiting`, as its report has it.
pub(crate) async fn list(
    session: Option<&Session>,
    mut filter: ExecutionFilter,
    limit: usize,
    console: &Console,
) -> Result<Exit, Failure> {
    if filter.statuses.is_empty() {
        let open = Status::all().filter(|status| !status.is_terminal());
        filter.statuses = open.collect();
    }
    let (mut found, mut more) = (Vec::new(), false);
    if let Some(session) = session {
        let page = session.reach.list(&filter, None, limit).await?;
        more = page.more;
        for summary in page.items {
            // It may have ended, or be gone, since it was listed.
            let report = session.reach.report(summary.id).await?;
            found.extend(
                report
                    .filter(|it| !it.status.is_terminal())
                    .map(|it| (summary, it)),
            );
        }
    }
    if console.json {
        let list = found.iter().map(|(summary, report)| {
            let mut shown = summary_json(summary);
            shown["waiting"] = json!(report.waiting);
            shown
        });
        let list: Vec<Value> = list.collect();
        console.document(&json!({ "executions": list, "more": more }))?;
        return Ok(Exit::Completed);
    }
    if found.is_empty() {
        console.note("nothing waits");
        return Ok(Exit::Completed);
    }
    let rows: Vec<_> = found
        .iter()
        .flat_map(|(summary, report)| rows(summary, report))
        .collect();
    console.line(&table(
        &["EXECUTION", "WORKFLOW", "STATUS", "NODE", "WAITS FOR"],
        &rows,
    ))?;
    if more {
        console.note("there are more: raise --limit, or filter with --status and --workflow");
    }
    Ok(Exit::Completed)
}

/// A row for each thing that an execution waits for; at least one.
fn rows(summary: &ExecutionSummary, report: &Report) -> Vec<Vec<String>> {
    let mut reasons: Vec<(String, String)> = report.waiting.iter().map(reason).collect();
    if summary.leased {
        reasons.insert(0, (String::new(), "somebody drives it now".to_owned()));
    } else if reasons.is_empty() {
        let what = match summary.wake_at {
            Some(_) => "somebody who drives it: nebula resume",
            None => "",
        };
        reasons.push((String::new(), what.to_owned()));
    }
    let cells = reasons
        .into_iter()
        .enumerate()
        .map(|(place, (node, what))| {
            let mut cells = match place {
                0 => vec![
                    summary.id.to_string(),
                    ending::version(&summary.workflow, summary.version),
                    ending::words(report.status).to_owned(),
                ],
                _ => vec![String::new(); 3],
            };
            cells.extend([node, what]);
            cells
        });
    cells.collect()
}

/// The instance that waits, and what for.
fn reason(waiting: &Waiting) -> (String, String) {
    let of_all = |what: String| (String::new(), what);
    match waiting {
        Waiting::Time { instance, due } => (instance.clone(), format!("the time {due}")),
        Waiting::Retry {
            instance,
            due,
            attempts,
            reason,
        } => {
            let why = reason.as_deref().map(|why| format!(": {}", shortened(why)));
            let why = why.unwrap_or_default();
            let what = format!("attempt {} at {due}, after a failure{why}", attempts + 1);
            (instance.clone(), what)
        }
        Waiting::Signal {
            instance,
            name,
            due,
        } => {
            let due = due
                .as_ref()
                .map(|due| format!(" until {due}"))
                .unwrap_or_default();
            (instance.clone(), format!("signal `{name}`{due}"))
        }
        Waiting::Approval {
            instance,
            title,
            approvers,
            quorum,
            approved,
            due,
            ..
        } => {
            let title = title.as_deref().map(|it| format!(": {}", shortened(it)));
            let whom = match approvers.as_slice() {
                [] => "anybody".to_owned(),
                names => shortened(&names.join(", ")),
            };
            let count = match quorum {
                1 => String::new(),
                quorum => format!(" ({} of {quorum} approved)", approved.len()),
            };
            let due = due.as_ref().map(|due| format!(" until {due}"));
            let (title, due) = (title.unwrap_or_default(), due.unwrap_or_default());
            (
                instance.clone(),
                format!("approval by {whom}{count}{due}{title}"),
            )
        }
        Waiting::Milestone {
            instance, reached, ..
        } => (instance.clone(), format!("the success of `{reached}`")),
        Waiting::Slot {
            instance,
            key,
            ahead,
            due,
        } => {
            let ahead = match ahead {
                None => String::new(),
                Some(0) => ", next in line".to_owned(),
                Some(1) => ", behind 1 other".to_owned(),
                Some(ahead) => format!(", behind {ahead} others"),
            };
            let due = due.as_ref().map(|due| format!(" until {due}"));
            let what = if instance.is_some() { "" } else { "its turn: " };
            let due = due.unwrap_or_default();
            let node = instance.clone().unwrap_or_default();
            (node, format!("{what}`{key}`{due}{ahead}"))
        }
        Waiting::Decision { instance, reason } => {
            let what = format!("a person's decision (unpark): {}", shortened(reason));
            (instance.clone(), what)
        }
        Waiting::Compensation {
            instance,
            due,
            attempts,
            reason,
        } => {
            let why = reason.as_deref().map(|why| format!(": {}", shortened(why)));
            let why = why.unwrap_or_default();
            let next = attempts + 1;
            let what = format!("attempt {next} to undo it at {due}, after a failure{why}");
            (instance.clone(), what)
        }
        Waiting::CompensationDecision { instance, reason } => {
            let why = shortened(reason);
            let what = format!("a person's decision (unpark): it could not be undone: {why}");
            (instance.clone(), what)
        }
        Waiting::Child {
            instance,
            execution,
            workflow,
        } => {
            let of = workflow.as_ref().map(|id| format!(" of {id}"));
            let what = format!("the end of {execution}{}", of.unwrap_or_default());
            (instance.clone(), what)
        }
        Waiting::Worker { group } => of_all(format!("a worker of the group {group}")),
        Waiting::Start { due } => of_all(format!("its time to begin, by its rate: {due}")),
        Waiting::Unpause => of_all("a person who lets it go on (unpause)".to_owned()),
        Waiting::Poison { grants } => of_all(format!(
            "a person's decision (unpark): {grants} attempts in a row to go on brought no progress"
        )),
    }
}
