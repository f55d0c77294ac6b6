//! The words that every other crate uses: ids, time, digests, sizes, parameter values.
//!
//! A [`ParamValue`] is what an author wrote for a parameter; [`Clock`] and [`Entropy`] are how the
//! core learns the time and gets ids; [`Digest`] names content. Start reading at [`ParamValue::parse`].
//!
//! Does not know: expressions' grammar, storage, how anything runs.
//!
//! # Invariants
//! - A literal stays a literal: only text with `{{ … }}` that an author wrote becomes an expression.
//! - Two values with the same content have the same digest, whatever the order of their keys.
//! - A [`SecretString`] shows in no debug text, cannot be serialised, and is overwritten when it is dropped.
//!
//! ```
//! use nebula_core::{Digest, ParamValue};
//! use serde_json::json;
//!
//! let a = Digest::of_json(&json!({ "x": 1, "y": 2 }));
//! assert_eq!(a, Digest::of_json(&json!({ "y": 2, "x": 1 })));
//! assert!(ParamValue::parse(&json!("{{ $json.total }}")).unwrap().is_dynamic());
//! ```

mod blob;
mod clock;
mod digest;
mod entropy;
mod group;
mod histogram;
mod id;
mod label;
mod offload;
mod param;
mod pressure;
mod priority;
mod secret;
#[cfg(sim_bug)]
pub mod sim_bug;
mod size;
mod span;
mod spawn;
mod time;
mod trace;

pub use blob::BlobId;
pub use clock::{BoxFuture, Clock};
pub use digest::{Digest, DigestWriter, canonical_json};
pub use entropy::Entropy;
pub use group::{Group, GroupError, Groups};
pub use histogram::{Histogram, HistogramReading};
pub use id::{
    ActionId, CredentialId, ExecutionId, IdError, KeyId, MAX_ID_LEN, NodeId, PrincipalId,
    ProjectId, SecretId, TenantId, TriggerId, WorkflowId,
};
pub use label::{LabelError, Labels};
pub use offload::{Job, Offload};
pub use param::{ParamError, ParamValue, Segment, TemplateText};
pub use pressure::MemoryPressure;
pub use priority::{Priority, PriorityError};
pub use secret::{ExposeSecret, SecretString, secret_text};
pub use size::{ByteSize, ByteSizeError};
pub use span::{DurationError, duration_text, parse_duration, serde_duration};
pub use spawn::Spawn;
pub use time::{Timestamp, TimestampError};
pub use trace::{SpanId, TraceContext, TraceId};
