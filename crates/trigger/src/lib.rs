//! When a workflow starts by itself.
//!
//! A [`Schedule`] names points in time, its *occurrences*: those of a cron expression in a time zone, every so
//! often, or once. Occurrences follow from the schedule alone, so whoever asks gets the same, however often
//! and after whatever delay. A [`Timing`] is what a trigger of a definition says of that, and
//! [`Timing::decide`] what it does at a moment. Start reading at [`Schedule::next_after`].
//!
//! A [`Webhook`] is what a trigger says that is called over HTTP: which deliveries it takes
//! ([`Webhook::body`]), and how whoever calls proves who they are ([`Auth::check`]).
//!
//! A [`Form`] is a webhook that people call from a page in their browser.
//!
//! A [`Listening`] is what a trigger says that starts when executions end, or emit events; a [`FileWatch`]
//! of one that starts when files come, change or go; a [`Poll`] of one that looks with an action, and starts for
//! what is new; a [`Queue`] of one that listens to messages elsewhere. An [`Intake`] says what they take of that, and how much
//! of it starts one execution.
//!
//! Does not know: what time it is, what is started, where a trigger stands, or how a delivery arrives:
//! it is told.
//!
//! # Invariants
//! - [`Schedule::next_after`] is later than what it was asked for, and nothing lies between.
//! - [`Timing::decide`] starts no occurrence that is settled, and settles in order.
//! - A schedule that never has an occurrence cannot be made.
//! - A webhook without `auth` cannot be read, and no secret stands in one.
//! - What is shown is compared with a secret in constant time; no refusal has anything of either.
//!
//! ```
//! use nebula_trigger::Schedule;
//!
//! let nightly = Schedule::cron("30 2 * * *", "Europe/Berlin").unwrap();
//! // That night the clocks went from two to three, so there was no half past two.
//! let eve = "2026-03-28T12:00:00Z".parse().unwrap();
//! assert_eq!(nightly.next_after(eve).unwrap().to_string(), "2026-03-29T01:00:00.000Z");
//! ```

mod auth;
mod body;
mod cron;
mod error;
mod files;
mod firing;
mod form;
mod intake;
mod jwt;
mod listening;
mod poll;
mod queue;
mod reader;
mod schedule;
mod standard;
mod timing;
mod webhook;

pub use auth::{Auth, Headers, MAX_REPLAY_WINDOW, Proof, Refused, Signature};
pub use body::{BodyError, query_of};
pub use error::ScheduleError;
pub use files::{
    FileEvent, FileWatch, FirstLook, Found, MAX_FILE_EVENTS, MAX_LOOK_EVERY, MAX_WATCHED, Sight,
};
pub use firing::{Firing, ON_TIME, Settled};
pub use form::{
    FORM_ONCE, Form, FormProblem, MAX_FORM_FIELDS, MAX_FORM_TEXT, Page, check_form, escaped,
    filled_in,
};
pub use intake::{Gather, Gathered, Intake, MAX_GATHER_WAIT, MAX_GATHERED, Waiting};
pub use jwt::{Jwt, MAX_TOKEN_BYTES};
pub use listening::{Heard, Listening, MAX_EVENT};
pub use poll::{
    CursorBy, LOOK_NODE, MAX_POLL_BYTES, MAX_POLL_EVENTS, MAX_POLL_KEYS, MAX_POLL_TIMEOUT,
    MAX_POLLED, Poll, Polled, claimed_until,
};
pub use queue::{MAX_STREAM_NAME, MAX_STREAMS, MAX_TOPIC_FILTER, PayloadKind, Queue, QueueKind};
pub use reader::FieldError;
pub use schedule::{MAX_CRON_CHARS, MAX_PERIOD, MIN_PERIOD, Occurrences, Schedule};
pub use standard::Standard;
pub use timing::{MAX_JITTER, MAX_WINDOW, Misfire, Overlap, Timing};
pub use webhook::{
    BodyKind, HOOK_BODY, HookPath, MAX_HOOK_BODY, MAX_HOOK_WAIT, MAX_LISTED, MAX_SEGMENTS,
    MAX_UPLOAD, Respond, UPLOAD, Webhook,
};
