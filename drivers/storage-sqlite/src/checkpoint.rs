//! Copying the write-ahead log into the database file, off the way of the commits.

use std::sync::Arc;

use rusqlite::Connection;

use crate::{stats::Counters, sync::blocking};

/// Frames (of one page each) in the log at which the checkpointer begins: 64 MiB. Fewer, larger checkpoints
/// copy a page that changes often less often, and disturb fewer commits.
pub(crate) const CHECKPOINT_FRAMES: i64 = 16_384;

/// Copies whenever it is rung; ends with the last bell.
pub(crate) fn run(
    connection: &Connection,
    counters: &Arc<Counters>,
    bell: &blocking::Receiver<()>,
) {
    while bell.recv().is_ok() {
        passive(connection);
        counters.set_checkpointed();
    }
}

/// Copies what no reader needs in the log any more; waits for nobody.
pub(crate) fn passive(connection: &Connection) {
    // A failure leaves everything in the log, where it is safe; the next bell tries again.
    let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
}

/// Copies everything and cuts the log; readers are waited for as long as the connection is patient.
pub(crate) fn truncate(connection: &Connection) {
    let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
}
