//! The flags of whoever answers.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Subcommand};
use nebula_config::Flag;
use nebula_fleet::arguments::{Common, Config};

/// What can be written on the command line beside a command.
#[derive(Debug, Clone, Args)]
pub struct Flags {
    /// What each program of a fleet understands.
    #[command(flatten)]
    pub common: Common,
    /// Where to listen; without TLS an address of this machine alone; `serve.listen` of the settings
    #[arg(long, global = true, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The file with the certificate, in PEM; `serve.tls_cert` of the settings
    #[arg(long, global = true, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The file with its key, in PEM; `serve.tls_key` of the settings
    #[arg(long, global = true, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Command {
    /// Serve; so does the program without a command
    Run,
    /// Look at the settings
    #[command(subcommand)]
    Config(Config),
    /// Check settings, store, queue, secrets, disk, clock and memory; nothing is made
    Doctor,
}

impl Flags {
    /// The settings that its own flags give.
    pub(crate) fn own(&self) -> Vec<Flag> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|it| it.display().to_string());
        let given = [
            (
                "--listen",
                "serve.listen",
                self.listen.map(|it| it.to_string()),
            ),
            ("--tls-cert", "serve.tls_cert", path(&self.tls_cert)),
            ("--tls-key", "serve.tls_key", path(&self.tls_key)),
        ];
        let given = given.into_iter().filter_map(|(name, key, value)| {
            let value = value?;
            Some(Flag { name, key, value })
        });
        given.collect()
    }
}
