//! Looking at a service by a program.

use std::time::Duration;

use nebula_action::{ActionContext, ActionError, ErrorClass};
use nebula_core::{ByteSize, duration_text};
use nebula_ports::{ProgramCall, ProgramError, ProgramExit, ProgramRunner};

use crate::{
    parameters::CheckIn,
    verdict::{Found, Verdict},
};

/// How much is read of what a program complains about.
const MAX_COMPLAINT: ByteSize = ByteSize::kib(4);

/// How much of it stands in the reason.
const SHOWN: usize = 400;

/// Runs the program, and judges its exit code.
pub(crate) async fn look(
    programs: &dyn ProgramRunner,
    ctx: &ActionContext,
    (input, program): (&CheckIn, &str),
    timeout: Duration,
) -> Found {
    let call = ProgramCall {
        program: ctx.process(program)?,
        arguments: input.args.clone(),
        environment: Vec::new(),
        folder: None,
        stdin: Vec::new(),
        max_output: MAX_COMPLAINT,
        timeout: Some(timeout),
        stop: ctx.cancellation.clone(),
    };
    let ended = programs
        .run(call)
        .await
        .map_err(|error| not_started(&error))?;
    let expected = match input.expected_exit.as_slice() {
        [] => &[0],
        codes => codes,
    };
    let what = match ended.exit {
        ProgramExit::Code(code) if expected.contains(&code) => return Ok(Verdict::Well),
        ProgramExit::Code(code) => format!("{program} ended with exit code {code}"),
        ProgramExit::Signal(signal) => format!("{program} was ended by signal {signal}"),
        ProgramExit::TimedOut => {
            format!("{program} took longer than {}", duration_text(timeout))
        }
        ProgramExit::Stopped => {
            let message = "the check was called off";
            let class = ErrorClass::Cancelled;
            return Err(ActionError::new("CANCELLED", message, class));
        }
    };
    let complaint = String::from_utf8_lossy(&ended.stderr.bytes);
    let complaint = complaint.trim();
    let end = complaint.floor_char_boundary(SHOWN);
    match complaint {
        "" => Verdict::unwell(what),
        _ => Verdict::unwell(format!("{what}: {}", &complaint[..end])),
    }
}

/// The error of a program that did not begin: nobody has looked.
fn not_started(error: &ProgramError) -> ActionError {
    match error {
        ProgramError::NotAllowed { program } => ActionError::new(
            "PROCESS_NOT_ALLOWED",
            format!(
                "{error}; whoever runs this engine can add {program:?} to the setting `process.allow`"
            ),
            ErrorClass::Denied {
                capability: String::new(),
            },
        ),
        ProgramError::Start { passing: true, .. } => {
            ActionError::retryable("PROCESS_START", error.to_string())
        }
        _ => ActionError::fatal("PROCESS_START", error.to_string()),
    }
}
