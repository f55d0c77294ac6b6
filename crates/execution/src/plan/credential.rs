//! The credentials that attempts get.

use compact_str::CompactString;
use nebula_core::CredentialId;
use serde::{Deserialize, Serialize};

/// A credential in a slot of a node's action: its id alone, never a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanCredential {
    /// The slot.
    pub slot: CompactString,
    /// Which credential.
    pub id: CredentialId,
}
