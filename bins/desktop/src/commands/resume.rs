//! `nebula resume`: go on with what has not ended.

use std::cell::Cell;

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use nebula_core::ExecutionId;
use nebula_execution::Status;
use nebula_ports::ExecutionSummary;
use serde_json::json;

use crate::{
    arguments::Resume,
    commands::run,
    console::Console,
    definition::counted,
    ending,
    failure::{Exit, Failure},
    progress::Picture,
    session::{Driven, Session},
    settings::Loaded,
    wanted::Wanted,
};

/// The most executions that are listed before they are gone on with.
const LISTED: usize = 20;

/// Runs `nebula resume`.
pub(crate) async fn run(
    arguments: &Resume,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    if let Some(id) = &arguments.id {
        let (session, id) = Wanted::parse(id)?.open(loaded).await?;
        return one(id, &session, console).await;
    }
    match Session::open_existing(loaded).await? {
        Some(session) => all(&session, console).await,
        None => {
            console.note("nothing is left to do");
            Ok(Exit::Completed)
        }
    }
}

async fn one(id: ExecutionId, session: &Session, console: &Console) -> Result<Exit, Failure> {
    let before = session.report(id).await?;
    if before.status.is_terminal() {
        console.note("it has ended already");
        return ending::settled(&before, None, &session.place, console);
    }
    held(before.leased, id, console);
    session.focus(id);
    let picture = Picture::of_report(&before, session.bus());
    let driven = session
        .drive(console, async {
            if !console.live {
                console.note(&format!("execution {id}"));
            }
            session.wake(id).await;
            run::wait(session, id, picture, console).await
        })
        .await?;
    match driven {
        Driven::Done(report) => ending::settled(&report, None, &session.place, console),
        Driven::Stopped(request) => run::interrupted(session, request, Some(id), console).await,
    }
}

/// Everything that has not ended; one document a line, in the order in which they are settled.
async fn all(session: &Session, console: &Console) -> Result<Exit, Failure> {
    let unfinished = session
        .here()?
        .nebula
        .engine()
        .unfinished(&session.tenant)
        .await?;
    if unfinished.is_empty() {
        console.note("nothing is left to do");
        return Ok(Exit::Completed);
    }
    if let ([only], false) = (unfinished.as_slice(), console.json) {
        return one(only.id, session, console).await;
    }
    console.note(&format!(
        "going on with {}",
        counted(unfinished.len(), "execution")
    ));
    for summary in unfinished.iter().take(LISTED) {
        console.note(&format!("  {}", stands(summary)));
    }
    if let Some(more) = unfinished
        .len()
        .checked_sub(LISTED)
        .filter(|more| *more > 0)
    {
        console.note(&format!("  and {more} more"));
    }
    for summary in &unfinished {
        session.focus(summary.id);
    }
    let exit = Cell::new(Exit::Completed);
    let driven = session
        .drive(console, async {
            for summary in &unfinished {
                session.wake(summary.id).await;
            }
            settle_each(&unfinished, session, console, &exit).await
        })
        .await?;
    match driven {
        Driven::Done(()) => Ok(exit.get()),
        Driven::Stopped(request) => {
            console.note(&format!(
                "stopped; what was done is saved\n  what to do: go on with: nebula resume{}",
                session.place.flag()
            ));
            Ok(request.signal.into())
        }
    }
}

async fn settle_each(
    unfinished: &[ExecutionSummary],
    session: &Session,
    console: &Console,
    exit: &Cell<Exit>,
) -> Result<(), Failure> {
    let mut waiting: FuturesUnordered<_> = unfinished
        .iter()
        .map(|summary| async { (summary.id, session.settled(summary.id).await) })
        .collect();
    while let Some((id, settled)) = waiting.next().await {
        match settled {
            Ok(report) => {
                exit.set(exit.get().max(ending::exit_of(report.status)));
                ending::summary(&report, None, &session.place, console);
                if console.json {
                    console.json_line(&report)?;
                }
            }
            // One that cannot be read leaves the others alone.
            Err(failure) => {
                exit.set(exit.get().max(failure.exit));
                let text = format!("error[{}]: {id}: {}", failure.code, failure.message);
                console.error_text(&text);
                if console.json {
                    let error = json!({ "code": failure.code, "message": failure.message });
                    console.json_line(&json!({ "execution": id, "error": error }))?;
                }
            }
        }
    }
    Ok(())
}

/// One line about an execution that is gone on with: which, and what it waits for.
fn stands(summary: &ExecutionSummary) -> String {
    let (id, workflow, version) = (summary.id, &summary.workflow, summary.version);
    let what = match (summary.leased, summary.status, summary.wake_at) {
        (true, ..) => "driven by another process; waiting for it".to_owned(),
        (false, Status::Parked, None) => "a person must decide".to_owned(),
        (false, Status::Waiting, Some(due)) => format!("waits until {due}"),
        (false, Status::Compensating, Some(due)) => format!("goes on being undone at {due}"),
        (false, status, _) => ending::words(status).to_owned(),
    };
    format!("{id}  {workflow} version {version}  {what}")
}

fn held(leased: bool, id: ExecutionId, console: &Console) {
    if leased {
        console.note(&format!(
            "{id} is driven by another process; waiting for it"
        ));
    }
}
