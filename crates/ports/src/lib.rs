//! What the core asks of the world: traits, their error, their contracts.
//!
//! Each port is object-safe and used as `Arc<dyn …>`. The rules listed at a port are the tests of
//! one conformance suite in `nebula-testkit`; a driver is done when it passes them, and the
//! in-memory model there passes the same. Start reading at [`ExecutionRepo`], the only truth about
//! executions.
//!
//! Does not know: any backend, who calls, what a plan means.
//!
//! # Invariants
//! - Tenant is the first argument of every call that touches data.
//! - An expected outcome is a named value; an error means that the port could not answer.
//!
//! ```
//! use nebula_ports::{ErrorKind, PortError};
//!
//! let error = PortError::new(ErrorKind::Unavailable, "storage-sqlite", "step", "the disk is full");
//! assert!(error.to_string().contains("storage-sqlite"));
//! ```

mod blob_store;
mod credential_repo;
mod error;
mod execution_repo;
mod rate;
mod sandbox;
mod secrets_store;
mod slot;
mod step;
mod task_queue;
mod turns;
mod workflow_repo;

pub use blob_store::{
    Blob, BlobDeleted, BlobListing, BlobPage, BlobPut, BlobRead, BlobRenewed, BlobStore,
    BlobStoreExt, BlobStream, MAX_BLOB_CHUNK, MAX_BLOB_PAGE, one_piece,
};
pub use credential_repo::{
    CredentialDeleted, CredentialPut, CredentialRepo, CredentialRewrapped, CredentialSummary,
    CredentialUse, CredentialUser, CredentialVersion, KeyDropped, KeyPromoted, MAX_CREDENTIAL_KEYS,
    MAX_CREDENTIAL_KIND, MAX_CREDENTIAL_USES, MAX_ENVELOPE_BYTES, MAX_USE_NODE, RefreshLease,
    UseRecorded,
};
pub use error::{ErrorKind, PortError, Result};
pub use execution_repo::{
    Acquired, Begun, Created, DedupeKey, ExecutionFilter, ExecutionRepo, ExecutionSummary, Granted,
    InboxItem, Incarnation, JournalPage, Lease, LeaseRequest, Moved, NewSignal, Page, PageToken,
    Renewed, Runnable, RunnablePage, Signalled, Snapshot,
};
pub use nebula_action::{
    HttpBody, HttpClient, HttpError, HttpErrorKind, HttpLimits, HttpPhase, HttpRequest,
    HttpResponse, RequestBody, Sender,
};
pub use nebula_core::{Clock, Entropy, Offload};
pub use rate::{FullAt, MAX_RATE_LIMIT, MAX_RATE_NAME, MAX_RATE_SPAN, Rate, RateTurn};
pub use sandbox::{Code, Invocation, SandboxRunner};
pub use secrets_store::{MAX_SECRET_BYTES, SecretDeleted, SecretSet, SecretsRotated, SecretsStore};
pub use slot::{
    MAX_SLOT_CAPACITY, MAX_SLOT_CHANGES, MAX_SLOT_NAME, SLOT_GRANTED, SLOT_LOST, SLOT_PREFIX,
    SlotChanges, SlotClaim, SlotHolder, SlotId, SlotKey, SlotOwner,
};
pub use step::{Delivery as InboxDelivery, Step, StepId, Stepped, WaitToken};
pub use task_queue::{Delivery, Queued, Receipt, ReceiptOutcome, Task, TaskQueue};
pub use turns::{Lines, Turns};
pub use workflow_repo::{
    NewVersion, Published, Saved, StoredWorkflow, VersionSummary, WorkflowFilter, WorkflowRepo,
    WorkflowSummary, WorkflowVersions,
};
