//! Slots: the queues of keys, whose rows belong to executions.
//!
//! Of each execution that is concerned, the row is loaded, changed and stored; the one that the caller
//! has in hand is changed there, since the caller stores it afterwards.

use std::collections::BTreeSet;

use nebula_core::{ExecutionId, TenantId, Timestamp};
use nebula_ports::{
    ErrorKind, MAX_SLOT_CAPACITY, MAX_SLOT_CHANGES, SLOT_GRANTED, SLOT_LOST, SLOT_PREFIX,
    SlotChanges, SlotClaim, SlotHolder, SlotId, SlotKey, SlotOwner,
};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    error::Fault,
    inbox::{self, NewItem},
    row::Row,
    slot_sql as sql,
    writer::Tx,
};

/// The most executions that one sweep takes slots from; the next goes on.
const TAKEN_AT_ONCE: i64 = 1024;

/// What an execution has in the queues, as its row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Has {
    Nothing,
    Waiting,
    Granted,
}

impl Has {
    pub(crate) fn from_number(number: u8) -> Result<Self, Fault> {
        match number {
            0 => Ok(Self::Nothing),
            1 => Ok(Self::Waiting),
            2 => Ok(Self::Granted),
            _ => Err(Fault::corrupt(format!("{number} tells of no slots"))),
        }
    }
}

/// Tenant and key.
type Queue = (String, String);

/// The row that the caller has in hand, if it has one.
type Own<'a> = Option<&'a mut Row>;

/// Refuses what no step may do, whatever is stored.
pub(crate) fn check(changes: &SlotChanges) -> Result<(), Fault> {
    let count = changes.claim.len() + changes.free.len();
    if count > MAX_SLOT_CHANGES {
        return Err(Fault::invalid(format!(
            "{count} changes of slots in one step; the limit is {MAX_SLOT_CHANGES}"
        )));
    }
    for claim in &changes.claim {
        let capacity = claim.capacity;
        if !(1..=MAX_SLOT_CAPACITY).contains(&capacity) {
            return Err(Fault::invalid(format!(
                "a claim of a slot has the capacity {capacity}; it is from 1 to {MAX_SLOT_CAPACITY}"
            )));
        }
    }
    Ok(())
}

/// How many bytes the changes bring along.
pub(crate) fn bytes(changes: &SlotChanges) -> usize {
    let ids = changes.claim.iter().map(|claim| &claim.id);
    ids.chain(&changes.free)
        .map(|id| id.key.as_str().len() + id.owner.as_str().len())
        .sum()
}

/// Does what a step of `own` says; an execution that has ended gives everything back instead.
pub(crate) fn change(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    own: &mut Row,
    changes: &SlotChanges,
) -> Result<(), Fault> {
    if own.status.is_terminal() {
        let left = leave(tx, own)?;
        return advance(tx, &mut Some(own), left);
    }
    if own.slots > Has::Nothing && !changes.free.is_empty() {
        let freed = free(tx, tenant, own, &changes.free)?;
        advance(tx, &mut Some(own), freed)?;
    }
    for wanted in &changes.claim {
        claim(tx, tenant, own, wanted)?;
    }
    Ok(())
}

/// How many claims wait before a new one, counted to `most`, if it must wait. Who holds a slot of the
/// key by an expired lease loses it.
pub(crate) fn must_wait(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    wanted: &SlotClaim,
    most: u32,
) -> Result<Option<u32>, Fault> {
    let (tenant, key) = (tenant.as_str(), wanted.id.key.as_str());
    if ahead(tx, (tenant, key), wanted.capacity, most)?.is_none() {
        return Ok(None);
    }
    let mut find = tx.connection.prepare_cached(sql::EXPIRED_HOLDERS)?;
    let found = find.query_map(params![tenant, key, tx.now.as_millis()], |row| row.get(0))?;
    let expired: Vec<i64> = found.collect::<Result<_, _>>()?;
    drop(find);
    take_all(tx, &mut None, &expired)?;
    ahead(tx, (tenant, key), wanted.capacity, most)
}

fn ahead(
    tx: &Tx<'_>,
    (tenant, key): (&str, &str),
    capacity: u32,
    most: u32,
) -> Result<Option<u32>, Fault> {
    let mut count = tx.connection.prepare_cached(sql::WAITING)?;
    // One at least: whether anybody waits at all decides.
    let waiting: u32 = count.query_row(params![tenant, key, most.max(1)], |row| row.get(0))?;
    if waiting > 0 {
        return Ok(Some(waiting.min(most)));
    }
    let mut count = tx.connection.prepare_cached(sql::COUNT)?;
    let all = params![tenant, key, i64::MAX, capacity];
    let granted: u32 = count.query_row(all, |row| row.get(0))?;
    Ok((granted >= capacity).then_some(0))
}

/// Claims the slot that a new execution starts with.
pub(crate) fn claim_start(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    n: i64,
    wanted: &SlotClaim,
) -> Result<(), Fault> {
    with_row(tx, &mut None, n, |tx, row| claim(tx, tenant, row, wanted))
}

