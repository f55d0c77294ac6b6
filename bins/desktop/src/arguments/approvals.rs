//! What can be written about what is asked of people.

use clap::Subcommand;

use super::{Target, Vote};

#[derive(Debug, Subcommand)]
pub(crate) enum Approvals {
    /// List what is asked of people now, with who has voted
    List {
        /// Look at so many executions that have not ended, the newest first, up to 1,000; reads their journals
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        #[command(flatten)]
        target: Target,
    },
    /// Approve what an execution asks, and go on with it
    Approve(Vote),
    /// Reject what an execution asks, and go on with it
    Reject(Vote),
    /// Put off what an execution asks, and go on with it if its workflow says how
    Defer(Vote),
}

impl Approvals {
    /// Which database, or which server.
    pub(crate) fn target(&self) -> &Target {
        match self {
            Self::List { target, .. } => target,
            Self::Approve(vote) | Self::Reject(vote) | Self::Defer(vote) => &vote.target,
        }
    }
}
