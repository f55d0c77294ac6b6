//! What can be written about what is asked of people.

use clap::Subcommand;

use super::Target;

#[derive(Debug, Subcommand)]
pub(crate) enum Approvals {
    /// List what is asked of people now, with who has voted; votes are given with `nebula executions
    /// approve`, `reject` and `defer`
    List {
        /// Look at so many executions that have not ended, the newest first, up to 1,000; reads their journals
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        #[command(flatten)]
        target: Target,
    },
}
