//! The flags that every program of a fleet has.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use nebula_config::Flag;
use nebula_program::console::Wishes;

/// What each of them understands.
#[derive(Debug, Clone, Default, Args)]
pub struct Common {
    /// The file with the settings; default: a file named after the program in the config folder, which need
    /// not be there
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where executions are kept, such as sqlite:/var/lib/nebula/nebula.db; `storage.address` of the settings
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub storage: Option<String>,
    /// Where tasks are rung for, such as memory:; `queue.address` of the settings
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub queue: Option<String>,
    /// Give results as JSON; the default where standard output is no terminal
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing on standard error but errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Which log lines go to standard error: a level, or `warn,nebula_runtime=debug`
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
    /// No colours; so does the variable NO_COLOR
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// What can be done with the settings.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Config {
    /// Show every setting as it counts
    Show {
        /// With where each value comes from: a default, a line of the file, a variable or a flag
        #[arg(long)]
        sources: bool,
    },
}

impl Common {
    /// How results and errors are to look.
    #[must_use]
    pub fn wishes(&self) -> Wishes {
        Wishes {
            json: self.json,
            quiet: self.quiet,
            logs: self.log.is_some(),
            no_color: self.no_color,
        }
    }

    /// The settings that these flags give.
    #[must_use]
    pub fn flags(&self) -> Vec<Flag> {
        let given = [
            ("--storage", "storage.address", &self.storage),
            ("--queue", "queue.address", &self.queue),
            ("--log", "log.filter", &self.log),
        ];
        let given = given.into_iter().filter_map(|(name, key, value)| {
            let value = value.clone()?;
            Some(Flag { name, key, value })
        });
        given.collect()
    }
}
