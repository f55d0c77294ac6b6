//! `nebula executions pause` and `unpause`.

use nebula_core::ExecutionId;
use nebula_engine::{Report, Waiting};
use nebula_execution::{Fact, Signal, Status};
use nebula_ports::Signalled;

use crate::{
    commands::{
        run,
        saying::{HOLDER_WAIT, Saying, unheard},
    },
    console::Console,
    ending,
    failure::{Exit, Failure},
    session::{Driven, Session},
};

/// Asks an execution to start nothing new, and waits until it rests; attempts of another process
/// may take longer than that, and come to their end.
pub(crate) async fn pause(
    session: &Session,
    id: ExecutionId,
    reason: &str,
    console: &Console,
) -> Result<Exit, Failure> {
    let saying = Saying::to(session, id, console).await?;
    if is_paused(&saying.before) {
        console.note("it is paused already");
        return paused(&saying.before, session, console);
    }
    let signal = Signal::Pause {
        reason: reason.to_owned(),
    };
    match session.reach.signal(id, &signal).await? {
        Signalled::Delivered { .. } | Signalled::Duplicate { .. } => {}
        Signalled::Unknown => return Err(session.unknown(id)),
        Signalled::Terminal(status) => {
            console.note(&format!("it had ended before: {}", ending::words(status)));
            return paused(&session.report(id).await?, session, console);
        }
    }
    saying.begin("waiting until that one has heard");
    let driven = session
        .drive(console, async {
            let said = |fact: &Fact| matches!(fact, Fact::PauseRequested { .. });
            if !saying.heard(said).await? {
                return Err(unheard(id));
            }
            let report = session.reach.settled(id, Some(HOLDER_WAIT)).await?;
            report.ok_or_else(|| session.unknown(id))
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
    let saying = Saying::to(session, id, console).await?;
    if !is_paused(&saying.before) {
        return Err(not_paused(id, saying.before.status));
    }
    match session.reach.signal(id, &Signal::Unpause).await? {
        Signalled::Delivered { .. } | Signalled::Duplicate { .. } => {}
        Signalled::Unknown => return Err(session.unknown(id)),
        Signalled::Terminal(status) => return Err(not_paused(id, status)),
    }
    let said = |fact: &Fact| *fact == Fact::Resumed;
    saying.drive_on(said, || Ok(())).await
}

fn is_paused(report: &Report) -> bool {
    report.waiting.contains(&Waiting::Unpause)
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
