//! A transaction: what it has read and locked, and what it will write.
//!
//! Writes gather here and go to the server together, with the commit behind them. Rows of executions are read
//! and changed here only; so every write of a transaction sees what those before it did. A statement of
//! another kind sees it too, because what gathered is sent before it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use nebula_core::{Digest, ExecutionId, TenantId, Timestamp};
use nebula_postgres::{Param, Row as SqlRow, params};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::{
    error::Fault,
    link::{Link, Statement},
    opening::Opening,
    pending::Pending,
    row::{COLUMNS, Fresh, Row, digest, tenant, uuid},
    work::Claims,
};

/// How many numbers a block of the sequence has.
const BLOCK: i64 = 1000;

/// Numbers for executions that are created through one handle; each comes once.
#[derive(Debug, Default)]
pub(crate) struct Numbers(Mutex<(i64, i64)>);

impl Numbers {
    fn next(&self) -> Option<i64> {
        let mut block = self.0.lock();
        let (next, end) = *block;
        (next < end).then(|| {
            block.0 += 1;
            next
        })
    }

    /// Goes on with a block; what is left of the one before is given up.
    fn go_on(&self, first: i64) {
        *self.0.lock() = (first, first + BLOCK);
    }
}

/// What a dedupe key has begun.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    pub(crate) id: ExecutionId,
    pub(crate) input: Digest,
    pub(crate) expires_at: Option<Timestamp>,
}

/// What a transaction knows of the store.
#[derive(Debug, Default)]
struct Known {
    rows: BTreeMap<i64, Row>,
    ids: BTreeMap<(TenantId, ExecutionId), Option<i64>>,
    keys: BTreeMap<(TenantId, String), Option<Remembered>>,
    /// The number of the inbox item with a dedupe key, by execution.
    items: BTreeMap<(i64, String), Option<i64>>,
}

/// One transaction.
#[derive(Debug)]
pub(crate) struct Tx {
    link: Rc<Link>,
    opening: Rc<Opening>,
    pub(crate) now: Timestamp,
    known: RefCell<Known>,
    pending: RefCell<Pending>,
}

const CLAIMED_ROWS: &str = "FROM executions AS e
    JOIN unnest($1::text[], $2::uuid[]) AS w (tenant, id) ON e.tenant = w.tenant AND e.id = w.id
    ORDER BY e.n FOR UPDATE OF e";
const CLAIMED_KEYS: &str = "SELECT d.tenant, d.key, d.id, d.input, d.expires_at FROM dedupe AS d
    JOIN unnest($1::text[], $2::text[]) AS w (tenant, key) ON d.tenant = w.tenant AND d.key = w.key";
const CLAIMED_ITEMS: &str = "SELECT i.execution, i.dedupe, i.seq
    FROM unnest($1::text[], $2::uuid[], $3::text[]) AS w (tenant, id, dedupe)
    JOIN executions AS e ON e.tenant = w.tenant AND e.id = w.id
    JOIN inbox AS i ON i.execution = e.n AND i.dedupe = w.dedupe";

