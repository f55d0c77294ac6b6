//! Bears with what fails, is slow, or asks for patience, around any async call.
//!
//! A [`Gate`] stands before one destination: a circuit breaker, a pause that the other side asked for, a
//! bulkhead, a rate. [`Gates`] keeps one for each key. [`Quotas`] counts the calls of each of many callers. [`timeout`], [`hedge`] and [`retry`] are layers that
//! take a call and give a call. How long a retry waits is [`RetryPolicy::delay_after`], the same for a
//! retry in memory and for one that the engine keeps in its journal. Start reading at [`Gate::enter`].
//!
//! Does not know: what is called, what an answer means (the caller gives a [`Verdict`]), HTTP, executions.
//!
//! # Invariants
//! - Decisions are made without a clock: each says `now`. Time comes from [`nebula_core::Clock`] alone.
//! - Nobody waits longer than the patience it gave; what is refused has used nothing up.
//! - Every line, every number of gates and every wait has a limit with a name.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use nebula_resilience::{BreakerPolicy, Gate, GatePolicy, Reason, Verdict};
//! use nebula_testkit::{ManualClock, run};
//!
//! run(async {
//!     let breaker = BreakerPolicy { min_calls: 1, ..BreakerPolicy::default() };
//!     let policy = GatePolicy { breaker: Some(breaker), ..GatePolicy::default() };
//!     let gate = Gate::new(Arc::new(ManualClock::default()), policy);
//!     let pass = gate.enter(Duration::from_secs(1)).await.unwrap();
//!     pass.end(Verdict::Bad);
//!     let refused = gate.enter(Duration::from_secs(1)).await.unwrap_err();
//!     assert_eq!(refused.reason, Reason::BreakerOpen);
//! });
//! ```

mod backoff;
mod breaker;
mod bucket;
mod gate;
mod gates;
mod layers;
mod quotas;

pub use backoff::{Backoff, Jitter, MAX_RETRY_AFTER, RetryPolicy};
pub use breaker::{BreakerPolicy, BreakerState, MAX_WINDOW, Turned, Verdict};
pub use bucket::{CallRate, RateState};
pub use gate::{COME_AGAIN, DEFAULT_WAITING, Gate, GatePolicy, Pass, Reason, Refused, Snapshot};
pub use gates::{DEFAULT_KEYS, Gates};
pub use layers::{Again, TimedOut, hedge, retry, timeout};
pub use quotas::{Counted, Left, MAX_CALLERS, Quotas};
