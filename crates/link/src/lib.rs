//! Who waits in this process for word from a server that many processes share.
//!
//! A server tells one of those who wait, by its number; [`Waiters`] knows which of them that is here. Start
//! reading at [`Waiters::enter`].
//!
//! Does not know: which server it is, what there is to hear, how long somebody waits.
//!
//! # Invariants
//! - A word for one that goes away before it heard is heard by another one that waits here, if there is one.
//! - What is told between two waits of one that stays is heard at the next.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use nebula_link::Waiters;
//!
//! let waiters = Waiters::default();
//! let (first, second) = (waiters.enter(), waiters.enter());
//! waiters.tell(first.number());
//! drop(first);
//! second.told().await;
//! # });
//! ```

mod sync;
#[cfg(test)]
mod threads;
mod waiters;

pub use waiters::{Waiter, Waiters};
