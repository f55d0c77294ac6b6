//! When a workflow starts by itself.
//!
//! A [`Schedule`] names points in time, its *occurrences*: those of a cron expression in a time zone, every so
//! often, or once. Occurrences follow from the schedule alone, so whoever asks gets the same, however often
//! and after whatever delay. A [`Timing`] is what a trigger of a definition says of that, and
//! [`Timing::decide`] what it does at a moment. Start reading at [`Schedule::next_after`].
//!
//! Does not know: what time it is, what is started, or where a trigger stands: it is told.
//!
//! # Invariants
//! - [`Schedule::next_after`] is later than what it was asked for, and nothing lies between.
//! - [`Timing::decide`] starts no occurrence that is settled, and settles in order.
//! - A schedule that never has an occurrence cannot be made.
//!
//! ```
//! use nebula_trigger::Schedule;
//!
//! let nightly = Schedule::cron("30 2 * * *", "Europe/Berlin").unwrap();
//! // That night the clocks went from two to three, so there was no half past two.
//! let eve = "2026-03-28T12:00:00Z".parse().unwrap();
//! assert_eq!(nightly.next_after(eve).unwrap().to_string(), "2026-03-29T01:00:00.000Z");
//! ```

mod cron;
mod error;
mod firing;
mod schedule;
mod timing;

pub use error::ScheduleError;
pub use firing::{Firing, ON_TIME, Settled};
pub use schedule::{MAX_CRON_CHARS, MAX_PERIOD, MIN_PERIOD, Occurrences, Schedule};
pub use timing::{FieldError, MAX_JITTER, MAX_WINDOW, Misfire, Overlap, Timing};
