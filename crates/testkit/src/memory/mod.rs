//! In-memory models of the ports: plain, slow, right.

mod beginnings;
mod blob_guard;
mod blobs;
mod credentials;
mod credentials_guard;
mod execution_guard;
mod executions;
mod leases;
mod migrations;
mod queue;
mod queue_guard;
mod queue_list;
mod rates;
mod record;
mod records;
mod sandbox;
mod secrets;
mod secrets_guard;
mod slots;
mod steps;
mod workflow_guard;
mod workflows;

pub use blob_guard::BlobGuard;
pub use blobs::MemoryBlobStore;
pub use credentials::MemoryCredentialRepo;
pub use credentials_guard::CredentialGuard;
pub use execution_guard::ExecutionGuard;
pub use executions::MemoryExecutionRepo;
pub use queue::{MemoryTaskQueue, NEVER_ANSWERED};
pub use queue_guard::QueueGuard;
pub use sandbox::MemorySandbox;
pub use secrets::MemorySecretsStore;
pub use secrets_guard::SecretsGuard;
pub use workflow_guard::WorkflowGuard;
pub use workflows::MemoryWorkflowRepo;
