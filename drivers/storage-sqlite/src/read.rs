//! What readers answer about executions; each function is one read transaction.

use nebula_core::{ExecutionId, Labels, TenantId, Timestamp, WorkflowId};
use nebula_execution::{CodecError, StoredEntry, decode};
use nebula_ports::{ErrorKind, ExecutionSummary, InboxItem, JournalPage, WaitToken};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params, types::ValueRef};

use crate::{
    create::{batch_parts, place},
    error::Fault,
    inbox::{item_parts, item_place},
    row::{number, priority, status, stored},
    sum,
};

/// The most bytes of entries that one page of a journal holds, unless its first batch is larger.
pub(crate) const MAX_PAGE_BYTES: usize = 16 << 20;

/// The columns of [`summary`].
pub(crate) const SUMMARY: &str = "executions.id, workflow, version, status, executions.created_at, \
                                  updated_at, wake_at, next_seq, lease_until, begins_at, priority, \
                                  executions.labels";

/// Whole batches from entry `from` on, as long as they fit into `limit`.
pub(crate) fn journal(
    connection: &Connection,
    tenant: &TenantId,
    execution: ExecutionId,
    from: u64,
    limit: usize,
) -> Result<JournalPage, Fault> {
    let mut page = Batches::new(execution, from, limit);
    let mut find = connection.prepare_cached(
        "SELECT n, next_seq - 1, epoch, whole_sum, whole FROM executions
         WHERE tenant = ? AND id = ?",
    )?;
    let mut found = find.query(params![tenant.as_str(), execution.as_bytes()])?;
    let Some(row) = found.next()? else {
        return Ok(page.page);
    };
    if row.get_ref(4)? != ValueRef::Null {
        page.add(execution.as_bytes(), 1, row)?;
        return Ok(page.page);
    }
    let n: i64 = row.get(0)?;
    // The batch that holds `from` begins at or before it.
    let mut find = connection.prepare_cached(
        "SELECT first_seq, count, epoch, sum, entries FROM journal
         WHERE execution = ?1 AND first_seq >= coalesce(
             (SELECT max(first_seq) FROM journal WHERE execution = ?1 AND first_seq <= ?2), 0)
         ORDER BY first_seq",
    )?;
    let mut rows = find.query(params![n, stored(from)?])?;
    while let Some(row) = rows.next()? {
        if page
            .add(&n.to_le_bytes(), number(row.get(0)?)?, row)?
            .is_full()
        {
            break;
        }
    }
    Ok(page.page)
}

/// A page of a journal that grows by whole batches.
struct Batches {
    execution: ExecutionId,
    from: u64,
    limit: usize,
    bytes: usize,
    page: JournalPage,
}

