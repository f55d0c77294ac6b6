//! `nebula executions retry` and `restart`: a new execution that goes over an ended one again.

use nebula_core::{ExecutionId, NodeId};
use nebula_engine::StartAgainError;
use nebula_execution::{Again, AgainError};

use crate::{
    commands::run,
    console::Console,
    failure::{Exit, Failure},
    progress::Picture,
    session::{self, Session},
    settings::Place,
};

/// Reads which nodes are to run once more.
pub(crate) fn restart(from: Option<&str>) -> Result<Again, Failure> {
    let from = from.map(|text| {
        text.parse::<NodeId>()
            .map_err(|error| Failure::invalid("USAGE", format!("--from: {error}")))
    });
    Ok(Again::Restart {
        from: from.transpose()?,
    })
}

/// Creates the new execution, and drives it until it has ended or needs somebody.
pub(crate) async fn run(
    how: Again,
    session: &Session,
    id: ExecutionId,
    console: &Console,
) -> Result<Exit, Failure> {
    let before = session.report(id).await?;
    let picture = Picture::of_nodes(before.workflow.as_str(), session.bus());
    let start = async {
        let started = session.reach.again(id, how).await?;
        Ok(run::begins(session, started, console).await)
    };
    Box::pin(run::drive(session, picture, start, console)).await
}

pub(crate) fn refused(error: StartAgainError, place: &Place) -> Failure {
    let (message, flag) = (error.to_string(), place.flag());
    let error = match error {
        StartAgainError::Unknown(id) => return session::unknown(id, place),
        StartAgainError::Store(error) => return error.into(),
        StartAgainError::Admission(error) => return run::not_admitted(&error),
        StartAgainError::Refused(error) => error,
    };
    match error {
        AgainError::NotEnded { execution } => {
            Failure::invalid("EXECUTION_NOT_ENDED", message).advice(format!(
                "go on with it: nebula resume {execution}{flag}; or end it first: nebula executions cancel {execution}{flag}"
            ))
        }
        AgainError::Completed { execution } => Failure::invalid("NOTHING_TO_RETRY", message)
            .advice(format!(
                "run it once more, or from one node on: nebula executions restart {execution} --from NODE{flag}"
            )),
        AgainError::UnknownNode { near, .. } => {
            let failure = Failure::invalid("UNKNOWN_NODE", message);
            match near {
                Some(near) => failure.advice(format!("did you mean `{near}`?")),
                None => failure.advice("`nebula executions show` lists the nodes that ran"),
            }
        }
        AgainError::NotReached { .. } => Failure::invalid("NODE_NOT_REACHED", message)
            .advice("restart from a node before it; `nebula executions show` lists the nodes that ran"),
        AgainError::TooMany { .. } => Failure::invalid("TOO_MANY_ENTRIES", message)
            .advice("restart it without --from: then nothing is copied"),
        _ => Failure::invalid("NOT_AGAIN", message),
    }
}
