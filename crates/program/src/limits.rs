//! Limits that follow from the machine.

use nebula_core::ByteSize;
use nebula_runtime::WorkerConfig;
use nebula_system::Host;

/// The worker's settings, with no more memory for executions than three quarters of what the process
/// may use: estimates and the program itself need the rest. A process that passes the limit of its
/// control group is killed without a word.
#[must_use]
pub fn within_memory(mut worker: WorkerConfig, host: &Host) -> WorkerConfig {
    if let Some(memory) = host.memory {
        let most = ByteSize::bytes(memory.usable().as_u64() / 4 * 3);
        let most = most.max(ByteSize::bytes(1));
        worker.memory = worker.memory.min(most);
        worker.execution_memory = worker.execution_memory.min(most);
    }
    worker
}
