//! Running programs of the host.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use nebula_action::{GrantedPath, GrantedProgram};
use nebula_core::ByteSize;
use tokio_util::sync::CancellationToken;

/// One program to run, once.
#[derive(Debug, Clone)]
pub struct ProgramCall {
    /// Which one.
    pub program: GrantedProgram,
    /// Its arguments, as they are: no shell reads them.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub environment: Vec<(String, String)>,
    /// Where it begins; `None` is `/`.
    pub folder: Option<GrantedPath>,
    /// What it reads; its input ends there.
    pub stdin: Vec<u8>,
    /// The most bytes that are kept of each of its two outputs.
    pub max_output: ByteSize,
    /// How long it may run; `None` leaves that to `stop`.
    pub timeout: Option<Duration>,
    /// Told when it should end.
    pub stop: CancellationToken,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramExit {
    /// By itself, with this code.
    Code(i32),
    /// By a signal that the runner did not send.
    Signal(i32),
    /// It was stopped: its timeout passed.
    TimedOut,
    /// It was stopped: its caller asked for that.
    Stopped,
}

/// What a program left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramEnded {
    /// How it ended.
    pub exit: ProgramExit,
    /// The beginning of what it printed.
    pub stdout: Captured,
    /// The beginning of what it complained about.
    pub stderr: Captured,
    /// From its start to its end.
    pub took: Duration,
}

/// What was kept of an output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// At most [`ProgramCall::max_output`] bytes.
    pub bytes: Vec<u8>,
    /// Whether there was more.
    pub cut: bool,
}

/// Why a program did not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// The operator does not allow it.
    #[error("{program} is not among the programs that may be run here")]
    NotAllowed {
        /// Which one.
        program: String,
    },
    /// Its folder cannot be used.
    #[error("{folder}: {why}")]
    Folder {
        /// Which one.
        folder: String,
        /// What is wrong with it.
        why: String,
    },
    /// It cannot be started.
    #[error("{program} cannot be started: {why}")]
    Start {
        /// Which one.
        program: String,
        /// What the system says.
        why: String,
        /// Whether the same call may succeed later.
        passing: bool,
    },
    /// This system has no process groups, so that nothing could be stopped for certain.
    #[error("programs are run on Unix systems only")]
    Unsupported,
}

/// Runs programs of the host, each in a process group of its own.
///
/// Rules:
/// - Only a program that the operator listed is run; nothing is listed by default.
/// - It gets the arguments, the environment and the input of the call and nothing of its parent's: no
///   variable, no open file but the three standard ones.
/// - When it has ended, so has its process group: what it left running there is killed. What must stay
///   leaves the group by itself, as a daemon does.
/// - Asked to end, or out of time, the group gets SIGTERM, and SIGKILL after a grace.
/// - No output of any length holds it up or takes more memory than the call allows.
/// - A program that was started has been waited for when the call ends: it leaves no zombie.
#[async_trait]
pub trait ProgramRunner: fmt::Debug + Send + Sync + 'static {
    /// Runs the program to its end, whatever its exit code.
    ///
    /// # Errors
    /// [`ProgramError`]: it was not started.
    ///
    /// # Cancel safety
    /// Dropping the future ends the program in the same way as [`ProgramCall::stop`], beside the caller.
    async fn run(&self, call: ProgramCall) -> Result<ProgramEnded, ProgramError>;
}
