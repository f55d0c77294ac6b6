//! What can be written on the command line.

use std::net::SocketAddr;

use clap::{Parser, Subcommand};
use nebula_config::Flag;
use nebula_fleet::arguments::{Common, Config};

/// Drives the executions of a fleet until it is asked to stop: SIGTERM once lets what is under way finish,
/// twice ends at once.
#[derive(Debug, Parser)]
#[command(name = "nebula-worker", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 stopped in order · 2 bad usage or settings · 3 the environment (store, port, disk) ·\n\
                  130 and 143 stopped at once by a signal"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How many executions are in memory at a time; `worker.executions` of the settings
    #[arg(long, global = true, value_name = "N")]
    concurrency: Option<usize>,
    /// Where health and metrics are told; `health.listen` of the settings
    #[arg(long, global = true, value_name = "ADDRESS")]
    health: Option<SocketAddr>,
    /// The group of workers that it belongs to; `pool.group` of the settings
    #[arg(long, global = true, value_name = "NAME")]
    group: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Command {
    /// Drive executions; so does the program without a command
    Run,
    /// Look at the settings
    #[command(subcommand)]
    Config(Config),
    /// Check settings, store, queue, secrets, disk, clock and memory; nothing is made
    Doctor,
}

impl Arguments {
    /// The settings that its own flags give.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let given = [
            (
                "--concurrency",
                "worker.executions",
                self.concurrency.map(|it| it.to_string()),
            ),
            (
                "--health",
                "health.listen",
                self.health.map(|it| it.to_string()),
            ),
            ("--group", "pool.group", self.group.clone()),
        ];
        let given = given.into_iter().filter_map(|(name, key, value)| {
            Some(Flag {
                name,
                key,
                value: value?,
            })
        });
        given.collect()
    }
}
