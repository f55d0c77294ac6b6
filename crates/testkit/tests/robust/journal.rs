//! What must hold for any bytes that are taken for entries of a journal.

use nebula_execution::{decode, encode};

/// Any bytes are a batch of a journal or damage; a batch that was read is written as it reads.
pub(crate) fn journal(bytes: &[u8]) {
    if let Ok(entries) = decode(bytes) {
        let again = encode(&entries);
        assert_eq!(decode(&again).unwrap(), entries);
    }
}
