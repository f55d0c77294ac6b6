//! How each program of a fleet begins: from its flags to its settings, log and exit code.

use std::{io::IsTerminal as _, process::ExitCode, sync::Arc};

use nebula_program::{
    console::{Console, Wishes},
    failure::{Exit, Failure},
};
use nebula_system::SystemClock;
use nebula_telemetry::{LogOptions, Logging};

use crate::settings::{Loaded, Settings};

/// Begins logging as the settings say. What is dropped writes the last lines.
///
/// # Errors
/// `log.filter` is no filter.
pub fn logging<S: Settings>(loaded: &mut Loaded<S>, console: &Console) -> Result<Logging, Failure> {
    let log = loaded.settings.groups().log;
    let options = LogOptions {
        filter: log.filter.clone(),
        format: log.format.into(),
        colour: console.err.0,
    };
    let begun = nebula_telemetry::init_logging(&options, Arc::new(SystemClock::default()));
    let begun = begun.map_err(|error| {
        let source = loaded.sources.of("log.filter").map(ToString::to_string);
        let source = source.unwrap_or_default();
        Failure::invalid("SETTINGS", format!("{source}: `log.filter`: {error}"))
            .advice("write a level there: error, warn, info, debug or trace")
    })?;
    loaded.log = Some(begun.filter());
    loaded.left_out = Some(begun.left_out());
    Ok(begun)
}

/// Runs a program on all cores.
///
/// # Errors
/// Its own, or there are no threads.
pub fn block_on(program: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::environment("THREADS", format!("no threads: {error}")))?;
    runtime.block_on(Box::pin(program))
}

/// Tells a failure, and gives the exit code.
#[must_use]
pub fn exit(done: Result<Exit, Failure>, console: &Console) -> ExitCode {
    let exit = done.unwrap_or_else(|failure| {
        console.failure(&failure);
        failure.exit
    });
    ExitCode::from(exit.code())
}

/// Help and version go to standard output; anything else is wrong usage, exit code 2.
#[must_use]
pub fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell if it cannot be written.
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    if !std::io::stdout().is_terminal() {
        let text = error.render().to_string();
        let first = text.lines().next().unwrap_or_default();
        let message = first.strip_prefix("error: ").unwrap_or(first);
        let console = Console::new(Wishes {
            json: true,
            ..Wishes::default()
        });
        let _ = console.document(&Failure::invalid("USAGE", message).document());
    }
    ExitCode::from(Exit::Invalid.code())
}
