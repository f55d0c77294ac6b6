//! Dates, durations and their texts: pure functions over milliseconds since 1970.
//!
//! Does not know the machine: `library` charges, reads arguments and calls these.

pub(crate) mod civil;
pub(crate) mod date_time;
pub(crate) mod duration;
pub(crate) mod fields;
pub(crate) mod format;
pub(crate) mod js;
pub(crate) mod luxon_iso;
pub(crate) mod luxon_parse;
pub(crate) mod parse_format;
pub(crate) mod pattern;
mod scan;
pub(crate) mod tokens;
pub(crate) mod zone;
