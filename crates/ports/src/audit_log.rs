//! Who did what: a record that nobody can change without being seen.

use std::fmt;

use async_trait::async_trait;
use nebula_core::{Digest, TenantId, Timestamp};
use uuid::Uuid;

use crate::Result;

/// The most bytes of each text of an entry but its change.
pub const MAX_AUDIT_TEXT: usize = 512;

/// The most bytes of the change that an entry tells of.
pub const MAX_AUDIT_CHANGE: usize = 32 << 10;

/// The most entries of one page.
pub const MAX_AUDIT_PAGE: usize = 1_000;

/// Whether it was allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuditOutcome {
    /// It was, and may have happened.
    Allowed,
    /// It was not, and did not happen.
    Denied,
}

impl AuditOutcome {
    /// Its name, as it is stored, shown and hashed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
        }
    }
}

/// What is to be recorded. Each text has at most [`MAX_AUDIT_TEXT`] bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAudit {
    /// Names this entry, so that a retry after a lost reply adds nothing.
    pub id: Uuid,
    /// Who: `person:<id>`, `service:<id>`, `anonymous`, `local`; of what no person asked for
    /// `execution:<id>`, `engine`.
    pub who: String,
    /// With what: `session:<id>`, `key:<prefix>`, or nothing.
    pub via: String,
    /// From where: an address, or nothing.
    pub from: String,
    /// What: a verb after a noun, `keys.create`. Not empty.
    pub what: String,
    /// To what: `project:shop`, or nothing.
    pub target: String,
    /// Whether it was allowed.
    pub outcome: AuditOutcome,
    /// What changes, as JSON text of at most [`MAX_AUDIT_CHANGE`] bytes, or nothing; never a secret.
    pub change: String,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// When, by the store's clock.
    pub at: Timestamp,
    /// What was recorded.
    pub new: NewAudit,
    /// The hash over the entry before and this one ([`chained`]).
    pub hash: Digest,
}

/// The last entry of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    /// Its number.
    pub seq: u64,
    /// Its hash: whoever remembers it elsewhere knows later that nothing up to it was changed or cut off.
    pub hash: Digest,
}

/// Where a chain does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditBreak {
    /// An entry is missing.
    #[error("entry {expected} of the audit log is missing; {found} follows")]
    Gap {
        /// Its number.
        expected: u64,
        /// The number that is there.
        found: u64,
    },
    /// An entry, or one before it, was changed.
    #[error("entry {seq} of the audit log, or one before it, was changed: its hash does not match")]
    Changed {
        /// The first number at which it shows.
        seq: u64,
    },
    /// The chain ends before an entry that was there.
    #[error("the audit log ends with entry {last}; it had {known}")]
    Cut {
        /// The number of the last entry.
        last: u64,
        /// The number that is known to have been there.
        known: u64,
    },
}

/// The hash of an entry: SHA-256 over the hash of the one before (32 zero bytes before the first), the
/// tenant and every part, each of which counts with its length.
#[must_use]
pub fn chained(
    before: &Digest,
    tenant: &TenantId,
    seq: u64,
    at: Timestamp,
    new: &NewAudit,
) -> Digest {
    Digest::of_parts(&[
        b"nebula audit 1",
        before.as_bytes(),
        tenant.as_str().as_bytes(),
        &seq.to_be_bytes(),
        &at.as_millis().to_be_bytes(),
        new.id.as_bytes(),
        new.who.as_bytes(),
        new.via.as_bytes(),
        new.from.as_bytes(),
        new.what.as_bytes(),
        new.target.as_bytes(),
        new.outcome.as_str().as_bytes(),
        new.change.as_bytes(),
    ])
}

/// What the first entry of a chain follows.
#[must_use]
pub fn audit_root() -> Digest {
    Digest::from([0; 32])
}

/// Follows the chain from `before`, the entry before the first of `entries`.
///
/// # Errors
/// Where it does not hold.
pub fn follow(
    tenant: &TenantId,
    mut before: AuditHead,
    entries: &[AuditEntry],
) -> Result<AuditHead, AuditBreak> {
    for entry in entries {
        let expected = before.seq + 1;
        if entry.seq != expected {
            let found = entry.seq;
            return Err(AuditBreak::Gap { expected, found });
        }
        let hash = chained(&before.hash, tenant, entry.seq, entry.at, &entry.new);
        if hash != entry.hash {
            return Err(AuditBreak::Changed { seq: entry.seq });
        }
        before = AuditHead {
            seq: entry.seq,
            hash,
        };
    }
    Ok(before)
}

