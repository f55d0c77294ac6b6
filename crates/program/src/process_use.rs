//! What a process takes of its machine, as metrics.

use nebula_core::ByteSize;
use nebula_system::ProcessUse;
use nebula_telemetry::{Reading, Value, metric};

/// What the process takes of its machine, as far as the system says.
pub(crate) fn observe(found: &ProcessUse, reading: &mut Reading) {
    let fractions = [
        (metric::PROCESS_CPU, found.cpu_seconds),
        (metric::PROCESS_START, found.started_at),
    ];
    for (metric, value) in fractions {
        if let Some(value) = value {
            reading.add(metric, &[], Value::Level(value));
        }
    }
    let numbers = [
        (metric::PROCESS_MEMORY, found.resident.map(ByteSize::as_u64)),
        (metric::PROCESS_FILES, found.open_files),
        (metric::PROCESS_MAX_FILES, found.max_files),
        (metric::PROCESS_THREADS, found.threads),
    ];
    for (metric, value) in numbers {
        if let Some(value) = value {
            reading.level(metric, value);
        }
    }
}
