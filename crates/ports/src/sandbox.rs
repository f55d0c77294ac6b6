//! Where the code of actions runs.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use nebula_action::{Action, ActionContext, ActionError, ActionResult};
use nebula_core::{ByteSize, Digest};
use serde_json::Value;

/// What is to run.
#[derive(Debug, Clone)]
pub enum Code {
    /// First-party code in this process.
    Native(Arc<dyn Action>),
    /// A component, by the digest of its bytes.
    Component(Digest),
}

/// One attempt, ready to run.
#[derive(Debug)]
pub struct Invocation {
    /// What is to run.
    pub code: Code,
    /// Who it is, how long it may take, what it may touch.
    pub context: ActionContext,
    /// Its resolved parameters.
    pub input: Value,
    /// The largest result, as compact JSON.
    pub max_output: ByteSize,
    /// How long after a cancellation the attempt may still take before it is abandoned.
    pub grace: Duration,
}

/// Runs one attempt under its grants, limits, deadline and cancellation.
///
/// Rules: the deadline is `context.timeout` from the call on; an attempt whose heartbeat has no
/// `time_left` is given up as `HEARTBEAT_TIMEOUT`, and its first sign of life is that it begins; a
/// cancelled attempt is told, then abandoned after `grace`; an abandoned attempt of an action that may write is of class
/// `Unknown`; a result over `max_output` is refused; a panic becomes an error; no error carries a value.
#[async_trait]
pub trait SandboxRunner: fmt::Debug + Send + Sync + 'static {
    /// Runs the attempt to its end.
    ///
    /// # Errors
    /// Those of the action, and those of the sandbox: `TIMEOUT`, `ACTION_PANICKED`, `OUTPUT_TOO_LARGE`, ….
    ///
    /// # Cancel safety
    /// Dropping the future drops the attempt; what it did outside is unknown then.
    async fn run(&self, invocation: Box<Invocation>) -> Result<ActionResult, ActionError>;
}
