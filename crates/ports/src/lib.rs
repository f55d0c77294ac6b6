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

mod audit_log;
mod blob_store;
mod changes;
mod credential_repo;
mod error;
mod event_sink;
mod execution_repo;
mod folder_reader;
mod identity_repo;
mod incident_repo;
mod leader_elector;
mod program_runner;
mod queue_source;
mod rate;
mod relay;
mod sandbox;
mod scratch;
mod secrets_store;
mod session_repo;
mod slot;
mod step;
mod task_queue;
mod tenant_repo;
mod trigger_repo;
mod turns;
mod weights;
mod workflow_repo;

pub use audit_log::{
    AuditBreak, AuditEntry, AuditHead, AuditLog, AuditLogExt, AuditOutcome, MAX_AUDIT_CHANGE,
    MAX_AUDIT_PAGE, MAX_AUDIT_TEXT, NewAudit, audit_root, chained, follow,
};
pub use blob_store::{
    Blob, BlobDeleted, BlobListing, BlobPage, BlobPut, BlobRead, BlobRenewed, BlobStore,
    BlobStoreExt, BlobStream, MAX_BLOB_CHUNK, MAX_BLOB_PAGE, one_piece,
};
pub use changes::{ChangeCursor, Changes, MAX_CHANGES_BEHIND};
pub use credential_repo::{
    CredentialDeleted, CredentialPut, CredentialRepo, CredentialRewrapped, CredentialSummary,
    CredentialUse, CredentialUser, CredentialVersion, KeyDropped, KeyPromoted, MAX_CREDENTIAL_KEYS,
    MAX_CREDENTIAL_KIND, MAX_CREDENTIAL_USES, MAX_DELETED_WITH_USES, MAX_ENVELOPE_BYTES,
    MAX_TENANT_CREDENTIALS, MAX_USE_NODE, RefreshLease, UseRecorded,
};
pub use error::{ErrorKind, PortError, Result};
pub use event_sink::{EventSink, EventWatch, Received};
pub use execution_repo::{
    Acquired, Backlog, Begun, Created, DedupeKey, ExecutionFilter, ExecutionRepo, ExecutionSummary,
    Granted, InboxItem, Incarnation, JournalPage, Lease, LeaseRequest, Moved, NewSignal, Page,
    PageToken, Renewed, Runnable, RunnablePage, Signalled, Snapshot,
};
pub use folder_reader::{FolderReader, FoundFile};
pub use identity_repo::{
    ApiKeyRecord, IdentityRepo, KeyAdded, MAX_API_KEYS, MAX_IDENTITY_TEXT, MAX_KEY_PREFIX,
    MAX_MEMBERSHIPS, MAX_PASSWORD_HASH, MAX_PRINCIPALS, MAX_PROJECTS, MAX_SCOPES, Membership,
    MembershipChanged, PasswordHash, PrincipalKey, PrincipalKind, PrincipalRecord, ProjectRecord,
    RecordDeleted, RecordPut, Role, RoleError, Standing, StoredKey, USE_WRITTEN_EVERY,
};
pub use incident_repo::{
    ByAt, CounterChange, Happened, Incident, IncidentChange, IncidentChanged, IncidentFilter,
    IncidentOpened, IncidentRef, IncidentRepo, IncidentStatus, IncidentStatusError,
    MAX_INCIDENT_COUNTERS, MAX_INCIDENT_NAME, MAX_INCIDENT_OPS, MAX_INCIDENT_PAGE,
    MAX_INCIDENT_TEXT, MAX_INCIDENT_TITLE, MAX_INCIDENTS, MAX_TIMELINE, NewIncident, Operation,
    Severity, SeverityError, TimelineEntry, check_change, check_counter, check_incident,
    check_operation,
};
pub use leader_elector::{
    Campaigned, DutyName, DutyNameError, DutyState, LeaderElector, Leadership, MAX_DUTIES,
    MAX_DUTY_NAME, MAX_DUTY_TTL, TermRenewed, check_duty_ttl,
};
pub use nebula_action::{
    HttpBody, HttpClient, HttpError, HttpErrorKind, HttpLimits, HttpPhase, HttpRequest,
    HttpResponse, RequestBody, Sender,
};
pub use nebula_core::{Clock, Entropy, Offload};
pub use nebula_tenant::{
    Exceeded, MAX_WEIGHT, Quota, QuotaError, Quotas, Tenant, TenantError, Usage, Weight,
    WeightError,
};
pub use program_runner::{
    Captured, ProgramCall, ProgramEnded, ProgramError, ProgramExit, ProgramRunner,
};
pub use queue_source::{Handing, Message, Messages, Payload, Place, QueueSource, Subscribing};
pub use rate::{FullAt, MAX_RATE_LIMIT, MAX_RATE_NAME, MAX_RATE_SPAN, Rate, RateTurn};
pub use relay::{Listening, Relay, RelayTopic};
pub use sandbox::{Code, Invocation, SandboxRunner};
pub use scratch::{Scratch, ScratchStores};
pub use secrets_store::{
    MAX_SECRET_BYTES, MAX_TENANT_SECRETS, SecretDeleted, SecretSet, SecretsRotated, SecretsStore,
};
pub use session_repo::{
    Attempted, Closing, Lockout, MAX_ATTEMPT_KEYS, MAX_ONCE_CONTENT, MAX_ONCE_PURPOSE,
    MAX_ONCE_TOKENS, MAX_SESSION_TEXT, MAX_SESSIONS, MAX_SPENT_TOKENS, NewOnce, NewSession,
    Rotated, Session, SessionKey, SessionKind, SessionOpened, SessionRepo,
};
pub use slot::{
    MAX_SLOT_CAPACITY, MAX_SLOT_CHANGES, MAX_SLOT_NAME, SLOT_GRANTED, SLOT_LOST, SLOT_PREFIX,
    SlotChanges, SlotClaim, SlotHolder, SlotId, SlotKey, SlotOwner,
};
pub use step::{Announcement, Delivery as InboxDelivery, Step, StepId, Stepped, WaitToken};
pub use task_queue::{Delivery, Queued, Receipt, ReceiptOutcome, Task, TaskQueue};
pub use tenant_repo::{MAX_TENANTS, TenantPut, TenantRepo};
pub use trigger_repo::{
    ARRIVALS_FULL, Arrival, Arrived, Bringing, Brought, DueTriggers, HookId, LeftOut, Looked,
    MAX_ARRIVALS, MAX_BROUGHT, MAX_CURSOR, MAX_LEFT_OUT, MAX_SUBSCRIPTIONS, MAX_TOPIC,
    MAX_TRIGGERS, NewTrigger, Passing, PreviousHook, Subscription, TriggerRecord, TriggerRepo,
    TriggerState, TriggerUpdated, check_bringing, check_triggers,
};
pub use turns::{Lines, Turns};
pub use weights::{MAX_WEIGHTED, Weights};
pub use workflow_repo::{
    NewVersion, Published, Saved, StoredWorkflow, VersionSummary, WorkflowFilter, WorkflowRepo,
    WorkflowSummary, WorkflowVersions,
};
