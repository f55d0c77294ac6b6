//! `nebula blobs`: the large values that lie beside the database.

use nebula_memory::Collected;
use serde_json::json;

use crate::{
    console::Console,
    failure::{Exit, Failure},
    session::Session,
    settings::Loaded,
};

/// Runs `nebula blobs collect`. JSON: `{ "old": 3, "deleted": 1, "bytes": 300000, "renewed": 0 }`: blobs that were old enough to be looked at, those that are gone, their bytes,
/// those that somebody used again meanwhile. Exit code 3 if an execution names one that cannot be read.
pub(crate) async fn collect(loaded: &Loaded, console: &Console) -> Result<Exit, Failure> {
    let session = Session::open_existing(loaded).await?;
    let collected = match session.as_ref() {
        Some(session) => match &session.here()?.collector {
            Some(collector) => collector.collect(&session.tenant).await?,
            None => Collected::default(),
        },
        None => Collected::default(),
    };
    let Collected {
        old,
        deleted,
        bytes,
        renewed,
        unreadable,
    } = collected;
    if unreadable > 0 {
        let message = format!(
            "{unreadable} blobs that executions name are missing or damaged; they may name others, so none is deleted"
        );
        return Err(Failure::environment("BLOBS_UNREADABLE", message)
            .advice("restore the folder of blobs beside the database from a backup"));
    }
    if console.json {
        console.document(&json!({
            "old": old,
            "deleted": deleted,
            "bytes": bytes,
            "renewed": renewed,
        }))?;
    } else {
        console.line(&format!(
            "{deleted} of {old} old blobs deleted, {bytes} bytes"
        ))?;
    }
    Ok(Exit::Completed)
}
