//! `nebula executions watch`: an execution that others drive.

use nebula_core::ExecutionId;
use nebula_telemetry::ExecutionEvent;

use crate::{
    commands::run,
    console::Console,
    ending,
    failure::{Exit, Failure},
    progress::Picture,
    session::{Driven, Session},
};

/// Shows what becomes true of the execution until it has ended or needs somebody. Nothing is driven.
///
/// JSON: one event a line, as the stream of the API has it, from the last 500 on; then the report.
pub(crate) async fn run(
    session: &Session,
    id: ExecutionId,
    console: &Console,
) -> Result<Exit, Failure> {
    let before = session.report(id).await?;
    let picture = Picture::of_report(&before, session.bus());
    let told = |event: &ExecutionEvent| match console.json {
        true => console.json_line(&event.document()),
        false => Ok(()),
    };
    let mut follower = session.follow(id).await?;
    let followed = session
        .look_on(async {
            let report = tokio::select! {
                biased;
                Err(failure) = follower.forever(told) => Err(failure),
                report = run::wait(session, id, picture, console) => report,
            }?;
            // What came with its end.
            while follower.look(told).await? {}
            Ok(report)
        })
        .await?;
    match followed {
        Driven::Done(report) => {
            ending::summary(&report, None, &session.place, console);
            if console.json {
                console.json_line(&report)?;
            }
            Ok(ending::exit_of(report.status))
        }
        Driven::Stopped(request) => Ok(request.signal.into()),
    }
}
