//! What the engine said when it ended.

use nebula_ports::PortError;
use nebula_runtime::WorkerStopped;
use tokio::task::JoinError;

use crate::failure::Failure;

/// How the task of a worker ended; `None` if it had ended before. `advice` says what to do after a defect.
///
/// # Errors
/// It ended because its store failed or because of a defect.
pub fn engine_ended(
    ended: Option<Result<Result<(), WorkerStopped>, JoinError>>,
    advice: &str,
) -> Result<(), Failure> {
    match ended {
        None | Some(Ok(Ok(()))) => Ok(()),
        Some(Ok(Err(WorkerStopped::Store(error)))) => Err(PortError::into(error)),
        Some(Ok(Err(error @ WorkerStopped::RunsAlready))) => {
            Err(Failure::environment("ENGINE_ENDED", error.to_string()))
        }
        Some(Err(error)) => {
            let message = format!("the engine broke down: {error}");
            Err(Failure::environment("ENGINE_ENDED", message).advice(advice))
        }
    }
}