/// Takes the granted slots of an execution whose lease has expired away, for whoever takes it over.
pub(crate) fn lose_at_takeover(tx: &mut Tx<'_>, own: &mut Row) -> Result<(), Fault> {
    if own.slots < Has::Granted {
        return Ok(());
    }
    let lost = lose(tx, own)?;
    // What it is granted from here on is for the next holder.
    own.lease = None;
    advance(tx, &mut Some(own), lost)
}

/// Takes their granted slots away from executions whose leases have expired.
pub(crate) fn take_from_expired(tx: &mut Tx<'_>) -> Result<(), Fault> {
    let mut find = tx.connection.prepare_cached(sql::EXPIRED)?;
    let found = find.query_map([tx.now.as_millis(), TAKEN_AT_ONCE], |row| row.get(0))?;
    let expired: Vec<i64> = found.collect::<Result<_, _>>()?;
    take_all(tx, &mut None, &expired)
}

/// The queue of a key, from its head on.
pub(crate) fn queue(
    connection: &Connection,
    tenant: &TenantId,
    key: &SlotKey,
    limit: usize,
) -> Result<Vec<SlotHolder>, Fault> {
    let mut find = connection.prepare_cached(sql::QUEUE)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = find.query(params![tenant.as_str(), key.as_str(), limit])?;
    let mut places = Vec::new();
    while let Some(row) = rows.next()? {
        places.push(SlotHolder {
            execution: ExecutionId::from_bytes(row.get(0)?),
            owner: SlotOwner::new(row.get::<_, String>(1)?).map_err(|e| unreadable(e.message))?,
            capacity: row.get(2)?,
            granted: row.get(3)?,
            since: Timestamp::from_millis(row.get(4)?),
        });
    }
    Ok(places)
}

fn unreadable(message: String) -> Fault {
    Fault::new(ErrorKind::Corrupt, message)
}

fn slot_id(key: String, owner: String) -> Result<SlotId, Fault> {
    let key = SlotKey::new(key).map_err(|e| unreadable(e.message))?;
    let owner = SlotOwner::new(owner).map_err(|e| unreadable(e.message))?;
    Ok(SlotId { key, owner })
}

