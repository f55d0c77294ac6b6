//! What lies in the database, made and checked.

use nebula_ports::{ErrorKind, PortError, Result};
use nebula_postgres::{Client, Error};

use crate::error::{DRIVER, port_error};

/// The version that this build knows.
const VERSION: i32 = 1;

/// The oldest server on which the statements are written.
const OLDEST: i32 = 130_000;

/// Of the lock under which one process makes the schema while others wait.
const LOCK: i64 = 0x6e65_6275_6c61_7175;

/// Sees that the server fits, and that what the queue asks is there.
pub(crate) async fn prepare(client: &Client, address: &str) -> Result<()> {
    let error = |error| port_error("connect", address, error);
    let refusal =
        |kind, said: String| PortError::new(kind, DRIVER, "connect", format!("{address}: {said}"));
    let sql = "SELECT current_setting('server_version_num')::int, pg_is_in_recovery(),
        current_setting('server_version')";
    let row = client.query_typed(sql, &[]).await.map_err(error)?;
    let (version, standby, shown) = (row[0].get(0), row[0].get(1), row[0].get(2));
    if let Some((kind, said)) = unfit(version, standby, shown) {
        return Err(refusal(kind, said));
    }
    let mut found = stored(client).await.map_err(error)?;
    if found.is_none() {
        let begin = format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})");
        client.batch_execute(&begin).await.map_err(error)?;
        found = stored(client).await.map_err(error)?;
        if found.is_none() {
            let made = client.batch_execute(include_str!("sql/schema_1.sql")).await;
            made.map_err(error)?;
            found = Some(VERSION);
        }
        client.batch_execute("COMMIT").await.map_err(error)?;
    }
    match found {
        Some(version) if version <= VERSION => Ok(()),
        _ => {
            let said = format!(
                "the queue in the database has version {}, and this build knows {VERSION}: use a newer build",
                found.unwrap_or_default()
            );
            Err(refusal(ErrorKind::Format, said))
        }
    }
}

/// Why a server with this version, by number and text, does not do.
fn unfit(version: i32, is_standby: bool, shown: &str) -> Option<(ErrorKind, String)> {
    if version < OLDEST {
        let said = format!("PostgreSQL {shown} is too old: 13 is the oldest that runs the queue");
        return Some((ErrorKind::Unsupported, said));
    }
    let said = "it is a standby and takes no writes: connect to the one that does";
    is_standby.then(|| (ErrorKind::Unavailable, said.to_owned()))
}

/// The version that is there.
async fn stored(client: &Client) -> std::result::Result<Option<i32>, Error> {
    // Not `to_regclass`: within a transaction it may not have heard of what another one made.
    let there = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'nebula_queue' AND c.relname = 'versions')";
    if !client.query_typed(there, &[]).await?[0].get::<_, bool>(0) {
        return Ok(None);
    }
    let sql = "SELECT max(version) FROM nebula_queue.versions";
    Ok(client.query_typed(sql, &[]).await?[0].get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_or_a_standby_is_refused() {
        let kind = |version, standby| unfit(version, standby, "x").map(|(kind, _)| kind);
        assert_eq!(kind(150_013, false), None);
        assert_eq!(kind(130_000, false), None);
        assert_eq!(kind(120_022, false), Some(ErrorKind::Unsupported));
        assert_eq!(kind(150_013, true), Some(ErrorKind::Unavailable));
    }
}
