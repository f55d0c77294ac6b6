//! Slots: the queues of keys, whose rows belong to executions.
//!
//! Whoever changes a queue holds its lock until the transaction ends. Of each execution that is concerned, the
//! row is loaded, which locks it, changed and stored.

use std::collections::BTreeSet;

use nebula_core::{TenantId, Timestamp};
use nebula_ports::{
    ErrorKind, MAX_SLOT_CAPACITY, MAX_SLOT_CHANGES, SLOT_GRANTED, SLOT_LOST, SLOT_PREFIX,
    SlotChanges, SlotClaim, SlotHolder, SlotId, SlotKey, SlotOwner,
};
use nebula_postgres::params;
use uuid::Uuid;

use crate::{
    error::Fault,
    inbox::{self, NewItem},
    link::Link,
    row::{Row, limited, tenant as tenant_of},
    slot_sql as sql,
    tx::Tx,
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
    pub(crate) fn from_number(number: i16) -> Result<Self, Fault> {
        match number {
            0 => Ok(Self::Nothing),
            1 => Ok(Self::Waiting),
            2 => Ok(Self::Granted),
            _ => Err(Fault::corrupt(format!("{number} tells of no slots"))),
        }
    }
}

/// Tenant and key.
type Queue = (TenantId, String);

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

/// Does what a step of the execution `n` says; one that has ended gives everything back instead.
pub(crate) async fn change(
    tx: &Tx,
    tenant: &TenantId,
    n: i64,
    changes: &SlotChanges,
) -> Result<(), Fault> {
    let own = tx.known(n)?;
    if own.status.is_terminal() {
        let left = leave(tx, own).await?;
        return advance(tx, left).await;
    }
    // All keys in one order, so that two steps do not wait for each other.
    let claimed = changes.claim.iter().map(|claim| &claim.id.key);
    let keys: BTreeSet<&str> = (changes.free.iter().map(|id| &id.key))
        .chain(claimed)
        .map(SlotKey::as_str)
        .collect();
    for key in keys {
        lock(tx, tenant, key).await?;
    }
    if own.slots > Has::Nothing && !changes.free.is_empty() {
        let freed = free(tx, tenant, own, &changes.free).await?;
        advance(tx, freed).await?;
    }
    for wanted in &changes.claim {
        claim(tx, tenant, n, wanted).await?;
    }
    Ok(())
}

async fn lock(tx: &Tx, tenant: &TenantId, key: &str) -> Result<(), Fault> {
    tx.lock("slot", tenant, key).await
}

/// How many claims wait before a new one, counted to `most`, if it must wait. Who holds a slot of the
/// key by an expired lease loses it.
pub(crate) async fn must_wait(
    tx: &Tx,
    tenant: &TenantId,
    wanted: &SlotClaim,
    most: u32,
) -> Result<Option<u32>, Fault> {
    let key = wanted.id.key.as_str();
    lock(tx, tenant, key).await?;
    let place = (tenant.as_str(), key);
    if ahead(tx, place, wanted.capacity, most).await?.is_none() {
        return Ok(None);
    }
    let now = tx.now.as_millis();
    let given = params![place.0, key, now];
    let expired = numbers(&tx.rows(sql::EXPIRED_HOLDERS, given).await?)?;
    take_all(tx, &expired).await?;
    ahead(tx, place, wanted.capacity, most).await
}

