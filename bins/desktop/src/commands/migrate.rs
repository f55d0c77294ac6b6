//! `nebula executions migrate`: another version for an execution that waits.

use nebula_core::ExecutionId;
use nebula_engine::MigrationError;
use serde_json::json;

use crate::{
    commands::run::not_installed,
    console::Console,
    failure::{Exit, Failure},
    reach::Moved,
    session::{self, Session},
    settings::Place,
};

/// Moves the execution, or with `check` only says whether it could be.
///
/// JSON: `{ "execution", "from", "to", "migrated", "begins", "drops" }`; `begins` and `drops` list
/// instances.
pub(crate) async fn run(
    session: &Session,
    id: ExecutionId,
    to: u32,
    check: bool,
    console: &Console,
) -> Result<Exit, Failure> {
    let Moved {
        from,
        to,
        begins,
        drops,
    } = session.reach.migrate(id, to, check).await?;
    if console.json {
        console.document(&json!({
            "execution": id.to_string(),
            "from": from,
            "to": to,
            "migrated": !check,
            "begins": begins,
            "drops": drops,
        }))?;
        return Ok(Exit::Completed);
    }
    let what = if check { "could have" } else { "has" };
    console.line(&format!("{id} {what} version {to}, after version {from}"))?;
    for (what, names) in [("begins", begins), ("is not there any more", drops)] {
        if !names.is_empty() {
            console.line(&format!("  {what}: {}", names.join(", ")))?;
        }
    }
    if !check && !session.is_there() {
        console.note(&format!("`nebula resume {id}` goes on with it"));
    }
    Ok(Exit::Completed)
}

pub(crate) fn refused(error: MigrationError, place: &Place) -> Failure {
    let message = error.to_string();
    let refused =
        |advice: &str| Failure::invalid("MIGRATION_REFUSED", message.clone()).advice(advice);
    match error {
        MigrationError::Store(error) => error.into(),
        MigrationError::Unknown(id) => session::unknown(id, place),
        MigrationError::Plan(error) => not_installed(error),
        MigrationError::UnknownVersion { workflow, .. } => {
            Failure::invalid("UNKNOWN_VERSION", message)
                .advice(format!("`nebula workflows versions {workflow}` lists them"))
        }
        MigrationError::Ended { execution, .. } => Failure::invalid("EXECUTION_ENDED", message)
            .advice(format!(
                "go over it again: nebula executions restart {execution}"
            )),
        MigrationError::Driven(id) | MigrationError::WentOn(id) => refused(&format!(
            "let it come to rest first, or pause it: nebula executions pause {id}"
        )),
        MigrationError::Input { .. } | MigrationError::NotGranted { .. } => {
            refused("what was given at the start stays; begin a new execution of that version")
        }
        _ => refused(
            "it goes on with the version that it has; make one that agrees with what was done",
        ),
    }
}
