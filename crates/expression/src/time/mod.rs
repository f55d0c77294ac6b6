//! Dates, durations and their texts: pure functions over milliseconds since 1970.
//!
//! Does not know the machine: `library` charges, reads arguments and calls these.

#[allow(dead_code, reason = "DateTime, which is next, uses the rest")]
pub(crate) mod civil;
#[allow(dead_code, reason = "DateTime, which is next, uses the rest")]
pub(crate) mod format;
pub(crate) mod js;
#[allow(dead_code, reason = "DateTime, which is next, uses the rest")]
pub(crate) mod locale;
#[allow(dead_code, reason = "DateTime, which is next, uses the rest")]
pub(crate) mod scan;
#[allow(dead_code, reason = "DateTime, which is next, uses the rest")]
pub(crate) mod zone;
