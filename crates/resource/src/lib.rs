//! Shares what is costly to make: clients and pools of connections.
//!
//! A [`Shared`] has one resource for each key; the key says all that two users must have in common
//! (kind, settings, destination, scope). It is made by whoever asks first while the others wait, and
//! kept until nobody has used it for a while, it is too old or sick, its scope ends ([`Shared::close`]),
//! memory is short, or there are too many.
//! Start reading at [`Shared::get`].
//!
//! Does not know: what a resource is, how it is closed (dropping the last handle does that), or how its
//! health is seen.
//!
//! # Invariants
//! - Of one key at most one resource is being made, unless more than [`Limits::most`] are being made at
//!   once, and at most one is given out.
//! - Whoever holds a resource keeps it: what is let go here lives until its last user drops it.
//! - There are never more than [`Limits::most`], and nothing is kept by a clock of its own: what is
//!   over goes at the next call.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use std::sync::Arc;
//! use nebula_resource::{Limits, Shared};
//! use nebula_testkit::ManualClock;
//!
//! let clients = Shared::new(Limits::default(), Arc::new(ManualClock::default()));
//! let make = async || Ok::<_, ()>("a client".to_owned());
//! let (first, second) = (clients.get(&"a.example", make).await?, clients.get(&"a.example", make).await?);
//! assert!(Arc::ptr_eq(&first, &second));
//! # Ok::<_, ()>(()) }).unwrap();
//! ```

mod shared;
mod sync;
#[cfg(test)]
mod threads;

pub use shared::{Limits, Shared};
