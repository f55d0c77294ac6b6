//! Runs workflows from the command line, over one SQLite file.
//!
//! Arguments → settings → composition → one command of [`commands`]. Start reading at [`main`];
//! `compose.rs` alone names drivers, `session.rs` is the engine at work, `failure.rs` says what each
//! exit code means, `console.rs` is the only writer to standard output and standard error.
//!
//! Does not know: how a workflow is read, planned or driven; it asks the crates that do.
//!
//! # Invariants
//! - Results go to standard output and nothing else does; on a pipe they are JSON.
//! - A definition, input or grant that is wrong is refused before the database is opened.
//! - Every failure says what, where, why and what to do, and ends with the exit code that it means.

mod arguments;
mod commands;
mod compose;
mod definition;
mod definition_there;
mod ending;
mod exports;
mod focus;
mod grants;
mod input;
mod kept;
mod named_credentials;
mod progress;
mod reach;
mod remembered;
mod secret_input;
mod server;
mod session;
mod settings;
mod shell;
mod table;
mod timeline;
mod version;
mod wanted;
mod waves;

use std::{future::Future, io::IsTerminal as _, process::ExitCode};

use clap::{
    Parser as _,
    error::{ContextKind, ContextValue},
};
use nebula_program::{console, failure, private, replace, resume_key};
use nebula_telemetry::LogOptions;

use crate::{
    arguments::{
        Actions, Arguments, AtServer, Blobs, Command, Config, Credentials, Database, Dead,
        Executions, Queue, Secrets, Target, Workflows,
    },
    console::{Console, Wishes},
    failure::{Exit, Failure},
    settings::Loaded,
};

// The system's own costs a sixth more of the processor's time; SQLite takes from this one as well.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let console = Console::new(arguments.global.wishes());
    let exit = dispatch(&arguments, &console).unwrap_or_else(|failure| {
        console.failure(&failure);
        failure.exit
    });
    ExitCode::from(exit.code())
}

/// Help and version go to standard output; anything else is wrong usage, exit code 2.
fn usage(error: &clap::Error) -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    if error.get(ContextKind::InvalidArg) == Some(&ContextValue::String("--server".to_owned()))
        && let Some(why) = arguments::why_only_here(words.iter().map(String::as_str))
    {
        let message = "this command asks no server";
        let failure = Failure::invalid("NEEDS_NO_SERVER", message).advice(why);
        told(&words).failure(&failure);
        return ExitCode::from(failure.exit.code());
    }
    // Nobody is left to tell if it cannot be written.
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    let asked = words.iter().any(|word| word == "--json");
    if asked || !std::io::stdout().is_terminal() {
        let text = error.render().to_string();
        let first = text.lines().next().unwrap_or_default();
        let message = first.strip_prefix("error: ").unwrap_or(first);
        let failure = Failure::invalid("USAGE", message);
        let _ = told(&["--json".to_owned()]).document(&failure.document());
    }
    ExitCode::from(Exit::Invalid.code())
}

/// Where a command line is answered that could not be read.
fn told(words: &[String]) -> Console {
    Console::new(Wishes {
        json: words.iter().any(|word| word == "--json"),
        no_color: words.iter().any(|word| word == "--no-color"),
        ..Wishes::default()
    })
}

