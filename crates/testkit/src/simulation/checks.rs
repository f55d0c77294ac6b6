//! The invariants by number and name: what every world is held against.

use std::fmt;

/// One invariant. The numbers are those of `docs/simulation.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Check {
    /// Which invariant it belongs to.
    pub number: u8,
    /// What it says.
    pub name: &'static str,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.name)
    }
}

/// Something that must not be, and was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What it breaks.
    pub check: Check,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.check, self.what)
    }
}

/// Declares checks, and the list of all.
macro_rules! checks {
    ($($constant:ident = $number:literal $name:literal,)+) => {
        $(#[doc = $name] pub const $constant: Check = Check { number: $number, name: $name };)+

        /// All of them, by number.
        pub const CHECKS: &[Check] = &[$($constant),+];
    };
}

checks! {
    NOT_LOST = 1 "no accepted execution is lost",
    CREATED_ONCE = 1 "an execution is created once",
    TOLD_STANDS = 1 "an end that somebody was told is committed",
    KNOWN_ONLY = 1 "only what was accepted is leased and written",
    NOTHING_FOLLOWS = 2 "nothing follows the end",
    ONE_END = 2 "there is one terminal entry, and its status is the execution's",
    BEGINS = 3 "a journal begins with its start",
    NO_GAPS = 3 "a journal has no gaps",
    NO_CHANGE = 3 "entries never change",
    STEP_SOUND = 3 "no step contradicts itself",
    EPOCHS_GROW = 4 "epochs grow",
    HOLDER_WRITES = 4 "entries carry the epoch that was valid at their commit",
    STALE_TOLD = 4 "whoever writes under an earlier epoch is told so",
    STEP_KNOWN = 4 "a step is recognised if it was applied, and only then",
    ONE_LEASE = 5 "at most one lease is valid",
    LEASED_START = 5 "nothing begins once the lease is over",
    LATEST_RENEWED = 5 "only the latest lease is renewed",
    ENDED_UNLEASED = 5 "what has ended is not leased",
    STARTED_FIRST = 6 "no write outside without a committed start",
    NO_RESTART = 7 "what has ended never starts again",
    ENDS_ONCE = 7 "an instance ends once",
    ENDED_RESTS = 7 "what has ended does not act",
    ATTEMPTS_ONCE = 8 "attempt numbers are used once",
    WITHIN_POLICY = 8 "no more attempts than the policy allows",
    BACKOFF = 8 "no retry before its time",
    KEY_STAYS = 9 "the key of an instance stays",
    KEYS_DIFFER = 9 "keys of different instances differ",
    AT_MOST_ONCE = 10 "at-most-once effects happen at most once",
    APPLIED_ONCE = 10 "keyed effects are applied once",
    INPUTS_FIRST = 11 "an attempt acts on what its start in the journal says",
    SAME_RESULT = 12 "the result is that of an undisturbed run",
    UNDOABLE = 12 "what can be undone is remembered with its success",
    SAME_STATE = 13 "the journal gives the state that was lived",
    CONCURRENCY = 14 "no more attempts at a time than the plan allows",
    LOCKED = 14 "who acts under a lock holds it",
    IN_TURN = 14 "no more bodies act under a lock than it has permits",
    NOT_EARLY = 15 "no timer fires early",
    SLOT_ONCE = 15 "each slot of a trigger starts one execution",
    SLOT_MISSED = 15 "no slot is left out but by policy, or by a person",
    SLOT_ORDER = 15 "slots are started in their order, and none that was left out",
    SLOT_PAUSED = 15 "a paused trigger starts nothing",
    CANCELLED_RESTS = 16 "nothing but undoing begins after a cancellation",
    ACK_LAST = 17 "an ack follows what it acknowledges",
    STALE_RECEIPT = 17 "a superseded receipt changes nothing",
    POISON = 18 "what brings no progress is parked in time",
    NAMED_READABLE = 19 "what a journal names can be read, with its digest",
    NAMED_STAYS = 19 "what a journal names is not deleted",
    READ_VERIFIED = 19 "what is read under a name has its digest",
    ORPHANS_GO = 19 "what no journal names goes, and nothing else",
    NO_SECRET = 20 "no secret stands where it can be read",
    OPENED_LATE = 20 "who writes outside opens credentials when that is committed",
    USE_RECORDED = 20 "a use is recorded before a value is given out",
    CURRENT = 20 "values that were replaced go to those alone who had opened them",
    ONE_REFRESH = 20 "while somebody who may refresh asks for a token, nobody else does",
    REFRESHER = 20 "who refreshes was given the right to, and sends the token of that version",
    KEPT = 20 "what was put last can be opened, whatever is rotated",
    TENANT = 21 "a call names the tenant of what it touches",
    PINNED = 22 "an execution keeps its plan",
    PLAN_FIRST = 22 "a plan is stored before its executions",
    SIGNAL_ONCE = 23 "a signal is received once",
    SIGNAL_ORDER = 23 "signals are received in the order of the inbox",
    BOUNDED = 24 "queues are bounded",
    NOT_REFUSED = 24 "a good start is not refused",
    WAKES = 25 "whatever has not ended wakes up, or waits for somebody",
    LIVES = 26 "nothing panics, and no worker stops by itself",
    ENDS = 27 "after healing, everything ends",
    NO_CIRCLE = 27 "nothing turns in a circle",
    SAME_TRACE = 0 "a seed gives one world",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_checks_have_one_name() {
        let mut names: Vec<_> = CHECKS.iter().map(|check| check.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CHECKS.len());
    }
}
