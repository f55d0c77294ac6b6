//! The port [`SandboxRunner`] for native actions.

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use futures_util::FutureExt;
use nebula_action::{
    Action, ActionError, ActionResult, EffectClass, ErrorClass, Heartbeat, Literal,
};
use nebula_core::{ActionId, BoxFuture, ByteSize, Clock, duration_text};
use nebula_ports::{Code, Invocation, SandboxRunner};
use serde_json::Value;

use crate::count;

/// Runs native actions in this process, on the caller's task.
///
/// An action that computes for long without awaiting cannot be interrupted: such work goes through
/// the [`Offload`](nebula_core::Offload) port.
#[derive(Debug)]
pub struct InProcess {
    clock: Arc<dyn Clock>,
}

impl InProcess {
    /// Takes deadlines from `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }
}

impl SandboxRunner for InProcess {
    // Written out: an `async fn` holds what it is given a second time as what it works on, and a
    // future of more than a KiB takes the allocator several times as long.
    fn run<'s, 'f>(
        &'s self,
        mut invocation: Box<Invocation>,
    ) -> BoxFuture<'f, Result<ActionResult, ActionError>>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let action = match &invocation.code {
                Code::Native(action) => action,
                Code::Component(digest) => return Err(no_components(&digest.to_string())),
            };
            let (input, context) = (
                std::mem::take(&mut invocation.input),
                &mut invocation.context,
            );
            let attempt_of = Attempt {
                id: &action.metadata().id,
                class: effect_class(&**action, &input),
            };
            // The attempt hears of its deadline through the same token as of a cancellation; its own
            // child, because the deadline of one attempt is not the business of others. What only
            // computes is over before it could hear of anything.
            let cancelled = context.cancellation.clone();
            if attempt_of.class != EffectClass::Pure {
                context.cancellation = cancelled.child_token();
            }
            if cancelled.is_cancelled() {
                return Err(attempt_of.not_begun());
            }
            // A panic poisons nothing here: the attempt's state is dropped with it.
            context.heartbeat.beat();
            let context = &*context;
            let attempt = AssertUnwindSafe(async { action.execute(context, input).await });
            let mut attempt = pin!(attempt.catch_unwind());
            // What never waits needs no timers.
            if let Some(ended) = attempt.as_mut().now_or_never() {
                return attempt_of.ended(ended.ok(), invocation.max_output);
            }
            let mut deadline = self.clock.sleep(context.timeout);
            let mut silence = pin!(self.silence(&context.heartbeat));
            tokio::select! {
                biased;
                ended = &mut attempt => return attempt_of.ended(ended.ok(), invocation.max_output),
                () = cancelled.cancelled() => {}
                () = &mut deadline => {
                    context.cancellation.cancel();
                    return Err(attempt_of.timed_out(&duration_text(context.timeout)));
                }
                () = &mut silence => {
                    context.cancellation.cancel();
                    return Err(attempt_of.silent(context.heartbeat.longest()));
                }
            }
            let mut patience = self.clock.sleep(invocation.grace);
            tokio::select! {
                biased;
                ended = &mut attempt => attempt_of.ended(ended.ok(), invocation.max_output),
                () = &mut patience => Err(attempt_of.abandoned(&duration_text(invocation.grace))),
                () = &mut deadline => {
                    Err(attempt_of.timed_out(&duration_text(context.timeout)))
                }
            }
        })
    }
}

impl InProcess {
    /// Ends when the attempt has been silent for too long.
    async fn silence(&self, heartbeat: &Heartbeat) {
        while let Some(left) = heartbeat.time_left() {
            if left.is_zero() {
                return;
            }
            self.clock.sleep(left).await;
        }
        std::future::pending::<()>().await;
    }
}

/// The class for exactly these parameters: at run time all of them are known.
fn effect_class(action: &dyn Action, input: &Value) -> EffectClass {
    action
        .metadata()
        .effect
        .class(|name| match input.get(name) {
            Some(value) => Literal::Known(value.clone()),
            None => Literal::Absent,
        })
}

/// What the errors of one attempt say and how they are classed.
struct Attempt<'a> {
    id: &'a ActionId,
    class: EffectClass,
}

impl Attempt<'_> {
    fn ended(
        &self,
        outcome: Option<Result<ActionResult, ActionError>>,
        max_output: ByteSize,
    ) -> Result<ActionResult, ActionError> {
        let result = outcome.unwrap_or_else(|| Err(self.panicked()))?;
        if count::fits(&result.value, max_output.as_usize()) {
            return Ok(result);
        }
        let message = format!(
            "the result of `{}` is larger than {max_output}, the limit for one result; give less, \
             or raise the worker's `max_output`",
            self.id
        );
        Err(ActionError::limit("OUTPUT_TOO_LARGE", message))
    }

    fn panicked(&self) -> ActionError {
        let message = format!(
            "`{}` panicked: a fault of the action; the log has the place in its code",
            self.id
        );
        ActionError::new(
            "ACTION_PANICKED",
            message,
            self.or_unknown(ErrorClass::Fatal),
        )
    }

    fn timed_out(&self, timeout: &str) -> ActionError {
        let message = format!(
            "`{}` took longer than its timeout of {timeout}{}",
            self.id,
            self.unknown_outcome()
        );
        ActionError::new("TIMEOUT", message, self.or_unknown(ErrorClass::Timeout))
    }

    fn silent(&self, longest: Option<Duration>) -> ActionError {
        let message = format!(
            "`{}` gave no sign of life for {}{}",
            self.id,
            duration_text(longest.unwrap_or_default()),
            self.unknown_outcome()
        );
        ActionError::new(
            "HEARTBEAT_TIMEOUT",
            message,
            self.or_unknown(ErrorClass::Timeout),
        )
    }

    fn abandoned(&self, grace: &str) -> ActionError {
        let message = format!(
            "`{}` was told to stop and did not within {grace}{}",
            self.id,
            self.unknown_outcome()
        );
        ActionError::new("ABANDONED", message, self.or_unknown(ErrorClass::Cancelled))
    }

    fn not_begun(&self) -> ActionError {
        let message = format!("`{}` was cancelled before it began", self.id);
        ActionError::new("CANCELLED", message, ErrorClass::Cancelled)
    }

    fn or_unknown(&self, harmless: ErrorClass) -> ErrorClass {
        if self.class.writes() {
            ErrorClass::Unknown
        } else {
            harmless
        }
    }

    fn unknown_outcome(&self) -> &'static str {
        if self.class.writes() {
            "; whether its effect happened is unknown"
        } else {
            ""
        }
    }
}

fn no_components(digest: &str) -> ActionError {
    let message = format!(
        "this sandbox runs native actions only, and {digest} is a component; use a preset with the wasm sandbox"
    );
    ActionError::fatal("SANDBOX_NO_COMPONENTS", message)
}