/// What a command works on.
enum On<'a> {
    /// On no database.
    Nothing,
    /// On a database, whatever server the environment names.
    Database(&'a Database),
    /// On a database or a server.
    Either(&'a Target),
    /// On what is here or a server.
    Server(&'a AtServer),
}

fn dispatch(arguments: &Arguments, console: &Console) -> Result<Exit, Failure> {
    let global = &arguments.global;
    // Its drop writes the last lines, before the console says how the command ended.
    let mut logging = None;
    let mut load = |on: On<'_>| {
        let mut loaded = match on {
            On::Nothing => settings::load(global, None)?,
            On::Database(database) => settings::load(global, Some(database))?,
            On::Either(target) => settings::load_for(global, target)?,
            On::Server(at) => {
                let target = Target {
                    server: at.server.clone(),
                    ..Target::default()
                };
                settings::load_for(global, &target)?
            }
        };
        let options = LogOptions {
            filter: loaded.settings.log.filter.clone(),
            format: loaded.settings.log.format.into(),
            colour: console.err.0,
        };
        let serves = matches!(arguments.command, Command::Serve(_));
        let begun = exports::logging(&options, &mut loaded, serves);
        let begun = begun.map_err(|error| Failure::invalid("USAGE", error.to_string()))?;
        loaded.log = Some(begun.filter());
        loaded.left_out = Some(begun.left_out());
        logging = Some(begun);
        Ok::<Loaded, Failure>(loaded)
    };
    match &arguments.command {
        Command::Run(run) => {
            let loaded = load(On::Either(&run.at))?;
            block_on(commands::run::run(run, loaded, console))
        }
        Command::Resume(resume) => {
            let loaded = load(On::Database(&resume.database))?;
            block_on(commands::resume::run(resume, &loaded, console))
        }
        Command::Serve(serve) => {
            let loaded = load(On::Database(&serve.database))?;
            block_on(commands::serve::run(serve, global, loaded, console))
        }
        Command::Validate(validate) => {
            let loaded = load(On::Either(&validate.target))?;
            block_on(commands::validate::run(validate, &loaded, console))
        }
        Command::Plan(plan) => {
            let loaded = load(On::Either(&plan.target))?;
            block_on(commands::plan::run(plan, &loaded, console))
        }
        Command::Rename(rename) => {
            let loaded = load(On::Nothing)?;
            block_on(commands::rename::run(rename, &loaded, console))
        }
        Command::Executions(command) => {
            let on = match command {
                Executions::List(arguments) => On::Either(&arguments.target),
                Executions::Watch { target, .. }
                | Executions::Show { target, .. }
                | Executions::Cancel { target, .. }
                | Executions::Pause { target, .. }
                | Executions::Unpause { target, .. }
                | Executions::Migrate { target, .. }
                | Executions::Retry { target, .. }
                | Executions::Restart { target, .. } => On::Either(target),
                Executions::Signal(signal) => On::Either(&signal.target),
                Executions::Approve(vote) | Executions::Reject(vote) | Executions::Defer(vote) => {
                    On::Either(&vote.target)
                }
                Executions::Unpark(unpark) => On::Either(&unpark.target),
                Executions::Bulk(bulk) => On::Server(&bulk.at),
                Executions::Replay(replay) => On::Either(&replay.target),
                Executions::Tokens { database, .. } => On::Database(database),
            };
            let loaded = load(on)?;
            block_on(commands::executions::run(command, &loaded, console))
        }
        Command::Approvals(command) => {
            let loaded = load(On::Either(command.target()))?;
            block_on(commands::approvals::run(command, &loaded, console))
        }
        Command::Incidents(command) => {
            let loaded = load(On::Either(command.target()))?;
            block_on(commands::incidents::run(command, &loaded, console))
        }
        Command::Workflows(command) => {
            let on = match command {
                Workflows::Move { at, .. } => On::Server(at),
                Workflows::List { target, .. }
                | Workflows::Versions { target, .. }
                | Workflows::Push { target, .. }
                | Workflows::Pull { target, .. }
                | Workflows::Publish { target, .. }
                | Workflows::Archive { target, .. }
                | Workflows::Unarchive { target, .. }
                | Workflows::Diff { target, .. } => On::Either(target),
            };
            let loaded = load(on)?;
            block_on(commands::workflows::run(command, &loaded, console))
        }
        Command::Triggers(command) => {
            let loaded = load(On::Either(command.target()))?;
            block_on(commands::triggers::run(command, &loaded, console))
        }
        Command::Secrets(command) => {
            let loaded = match command {
                Secrets::Set { at, .. } | Secrets::List { at, .. } | Secrets::Rm { at, .. } => {
                    load(On::Server(at))?
                }
                Secrets::Rotate => load(On::Nothing)?,
            };
            block_on(commands::secrets::run(command, &loaded, console))
        }
        Command::Blobs(command) => {
            let loaded = load(match command {
                Blobs::Collect(database) => On::Database(database),
                Blobs::List { at, .. } | Blobs::Get { at, .. } => On::Server(at),
            })?;
            block_on(commands::blobs::run(command, &loaded, console))
        }
        Command::Credentials(command) => {
            let on = match command {
                Credentials::Types { at } => asked_for(at),
                // A key belongs to the database that it opens.
                Credentials::Rotate {
                    id: None, target, ..
                } if target.server.is_none() => On::Database(&target.database),
                Credentials::Add { target, .. }
                | Credentials::Test { target, .. }
                | Credentials::List { target, .. }
                | Credentials::Uses { target, .. }
                | Credentials::Rotate { target, .. }
                | Credentials::Rm { target, .. } => On::Either(target),
            };
            let loaded = load(on)?;
            block_on(commands::credentials::run(command, &loaded, console))
        }
        Command::New(new) => commands::new::run(new, console),
        Command::Config(Config::Show { sources, at }) => {
            let loaded = load(asked_for(at))?;
            block_on(commands::config::show(*sources, &loaded, console))
        }
        Command::Queue(Queue::Dead(dead)) => {
            let (Dead::List { at, .. } | Dead::Redrive { at }) = dead;
            let loaded = load(On::Server(at))?;
            block_on(commands::queue::dead(dead, &loaded, console))
        }
        Command::Login(login) => {
            let loaded = load(On::Nothing)?;
            block_on(commands::login::login(login, &loaded, console))
        }
        Command::Logout { server } => {
            commands::login::logout(server.as_deref(), &load(On::Nothing)?, console)
        }
        Command::People(people) => {
            let loaded = load(On::Server(people.at()))?;
            block_on(commands::people::run(people, &loaded, console))
        }
        Command::Expr(expr) => match &expr.server {
            None => commands::expr::run(expr, console),
            Some(server) => {
                let server = Some(server.clone());
                let loaded = load(On::Server(&AtServer { server }))?;
                block_on(commands::expr::there(expr, &loaded, console))
            }
        },
        Command::Actions(actions) => {
            let (Actions::List { at } | Actions::Show { at, .. }) = actions;
            let loaded = load(On::Server(at))?;
            block_on(commands::actions::run(actions, &loaded, console))
        }
        Command::Schedule(schedule) => commands::schedule::run(schedule, console),
        // It looks at the settings itself, also at those that cannot be read.
        Command::Doctor(target) => block_on(commands::doctor::run(global, target, console)),
        Command::Completions { shell } => commands::completions::run(*shell, console),
    }
}

/// A server, where the flag names one: what is asked here is asked of this machine otherwise, whatever
/// server the environment names.
fn asked_for(at: &AtServer) -> On<'_> {
    match &at.server {
        Some(_) => On::Server(at),
        None => On::Nothing,
    }
}

/// Runs a command on all cores.
fn block_on(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::environment("THREADS", format!("no threads: {error}")))?;
    runtime.block_on(Box::pin(command))
}
