//! What readers answer about executions.

use nebula_core::{ExecutionId, Labels, TenantId, Timestamp, WorkflowId};
use nebula_execution::{CodecError, StoredEntry, decode};
use nebula_ports::{ErrorKind, ExecutionSummary, InboxItem, JournalPage, WaitToken};
use nebula_postgres::{Row as SqlRow, params};
use uuid::Uuid;

use crate::{
    error::Fault,
    link::Link,
    row::{limited, number, priority, status, stored, uuid},
};

/// The most bytes of entries that one page of a journal holds, unless its first batch is larger.
pub(crate) const MAX_PAGE_BYTES: i64 = 16 << 20;

/// The columns of [`summary`], of `executions AS e`.
pub(crate) const SUMMARY: &str = "e.id, e.workflow, e.version, e.status, e.created_at, e.updated_at, e.wake_at, e.next_seq, e.lease_until, e.begins_at, e.priority, e.labels";

/// An execution, and with it whole batches of its journal from the one that holds entry `from` on: as many as may
/// fit, and one more where there is one; none where its row has the whole journal.
const BATCHES: &str = "SELECT e.next_seq - 1, e.epoch, e.whole, b.first_seq, b.count, b.epoch, b.entries
    FROM executions AS e LEFT JOIN LATERAL (
        SELECT j.first_seq, j.count, j.epoch, j.entries,
            sum(octet_length(j.entries)) OVER (ORDER BY j.first_seq) - octet_length(j.entries) AS before
        FROM journal AS j WHERE e.whole IS NULL AND j.execution = e.n AND j.first_seq >= coalesce(
            (SELECT max(first_seq) FROM journal WHERE execution = e.n AND first_seq <= $3), 0)
        ORDER BY j.first_seq LIMIT $4) AS b ON b.before <= $5
    WHERE e.tenant = $1 AND e.id = $2 ORDER BY b.first_seq";

/// Whole batches from entry `from` on, as long as they fit into `limit`.
pub(crate) async fn journal(
    link: &Link,
    tenant: &TenantId,
    execution: ExecutionId,
    from: u64,
    limit: usize,
) -> Result<JournalPage, Fault> {
    let mut page = Batches::new(from, limit);
    // Each has an entry at least, and one is from before.
    let most = limited(limit.saturating_add(2));
    let (tenant, execution, from) = (tenant.as_str(), uuid(execution), stored(from)?);
    let given = params![tenant, execution, from, most, MAX_PAGE_BYTES];
    for row in link.rows(BATCHES, given).await? {
        if let Some(whole) = row.try_get::<_, Option<&[u8]>>(2)? {
            let (count, epoch) = (number(row.try_get(0)?)?, number(row.try_get(1)?)?);
            page.add(1, (count, epoch), whole)?;
            break;
        }
        let Some(first) = row.try_get::<_, Option<i64>>(3)? else {
            break;
        };
        let (count, epoch) = (number(row.try_get(4)?)?, number(row.try_get(5)?)?);
        let page = page.add(number(first)?, (count, epoch), row.try_get(6)?)?;
        if page.is_full() {
            break;
        }
    }
    Ok(page.page)
}

/// A page of a journal that grows by whole batches.
struct Batches {
    from: u64,
    limit: usize,
    bytes: usize,
    page: JournalPage,
}

impl Batches {
    fn new(from: u64, limit: usize) -> Self {
        Self {
            from,
            limit,
            bytes: 0,
            page: JournalPage {
                entries: Vec::new(),
                next: None,
            },
        }
    }

    fn is_full(&self) -> bool {
        self.page.next.is_some()
    }

    /// Adds the batch that begins with entry `first`, unless it has no room any more.
    fn add(
        &mut self,
        first: u64,
        (count, epoch): (u64, u64),
        batch: &[u8],
    ) -> Result<&Self, Fault> {
        let begin = first.max(self.from);
        let Some(fitting) = (first + count)
            .checked_sub(begin)
            .filter(|fitting| *fitting > 0)
        else {
            return Ok(self);
        };
        self.bytes += batch.len();
        let entries = &mut self.page.entries;
        let full = entries.len() as u64 + fitting > self.limit as u64
            || self.bytes as i64 > MAX_PAGE_BYTES;
        if full && !entries.is_empty() {
            self.page.next = Some(begin);
            return Ok(self);
        }
        let decoded = decode(batch).map_err(|error| codec(&error))?;
        if decoded.len() as u64 != count {
            return Err(Fault::corrupt(
                "a batch has another number of entries than it says",
            ));
        }
        let stored = decoded
            .into_iter()
            .zip(first..)
            .filter(|(_, seq)| *seq >= begin);
        entries.extend(stored.map(|(entry, seq)| StoredEntry { seq, epoch, entry }));
        Ok(self)
    }
}

