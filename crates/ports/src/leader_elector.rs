//! Which process does what only one may do.

use std::{fmt, str::FromStr, time::Duration};

use async_trait::async_trait;
use nebula_core::Timestamp;

use crate::{ErrorKind, Incarnation, PortError, Result};

/// The most bytes of a duty's name.
pub const MAX_DUTY_NAME: usize = 64;

/// The most duties that an elector knows; more are refused with `Full`.
pub const MAX_DUTIES: usize = 1_024;

/// The longest time for which a duty is held without a renewal.
pub const MAX_DUTY_TTL: Duration = Duration::from_hours(1);

/// The name of something that one process at a time does: 1 to [`MAX_DUTY_NAME`] of `a-z`, `0-9`, `.`,
/// `-` and `_`, such as `blobs.collect`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DutyName(String);

/// A text that names no duty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no duty; a name is 1 to {MAX_DUTY_NAME} small letters, digits, `.`, `-` and `_`"
)]
pub struct DutyNameError(String);

impl DutyName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`DutyNameError`]: it has another form.
    pub fn new(name: impl Into<String>) -> std::result::Result<Self, DutyNameError> {
        let name = name.into();
        let known = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
        match (1..=MAX_DUTY_NAME).contains(&name.len()) && name.bytes().all(known) {
            true => Ok(Self(name)),
            false => Err(DutyNameError(name)),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DutyName {
    type Err = DutyNameError;

    fn from_str(name: &str) -> std::result::Result<Self, DutyNameError> {
        Self::new(name)
    }
}

impl fmt::Display for DutyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A timed, fenced right to do one duty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leadership {
    /// Which duty.
    pub duty: DutyName,
    /// Who has it.
    pub leader: Incarnation,
    /// Grows with every election, also of the same candidate; from 1.
    pub term: u64,
    /// How long it lasts from the election or the last renewal, by the elector's clock.
    pub ttl: Duration,
}

/// What became of a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Campaigned {
    /// It leads, in a term in which nobody else ever does.
    Elected(Leadership),
    /// Somebody leads, perhaps this candidate itself.
    Held {
        /// In which term.
        term: u64,
        /// Until when without a renewal, by the elector's clock.
        until: Timestamp,
    },
}

/// Whether a leadership goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum TermRenewed {
    /// It lasts for its `ttl` from now.
    Renewed,
    /// Its term is over: somebody was elected after it, or it was given back.
    Over,
}

/// Who does a duty, to be looked at: it may be over once it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DutyState {
    /// Which duty.
    pub duty: DutyName,
    /// Its last term.
    pub term: u64,
    /// Who leads, and until when without a renewal, by the elector's clock; nobody if the duty is free.
    pub leader: Option<(Incarnation, Timestamp)>,
}

/// Elects who does a duty, by a timed lease with a term that fences out earlier leaders.
///
/// The elector's clock alone decides when a leadership is over. A leader stops by its own clock before
/// that (`monotonic before the call + ttl − margin`), and asks again by [`LeaderElector::renew`] before it
/// does what another leader might do as well. Duties concern no tenant: they are done for all of them.
///
/// Rules (each is a test of `nebula_testkit::leader_elector!`): a free duty is given, in term 1; one that is
/// held is given to nobody, also not to its leader again; a renewal makes it last, in the same term; what was
/// not renewed is free once its time is over, and not before; each election has a higher term than every one
/// before, also after the duty was given back; a term that is over can neither be renewed nor given back, and
/// none by another than its leader;
/// one whose time is over and that nobody took can still be renewed; of candidates at once one is elected;
/// duties say nothing of each other; what is impossible is refused, and changes nothing; a listing says who
/// leads each duty, and that nobody leads one that is free.
#[async_trait]
pub trait LeaderElector: fmt::Debug + Send + Sync + 'static {
    /// Takes the duty for `ttl`, if nobody leads.
    ///
    /// # Errors
    /// `Invalid`: `ttl` is not 1 ms to [`MAX_DUTY_TTL`]. `Full`: there are [`MAX_DUTIES`] others.
    /// `Unavailable`: it may have been elected; then nobody does the duty until `ttl` is over.
    async fn campaign(
        &self,
        duty: &DutyName,
        candidate: Incarnation,
        ttl: Duration,
    ) -> Result<Campaigned>;

    /// Lets a leadership last for its `ttl` from now.
    ///
    /// # Errors
    /// `Unavailable`: it may last longer or not; the same call again says so.
    async fn renew(&self, leadership: &Leadership) -> Result<TermRenewed>;

    /// Gives the duty back, so that another need not wait. Nothing happens if its term is over.
    ///
    /// # Errors
    /// `Unavailable`: it may be free.
    async fn resign(&self, leadership: &Leadership) -> Result<()>;

    /// Every duty that was ever done, by name, at most [`MAX_DUTIES`]: for people to look at, since nothing
    /// follows from it.
    ///
    /// # Errors
    /// `Corrupt`: what is stored is damaged. `Unavailable`.
    async fn duties(&self) -> Result<Vec<DutyState>>;
}

/// Refuses a time for which no duty can be held.
///
/// # Errors
/// `Invalid`, in the name of `driver`.
pub fn check_duty_ttl(driver: &'static str, ttl: Duration) -> Result<()> {
    if (Duration::from_millis(1)..=MAX_DUTY_TTL).contains(&ttl) {
        return Ok(());
    }
    let message = format!("a duty cannot be held for {ttl:?}; give it 1 ms to {MAX_DUTY_TTL:?}");
    Err(PortError::new(
        ErrorKind::Invalid,
        driver,
        "campaign",
        message,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duty_has_a_plain_name() {
        for name in ["blobs.collect", "a", "a-b_c.9", &"x".repeat(MAX_DUTY_NAME)] {
            assert_eq!(name.parse::<DutyName>().unwrap().as_str(), name);
        }
        for name in ["", "A", "a b", "ä", "a/b", &"x".repeat(MAX_DUTY_NAME + 1)] {
            assert!(name.parse::<DutyName>().is_err(), "{name}");
        }
    }
}