/// Removes everything that an execution has or waits for.
fn leave(tx: &Tx<'_>, own: &mut Row) -> Result<BTreeSet<Queue>, Fault> {
    let mut find = tx.connection.prepare_cached(sql::QUEUES_OF)?;
    let found = find.query_map([own.n], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let left = found.collect::<Result<_, _>>()?;
    let mut delete = tx.connection.prepare_cached(sql::LEAVE)?;
    delete.execute([own.n])?;
    own.slots = Has::Nothing;
    Ok(left)
}

/// Removes what is named, where it is there.
fn free(
    tx: &Tx<'_>,
    tenant: &TenantId,
    own: &mut Row,
    ids: &[SlotId],
) -> Result<BTreeSet<Queue>, Fault> {
    let mut delete = tx.connection.prepare_cached(sql::FREE)?;
    let mut freed = BTreeSet::new();
    for SlotId { key, owner } in ids {
        if delete.execute(params![own.n, key.as_str(), owner.as_str()])? > 0 {
            freed.insert((tenant.to_string(), key.as_str().to_owned()));
        }
    }
    own.slots = what_is_left(tx, own.n)?;
    Ok(freed)
}

/// Puts a claim at the end of its queue, unless it is there. Where it would wait for somebody whose
/// lease has expired, that one loses its slots.
fn claim(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    own: &mut Row,
    SlotClaim { id, capacity }: &SlotClaim,
) -> Result<(), Fault> {
    let (key, owner) = (id.key.as_str(), id.owner.as_str());
    let mut insert = tx.connection.prepare_cached(sql::CLAIM)?;
    let (tenant, since) = (tenant.as_str(), tx.now.as_millis());
    if insert.execute(params![tenant, key, own.n, owner, capacity, since])? == 0 {
        return Ok(());
    }
    drop(insert);
    own.slots = own.slots.max(Has::Waiting);
    let queue = BTreeSet::from([(tenant.to_owned(), key.to_owned())]);
    advance(tx, &mut Some(own), queue)?;
    let expired = expired_ahead(tx, own, (tenant, key, owner))?;
    take_all(tx, &mut Some(own), &expired)
}

/// Whose leases have expired, of those for whom a claim that was not granted waits.
fn expired_ahead(
    tx: &Tx<'_>,
    own: &Row,
    (tenant, key, owner): (&str, &str, &str),
) -> Result<Vec<i64>, Fault> {
    let mut waits = tx.connection.prepare_cached(sql::WAITS)?;
    if !waits.exists(params![own.n, key, owner])? {
        return Ok(Vec::new());
    }
    // What is in hand is not stored yet: its lease was renewed or given back by this very step.
    let mut find = tx.connection.prepare_cached(sql::EXPIRED_AHEAD)?;
    let now = tx.now.as_millis();
    let found = find.query_map(params![tenant, key, now, own.n], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Takes slots and leases away from executions whose leases have expired, then grants what is free.
fn take_all(tx: &mut Tx<'_>, own: &mut Own<'_>, victims: &[i64]) -> Result<(), Fault> {
    let mut freed = BTreeSet::new();
    for n in victims {
        with_row(tx, own, *n, |tx, row| {
            freed.extend(take(tx, row)?);
            Ok(())
        })?;
    }
    advance(tx, own, freed)
}

/// Takes slots and lease away from one execution whose lease has expired; says which queues moved.
fn take(tx: &mut Tx<'_>, row: &mut Row) -> Result<BTreeSet<Queue>, Fault> {
    let lost = lose(tx, row)?;
    row.epoch += 1;
    row.lease = None;
    Ok(lost)
}

/// Removes the granted slots of an execution and tells it so; says which queues moved.
fn lose(tx: &mut Tx<'_>, row: &mut Row) -> Result<BTreeSet<Queue>, Fault> {
    let mut find = tx.connection.prepare_cached(sql::HELD)?;
    let found = find.query_map([row.n], |lost| {
        Ok((lost.get(0)?, lost.get(1)?, lost.get(2)?))
    })?;
    let lost: Vec<(String, String, String)> = found.collect::<Result<_, _>>()?;
    let mut delete = tx.connection.prepare_cached(sql::LOSE)?;
    delete.execute([row.n])?;
    drop((find, delete));
    row.slots = what_is_left(tx, row.n)?;
    let mut queues = BTreeSet::new();
    for (tenant, key, owner) in lost {
        queues.insert((tenant, key.clone()));
        tell(tx, row, SLOT_LOST, &slot_id(key, owner)?)?;
    }
    Ok(queues)
}

fn what_is_left(tx: &Tx<'_>, n: i64) -> Result<Has, Fault> {
    let mut find = tx.connection.prepare_cached(sql::LEFT)?;
    Has::from_number(find.query_row([n], |row| row.get(0))?)
}

/// The first claim of a queue that waits.
struct Head {
    place: i64,
    execution: i64,
    owner: String,
    capacity: i64,
}

/// Grants whatever fits, from the heads of these queues on.
fn advance(tx: &mut Tx<'_>, own: &mut Own<'_>, mut queues: BTreeSet<Queue>) -> Result<(), Fault> {
    while let Some((tenant, key)) = queues.pop_first() {
        while let Some(head) = fitting(tx, &tenant, &key)? {
            let mut grant = tx.connection.prepare_cached(sql::GRANT)?;
            let now = tx.now.as_millis();
            let id = slot_id(key.clone(), head.owner)?;
            with_row(tx, own, head.execution, |tx, row| {
                if row.lease.is_some() && !row.is_held(tx.now) {
                    // The holder that vanished has no part in it: the grant is for whoever comes.
                    queues.extend(take(tx, row)?);
                }
                grant.execute(params![tenant, key, head.place, now])?;
                row.slots = Has::Granted;
                tell(tx, row, SLOT_GRANTED, &id)
            })?;
        }
    }
    Ok(())
}

/// The head of a queue, if it fits: all rows before it are granted.
fn fitting(tx: &Tx<'_>, tenant: &str, key: &str) -> Result<Option<Head>, Fault> {
    let mut find = tx.connection.prepare_cached(sql::HEAD)?;
    let head = find
        .query_row([tenant, key], |row| {
            Ok(Head {
                place: row.get(0)?,
                execution: row.get(1)?,
                owner: row.get(2)?,
                capacity: row.get(3)?,
            })
        })
        .optional()?;
    let Some(head) = head else { return Ok(None) };
    let mut count = tx.connection.prepare_cached(sql::COUNT)?;
    let granted: i64 = count.query_row(params![tenant, key, head.place, head.capacity], |row| {
        row.get(0)
    })?;
    Ok(Some(head).filter(|head| granted < head.capacity))
}

/// Puts an item about a slot into an inbox, under a key that no outsider has and no item had before.
fn tell(tx: &mut Tx<'_>, row: &mut Row, kind: &str, id: &SlotId) -> Result<(), Fault> {
    let item = NewItem {
        kind: kind.to_owned(),
        payload: id.payload().to_string(),
        dedupe: format!("{SLOT_PREFIX}{}", row.inbox_head + 1),
    };
    inbox::put(tx, row, &item).map(drop)
}

/// Changes the row of an execution: in the caller's hand, or loaded and stored here.
fn with_row(
    tx: &mut Tx<'_>,
    own: &mut Own<'_>,
    n: i64,
    change: impl FnOnce(&mut Tx<'_>, &mut Row) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if let Some(own) = own.as_deref_mut().filter(|own| own.n == n) {
        return change(tx, own);
    }
    let mut row = Row::load_by_number(tx.connection, n)?
        .ok_or_else(|| Fault::corrupt("a slot belongs to no execution"))?;
    change(tx, &mut row)?;
    row.store(tx.connection, tx.now)
}
