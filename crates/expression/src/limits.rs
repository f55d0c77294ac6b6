//! What an expression may cost.

use std::time::Duration;

/// Bounds on one expression; every one has its own `LIMIT_…` code.
///
/// The defaults are far above what 110,442 real expressions need, and low enough that a hostile
/// one costs a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of source: 64 KiB. Beyond: `LIMIT_SOURCE`.
    pub source_bytes: usize,
    /// Nesting of the source, where a chain of members or of one operator counts as one: 32.
    /// Beyond: `LIMIT_DEPTH`.
    pub ast_depth: usize,
    /// Operations before any allowance for walked elements: 10,000. Beyond: `LIMIT_OPERATIONS`.
    pub operations: u64,
    /// Operations with all allowances: 5 million. Beyond: `LIMIT_OPERATIONS`.
    pub operations_ceiling: u64,
    /// Bytes of one string that the expression makes: 1 MB. Beyond: `LIMIT_STRING`.
    pub string_bytes: usize,
    /// Elements of one array (or keys of one object) that the expression makes: 100,000.
    /// Beyond: `LIMIT_ARRAY`. What the expression only reads is not counted.
    pub array_len: usize,
    /// Bytes of all temporary values together: 16 MiB. Beyond: `LIMIT_ARENA`.
    pub arena_bytes: usize,
    /// Bytes of the result, with every shared part counted as often as it stands there: 64 MiB.
    /// Beyond: `LIMIT_RESULT`. A result that is wholly a value which was read is not counted.
    pub result_bytes: usize,
    /// The time that the caller's [`Deadline`](crate::Deadline) should allow: 5 s. Beyond:
    /// `LIMIT_WALL`. This crate holds no clock; the caller builds the deadline from this value.
    pub wall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            source_bytes: 64 * 1024,
            ast_depth: 32,
            operations: 10_000,
            operations_ceiling: 5_000_000,
            string_bytes: 1_000_000,
            array_len: 100_000,
            arena_bytes: 16 * 1024 * 1024,
            result_bytes: 64 * 1024 * 1024,
            wall: Duration::from_secs(5),
        }
    }
}
