//! The shape of the tables, and how an older one becomes it.

use nebula_ports::ErrorKind;
use nebula_postgres::params;

use crate::{error::Fault, link::Link};

/// One change of the tables.
struct Migration {
    version: i32,
    /// The oldest schema whose build still works afterwards: older builds refuse the database.
    opens_from: i32,
    sql: &'static str,
}

/// Every change ever made, in order. A released one never changes.
const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        opens_from: 1,
        sql: include_str!("../migrations/0001_executions.sql"),
    },
    Migration {
        version: 2,
        opens_from: 1,
        sql: include_str!("../migrations/0002_workflows.sql"),
    },
    Migration {
        version: 3,
        opens_from: 1,
        sql: include_str!("../migrations/0003_credentials.sql"),
    },
    Migration {
        version: 4,
        opens_from: 1,
        sql: include_str!("../migrations/0004_identities.sql"),
    },
    Migration {
        version: 5,
        opens_from: 1,
        sql: include_str!("../migrations/0005_audit.sql"),
    },
    Migration {
        version: 6,
        opens_from: 1,
        sql: include_str!("../migrations/0006_tenants.sql"),
    },
    Migration {
        version: 7,
        opens_from: 1,
        sql: include_str!("../migrations/0007_tenants_apart.sql"),
    },
];

/// The oldest server that this driver is tested with, as `server_version_num` says it.
const OLDEST_SERVER: i32 = 150_000;

/// Who migrates holds this advisory lock: the bytes `NEBUPG01`.
const LOCK: i64 = i64::from_be_bytes(*b"NEBUPG01");

/// The newest schema that this build knows.
fn known() -> i32 {
    MIGRATIONS.last().map_or(0, |last| last.version)
}

/// Brings the tables to the newest schema that this build knows; processes that start together take turns.
pub(crate) async fn migrate(link: &Link, may_forget: bool) -> Result<(), Fault> {
    check_server(link).await?;
    if !may_forget {
        check_lasting(link).await?;
    }
    // One transaction, so that it is one session also behind a pooler.
    link.batch("BEGIN").await?;
    let migrated = migrate_within(link).await;
    let end = if migrated.is_ok() {
        "COMMIT"
    } else {
        "ROLLBACK"
    };
    link.batch(end).await?;
    migrated
}

async fn check_server(link: &Link) -> Result<(), Fault> {
    let asked =
        "SELECT current_setting('server_version_num')::int, current_setting('server_version'),
        current_setting('server_encoding'), current_setting('transaction_read_only') = 'on'";
    let row = link.row(asked, params![]).await?;
    let row = row.ok_or_else(|| Fault::corrupt("the server does not say what it is"))?;
    let (number, version, encoding): (i32, String, String) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if number < OLDEST_SERVER {
        return Err(Fault::new(
            ErrorKind::Unsupported,
            format!("the server is PostgreSQL {version}; use version 15 or later"),
        ));
    }
    if encoding != "UTF8" {
        return Err(Fault::new(
            ErrorKind::Unsupported,
            format!(
                "the database has the encoding {encoding}; make one with `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`"
            ),
        ));
    }
    if row.try_get(3)? {
        return Err(Fault::new(
            ErrorKind::ReadOnly,
            "the server takes no writes: it is a standby, or was told so",
        ));
    }
    Ok(())
}

/// Refuses a server that confirms what it would not have after a crash: a step that somebody was told of would be
/// gone, and its effect happen twice. Isolation and time zone need no look: each transaction says its own, and
/// times are counted.
async fn check_lasting(link: &Link) -> Result<(), Fault> {
    let asked = "SELECT current_setting('fsync'), current_setting('synchronous_commit')";
    let row = link.row(asked, params![]).await?;
    let row = row.ok_or_else(|| Fault::corrupt("the server does not say how it writes"))?;
    for (index, setting) in ["fsync", "synchronous_commit"].into_iter().enumerate() {
        let value: String = row.try_get(index)?;
        if value == "off" {
            return Err(Fault::new(
                ErrorKind::Unsupported,
                format!(
                    "`{setting}` is off, so a crash of the server would take back what it has confirmed: set it to on, for the server, and for this database and user where they say otherwise"
                ),
            ));
        }
    }
    Ok(())
}

async fn migrate_within(link: &Link) -> Result<(), Fault> {
    let lock = "SELECT pg_advisory_xact_lock($1)";
    link.rows(lock, params![LOCK]).await?;
    link.batch(
        "CREATE TABLE IF NOT EXISTS schema_version (
                version    integer     PRIMARY KEY,
                opens_from integer     NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
            )",
    )
    .await?;
    let newest = "SELECT version, opens_from FROM schema_version ORDER BY version DESC LIMIT 1";
    let found = link.row(newest, params![]).await?;
    let (found, opens_from): (i32, i32) = match found {
        Some(row) => (row.try_get(0)?, row.try_get(1)?),
        None => (0, 0),
    };
    if found > known() {
        return match opens_from <= known() {
            true => Ok(()),
            false => Err(Fault::new(
                ErrorKind::Format,
                format!(
                    "the database has schema {found}, which a newer version has written; this one knows up to {}, and has changed nothing: use the newer version, or a copy of the database from before",
                    known()
                ),
            )),
        };
    }
    for migration in MIGRATIONS.iter().filter(|it| it.version > found) {
        link.batch(migration.sql).await?;
        let sql = "INSERT INTO schema_version (version, opens_from) VALUES ($1, $2)";
        let row = params![migration.version, migration.opens_from];
        link.execute(sql, row).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_without_gaps() {
        for (index, migration) in MIGRATIONS.iter().enumerate() {
            assert_eq!(migration.version, i32::try_from(index).unwrap() + 1);
            assert!(migration.opens_from <= migration.version);
        }
    }
}
