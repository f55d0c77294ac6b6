//! `process.run`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use nebula_action::{Access, ActionContext, ActionError, ErrorClass, Size};
use nebula_core::ByteSize;
use nebula_derive::Action;
use nebula_ports::{Captured, ProgramCall, ProgramEnded, ProgramError, ProgramExit, ProgramRunner};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How much of each output is kept where `max_output` says nothing.
pub const DEFAULT_OUTPUT: ByteSize = ByteSize::mib(1);

/// The most that `max_output` may ask for.
pub const MAX_OUTPUT: ByteSize = ByteSize::mib(64);

/// The largest input of a program.
pub const MAX_INPUT: ByteSize = ByteSize::mib(64);

/// The most arguments, and the most variables.
pub const MAX_ARGUMENTS: usize = 1_024;

/// The most bytes of all arguments and variables together.
const MAX_ARGUMENT_BYTES: usize = 128 << 10;

/// The variable in which a `keyed` program finds the idempotency key of its instance.
pub const KEY_VARIABLE: &str = "NEBULA_IDEMPOTENCY_KEY";

/// The prefixes of variables by which the loader of programs is made to run other code.
const LOADER: [&str; 3] = ["LD_", "DYLD_", "GLIBC_TUNABLES"];

/// How much of what a program complained about stands in an error.
const SHOWN: usize = 400;

/// Runs a program of this computer.
///
/// The operator lists the programs that may run, in the setting `process.allow`; by default there is
/// none. The node needs the capability `process:<program>`; a path that is written out asks for it by
/// itself. No shell reads the arguments, and the program gets only the variables that `env` names. It
/// begins in `directory`, for which the node needs `fs:write:<directory>`, or else in `/`.
///
/// When it has ended, what it left running in its process group is killed. A timeout or a cancellation
/// ends the whole group: with SIGTERM, and two seconds later with SIGKILL.
///
/// An exit code that is not in `expect` (default 0) is an error; one that is in `retry_on` may be tried
/// again. What repeating the program does only its author knows: without `effect` it is never repeated
/// once it may have begun. With `effect: keyed` it finds the idempotency key of the instance, the same at
/// every attempt, in the variable `NEBULA_IDEMPOTENCY_KEY`.
#[derive(Debug, Action)]
#[action(
    id = "process.run",
    version = "1.0",
    title = "Run program",
    effect(
        parameter = "effect",
        cases(
            read = "read",
            idempotent = "idempotent",
            keyed = "keyed",
            at_most_once = "at_most_once"
        ),
        absent = "at_most_once",
    ),
    files(write = "directory"),
    programs = ["program"],
    timeout = "60s"
)]
pub struct ProcessRun {
    programs: Arc<dyn ProgramRunner>,
}

/// The parameters of `process.run`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunIn {
    /// The program's absolute path, without `.` and `..`.
    program: String,
    /// Its arguments.
    #[serde(default)]
    #[schemars(length(max = 1_024))]
    args: Vec<String>,
    /// Its whole environment: names and values.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// The folder in which it begins; `/` if nothing is said.
    directory: Option<String>,
    /// What it reads: a text as it is, any other value as JSON.
    #[serde(default)]
    stdin: Value,
    /// How what it prints stands in the result.
    #[serde(default)]
    output: Reading,
    /// How much is kept of what it prints, and of what it complains about, such as `64 KiB`; 1 MiB if
    /// nothing is said, at most 64 MiB. The rest is read and dropped.
    max_output: Option<Size>,
    /// The exit codes that are no error; 0 if nothing is said.
    #[serde(default = "zero")]
    #[schemars(length(min = 1, max = 256))]
    expect: Vec<i32>,
    /// Other exit codes after which the node's `retry` counts; any other is final.
    #[serde(default)]
    #[schemars(length(max = 256))]
    retry_on: Vec<i32>,
    /// What repeating the program does outside; `at_most_once` if nothing is said.
    #[serde(default)]
    effect: ProgramEffect,
}

fn zero() -> Vec<i32> {
    vec![0]
}

