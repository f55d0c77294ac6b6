//! What can be written about incidents.

use clap::Subcommand;
use nebula_ports::{IncidentStatus, Severity};
use uuid::Uuid;

use super::Target;

#[derive(Debug, Subcommand)]
pub(crate) enum Incidents {
    /// List incidents, the newest first
    List {
        /// Only those with this status: open, acknowledged or resolved; may be given again
        #[arg(long)]
        status: Vec<IncidentStatus>,
        /// Only those that are at least so bad: info, warning or critical
        #[arg(long)]
        severity: Option<Severity>,
        /// Only those of this service
        #[arg(long)]
        service: Option<String>,
        /// Show at most so many, up to 1,000
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        #[command(flatten)]
        target: Target,
    },
    /// Show an incident with its timeline
    Show {
        /// Its id
        id: Uuid,
        #[command(flatten)]
        target: Target,
    },
    /// Take an incident, as somebody who looks after it
    Acknowledge {
        /// Its id
        id: Uuid,
        #[command(flatten)]
        target: Target,
    },
    /// Resolve an incident: it is over, and does not change any more
    Resolve {
        /// Its id
        id: Uuid,
        /// What helped
        #[arg(long, default_value = "")]
        resolution: String,
        #[command(flatten)]
        target: Target,
    },
}

impl Incidents {
    /// Where they are.
    pub(crate) fn target(&self) -> &Target {
        match self {
            Self::List { target, .. }
            | Self::Show { target, .. }
            | Self::Acknowledge { target, .. }
            | Self::Resolve { target, .. } => target,
        }
    }
}
