//! Looking into the database past the engine, and holding all of it against the invariants.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use nebula_core::{Digest, ExecutionId, TenantId};
use nebula_execution::{ExecutionPlan, Fact, InstanceId, Status, StoredEntry, decode};
use nebula_ports::{ExecutionFilter, ExecutionRepo, WorkflowRepo};
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_system::SystemClock;
use nebula_testkit::simulation::Audit;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use crate::{Failed, wire::Effect};

/// How long a look waits for those who write.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many rows are read at a time.
const PAGE: usize = 500;

/// What became of an execution.
#[derive(Debug, Clone)]
pub(crate) struct Became {
    pub(crate) workflow: String,
    pub(crate) status: Status,
    pub(crate) input: Value,
    pub(crate) output: Option<Value>,
    pub(crate) entries: Vec<StoredEntry>,
    /// Whether another one called it.
    pub(crate) called: bool,
    plan: (Digest, Arc<ExecutionPlan>),
}

impl Became {
    /// Holds its journal against the invariants.
    pub(crate) fn audit(&self, id: ExecutionId, audit: &mut Audit) {
        let (digest, plan) = &self.plan;
        audit.plan(*digest, Arc::clone(plan));
        audit.journal(&TenantId::local(), id, &self.entries, self.status);
    }
}

fn look(database: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}

/// How many executions have not ended; none while there is no database to be read.
pub(crate) fn open(database: &Path) -> Option<u64> {
    let connection = look(database).ok()?;
    let sql = format!(
        "SELECT count(*) FROM executions WHERE status < {}",
        Status::Completed as u8
    );
    let open: i64 = connection.query_row(&sql, [], |row| row.get(0)).ok()?;
    Some(open.unsigned_abs())
}

/// How far all journals together have come; grows with every step.
pub(crate) fn progress(database: &Path) -> u64 {
    let look = || -> rusqlite::Result<i64> {
        let connection = look(database)?;
        let sql = "SELECT (SELECT coalesce(max(j), 0) FROM journal)
                        + (SELECT coalesce(max(n), 0) FROM executions)";
        connection.query_row(sql, [], |row| row.get(0))
    };
    look().map_or(0, i64::unsigned_abs)
}

/// How many executions somebody holds.
pub(crate) fn held(database: &Path) -> Option<u64> {
    let sql = "SELECT count(*) FROM executions WHERE lease_until IS NOT NULL";
    let held: i64 = look(database)
        .ok()?
        .query_row(sql, [], |row| row.get(0))
        .ok()?;
    Some(held.unsigned_abs())
}

/// What every step has written, by execution and place.
pub(crate) fn batches(database: &Path) -> rusqlite::Result<BTreeMap<(i64, i64), Vec<u8>>> {
    let connection = look(database)?;
    let mut statement = connection.prepare("SELECT execution, first_seq, entries FROM batches")?;
    let rows = statement.query_map([], |row| {
        Ok(((row.get(0)?, row.get(1)?), row.get::<_, Vec<u8>>(2)?))
    })?;
    rows.collect()
}

/// Every execution, the oldest first.
pub(crate) fn ids(database: &Path) -> rusqlite::Result<Vec<String>> {
    let connection = look(database)?;
    let mut statement = connection.prepare("SELECT id FROM executions ORDER BY n")?;
    let rows = statement.query_map([], |row| {
        Ok(ExecutionId::from_bytes(row.get(0)?).to_string())
    })?;
    rows.collect()
}

/// Whether the start of this very attempt is committed.
pub(crate) fn has_started(database: &Path, effect: &Effect) -> rusqlite::Result<bool> {
    let connection = look(database)?;
    let mut statement = connection.prepare(
        "SELECT entries FROM batches
         WHERE execution = (SELECT n FROM executions WHERE tenant = ?1 AND id = ?2)
         ORDER BY first_seq DESC",
    )?;
    let tenant = TenantId::local();
    let mut rows = statement.query((tenant.as_str(), effect.execution.as_bytes()))?;
    while let Some(row) = rows.next()? {
        let entries = decode(&row.get::<_, Vec<u8>>(0)?).unwrap_or_default();
        let found = entries.iter().any(|entry| match &entry.fact {
            Fact::AttemptStarted { key, attempt, .. }
            | Fact::CompensationStarted { key, attempt, .. } => {
                *key == effect.key && *attempt == effect.attempt
            }
            _ => false,
        });
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What SQLite itself says of the file.
pub(crate) fn integrity(database: &Path) -> rusqlite::Result<String> {
    look(database)?.query_row("PRAGMA integrity_check(3)", [], |row| row.get(0))
}

/// Reads everything, and holds it against the invariants.
pub(crate) fn read(
    database: &Path,
    audit: &mut Audit,
) -> Result<BTreeMap<ExecutionId, Became>, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let clock = Arc::new(SystemClock::default());
    runtime.block_on(async {
        let store = Sqlite::open(SqliteConfig::file(database), clock).await?;
        read_all(&store, audit).await
    })
}

/// Reads everything that a store has, whichever it is, and holds it against the invariants.
pub(crate) async fn read_all<S: ExecutionRepo + WorkflowRepo>(
    store: &S,
    audit: &mut Audit,
) -> Result<BTreeMap<ExecutionId, Became>, Failed> {
    let tenant = TenantId::local();
    let (filter, mut after, mut all) = (ExecutionFilter::default(), None, BTreeMap::new());
    loop {
        let page = ExecutionRepo::list(store, &tenant, &filter, after.as_ref(), PAGE).await?;
        for summary in page.items {
            let entries = journal(store, summary.id).await?;
            let Some(Fact::ExecutionStarted(started)) =
                entries.first().map(|first| &first.entry.fact)
            else {
                audit.journal(&tenant, summary.id, &entries, summary.status);
                continue;
            };
            let bytes = store.plan(&tenant, started.plan).await?;
            let bytes = bytes.ok_or_else(|| format!("no plan of {}", summary.id))?;
            let output = entries.iter().find_map(|stored| match &stored.entry.fact {
                Fact::ExecutionCompleted { output } => Some((**output).clone()),
                _ => None,
            });
            let became = Became {
                workflow: summary.workflow.to_string(),
                status: summary.status,
                input: (*started.input).clone(),
                called: started.parent.is_some(),
                plan: (started.plan, Arc::new(ExecutionPlan::decode(&bytes)?)),
                output,
                entries,
            };
            became.audit(summary.id, audit);
            all.insert(summary.id, became);
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(all),
        }
    }
}

/// The whole journal of an execution.
pub(crate) async fn journal<S: ExecutionRepo>(
    store: &S,
    id: ExecutionId,
) -> Result<Vec<StoredEntry>, Failed> {
    let (tenant, mut entries) = (TenantId::local(), Vec::<StoredEntry>::new());
    loop {
        let from = entries.last().map_or(1, |last| last.seq + 1);
        let page = store.journal(&tenant, id, from, PAGE).await?;
        if page.entries.is_empty() {
            return Ok(entries);
        }
        entries.extend(page.entries);
    }
}

/// Under which key an instance acts, or is undone, as its journal says.
pub(crate) fn key(entries: &[StoredEntry], of: &InstanceId, undoing: bool) -> Option<String> {
    let mut entries = entries.iter().rev();
    entries.find_map(|stored| match &stored.entry.fact {
        Fact::AttemptStarted { instance, key, .. } if !undoing && instance == of => {
            Some(key.clone())
        }
        Fact::CompensationStarted { instance, key, .. } if undoing && instance == of => {
            Some(key.clone())
        }
        _ => None,
    })
}