/// How what a program prints stands in the result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reading {
    /// As text; bytes that are no UTF-8 become �.
    #[default]
    Text,
    /// As the value that it is the JSON of.
    Json,
    /// As base64 (RFC 4648, with padding).
    Base64,
}

/// What repeating a program does outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProgramEffect {
    /// It changes nothing.
    Read,
    /// The second time changes nothing more.
    Idempotent,
    /// It does nothing twice under the same key.
    Keyed,
    /// It must not be repeated.
    #[default]
    AtMostOnce,
}

/// The result of `process.run`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RunOut {
    /// The exit code.
    exit_code: i32,
    /// What it printed.
    stdout: Value,
    /// What it complained about, as text.
    stderr: String,
    /// Whether it printed more than `max_output`, or complained about more.
    cut: bool,
    /// How long it ran, in milliseconds.
    duration_ms: u64,
}

impl ProcessRun {
    /// Runs what `programs` allows.
    #[must_use]
    pub fn new(programs: Arc<dyn ProgramRunner>) -> Self {
        Self { programs }
    }

    async fn run(&self, ctx: &ActionContext, input: RunIn) -> Result<RunOut, ActionError> {
        let call = call(ctx, &input)?;
        let program = input.program.as_str();
        let ended = self.programs.run(call).await;
        let ended = ended.map_err(|error| not_started(&error))?;
        let writes = input.effect != ProgramEffect::Read;
        match ended.exit {
            ProgramExit::Code(code) if input.expect.contains(&code) => out(ended, code, &input),
            ProgramExit::Code(code) => Err(failed(program, code, &ended, &input)),
            ProgramExit::Signal(signal) => {
                let message = format!(
                    "{program} was ended by signal {signal}{}",
                    complaint(&ended.stderr)
                );
                let class = stopped(writes, ErrorClass::Fatal);
                Err(ActionError::new("PROCESS_KILLED", message, class))
            }
            ProgramExit::Stopped | ProgramExit::TimedOut => {
                let message = format!("{program} was told to stop, and has ended");
                let class = stopped(writes, ErrorClass::Cancelled);
                Err(ActionError::new("CANCELLED", message, class))
            }
        }
    }
}

/// The class of an error of a program that somebody ended in the middle of its work.
fn stopped(writes: bool, harmless: ErrorClass) -> ErrorClass {
    match writes {
        true => ErrorClass::Unknown,
        false => harmless,
    }
}

fn call(ctx: &ActionContext, input: &RunIn) -> Result<ProgramCall, ActionError> {
    let program = ctx.process(&input.program)?;
    let folder = match &input.directory {
        Some(path) => Some(ctx.file(Access::Write, path)?),
        None => None,
    };
    let max_output = input.max_output.map_or(DEFAULT_OUTPUT, |size| size.0);
    if max_output > MAX_OUTPUT {
        let message = format!("`max_output` is {max_output}; at most {MAX_OUTPUT} are kept");
        return Err(wrong("/max_output", message));
    }
    if input.args.len() > MAX_ARGUMENTS || input.env.len() > MAX_ARGUMENTS {
        let message = format!("a program takes at most {MAX_ARGUMENTS} arguments and variables");
        return Err(wrong("/args", message));
    }
    let texts = input.args.iter().chain(input.env.keys());
    let bytes: usize = texts.chain(input.env.values()).map(String::len).sum();
    if bytes > MAX_ARGUMENT_BYTES {
        let message = format!(
            "arguments and variables are larger than {MAX_ARGUMENT_BYTES} bytes together; give the program a file, or `stdin`"
        );
        return Err(wrong("/args", message));
    }
    if let Some(at) = input.args.iter().position(|text| text.contains('\0')) {
        return Err(wrong(
            &format!("/args/{at}"),
            "an argument has no NUL".to_owned(),
        ));
    }
    let mut environment = Vec::with_capacity(input.env.len() + 1);
    for (name, value) in &input.env {
        variable(name, value)?;
        environment.push((name.clone(), value.clone()));
    }
    if input.effect == ProgramEffect::Keyed {
        environment.push((KEY_VARIABLE.to_owned(), ctx.idempotency_key.clone()));
    }
    let stdin = match &input.stdin {
        Value::Null => Vec::new(),
        Value::String(text) => text.clone().into_bytes(),
        value => value.to_string().into_bytes(),
    };
    if stdin.len() > MAX_INPUT.as_usize() {
        let message = format!("`stdin` is larger than {MAX_INPUT}; give the program a file");
        return Err(ActionError::limit("PROCESS_INPUT_TOO_LARGE", message));
    }
    Ok(ProgramCall {
        program,
        arguments: input.args.clone(),
        environment,
        folder,
        stdin,
        max_output,
        timeout: None,
        stop: ctx.cancellation.clone(),
    })
}

