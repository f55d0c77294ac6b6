//! Tokens for one use, and who tried how often to get in.

use nebula_core::{Digest, TenantId, Timestamp};
use nebula_ports::{
    Attempted, ErrorKind, Lockout, MAX_ATTEMPT_KEYS, MAX_ONCE_CONTENT, MAX_ONCE_PURPOSE,
    MAX_ONCE_TOKENS, NewOnce,
};
use nebula_postgres::params;

use crate::{ask::counted, error::Fault, texts::check_texts, tx::Tx};

const CLEAR_ONCE: &str = "DELETE FROM once_tokens WHERE tenant = $1 AND until <= $2";
const ALONE: &str = "DELETE FROM once_tokens WHERE tenant = $1 AND purpose = $2";
const COUNT_OTHERS: &str =
    "SELECT count(*) FROM once_tokens WHERE tenant = $1 AND until > $2 AND purpose <> $3";
const PUT_ONCE: &str =
    "INSERT INTO once_tokens (tenant, token, purpose, content, until) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (tenant, token) DO UPDATE SET purpose = $3, content = $4, until = $5";
/// Whoever comes second finds no row.
const TAKE_ONCE: &str = "DELETE FROM once_tokens
    WHERE tenant = $1 AND token = $2 AND purpose = $3 AND until > $4 RETURNING content";
const TRIES: &str = "SELECT tries, last, until FROM attempts WHERE tenant = $1 AND key = $2";
const COUNT_TRIES: &str = "SELECT count(*) FROM attempts WHERE tenant = $1";
const FORGET_LEAST: &str = "DELETE FROM attempts WHERE tenant = $1 AND key =
    (SELECT key FROM attempts WHERE tenant = $1 ORDER BY tries, last, key LIMIT 1)";
const FORGET: &str = "DELETE FROM attempts WHERE tenant = $1 AND key = $2";
const TRY: &str =
    "INSERT INTO attempts (tenant, key, tries, last, until) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (tenant, key) DO UPDATE SET tries = $3, last = $4, until = $5";

/// Puts a token for one use.
pub(crate) async fn put_once(tx: &Tx, tenant: &TenantId, new: &NewOnce) -> Result<(), Fault> {
    let possible = (1..=MAX_ONCE_PURPOSE).contains(&new.purpose.len())
        && new.content.len() <= MAX_ONCE_CONTENT;
    if !possible {
        return Err(Fault::invalid(format!(
            "the purpose has {} bytes and the content {}; the limits are 1 to {MAX_ONCE_PURPOSE} and {MAX_ONCE_CONTENT}",
            new.purpose.len(),
            new.content.len()
        )));
    }
    let (purpose, content): (&str, &str) = (&new.purpose, &new.content);
    check_texts([purpose, content])?;
    tx.lock("once", tenant, "").await?;
    let (now, of) = (tx.now.as_millis(), tenant.as_str());
    // What goes for it does not count; nothing is written before it is known that there is room.
    let goes = if new.alone { purpose } else { "" };
    if counted(tx, COUNT_OTHERS, params![of, now, goes]).await? >= MAX_ONCE_TOKENS {
        return Err(Fault::new(
            ErrorKind::Full,
            format!("there are {MAX_ONCE_TOKENS} tokens for one use, the most that there may be"),
        ));
    }
    tx.execute(CLEAR_ONCE, params![of, now]).await?;
    if new.alone {
        tx.execute(ALONE, params![of, purpose]).await?;
    }
    let until = tx.now.plus(new.ttl).as_millis();
    let token = &new.token.as_bytes()[..];
    tx.execute(PUT_ONCE, params![of, token, purpose, content, until])
        .await?;
    Ok(())
}

/// Takes a token for one use: the row goes with its answer.
pub(crate) async fn take_once(
    tx: &Tx,
    tenant: &TenantId,
    purpose: &str,
    token: Digest,
) -> Result<Option<String>, Fault> {
    check_texts([purpose])?;
    let (now, token) = (tx.now.as_millis(), &token.as_bytes()[..]);
    let taken = tx
        .row(TAKE_ONCE, params![tenant.as_str(), token, purpose, now])
        .await?;
    Ok(taken.map(|row| row.try_get(0)).transpose()?)
}

/// Counts a try, if it may be made now. Tries of a tenant are counted one after the other.
pub(crate) async fn attempt(
    tx: &Tx,
    tenant: &TenantId,
    key: Digest,
    lockout: &Lockout,
) -> Result<Attempted, Fault> {
    tx.lock("tries", tenant, "").await?;
    let (now, of, key) = (tx.now, tenant.as_str(), &key.as_bytes()[..]);
    let found = tx.row(TRIES, params![of, key]).await?;
    let known = found.is_some();
    let (mut tries, mut last) = (0, now.as_millis());
    if let Some(row) = found
        && row.try_get::<_, i64>(2)? > now.as_millis()
    {
        let stored: i64 = row.try_get(0)?;
        tries = u32::try_from(stored)
            .map_err(|_| Fault::corrupt(format!("{stored} is no number of tries")))?;
        last = row.try_get(1)?;
    }
    let wait = lockout.wait(tries);
    let until = Timestamp::from_millis(last).plus(wait);
    if !wait.is_zero() && until > now {
        return Ok(Attempted::Wait { until });
    }
    if !known && counted(tx, COUNT_TRIES, params![of]).await? >= MAX_ATTEMPT_KEYS {
        tx.execute(FORGET_LEAST, params![of]).await?;
    }
    let tries = tries.saturating_add(1);
    let forgotten = now.plus(lockout.forget).as_millis();
    let (count, at) = (i64::from(tries), now.as_millis());
    tx.execute(TRY, params![of, key, count, at, forgotten])
        .await?;
    Ok(Attempted::Go { tries })
}

pub(crate) async fn forget(tx: &Tx, tenant: &TenantId, key: Digest) -> Result<(), Fault> {
    let key = &key.as_bytes()[..];
    tx.execute(FORGET, params![tenant.as_str(), key]).await?;
    Ok(())
}
