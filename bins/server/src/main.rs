//! All in one for a team: the API, its duties, and the worker, over one store.
//!
//! Arguments → settings → composition → `nebula_control_plane`. `compose.rs` alone names drivers.
//!
//! Does not know: how a workflow is read, planned or driven; it asks the crates that do.
//!
//! # Invariants
//! - Of all servers over one store, one at a time does each duty.
//! - What is accepted is durable before it is answered.

mod compose;
mod settings;

use std::process::ExitCode;

use clap::Parser;
use nebula_control_plane::{Command, Flags};
use nebula_fleet::start;
use nebula_program::console::Console;

use crate::settings::ServerSettings;

// The system's own costs a sixth more of the processor's time; SQLite takes from this one as well.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Answers over HTTP, starts what triggers say and drives everything in its store, until it is asked to stop:
/// SIGTERM once lets what is under way finish, twice ends at once.
#[derive(Debug, Parser)]
#[command(name = "nebula-server", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 stopped in order · 2 bad usage or settings · 3 the environment (store, port, disk) ·\n\
                  130 and 143 stopped at once by a signal"
)]
struct Arguments {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return start::usage(&error),
    };
    let console = Console::new(arguments.flags.common.wishes());
    let asked = (&arguments.flags, arguments.command);
    let compose = async |loaded: &_| compose::compose(loaded).await;
    let done = nebula_control_plane::start::<ServerSettings>(asked, compose, VERSION, &console);
    start::exit(done, &console)
}
