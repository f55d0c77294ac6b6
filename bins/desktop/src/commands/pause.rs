//! `nebula executions pause` and `unpause`.

use nebula_core::ExecutionId;
use nebula_engine::{Report, Until, Waiting};
use nebula_execution::{Fact, Status};
use nebula_ports::Signalled;

use crate::{
    commands::{
        executions::HOLDER_WAIT,
        run,
        unpark::{heard, unheard},
    },
    console::Console,
    ending,
    failure::{Exit, Failure},
    progress::Picture,
    session::{self, Driven, Session},
};

/// Asks an execution to start nothing new, and waits until it rests; attempts of another process
/// may take longer than that, and come to their end.
pub(crate) async fn pause(
    session: &Session,
    id: ExecutionId,
    reason: &str,
    console: &Console,
) -> Result<Exit, Failure> {
    let before = session.report(id).await?;
    if is_paused(&before) {
        console.note("it is paused already");
        return paused(&before, session, console);
    }
    let last = entries(session, id).await?;
    let sent = session
        .engine()
        .pause(&session.tenant, id, reason.to_owned())
        .await?;
    match sent {
        Signalled::Delivered { .. } | Signalled::Duplicate { .. } => {}
        Signalled::Unknown => return Err(session::unknown(id)),
        Signalled::Terminal(status) => {
            console.note(&format!("it had ended before: {}", ending::words(status)));
            return paused(&session.report(id).await?, session, console);
        }
    }
    if before.leased {
        console.note("another process drives it; waiting until that one has heard");
    }
    session.composed.focus.on(id);
    let driven = session
        .drive(console, async {
            let engine = session.engine();
            engine.wake(&session.tenant, id).await;
            let said = |fact: &Fact| matches!(fact, Fact::PauseRequested { .. });
            if !heard(session, id, last, said).await? {
                return Err(unheard(id));
            }
            let until = Until::EndedOrParked;
            let report = engine
                .outcome(&session.tenant, id, until, Some(HOLDER_WAIT))
                .await?;
            report.ok_or_else(|| session::unknown(id))
        })
        .await?;
    match driven {
        Driven::Done(report) => paused(&report, session, console),
        Driven::Stopped(request) => run::interrupted(session, request, Some(id), console).await,
    }
}

/// Lets a paused execution go on, then drives it on unless somebody else does.
pub(crate) async fn unpause(
    session: &Session,
    id: ExecutionId,
    console: &Console,
) -> Result<Exit, Failure> {
    let before = session.report(id).await?;
    if !is_paused(&before) {
        return Err(not_paused(id, before.status));
    }
    let last = entries(session, id).await?;
    match session.engine().unpause(&session.tenant, id).await? {
        Signalled::Delivered { .. } | Signalled::Duplicate { .. } => {}
        Signalled::Unknown => return Err(session::unknown(id)),
        Signalled::Terminal(status) => return Err(not_paused(id, status)),
    }
    if before.leased {
        console.note("another process drives it; waiting for that one");
    }
    session.composed.focus.on(id);
    let picture = Picture::of_report(&before, session.composed.nebula.bus());
    let driven = session
        .drive(console, async {
            session.engine().wake(&session.tenant, id).await;
            if !heard(session, id, last, |fact| *fact == Fact::Resumed).await? {
                return Err(unheard(id));
            }
            run::wait(session, id, picture, console).await
        })
        .await?;
    match driven {
        Driven::Done(report) => ending::settled(&report, None, &session.place, console),
        Driven::Stopped(request) => run::interrupted(session, request, Some(id), console).await,
    }
}

fn is_paused(report: &Report) -> bool {
    report.waiting.contains(&Waiting::Unpause)
}

/// How many entries the journal has, so that later ones are told from earlier ones.
pub(crate) async fn entries(session: &Session, id: ExecutionId) -> Result<u64, Failure> {
    let summary = session.composed.executions.get(&session.tenant, id).await?;
    Ok(summary.ok_or_else(|| session::unknown(id))?.entries)
}

fn not_paused(id: ExecutionId, status: Status) -> Failure {
    let message = format!("{id} is {} and not paused", ending::words(status));
    Failure::invalid("NOT_PAUSED", message)
        .advice("`nebula executions show ID` says where it stands")
}

/// To have it paused is what was wanted; an end is not.
fn paused(report: &Report, session: &Session, console: &Console) -> Result<Exit, Failure> {
    ending::summary(report, None, &session.place, console);
    if console.json {
        console.document(report)?;
    }
    if report.status.is_terminal() {
        return Ok(Exit::Ended);
    }
    if report.status == Status::Running {
        console.note("  nothing new starts; what still runs comes to its end");
    }
    Ok(Exit::Completed)
}
