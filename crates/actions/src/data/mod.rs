//! Actions on values and lists.

pub(crate) mod aggregate;
pub(crate) mod filter;
pub(crate) mod map;
pub(crate) mod set;
pub(crate) mod sort;
mod tally;
pub(crate) mod validate;
