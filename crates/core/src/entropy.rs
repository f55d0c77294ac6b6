//! The port through which the core gets randomness and ids.

use std::fmt;

use uuid::Uuid;

use crate::{ExecutionId, Timestamp};

/// Gives random bits; the only source of them in the core.
///
/// `system` asks the host; the test kit's is seeded, so that a run can be repeated.
pub trait Entropy: fmt::Debug + Send + Sync + 'static {
    /// The next 64 random bits.
    fn next_u64(&self) -> u64;

    /// A new execution id: a UUID version 7 (RFC 9562, section 5.7), so that ids sort by start time.
    fn execution_id(&self, now: Timestamp) -> ExecutionId {
        let (high, low) = (self.next_u64(), self.next_u64());
        let mut random = [0_u8; 10];
        random[..8].copy_from_slice(&high.to_le_bytes());
        random[8..].copy_from_slice(&low.to_le_bytes()[..2]);
        ExecutionId::at(now, &random)
    }

    /// A random identity, such as that of one worker process.
    fn uuid(&self) -> Uuid {
        let bits = (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64());
        uuid::Builder::from_u128(bits)
            .with_variant(uuid::Variant::RFC4122)
            .with_version(uuid::Version::Random)
            .into_uuid()
    }
}
