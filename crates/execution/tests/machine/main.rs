//! The machine stepped by hand: each rule is one line.
//!
//! `check(plan, script, trace)`: a step of the trace shows `entries > commands`, then where the
//! machine rests. `prepare` is an attempt whose start is journalled before it begins. After every
//! step the rig checks what must hold always: replay, snapshot, commit first, attempt numbers.

#[path = "../rig/mod.rs"]
mod rig;

mod approvals;
mod bodies;
mod calls;
mod cancels;
mod claims;
mod compensations;
mod ending;
mod errors;
mod items;
mod joins;
mod loops;
mod milestones;
mod paths;
mod pauses;
mod poison;
mod retries;
mod scopes;
mod signals;
mod spilled;
mod statuses;
mod tokens;
mod unknown;
mod waits;