impl Batches {
    fn new(execution: ExecutionId, from: u64, limit: usize) -> Self {
        Self {
            execution,
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

    /// Adds the batch that begins with entry `first`, unless it has no room any more. Of its row, the
    /// columns from the second on are how many entries there are, the epoch, the sum and the entries.
    fn add(&mut self, whose: &[u8], first: u64, row: &SqlRow<'_>) -> Result<&Self, Fault> {
        let (count, epoch) = (number(row.get(1)?)?, number(row.get(2)?)?);
        let begin = first.max(self.from);
        let Some(fitting) = (first + count)
            .checked_sub(begin)
            .filter(|fitting| *fitting > 0)
        else {
            return Ok(self);
        };
        let batch = row
            .get_ref(4)?
            .as_blob()
            .map_err(|_| unreadable("a batch is no blob"))?;
        self.bytes += batch.len();
        let entries = &mut self.page.entries;
        let full =
            entries.len() as u64 + fitting > self.limit as u64 || self.bytes > MAX_PAGE_BYTES;
        if full && !entries.is_empty() {
            self.page.next = Some(begin);
            return Ok(self);
        }
        let place = place(first, count, epoch);
        sum::check(row.get(3)?, &batch_parts(whose, &place, batch), || {
            format!("the journal of {}, from entry {first} on,", self.execution)
        })?;
        let decoded = decode(batch).map_err(|error| codec(&error))?;
        if decoded.len() as u64 != count {
            return Err(unreadable(
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

fn unreadable(message: &str) -> Fault {
    Fault::corrupt(message)
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
pub(crate) fn inbox(
    connection: &Connection,
    tenant: &TenantId,
    execution: ExecutionId,
    after: u64,
    limit: usize,
) -> Result<Vec<InboxItem>, Fault> {
    let mut find = connection.prepare_cached(
        "SELECT seq, at, kind, payload, n, sum FROM executions JOIN inbox ON execution = n
         WHERE tenant = ? AND id = ? AND seq > ? ORDER BY seq LIMIT ?",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = find.query(params![
        tenant.as_str(),
        execution.as_bytes(),
        stored(after)?,
        limit
    ])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        let payload = row
            .get_ref(3)?
            .as_str()
            .map_err(|_| unreadable("a payload is no text"))?;
        let kind: String = row.get(2)?;
        let place = item_place(row.get(4)?, row.get(0)?, row.get(1)?);
        let parts = item_parts(&place, kind.as_bytes(), payload.as_bytes());
        sum::check(row.get(5)?, &parts, || format!("the inbox of {execution}"))?;
        items.push(InboxItem {
            seq: number(row.get(0)?)?,
            at: Timestamp::from_millis(row.get(1)?),
            kind,
            payload: serde_json::from_str(payload)
                .map_err(|_| unreadable("a payload cannot be read"))?,
        });
    }
    Ok(items)
}

/// Which execution a token wakes.
pub(crate) fn waiting_on(
    connection: &Connection,
    tenant: &TenantId,
    token: WaitToken,
) -> Result<Option<ExecutionId>, Fault> {
    let mut find = connection.prepare_cached(
        "SELECT id FROM waits JOIN executions ON n = execution
         WHERE waits.tenant = ? AND token = ?",
    )?;
    let found = find
        .query_row(params![tenant.as_str(), token.0.as_bytes()], |row| {
            row.get(0)
        })
        .optional()?;
    Ok(found.map(ExecutionId::from_bytes))
}

/// What there is to say of one execution.
pub(crate) fn get(
    connection: &Connection,
    tenant: &TenantId,
    execution: ExecutionId,
    now: Timestamp,
) -> Result<Option<ExecutionSummary>, Fault> {
    let sql = format!("SELECT {SUMMARY} FROM executions WHERE tenant = ? AND id = ?");
    let mut find = connection.prepare_cached(&sql)?;
    let found = find
        .query_row(params![tenant.as_str(), execution.as_bytes()], |row| {
            Ok(summary(row, now))
        })
        .optional()?;
    found.transpose()
}

pub(crate) fn summary(row: &SqlRow<'_>, now: Timestamp) -> Result<ExecutionSummary, Fault> {
    let workflow: String = row.get(1)?;
    let lease_until: Option<i64> = row.get(8)?;
    Ok(ExecutionSummary {
        id: ExecutionId::from_bytes(row.get(0)?),
        workflow: WorkflowId::new(workflow).map_err(|error| Fault::corrupt(error.to_string()))?,
        version: row.get(2)?,
        priority: priority(row.get(10)?)?,
        status: status(row.get(3)?)?,
        created_at: Timestamp::from_millis(row.get(4)?),
        updated_at: Timestamp::from_millis(row.get(5)?),
        wake_at: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_millis),
        entries: number(row.get(7)?)?.saturating_sub(1),
        leased: lease_until.is_some_and(|until| until > now.as_millis()),
        begins_at: row
            .get::<_, Option<i64>>(9)?
            .map(Timestamp::from_millis)
            .filter(|at| *at > now),
        labels: labels(
            row.get_ref(11)?
                .as_str_or_null()
                .map_err(|_| unreadable("labels are no text"))?,
        )?,
    })
}

/// Labels as their column has them.
fn labels(stored: Option<&str>) -> Result<Labels, Fault> {
    let read = stored.map(serde_json::from_str).transpose();
    let labels = read.map_err(|_| unreadable("labels cannot be read"))?;
    Ok(labels.unwrap_or_default())
}
