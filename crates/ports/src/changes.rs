//! What changed since somebody looked last.

use crate::ExecutionSummary;

/// How far somebody has followed what changes; opaque, from [`Changes`]. It stays good when the store is opened anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeCursor(pub String);

/// How far behind somebody may be who follows what changes, in changes; whoever is further behind lists
/// anew, which costs less.
pub const MAX_CHANGES_BEHIND: u64 = 10_000;

/// What changed after a cursor; from [`ExecutionRepo::changes`](crate::ExecutionRepo::changes).
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Changes {
    /// Some of the executions that changed.
    Changed {
        /// As they stand now, each once.
        executions: Vec<ExecutionSummary>,
        /// Where to go on.
        next: ChangeCursor,
        /// Whether there is more already. A page without executions may have more behind it.
        more: bool,
    },
    /// What came after the cursor cannot be told any more: it is not from this store, or more than
    /// [`MAX_CHANGES_BEHIND`] changes lie behind it.
    Lost {
        /// Where to go on, from now.
        next: ChangeCursor,
    },
}