fn codec(error: &CodecError) -> Fault {
    match error {
        CodecError::Format { .. } => Fault::new(ErrorKind::Format, error.to_string()),
        CodecError::Empty => Fault::corrupt(error.to_string()),
        // The decoder's own words may quote what it read.
        CodecError::Damaged(cause) => Fault::corrupt(format!(
            "a journal batch cannot be read at line {}, column {}",
            cause.line(),
            cause.column()
        )),
    }
}

/// Inbox items after number `after`.
pub(crate) async fn inbox(
    link: &Link,
    tenant: &TenantId,
    execution: ExecutionId,
    after: u64,
    limit: usize,
) -> Result<Vec<InboxItem>, Fault> {
    let find = "SELECT i.seq, i.at, i.kind, i.payload FROM executions AS e JOIN inbox AS i ON i.execution = e.n
        WHERE e.tenant = $1 AND e.id = $2 AND i.seq > $3 ORDER BY i.seq LIMIT $4";
    let place = params![
        tenant.as_str(),
        uuid(execution),
        stored(after)?,
        limited(limit)
    ];
    let mut items = Vec::new();
    for row in link.rows(find, place).await? {
        items.push(InboxItem {
            seq: number(row.try_get(0)?)?,
            at: Timestamp::from_millis(row.try_get(1)?),
            kind: row.try_get(2)?,
            payload: serde_json::from_str(row.try_get(3)?)
                .map_err(|_| Fault::corrupt("a payload cannot be read"))?,
        });
    }
    Ok(items)
}

/// Which execution a token wakes.
pub(crate) async fn waiting_on(
    link: &Link,
    tenant: &TenantId,
    token: WaitToken,
) -> Result<Option<ExecutionId>, Fault> {
    let find = "SELECT e.id FROM waits AS w JOIN executions AS e ON e.n = w.execution
        WHERE w.tenant = $1 AND w.token = $2";
    let place = params![tenant.as_str(), &token.0.as_bytes()[..]];
    let found = link.row(find, place).await?;
    let id: Option<Uuid> = found.map(|row| row.try_get(0)).transpose()?;
    Ok(id.map(Into::into))
}

/// What there is to say of one execution.
pub(crate) async fn get(
    link: &Link,
    tenant: &TenantId,
    execution: ExecutionId,
) -> Result<Option<ExecutionSummary>, Fault> {
    let sql = format!("SELECT {SUMMARY} FROM executions AS e WHERE e.tenant = $1 AND e.id = $2");
    let place = params![tenant.as_str(), uuid(execution)];
    let (found, now) = link.rows_now(&sql, place).await?;
    found.first().map(|row| summary(row, now)).transpose()
}

pub(crate) fn summary(row: &SqlRow, now: Timestamp) -> Result<ExecutionSummary, Fault> {
    let workflow: String = row.try_get(1)?;
    let lease_until: Option<i64> = row.try_get(8)?;
    let time = |millis: Option<i64>| millis.map(Timestamp::from_millis);
    Ok(ExecutionSummary {
        id: row.try_get::<_, Uuid>(0)?.into(),
        workflow: WorkflowId::new(workflow).map_err(|error| Fault::corrupt(error.to_string()))?,
        version: row.try_get::<_, i32>(2)?.cast_unsigned(),
        priority: priority(row.try_get(10)?)?,
        status: status(row.try_get(3)?)?,
        created_at: Timestamp::from_millis(row.try_get(4)?),
        updated_at: Timestamp::from_millis(row.try_get(5)?),
        wake_at: time(row.try_get(6)?),
        entries: number(row.try_get(7)?)?.saturating_sub(1),
        leased: lease_until.is_some_and(|until| until > now.as_millis()),
        begins_at: time(row.try_get(9)?).filter(|at| *at > now),
        labels: labels(row.try_get(11)?)?,
    })
}

/// Labels as their column has them.
fn labels(stored: Option<&str>) -> Result<Labels, Fault> {
    let read = stored.map(serde_json::from_str).transpose();
    let labels = read.map_err(|_| Fault::corrupt("labels cannot be read"))?;
    Ok(labels.unwrap_or_default())
}
