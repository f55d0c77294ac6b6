//! The sandbox as plainly as it can be: the action's future, its deadline, its cancellation.

use std::{panic::AssertUnwindSafe, sync::Arc};

use async_trait::async_trait;
use futures_util::FutureExt;
use nebula_action::{ActionError, ActionResult, ErrorClass};
use nebula_core::Clock;
use nebula_ports::{Code, Invocation, SandboxRunner};

/// Runs native actions in place, under a clock that a test moves.
#[derive(Debug)]
pub struct MemorySandbox {
    clock: Arc<dyn Clock>,
}

impl MemorySandbox {
    /// A sandbox whose deadlines are those of `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }
}

#[async_trait]
impl SandboxRunner for MemorySandbox {
    async fn run(&self, invocation: Box<Invocation>) -> Result<ActionResult, ActionError> {
        let Invocation {
            code,
            context,
            input,
            max_output,
            grace,
        } = *invocation;
        let Code::Native(action) = code else {
            return Err(ActionError::fatal(
                "COMPONENT",
                "this sandbox runs native actions only",
            ));
        };
        let abandoned = async {
            context.cancellation.cancelled().await;
            self.clock.sleep(grace).await;
        };
        context.heartbeat.beat();
        let silent = async {
            loop {
                match context.heartbeat.time_left() {
                    None => std::future::pending().await,
                    Some(left) if left.is_zero() => return,
                    Some(left) => self.clock.sleep(left).await,
                }
            }
        };
        let result = tokio::select! {
            biased;
            () = abandoned => {
                return Err(ActionError::new("ABANDONED", "the attempt did not stop in time", ErrorClass::Unknown));
            }
            () = self.clock.sleep(context.timeout) => {
                return Err(ActionError::new("TIMEOUT", "the attempt took too long", ErrorClass::Timeout));
            }
            () = silent => {
                return Err(ActionError::new("HEARTBEAT_TIMEOUT", "the attempt gave no sign of life", ErrorClass::Timeout));
            }
            result = AssertUnwindSafe(action.execute(&context, input)).catch_unwind() => result,
        };
        let result = result.unwrap_or_else(|_| {
            Err(ActionError::fatal("ACTION_PANICKED", "the action panicked"))
        })?;
        if result.value.to_string().len() as u64 > max_output.as_u64() {
            return Err(ActionError::limit(
                "OUTPUT_TOO_LARGE",
                format!("the result is over {max_output}"),
            ));
        }
        Ok(result)
    }
}
