//! How a state becomes bytes: a shortcut to the end of a journal, never the truth itself.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{ExecutionPlan, ExecutionState};

/// The version of the stored form of snapshots. Every earlier one is read as well; 2 brought the
/// pause, 3 what an execution has from one that it goes over again, 4 the frames of bodies, 5
/// approvals, signals that are not kept, what was given up, lists in segments, what has to be undone,
/// calls, and claims for slots, 6 results that lie in blobs, 7 inputs that do, 8 whatever else does.
pub const SNAPSHOT_FORMAT: u32 = 8;
/// The version of snapshots in which the input lies in a blob, and beside it at most results of the top
/// level.
const INPUT_IN_A_BLOB: u32 = 7;
/// The version of snapshots in which results lie in blobs, and the input does not.
const RESULTS_IN_BLOBS: u32 = 6;
/// The version of all snapshots in which no result lies in a blob: a reader of version 5 would take
/// one that does for none.
const WITHOUT_BLOBS: u32 = 5;

/// Why bytes are not a snapshot of this execution.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Another build made it, in a form that this one does not read.
    #[error(
        "the snapshot has format {found}; this build reads up to {SNAPSHOT_FORMAT}; read the journal from its beginning"
    )]
    Format {
        /// The version found.
        found: u32,
    },
    /// The bytes are damaged.
    #[error("the snapshot cannot be read: {0}")]
    Damaged(#[from] serde_json::Error),
    /// It has other nodes or connections than the plan.
    #[error("the snapshot is of another plan")]
    OtherPlan,
}

/// The first format in which the top level is one frame of several.
const FRAMES: u32 = 4;

#[derive(Serialize)]
struct Written<'a> {
    format: u32,
    state: &'a ExecutionState,
}

#[derive(Deserialize)]
struct Read {
    state: ExecutionState,
}

#[derive(Deserialize)]
struct Head {
    format: u32,
}

/// The bytes are counted before they are written: a large vector that grows leaves its smaller forms
/// to the allocator, which keeps them.
pub(crate) fn encode(state: &ExecutionState) -> Vec<u8> {
    let input = state.started().and_then(|it| it.input_blob.as_ref());
    let format = match (input, state.count_stored()) {
        (_, (_, 1..)) => SNAPSHOT_FORMAT,
        (Some(_), _) => INPUT_IN_A_BLOB,
        (None, (1.., _)) => RESULTS_IN_BLOBS,
        (None, (0, _)) => WITHOUT_BLOBS,
    };
    let written = Written { format, state };
    let fine = "a state has string keys and finite numbers";
    let mut size = Size(0);
    serde_json::to_writer(&mut size, &written).expect(fine);
    let mut bytes = Vec::with_capacity(size.0);
    serde_json::to_writer(&mut bytes, &written).expect(fine);
    bytes
}

/// How many bytes were written to it.
struct Size(usize);

impl io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn decode(bytes: &[u8], plan: &ExecutionPlan) -> Result<ExecutionState, SnapshotError> {
    let Head { format: found } = serde_json::from_slice(bytes)?;
    if !(1..=SNAPSHOT_FORMAT).contains(&found) {
        return Err(SnapshotError::Format { found });
    }
    let Read { state } = if found < FRAMES {
        serde_json::from_value(with_frames(serde_json::from_slice(bytes)?))?
    } else {
        serde_json::from_slice(bytes)?
    };
    if state.fits(plan) {
        Ok(state)
    } else {
        Err(SnapshotError::OtherPlan)
    }
}

/// A snapshot without frames, with what it says of the top level in the one frame that there was.
fn with_frames(mut snapshot: Value) -> Value {
    if let Some(state) = snapshot.get_mut("state").and_then(Value::as_object_mut) {
        let mut frame = json!({
            "extent": 0, "owner": null, "first_node": 0, "first_edge": 0, "ending": null, "called": [],
        });
        for field in ["nodes", "queues", "open"] {
            frame[field] = state.remove(field).unwrap_or_default();
        }
        state.insert("frames".to_owned(), json!([frame]));
    }
    snapshot
}
