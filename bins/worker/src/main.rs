//! Drives the executions of a fleet: what a control plane started, what triggers started, what another worker
//! left.
//!
//! Arguments → settings → composition → [`run`]. `compose.rs` alone names drivers.
//!
//! Does not know: definitions, planning, the API.
//!
//! # Invariants
//! - Asked to stop, it takes up nothing more, lets attempts finish within their grace, gives its leases back
//!   and ends with exit code 0.
//! - What is wrong with its settings is told before anything is opened.

mod arguments;
mod compose;
mod run;
mod settings;

use std::process::ExitCode;

use clap::Parser as _;
use nebula_fleet::{
    arguments::Config,
    checks,
    settings::{Loaded, load},
    start,
};
use nebula_program::{
    checks::Check,
    console::Console,
    failure::{Exit, Failure},
    shown,
};

use crate::{
    arguments::{Arguments, Command},
    settings::WorkerSettings,
};

// The system's own costs a sixth more of the processor's time; SQLite takes from this one as well.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return start::usage(&error),
    };
    let console = Console::new(arguments.common.wishes());
    start::exit(dispatch(&arguments, &console), &console)
}

fn dispatch(arguments: &Arguments, console: &Console) -> Result<Exit, Failure> {
    match arguments.command.unwrap_or(Command::Run) {
        Command::Run => {
            let mut loaded = read(arguments)?;
            // Its drop writes the last lines, before the console says how the program ended.
            let _logging = start::logging(&mut loaded, console)?;
            start::block_on(run::run(&loaded, console))
        }
        Command::Config(Config::Show { sources }) => {
            let loaded = read(arguments)?;
            shown::show(&loaded.settings, &loaded.sources, sources, console)
        }
        Command::Doctor => {
            let own = |settings: &WorkerSettings| vec![pool_check(settings)];
            start::block_on(checks::doctor(read(arguments), own, VERSION, console))
        }
    }
}

/// The settings, checked.
fn read(arguments: &Arguments) -> Result<Loaded<WorkerSettings>, Failure> {
    let loaded: Loaded<WorkerSettings> = load(&arguments.common, arguments.flags())?;
    loaded.settings.check()?;
    Ok(loaded)
}

fn pool_check(settings: &WorkerSettings) -> Check {
    let (pool, most) = (&settings.pool, settings.worker.executions);
    let tags = match pool.tags.is_empty() {
        true => "no tags".to_owned(),
        false => format!("tagged {}", pool.tags.join(", ")),
    };
    Check::ok(
        "pool",
        format!(
            "{most} executions at a time, in the group {}, {tags}",
            pool.group
        ),
    )
}
