//! `nebula completions`: what a shell needs to complete commands.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::{
    arguments::Arguments,
    console::Console,
    failure::{Exit, Failure},
};

/// Runs `nebula completions`. The script is the result, also on a pipe: a shell reads it there.
pub(crate) fn run(shell: Shell, console: &Console) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "nebula", &mut script);
    console.line(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Completed)
}
