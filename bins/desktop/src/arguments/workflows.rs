//! What can be written about workflows that are kept.

use std::path::PathBuf;

use clap::Subcommand;
use nebula_core::{ProjectId, WorkflowId};

use super::{AtServer, Target};

/// A version is named `ID@3`, `ID@draft` (the latest) or `ID@published`.
#[derive(Debug, Subcommand)]
pub(crate) enum Workflows {
    /// List workflows by id
    List {
        /// Only those whose id or name has this text
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// Also those that are archived
        #[arg(long)]
        archived: bool,
        /// At most so many, up to 1,000
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        #[command(flatten)]
        target: Target,
    },
    /// List the versions of a workflow, newest first
    Versions {
        /// The workflow
        id: String,
        /// At most so many, up to 1,000
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        #[command(flatten)]
        target: Target,
    },
    /// Save a file as the newest version, its draft; nothing runs. The same definition again is no new
    /// version. Of a folder it is shown first what would change
    Push {
        /// A definition in YAML or JSON, or a folder of them
        #[arg(value_name = "FILE|DIR")]
        file: PathBuf,
        /// Save only if nobody saved or published since the workflow had this revision
        #[arg(long, value_name = "REVISION")]
        expect: Option<u64>,
        /// Publish what is saved, too: what its nodes ask for is granted to it
        #[arg(long)]
        publish: bool,
        /// Of a folder: do not ask
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Print a version as a definition in JSON; without a version, the draft. Or write all drafts into a
    /// folder, where it is shown first what would change
    Pull {
        /// The workflow, or one version of it; or a folder, such as `./workflows`
        #[arg(value_name = "ID[@VERSION]|DIR")]
        which: String,
        /// Into a folder: the published versions, not the drafts
        #[arg(long)]
        published: bool,
        /// Into a folder: do not ask
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Make a version the one that `run ID` takes; executions keep the one that they began with
    Publish {
        /// The version
        #[arg(value_name = "ID@VERSION")]
        which: String,
        /// Publish only if nobody saved or published since the workflow had this revision
        #[arg(long, value_name = "REVISION")]
        expect: Option<u64>,
        #[command(flatten)]
        target: Target,
    },
    /// Move a workflow of a server, with its executions, to another project
    Move {
        /// The workflow
        id: WorkflowId,
        /// The project to which it belongs from now on; without it, to none
        #[arg(long, value_name = "ID")]
        project: Option<ProjectId>,
        #[command(flatten)]
        at: AtServer,
    },
    /// Archive a workflow: it is not listed by default, and nothing of it is started; executions go on
    Archive {
        /// The workflow
        id: String,
        #[command(flatten)]
        target: Target,
    },
    /// Take an archived workflow back into use
    Unarchive {
        /// The workflow
        id: String,
        #[command(flatten)]
        target: Target,
    },
    /// Show what differs between two definitions, without layout and formatting; renamed nodes are
    /// found. Exits with 0 also where they differ
    Diff {
        /// A file, or a version; without a version, the draft
        #[arg(value_name = "FILE|ID[@VERSION]")]
        old: String,
        /// What it is compared with
        #[arg(value_name = "FILE|ID[@VERSION]")]
        new: String,
        #[command(flatten)]
        target: Target,
    },
}