impl Tx {
    /// Begins a transaction, with everything that its writes claim: locked, in one order, so that two
    /// transactions do not wait for each other; and then read.
    pub(crate) async fn begin<'c>(
        link: Rc<Link>,
        opening: &Rc<Opening>,
        claims: impl Iterator<Item = &'c Claims>,
    ) -> Result<Self, Fault> {
        let (mut known, mut items) = (Known::default(), BTreeSet::new());
        for claims in claims {
            for (tenant, id) in &claims.rows {
                known.ids.insert((tenant.clone(), *id), None);
            }
            for (tenant, key) in &claims.keys {
                known.keys.insert((tenant.clone(), key.clone()), None);
            }
            for (tenant, id, dedupe) in &claims.items {
                known.ids.insert((tenant.clone(), *id), None);
                items.insert((tenant, *id, dedupe.as_str()));
            }
        }
        let mut tx = Self {
            now: Timestamp::from_millis(link.given_time().unwrap_or_default()),
            link,
            opening: Rc::clone(opening),
            known: RefCell::new(known),
            pending: RefCell::default(),
        };
        tx.read_claims(&items).await?;
        Ok(tx)
    }

    async fn read_claims(
        &mut self,
        items: &BTreeSet<(&TenantId, ExecutionId, &str)>,
    ) -> Result<(), Fault> {
        let known = self.known.get_mut();
        let ids: Vec<&(TenantId, ExecutionId)> = known.ids.keys().collect();
        let row_tenants: Vec<&str> = ids.iter().map(|(tenant, _)| tenant.as_str()).collect();
        let row_ids: Vec<Uuid> = ids.iter().map(|(_, id)| uuid(*id)).collect();
        let key_tenants: Vec<&str> = known.keys.keys().map(|(it, _)| it.as_str()).collect();
        let keys: Vec<&str> = known.keys.keys().map(|(_, it)| it.as_str()).collect();
        let item_tenants: Vec<&str> = items.iter().map(|it| it.0.as_str()).collect();
        let item_ids: Vec<Uuid> = items.iter().map(|it| uuid(it.1)).collect();
        let item_keys: Vec<&str> = items.iter().map(|it| it.2).collect();
        let mut statements = Vec::new();
        if !row_ids.is_empty() {
            statements.push(Statement {
                sql: rows_sql(),
                params: params![row_tenants, row_ids].to_vec(),
            });
        }
        // Behind the locks: what others wrote while this waited for them is seen.
        if !keys.is_empty() {
            statements.push(Statement {
                sql: CLAIMED_KEYS,
                params: params![key_tenants, keys].to_vec(),
            });
        }
        if !items.is_empty() {
            statements.push(Statement {
                sql: CLAIMED_ITEMS,
                params: params![item_tenants, item_ids, item_keys].to_vec(),
            });
        }
        let asked_now = self.link.ask_now();
        let asks_now = asked_now.is_some();
        statements.extend(asked_now);
        let answers = self
            .link
            .ask_together(&self.opening.begin, &statements)
            .await?;
        let (any_rows, any_keys) = (!row_ids.is_empty(), !keys.is_empty());
        let mut answers = answers.into_iter();
        if any_rows {
            for row in answers.next().unwrap_or_default() {
                let row = Row::read(&row)?;
                known.ids.insert((row.tenant.clone(), row.id), Some(row.n));
                known.rows.insert(row.n, row);
            }
        }
        if any_keys {
            for row in answers.next().unwrap_or_default() {
                let (place, found) = remembered(&row)?;
                known.keys.insert(place, Some(found));
            }
        }
        if !items.is_empty() {
            for (tenant, id, dedupe) in items {
                if let Some(Some(n)) = known.ids.get(&((*tenant).clone(), *id)) {
                    known.items.insert((*n, (*dedupe).to_owned()), None);
                }
            }
            for row in answers.next().unwrap_or_default() {
                let place = (row.try_get(0)?, row.try_get(1)?);
                known.items.insert(place, Some(row.try_get(2)?));
            }
        }
        if asks_now {
            let row = answers.next().unwrap_or_default();
            let row = row
                .first()
                .ok_or_else(|| Fault::corrupt("the database does not say what time it is"))?;
            self.now = Timestamp::from_millis(row.try_get(0)?);
        }
        Ok(())
    }

    /// The row of `execution`, if it exists, locked.
    pub(crate) async fn load(
        &self,
        of: &TenantId,
        execution: ExecutionId,
    ) -> Result<Option<Row>, Fault> {
        let place = (of.clone(), execution);
        {
            let known = self.known.borrow();
            if let Some(found) = known.ids.get(&place) {
                return Ok(found.and_then(|n| known.rows.get(&n)).cloned());
            }
        }
        let (tenants, ids) = ([of.as_str()], [uuid(execution)]);
        let found = self
            .rows(rows_sql(), params![&tenants[..], &ids[..]])
            .await?;
        let row = found.first().map(Row::read).transpose()?;
        let mut known = self.known.borrow_mut();
        known.ids.insert(place, row.as_ref().map(|row| row.n));
        if let Some(row) = &row {
            known.rows.insert(row.n, row.clone());
        }
        Ok(row)
    }

    /// The row with this number, if it exists, locked.
    pub(crate) async fn load_by_number(&self, n: i64) -> Result<Option<Row>, Fault> {
        if let Some(row) = self.known.borrow().rows.get(&n) {
            return Ok(Some(row.clone()));
        }
        let sql = format!("SELECT {COLUMNS} FROM executions AS e WHERE e.n = $1 FOR UPDATE OF e");
        let row = self.row(&sql, params![n]).await?;
        let row = row.as_ref().map(Row::read).transpose()?;
        if let Some(row) = &row {
            let mut known = self.known.borrow_mut();
            known.ids.insert((row.tenant.clone(), row.id), Some(row.n));
            known.rows.insert(row.n, row.clone());
        }
        Ok(row)
    }

    /// A row that was loaded before, as it is now.
    pub(crate) fn known(&self, n: i64) -> Result<Row, Fault> {
        let known = self.known.borrow();
        let row = known.rows.get(&n).cloned();
        row.ok_or_else(|| Fault::corrupt("a row that was loaded is not known"))
    }

    /// Waits until nobody else holds this lock, and holds it until the transaction ends.
    pub(crate) async fn lock(&self, kind: &str, of: &TenantId, key: &str) -> Result<(), Fault> {
        let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
        // No part has the separator.
        let name = format!("{kind}\n{of}\n{key}");
        self.rows(sql, params![name]).await.map(drop)
    }

    /// Keeps a row as it is now; it is written at the end, or before the next statement.
    pub(crate) fn store(&self, row: Row) {
        self.pending.borrow_mut().changed(row.n);
        self.known.borrow_mut().rows.insert(row.n, row);
    }

    /// Keeps the row of an execution that is created.
    pub(crate) fn insert(&self, row: Row, fresh: Fresh) {
        self.pending.borrow_mut().created(row.n, fresh, self.now);
        let mut known = self.known.borrow_mut();
        known.ids.insert((row.tenant.clone(), row.id), Some(row.n));
        known.rows.insert(row.n, row);
    }

    /// A number for an execution that is created.
    pub(crate) async fn number(&self) -> Result<i64, Fault> {
        loop {
            if let Some(n) = self.opening.numbers.next() {
                return Ok(n);
            }
            let next = "SELECT nextval('execution_numbers')";
            let row = self.link.row(next, params![]).await?;
            let row = row.ok_or_else(|| Fault::corrupt("a sequence gives no number"))?;
            self.opening.numbers.go_on(row.try_get(0)?);
        }
    }

    /// What a dedupe key has begun, as far as it is remembered.
    pub(crate) async fn key(&self, of: &TenantId, key: &str) -> Result<Option<Remembered>, Fault> {
        let place = (of.clone(), key.to_owned());
        let cached = self.known.borrow().keys.get(&place).cloned();
        let found = match cached {
            Some(found) => found,
            None => {
                let (tenants, keys) = ([of.as_str()], [key]);
                let row = self
                    .row(CLAIMED_KEYS, params![&tenants[..], &keys[..]])
                    .await?;
                let found = row.as_ref().map(remembered).transpose()?;
                let found = found.map(|(_, found)| found);
                self.known.borrow_mut().keys.insert(place, found.clone());
                found
            }
        };
        Ok(found.filter(|it| it.expires_at.is_none_or(|at| at > self.now)))
    }

    /// Keeps what a dedupe key has begun.
    pub(crate) fn remember(&self, of: &TenantId, key: &str, what: Remembered) {
        let place = (of.clone(), key.to_owned());
        let mut known = self.known.borrow_mut();
        // One that is not remembered any more is in the way of the new one.
        let replaces = matches!(known.keys.get(&place), Some(Some(_)));
        self.pending
            .borrow_mut()
            .remembered(&place, &what, replaces);
        known.keys.insert(place, Some(what));
    }

    /// The number of the inbox item with this dedupe key.
    pub(crate) async fn item(&self, n: i64, dedupe: &str) -> Result<Option<i64>, Fault> {
        let place = (n, dedupe.to_owned());
        if let Some(found) = self.known.borrow().items.get(&place) {
            return Ok(*found);
        }
        let sql = "SELECT seq FROM inbox WHERE execution = $1 AND dedupe = $2";
        let row = self.row(sql, params![n, dedupe]).await?;
        let found: Option<i64> = row.map(|row| row.try_get(0)).transpose()?;
        self.known.borrow_mut().items.insert(place, found);
        Ok(found)
    }

    /// Keeps that there is an inbox item of this dedupe key.
    pub(crate) fn has_item(&self, n: i64, dedupe: &str, seq: i64) {
        let place = (n, dedupe.to_owned());
        self.known.borrow_mut().items.insert(place, Some(seq));
    }

    /// Adds to what is written at the end.
    pub(crate) fn pend(&self, add: impl FnOnce(&mut Pending)) {
        add(&mut self.pending.borrow_mut());
    }

    /// All rows of a statement, which sees everything that came before it here.
    pub(crate) async fn rows(
        &self,
        sql: &str,
        params: &[&dyn Param],
    ) -> Result<Vec<SqlRow>, Fault> {
        self.flush().await?;
        self.link.rows(sql, params).await
    }

    /// The row, if there is one.
    pub(crate) async fn row(
        &self,
        sql: &str,
        params: &[&dyn Param],
    ) -> Result<Option<SqlRow>, Fault> {
        Ok(self.rows(sql, params).await?.into_iter().next())
    }

    /// How many rows a statement changed.
    pub(crate) async fn execute(&self, sql: &str, params: &[&dyn Param]) -> Result<u64, Fault> {
        self.flush().await?;
        self.link.execute(sql, params).await
    }

    /// Forgets what is known of rows: a statement has changed some.
    pub(crate) async fn forget_rows(&self) -> Result<(), Fault> {
        self.flush().await?;
        let mut known = self.known.borrow_mut();
        known.rows.clear();
        known.ids.clear();
        Ok(())
    }

    /// Sends what gathered.
    async fn flush(&self) -> Result<(), Fault> {
        let pending = self.pending.take();
        if pending.is_empty() {
            return Ok(());
        }
        let columns = pending.columns(&self.known.borrow().rows, self.now)?;
        self.link.change_together(&columns.statements(), None).await
    }

    /// Sends what gathered, and commits.
    pub(crate) async fn commit(self) -> Result<(), Fault> {
        let pending = self.pending.take();
        let columns = pending.columns(&self.known.borrow().rows, self.now)?;
        let statements = columns.statements();
        self.link.change_together(&statements, Some("COMMIT")).await
    }
}

/// How rows that are claimed are read.
fn rows_sql() -> &'static str {
    static SQL: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    SQL.get_or_init(|| format!("SELECT {COLUMNS} {CLAIMED_ROWS}"))
}

fn remembered(row: &SqlRow) -> Result<((TenantId, String), Remembered), Fault> {
    let place = (tenant(row.try_get(0)?)?, row.try_get(1)?);
    let found = Remembered {
        id: row.try_get::<_, Uuid>(2)?.into(),
        input: digest(row.try_get(3)?)?,
        expires_at: row
            .try_get::<_, Option<i64>>(4)?
            .map(Timestamp::from_millis),
    };
    Ok((place, found))
}