/// Keeps what was done in each tenant, in one chain.
///
/// Rules (each is a test of `nebula_testkit::audit_log!`): entries are numbered 1, 2, 3… and each one's
/// hash is over the one before; of appenders at once each gets a number of its own, in one chain; a
/// repeated append adds nothing; an entry has the store's time and never changes; another tenant has a
/// chain of its own.
#[async_trait]
pub trait AuditLog: fmt::Debug + Send + Sync + 'static {
    /// Appends an entry; it is durable when this answers. A retry after a lost reply gives the entry
    /// that is there.
    ///
    /// # Errors
    /// `Invalid`: a text is too long, what happened is not said, or the id is another entry's.
    /// `Unavailable`: it may be appended.
    async fn append(&self, tenant: &TenantId, new: NewAudit) -> Result<AuditEntry>;

    /// Entries by number, those after the number `after`, at most `limit` and [`MAX_AUDIT_PAGE`].
    ///
    /// They are given as they are stored: whether they are as they were, [`follow`] says.
    ///
    /// # Errors
    /// `Corrupt`: what is stored cannot be read. `Unavailable`.
    async fn entries(&self, tenant: &TenantId, after: u64, limit: usize)
    -> Result<Vec<AuditEntry>>;

    /// The last entry, if there is one.
    ///
    /// # Errors
    /// `Corrupt`. `Unavailable`.
    async fn head(&self, tenant: &TenantId) -> Result<Option<AuditHead>>;
}

/// What follows from the contract of [`AuditLog`].
#[async_trait]
pub trait AuditLogExt: AuditLog {
    /// Follows the whole chain, page by page; `known` is a head from before, remembered elsewhere.
    ///
    /// # Errors
    /// Those of [`AuditLog::entries`].
    async fn verify(
        &self,
        tenant: &TenantId,
        known: Option<AuditHead>,
    ) -> Result<std::result::Result<AuditHead, AuditBreak>> {
        let mut head = AuditHead {
            seq: 0,
            hash: audit_root(),
        };
        loop {
            let page = self.entries(tenant, head.seq, MAX_AUDIT_PAGE).await?;
            if page.is_empty() {
                break;
            }
            for entry in &page {
                head = match follow(tenant, head, std::slice::from_ref(entry)) {
                    Ok(head) => head,
                    Err(broken) => return Ok(Err(broken)),
                };
                // A chain that was made anew from some entry on holds; it is not the one that was known.
                if known.is_some_and(|known| known.seq == head.seq && known.hash != head.hash) {
                    return Ok(Err(AuditBreak::Changed { seq: head.seq }));
                }
            }
        }
        Ok(match known {
            Some(known) if known.seq > head.seq => Err(AuditBreak::Cut {
                last: head.seq,
                known: known.seq,
            }),
            _ => Ok(head),
        })
    }
}

impl<T: AuditLog + ?Sized> AuditLogExt for T {}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: u64, before: AuditHead) -> AuditEntry {
        let new = NewAudit {
            id: Uuid::from_u128(u128::from(seq)),
            who: "local".to_owned(),
            via: String::new(),
            from: "127.0.0.1".to_owned(),
            what: "keys.create".to_owned(),
            target: format!("key:{seq}"),
            outcome: AuditOutcome::Allowed,
            change: String::new(),
        };
        let at = Timestamp::from_millis(1);
        let hash = chained(&before.hash, &TenantId::local(), seq, at, &new);
        AuditEntry { seq, at, new, hash }
    }

    fn chain(length: u64) -> (AuditHead, Vec<AuditEntry>) {
        let root = AuditHead {
            seq: 0,
            hash: audit_root(),
        };
        let (mut head, mut all) = (root, Vec::new());
        for seq in 1..=length {
            let next = entry(seq, head);
            head = AuditHead {
                seq,
                hash: next.hash,
            };
            all.push(next);
        }
        (root, all)
    }

    #[test]
    fn every_part_of_an_entry_is_in_its_hash() {
        let (root, all) = chain(3);
        let tenant = TenantId::local();
        assert_eq!(follow(&tenant, root, &all).unwrap().hash, all[2].hash);
        let changes: [fn(&mut AuditEntry); 10] = [
            |it| it.at = Timestamp::from_millis(2),
            |it| it.new.id = Uuid::from_u128(9),
            |it| it.new.who = "loca".to_owned(),
            |it| it.new.via = "x".to_owned(),
            |it| it.new.from.clear(),
            |it| it.new.what.push('x'),
            |it| it.new.target.push('x'),
            |it| it.new.outcome = AuditOutcome::Denied,
            |it| it.new.change.push('1'),
            |it| it.hash = audit_root(),
        ];
        for change in changes {
            let mut all = all.clone();
            change(&mut all[1]);
            assert_eq!(
                follow(&tenant, root, &all),
                Err(AuditBreak::Changed { seq: 2 })
            );
        }
        let other = TenantId::new("other").unwrap();
        assert_eq!(
            follow(&other, root, &all),
            Err(AuditBreak::Changed { seq: 1 })
        );
    }

    #[test]
    fn a_missing_entry_is_a_gap() {
        let (root, mut all) = chain(3);
        all.remove(1);
        let gap = AuditBreak::Gap {
            expected: 2,
            found: 3,
        };
        assert_eq!(follow(&TenantId::local(), root, &all), Err(gap));
    }
}
