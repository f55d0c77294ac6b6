//! What is wrong with a schedule.

use std::time::Duration;

use crate::{MAX_CRON_CHARS, MAX_PERIOD, MIN_PERIOD};

/// Why something is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The number of fields.
    #[error(
        "`{expression}` has {found} fields; a cron expression has five, `minute hour day month weekday`, or six with the second before them"
    )]
    Fields {
        /// As written, at most 40 characters of it.
        expression: String,
        /// How many there are.
        found: usize,
    },
    /// One field.
    #[error("the {field} `{text}` is not one: it takes {takes}")]
    Field {
        /// Which one.
        field: &'static str,
        /// As written.
        text: String,
        /// What it may be.
        takes: &'static str,
    },
    /// Each field is right, and they have no day in common.
    #[error("`{expression}` never comes: no year has such a day")]
    Never {
        /// As written.
        expression: String,
    },
    /// The text is long.
    #[error("the cron expression has {found} characters; the limit is {MAX_CRON_CHARS}")]
    Long {
        /// How many.
        found: usize,
    },
    /// No such zone.
    #[error("there is no time zone `{zone}`; write an IANA name, such as `Europe/Berlin` or `UTC`")]
    Zone {
        /// As written, at most 40 characters of it.
        zone: String,
    },
    /// Too often, or hardly ever.
    #[error(
        "every {found:?} is out of range: the shortest period is {MIN_PERIOD:?}, the longest {} days",
        MAX_PERIOD.as_secs() / 86_400
    )]
    Period {
        /// As given.
        found: Duration,
    },
}
