//! Tokens for one use, and who tried how often to get in.

use nebula_core::{Digest, TenantId, Timestamp};
use nebula_ports::{
    Attempted, ErrorKind, Lockout, MAX_ATTEMPT_KEYS, MAX_ONCE_CONTENT, MAX_ONCE_PURPOSE,
    MAX_ONCE_TOKENS, NewOnce,
};
use rusqlite::{OptionalExtension, params};

use crate::{error::Fault, row::counted, writer::Tx};

const CLEAR_ONCE: &str = "DELETE FROM once_tokens WHERE tenant = ? AND until <= ?";
const ALONE: &str = "DELETE FROM once_tokens WHERE tenant = ? AND purpose = ?";
const COUNT_OTHERS: &str =
    "SELECT count(*) FROM once_tokens WHERE tenant = ? AND until > ? AND purpose <> ?";
const PUT_ONCE: &str = "INSERT OR REPLACE INTO once_tokens (tenant, token, purpose, content, until)
    VALUES (?, ?, ?, ?, ?)";
const TAKE_ONCE: &str = "DELETE FROM once_tokens
    WHERE tenant = ? AND token = ? AND purpose = ? AND until > ? RETURNING content";
const TRIES: &str = "SELECT tries, last FROM attempts WHERE tenant = ? AND key = ? AND until > ?";
const KNOWN: &str = "SELECT 1 FROM attempts WHERE tenant = ? AND key = ?";
const COUNT_TRIES: &str = "SELECT count(*) FROM attempts WHERE tenant = ?";
const LEAST: &str = "SELECT key FROM attempts WHERE tenant = ? ORDER BY tries, last, key LIMIT 1";
const FORGET: &str = "DELETE FROM attempts WHERE tenant = ? AND key = ?";
const TRY: &str = "INSERT OR REPLACE INTO attempts (tenant, key, tries, last, until)
    VALUES (?, ?, ?, ?, ?)";

/// Puts a token for one use.
pub(crate) fn put_once(tx: &mut Tx<'_>, tenant: &TenantId, new: &NewOnce) -> Result<(), Fault> {
    let possible = (1..=MAX_ONCE_PURPOSE).contains(&new.purpose.len())
        && new.content.len() <= MAX_ONCE_CONTENT;
    if !possible {
        return Err(Fault::invalid(format!(
            "the purpose has {} bytes and the content {}; the limits are 1 to {MAX_ONCE_PURPOSE} and {MAX_ONCE_CONTENT}",
            new.purpose.len(),
            new.content.len()
        )));
    }
    let (db, now, of) = (tx.connection, tx.now.as_millis(), tenant.as_str());
    // What goes for it does not count; nothing is written before it is known that there is room.
    let goes = if new.alone { &*new.purpose } else { "" };
    let others = counted(db, COUNT_OTHERS, params![of, now, goes])?;
    if others >= MAX_ONCE_TOKENS {
        return Err(Fault::new(
            ErrorKind::Full,
            format!("there are {MAX_ONCE_TOKENS} tokens for one use, the most that there may be"),
        ));
    }
    db.prepare_cached(CLEAR_ONCE)?.execute(params![of, now])?;
    if new.alone {
        db.prepare_cached(ALONE)?
            .execute(params![of, new.purpose])?;
    }
    let until = tx.now.plus(new.ttl).as_millis();
    let mut put = db.prepare_cached(PUT_ONCE)?;
    put.execute(params![
        of,
        new.token.as_bytes(),
        new.purpose,
        new.content,
        until
    ])?;
    Ok(())
}

/// Takes a token for one use: the row goes with its answer.
pub(crate) fn take_once(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    purpose: &str,
    token: Digest,
) -> Result<Option<String>, Fault> {
    let mut take = tx.connection.prepare_cached(TAKE_ONCE)?;
    let place = params![
        tenant.as_str(),
        token.as_bytes(),
        purpose,
        tx.now.as_millis()
    ];
    Ok(take.query_row(place, |row| row.get(0)).optional()?)
}

/// Counts a try, if it may be made now.
pub(crate) fn attempt(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    key: Digest,
    lockout: &Lockout,
) -> Result<Attempted, Fault> {
    let (db, now, of) = (tx.connection, tx.now, tenant.as_str());
    let found: Option<(u32, i64)> = db
        .prepare_cached(TRIES)?
        .query_row(params![of, key.as_bytes(), now.as_millis()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let (tries, last) = found.unwrap_or((0, now.as_millis()));
    let wait = lockout.wait(tries);
    let until = Timestamp::from_millis(last).plus(wait);
    if !wait.is_zero() && until > now {
        return Ok(Attempted::Wait { until });
    }
    if !db
        .prepare_cached(KNOWN)?
        .exists(params![of, key.as_bytes()])?
    {
        let count = counted(db, COUNT_TRIES, [of])?;
        if count >= MAX_ATTEMPT_KEYS {
            let least: [u8; 32] = db
                .prepare_cached(LEAST)?
                .query_row([of], |row| row.get(0))?;
            db.prepare_cached(FORGET)?.execute(params![of, least])?;
        }
    }
    let tries = tries.saturating_add(1);
    let forgotten = now.plus(lockout.forget).as_millis();
    let mut count = db.prepare_cached(TRY)?;
    count.execute(params![
        of,
        key.as_bytes(),
        tries,
        now.as_millis(),
        forgotten
    ])?;
    Ok(Attempted::Go { tries })
}

pub(crate) fn forget(tx: &mut Tx<'_>, tenant: &TenantId, key: Digest) -> Result<(), Fault> {
    let mut forget = tx.connection.prepare_cached(FORGET)?;
    forget.execute(params![tenant.as_str(), key.as_bytes()])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::check_query_plans;

    #[test]
    fn every_statement_finds_its_rows_by_an_index() {
        check_query_plans(&[
            CLEAR_ONCE,
            ALONE,
            COUNT_OTHERS,
            TAKE_ONCE,
            TRIES,
            KNOWN,
            COUNT_TRIES,
            LEAST,
            FORGET,
        ]);
    }
}