fn variable(name: &str, value: &str) -> Result<(), ActionError> {
    let pointer = format!("/env/{}", name.replace('~', "~0").replace('/', "~1"));
    let shaped = name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty();
    if !shaped || value.contains('\0') {
        let message = "a variable has a name of letters, digits and `_`, and no NUL in its value";
        return Err(wrong(&pointer, message.to_owned()));
    }
    if LOADER.iter().any(|prefix| name.starts_with(prefix)) {
        let message = format!(
            "`{name}` makes the loader run other code than the program that was granted; leave it out"
        );
        return Err(wrong(&pointer, message));
    }
    if name == KEY_VARIABLE {
        let message = format!("`{name}` is the engine's; write `effect: keyed` to pass the key");
        return Err(wrong(&pointer, message));
    }
    Ok(())
}

fn wrong(pointer: &str, message: String) -> ActionError {
    ActionError::invalid_input("PROCESS_PARAMETER", pointer, message)
}

/// The error of a program that did not begin: nothing was done.
fn not_started(error: &ProgramError) -> ActionError {
    match error {
        ProgramError::NotAllowed { program } => ActionError::new(
            "PROCESS_NOT_ALLOWED",
            format!(
                "{error}; whoever runs this engine can add {program:?} to the setting `process.allow`"
            ),
            // No grant opens it.
            ErrorClass::Denied {
                capability: String::new(),
            },
        ),
        ProgramError::Folder { .. } => ActionError::fatal("PROCESS_DIRECTORY", error.to_string()),
        ProgramError::Start { passing: true, .. } => {
            ActionError::retryable("PROCESS_START", error.to_string())
        }
        _ => ActionError::fatal("PROCESS_START", error.to_string()),
    }
}

fn failed(program: &str, code: i32, ended: &ProgramEnded, input: &RunIn) -> ActionError {
    let message = format!(
        "{program} ended with exit code {code}{}",
        complaint(&ended.stderr)
    );
    match input.retry_on.contains(&code) {
        true => ActionError::retryable("PROCESS_FAILED", message),
        false => ActionError::fatal("PROCESS_FAILED", message),
    }
}

/// The end of what a program complained about, for a message.
fn complaint(stderr: &Captured) -> String {
    let text = String::from_utf8_lossy(&stderr.bytes);
    let text = text.trim();
    if text.is_empty() {
        return String::new();
    }
    let from = text.ceil_char_boundary(text.len().saturating_sub(SHOWN));
    format!(": {}", &text[from..])
}

fn out(ended: ProgramEnded, exit_code: i32, input: &RunIn) -> Result<RunOut, ActionError> {
    let stdout = match input.output {
        Reading::Text => Value::String(lossy(ended.stdout.bytes)),
        Reading::Base64 => Value::String(STANDARD.encode(&ended.stdout.bytes)),
        Reading::Json => serde_json::from_slice(&ended.stdout.bytes).map_err(|error| {
            let cut = match ended.stdout.cut {
                true => "; it printed more than `max_output`",
                false => "",
            };
            let message = format!(
                "what {} printed is no JSON (line {}, column {}){cut}; read it with `output: text`",
                input.program,
                error.line(),
                error.column(),
            );
            // The program has done its work; trying again would not change what it prints.
            ActionError::fatal("PROCESS_OUTPUT", message)
        })?,
    };
    Ok(RunOut {
        exit_code,
        stdout,
        stderr: lossy(ended.stderr.bytes),
        cut: ended.stdout.cut || ended.stderr.cut,
        duration_ms: millis(ended.took),
    })
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
