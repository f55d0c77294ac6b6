//! `nebula approvals`: what is asked of people now, and their votes.

use futures_util::{StreamExt as _, stream};
use nebula_core::ExecutionId;
use nebula_execution::{Choice, Status};
use nebula_ports::ExecutionFilter;
use serde_json::{Value, json};

use crate::{
    arguments::Approvals,
    commands::vote,
    console::Console,
    failure::{Exit, Failure},
    reach::{Asked, Listed},
    session::Session,
    settings::Loaded,
    table::table,
};

/// How many executions are asked about at a time.
const AT_A_TIME: usize = 8;

/// Runs `nebula approvals`.
pub(crate) async fn run(
    command: &Approvals,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    match command {
        Approvals::List { limit, .. } => {
            let session = Session::open_existing(loaded).await?;
            list(session.as_ref(), usize::from(*limit), console).await
        }
        Approvals::Approve(arguments) => {
            vote::run(arguments, Choice::Approve, loaded, console).await
        }
        Approvals::Reject(arguments) => vote::run(arguments, Choice::Reject, loaded, console).await,
        Approvals::Defer(arguments) => vote::run(arguments, Choice::Defer, loaded, console).await,
    }
}

/// JSON: `{ "approvals": [{ "execution", "instance", "round", "title", "approvers", "quorum", "approved",
/// "rejected", "due" }], "more": false }`, those of the newest execution first; `more` says that there are
/// executions that were not looked at. Without a database (`None`) there is nothing.
async fn list(session: Option<&Session>, limit: usize, console: &Console) -> Result<Exit, Failure> {
    let (open, more) = match session {
        None => (Vec::new(), false),
        Some(session) => open(session, limit).await?,
    };
    if console.json {
        let open: Vec<_> = open.iter().map(document).collect();
        console.document(&json!({ "approvals": open, "more": more }))?;
        return Ok(Exit::Completed);
    }
    if open.is_empty() {
        console.note("nothing is asked of anybody");
    } else {
        let rows: Vec<_> = open.iter().map(row).collect();
        let head = ["EXECUTION", "INSTANCE", "ASKS", "VOTES", "OF"];
        console.line(&table(&head, &rows))?;
    }
    if more {
        console.note("there are more executions that have not ended: raise --limit");
    }
    Ok(Exit::Completed)
}

async fn open(
    session: &Session,
    limit: usize,
) -> Result<(Vec<(ExecutionId, Asked)>, bool), Failure> {
    let filter = ExecutionFilter {
        statuses: Status::all().filter(|it| !it.is_terminal()).collect(),
        ..ExecutionFilter::default()
    };
    let Listed { items, more } = session.reach.list(&filter, None, limit).await?;
    // In their order, and over a network not one after the other.
    let asked = items.iter().map(|it| session.reach.asked(it.id));
    let mut asked = stream::iter(asked).buffered(AT_A_TIME);
    let (mut open, mut of) = (Vec::new(), items.iter());
    while let (Some(asked), Some(execution)) = (asked.next().await, of.next()) {
        // It may have gone since it was listed.
        let asked = asked?.unwrap_or_default();
        open.extend(asked.into_iter().map(|it| (execution.id, it)));
    }
    Ok((open, more))
}

fn document((execution, asked): &(ExecutionId, Asked)) -> Value {
    json!({
        "execution": execution.to_string(),
        "instance": asked.instance.to_string(),
        "round": asked.round,
        "title": asked.title,
        "approvers": asked.approvers,
        "quorum": asked.quorum,
        "approved": asked.approved,
        "rejected": asked.rejected,
        "due": asked.due.map(|due| due.to_string()),
    })
}

fn row((execution, asked): &(ExecutionId, Asked)) -> Vec<String> {
    let votes = match asked.rejected.len() {
        0 => format!("{} of {}", asked.approved.len(), asked.quorum),
        no => format!("{} of {}, {no} against", asked.approved.len(), asked.quorum),
    };
    vec![
        execution.to_string(),
        asked.instance.to_string(),
        asked.title.clone().unwrap_or_default(),
        votes,
        match asked.approvers.is_empty() {
            true => "anybody".to_owned(),
            false => asked.approvers.join(", "),
        },
    ]
}