fn numbers(rows: &[nebula_postgres::Row]) -> Result<Vec<i64>, Fault> {
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

async fn count(tx: &Tx, sql: &str, given: &[&dyn nebula_postgres::Param]) -> Result<i64, Fault> {
    let row = tx.row(sql, given).await?;
    let row = row.ok_or_else(|| Fault::corrupt("a count gives no row"))?;
    Ok(row.try_get(0)?)
}

async fn ahead(
    tx: &Tx,
    (tenant, key): (&str, &str),
    capacity: u32,
    most: u32,
) -> Result<Option<u32>, Fault> {
    // One at least: whether anybody waits at all decides.
    let up_to = i64::from(most.max(1));
    let waiting = count(tx, sql::WAITING, params![tenant, key, up_to]).await?;
    if waiting > 0 {
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        return Ok(Some(waiting.min(most)));
    }
    let all = params![tenant, key, i64::MAX, i64::from(capacity)];
    let granted = count(tx, sql::COUNT, all).await?;
    Ok((granted >= i64::from(capacity)).then_some(0))
}

/// Takes the granted slots of an execution whose lease has expired away, for whoever takes it over.
pub(crate) async fn lose_at_takeover(tx: &Tx, n: i64) -> Result<(), Fault> {
    let lost = lose(tx, n).await?;
    let mut own = tx.known(n)?;
    // What it is granted from here on is for the next holder.
    own.lease = None;
    tx.store(own);
    advance(tx, lost).await
}

/// Takes their granted slots away from executions whose leases have expired. Who is held up by somebody else
/// just now is looked at by the next sweep.
pub(crate) async fn take_from_expired(tx: &Tx) -> Result<(), Fault> {
    let given = params![tx.now.as_millis(), TAKEN_AT_ONCE];
    let expired = numbers(&tx.rows(sql::EXPIRED, given).await?)?;
    take_all(tx, &expired).await
}

/// The queue of a key, from its head on.
pub(crate) async fn queue(
    link: &Link,
    tenant: &TenantId,
    key: &SlotKey,
    limit: usize,
) -> Result<Vec<SlotHolder>, Fault> {
    let given = params![tenant.as_str(), key.as_str(), limited(limit)];
    let rows = link.rows(sql::QUEUE, given).await?;
    let mut places = Vec::with_capacity(rows.len());
    for row in rows {
        let capacity: i64 = row.try_get(2)?;
        places.push(SlotHolder {
            execution: row.try_get::<_, Uuid>(0)?.into(),
            owner: SlotOwner::new(row.try_get::<_, String>(1)?)
                .map_err(|e| unreadable(e.message))?,
            capacity: u32::try_from(capacity)
                .map_err(|_| Fault::corrupt(format!("{capacity} is no capacity")))?,
            granted: row.try_get(3)?,
            since: Timestamp::from_millis(row.try_get(4)?),
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
async fn leave(tx: &Tx, mut own: Row) -> Result<BTreeSet<Queue>, Fault> {
    let mut left = BTreeSet::new();
    for row in tx.rows(sql::QUEUES_OF, params![own.n]).await? {
        left.insert((tenant_of(row.try_get(0)?)?, row.try_get::<_, String>(1)?));
    }
    for (tenant, key) in &left {
        lock(tx, tenant, key).await?;
    }
    tx.execute(sql::LEAVE, params![own.n]).await?;
    own.slots = Has::Nothing;
    tx.store(own);
    Ok(left)
}

/// Removes what is named, where it is there.
async fn free(
    tx: &Tx,
    tenant: &TenantId,
    mut own: Row,
    ids: &[SlotId],
) -> Result<BTreeSet<Queue>, Fault> {
    let mut freed = BTreeSet::new();
    for SlotId { key, owner } in ids {
        let place = params![own.n, key.as_str(), owner.as_str()];
        if tx.execute(sql::FREE, place).await? > 0 {
            freed.insert((tenant.clone(), key.as_str().to_owned()));
        }
    }
    own.slots = what_is_left(tx, own.n).await?;
    tx.store(own);
    Ok(freed)
}

/// Puts a claim at the end of its queue, unless it is there. Where it would wait for somebody whose
/// lease has expired, that one loses its slots.
pub(crate) async fn claim(
    tx: &Tx,
    tenant: &TenantId,
    n: i64,
    SlotClaim { id, capacity }: &SlotClaim,
) -> Result<(), Fault> {
    let (key, owner) = (id.key.as_str(), id.owner.as_str());
    lock(tx, tenant, key).await?;
    let (name, since) = (tenant.as_str(), tx.now.as_millis());
    let given = params![name, key, n, owner, i64::from(*capacity), since];
    if tx.execute(sql::CLAIM, given).await? == 0 {
        return Ok(());
    }
    let mut own = tx.known(n)?;
    own.slots = own.slots.max(Has::Waiting);
    tx.store(own);
    let queue = BTreeSet::from([(tenant.clone(), key.to_owned())]);
    advance(tx, queue).await?;
    let expired = expired_ahead(tx, n, (name, key, owner)).await?;
    take_all(tx, &expired).await
}

/// Whose leases have expired, of those for whom a claim that was not granted waits.
async fn expired_ahead(
    tx: &Tx,
    n: i64,
    (tenant, key, owner): (&str, &str, &str),
) -> Result<Vec<i64>, Fault> {
    let waits = tx.row(sql::WAITS, params![n, key, owner]).await?;
    if waits.is_none() {
        return Ok(Vec::new());
    }
    let now = tx.now.as_millis();
    let given = params![tenant, key, now, n];
    numbers(&tx.rows(sql::EXPIRED_AHEAD, given).await?)
}

/// Takes slots and leases away from executions whose leases have expired, then grants what is free.
async fn take_all(tx: &Tx, victims: &[i64]) -> Result<(), Fault> {
    let mut freed = BTreeSet::new();
    for n in victims {
        // Somebody can have renewed or taken it before it was locked.
        let row = tx.load_by_number(*n).await?;
        if row.is_some_and(|row| row.lease.is_some() && !row.is_held(tx.now)) {
            freed.extend(take(tx, *n).await?);
        }
    }
    advance(tx, freed).await
}

/// Takes slots and lease away from one execution whose lease has expired; says which queues moved.
async fn take(tx: &Tx, n: i64) -> Result<BTreeSet<Queue>, Fault> {
    let lost = lose(tx, n).await?;
    let mut row = tx.known(n)?;
    row.epoch += 1;
    row.lease = None;
    tx.store(row);
    Ok(lost)
}

/// Removes the granted slots of an execution and tells it so; says which queues moved.
async fn lose(tx: &Tx, n: i64) -> Result<BTreeSet<Queue>, Fault> {
    let mut lost = Vec::new();
    for row in tx.rows(sql::HELD, params![n]).await? {
        let queue = (tenant_of(row.try_get(0)?)?, row.try_get::<_, String>(1)?);
        lost.push((queue, row.try_get::<_, String>(2)?));
    }
    let queues: BTreeSet<Queue> = lost.iter().map(|(queue, _)| queue.clone()).collect();
    for (tenant, key) in &queues {
        lock(tx, tenant, key).await?;
    }
    tx.execute(sql::LOSE, params![n]).await?;
    let mut row = tx.known(n)?;
    row.slots = what_is_left(tx, n).await?;
    for ((_, key), owner) in lost {
        tell(tx, &mut row, SLOT_LOST, &slot_id(key, owner)?).await?;
    }
    tx.store(row);
    Ok(queues)
}

async fn what_is_left(tx: &Tx, n: i64) -> Result<Has, Fault> {
    let row = tx.row(sql::LEFT, params![n]).await?;
    let row = row.ok_or_else(|| Fault::corrupt("a count gives no row"))?;
    Has::from_number(row.try_get(0)?)
}

/// The first claim of a queue that waits.
struct Head {
    place: i64,
    execution: i64,
    owner: String,
    capacity: i64,
}

/// Grants whatever fits, from the heads of these queues on.
async fn advance(tx: &Tx, mut queues: BTreeSet<Queue>) -> Result<(), Fault> {
    while let Some((tenant, key)) = queues.pop_first() {
        lock(tx, &tenant, &key).await?;
        while let Some(head) = fitting(tx, tenant.as_str(), &key).await? {
            let id = slot_id(key.clone(), head.owner)?;
            let row = tx.load_by_number(head.execution).await?;
            let row = row.ok_or_else(|| Fault::corrupt("a slot belongs to no execution"))?;
            if row.lease.is_some() && !row.is_held(tx.now) {
                // The holder that vanished has no part in it: the grant is for whoever comes.
                queues.extend(take(tx, head.execution).await?);
            }
            let now = tx.now.as_millis();
            let place = params![tenant.as_str(), key, head.place, now];
            tx.execute(sql::GRANT, place).await?;
            let mut row = tx.known(head.execution)?;
            row.slots = Has::Granted;
            tell(tx, &mut row, SLOT_GRANTED, &id).await?;
            tx.store(row);
        }
    }
    Ok(())
}

/// The head of a queue, if it fits: all rows before it are granted.
async fn fitting(tx: &Tx, tenant: &str, key: &str) -> Result<Option<Head>, Fault> {
    let Some(row) = tx.row(sql::HEAD, params![tenant, key]).await? else {
        return Ok(None);
    };
    let head = Head {
        place: row.try_get(0)?,
        execution: row.try_get(1)?,
        owner: row.try_get(2)?,
        capacity: row.try_get(3)?,
    };
    let before = params![tenant, key, head.place, head.capacity];
    let granted = count(tx, sql::COUNT, before).await?;
    Ok(Some(head).filter(|head| granted < head.capacity))
}

/// Puts an item about a slot into an inbox, under a key that no outsider has and no item had before.
async fn tell(tx: &Tx, row: &mut Row, kind: &str, id: &SlotId) -> Result<(), Fault> {
    let item = NewItem {
        kind: kind.to_owned(),
        payload: id.payload().to_string(),
        dedupe: format!("{SLOT_PREFIX}{}", row.inbox_head + 1),
    };
    inbox::put(tx, row, &item).await.map(drop)
}
