//! One step of a command: its name, its outcome, its time.

use std::{
    env,
    io::{self, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// How a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Failed,
    Skipped,
}

/// A stage that is over.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) outcome: Outcome,
    time: Duration,
}

impl Stage {
    /// Runs `work` under a headline and says how it ended.
    pub(crate) fn run(name: &'static str, work: impl FnOnce() -> Outcome) -> Self {
        println!("\n━━ {name}");
        let start = Instant::now();
        let stage = Self {
            name,
            outcome: work(),
            time: start.elapsed(),
        };
        println!("━━ {}", stage.summary());
        stage
    }

    /// `clippy: ok in 12.3 s`.
    pub(crate) fn summary(&self) -> String {
        let outcome = match self.outcome {
            Outcome::Ok => "ok",
            Outcome::Failed => "FAILED",
            Outcome::Skipped => "SKIPPED",
        };
        format!(
            "{}: {outcome} in {:.1} s",
            self.name,
            self.time.as_secs_f64()
        )
    }
}

/// Cargo in the workspace's root, with warnings of rustdoc denied in every stage alike.
pub(crate) fn cargo(arguments: &str) -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(arguments.split(' '))
        .current_dir(root())
        .env("RUSTDOCFLAGS", "-D warnings");
    // What `cargo run` set for this tool is not meant for what this tool runs.
    for name in [
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_PKG_NAME",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs a command with its output going straight to the terminal.
pub(crate) fn passes(mut command: Command) -> Outcome {
    announce(&command);
    match command.status() {
        Ok(status) if status.success() => Outcome::Ok,
        Ok(_) => Outcome::Failed,
        Err(error) => could_not_start(&command, &error),
    }
}

/// Runs a command and shows `seen` every line of its standard output, which is printed as it comes.
pub(crate) fn passes_watched(mut command: Command, mut seen: impl FnMut(&str)) -> Outcome {
    announce(&command);
    let mut child = match command.stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => return could_not_start(&command, &error),
    };
    let output = child.stdout.take().expect("standard output is piped");
    let copied = copy_lines(BufReader::new(output), &mut seen);
    match (copied, child.wait()) {
        (Ok(()), Ok(status)) if status.success() => Outcome::Ok,
        (Err(error), _) | (_, Err(error)) => could_not_start(&command, &error),
        _ => Outcome::Failed,
    }
}

fn copy_lines(mut from: impl io::BufRead, seen: &mut impl FnMut(&str)) -> io::Result<()> {
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        io::stdout().lock().write_all(&line)?;
        io::stdout().lock().flush()?;
        seen(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(())
}

/// Whether a program can be started, with the arguments that make it say its version.
pub(crate) fn is_there(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Says, in a way that nobody overlooks, what does not happen and why.
pub(crate) fn shout(what: &str) {
    println!("!!!! {what}");
}

fn announce(command: &Command) {
    let arguments: Vec<_> = command
        .get_args()
        .map(|argument| argument.to_string_lossy())
        .collect();
    let program = Path::new(command.get_program()).file_stem();
    let program = program.unwrap_or_default().to_string_lossy();
    println!("   $ {program} {}", arguments.join(" "));
}

fn could_not_start(command: &Command, error: &io::Error) -> Outcome {
    shout(&format!(
        "{}: {error}",
        command.get_program().to_string_lossy()
    ));
    Outcome::Failed
}

/// The workspace's root. Cargo says at run time where this package is, so that a target folder
/// can be shared between checkouts.
pub(crate) fn root() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let root = package.and_then(|package| package.ancestors().nth(2).map(PathBuf::from));
    root.unwrap_or_else(|| ".".into())
}

/// A program in the folder of this one, into which cargo builds all of them.
pub(crate) fn beside(name: &str) -> Option<PathBuf> {
    let this = env::current_exe().ok()?;
    let name = format!("{name}{}", env::consts::EXE_SUFFIX);
    let program = this.parent()?.join(name);
    program.is_file().then_some(program)
}
