//! What can be written about executions.

use clap::{Args, Subcommand, ValueEnum};
use nebula_core::{Timestamp, WorkflowId};

use super::{AtServer, Database, Target};

#[derive(Debug, Args)]
pub(crate) struct ListExecutions {
    /// Only in this status; may be given several times
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Vec<String>,
    /// Only of this workflow
    #[arg(long, value_name = "ID")]
    pub(crate) workflow: Option<String>,
    /// Only with this label; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) label: Vec<String>,
    /// Only with this text in the id of the workflow or in a label
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// Only what was started at this time or later, such as `2026-01-31T08:00:00Z`
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Timestamp>,
    /// Only what was started before this time
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Timestamp>,
    /// At most so many, up to 1,000
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,
    /// Only what has not ended, and what each of it waits for; reads their journals
    #[arg(long)]
    pub(crate) waiting: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Executions {
    /// List executions, newest first
    List(ListExecutions),
    /// Follow an execution, until it has ended or needs somebody; as JSON, one event a line. Nothing is
    /// driven here
    Watch {
        /// The execution, by its id or the beginning of it
        id: String,
        #[command(flatten)]
        target: Target,
    },
    /// Show what an execution did
    Show {
        /// The execution, by its id or the beginning of it
        id: String,
        #[command(flatten)]
        target: Target,
    },
    /// Ask an execution to end early, and wait until it has
    Cancel {
        /// The execution, by its id or the beginning of it
        id: String,
        /// Why, for the journal
        #[arg(long, default_value = "cancelled from the command line")]
        reason: String,
        #[command(flatten)]
        target: Target,
    },
    /// Let an execution start nothing new; what runs comes to its end
    Pause {
        /// The execution, by its id or the beginning of it
        id: String,
        /// Why, for the journal
        #[arg(long, default_value = "paused from the command line")]
        reason: String,
        #[command(flatten)]
        target: Target,
    },
    /// Send a signal that a node of an execution waits for, and go on with it
    Signal(SendSignal),
    /// Approve what an execution asks, and go on with it
    Approve(Vote),
    /// Reject what an execution asks, and go on with it
    Reject(Vote),
    /// Put off what an execution asks, and go on with it if its workflow says how
    Defer(Vote),
    /// Print the tokens that let people vote; each is a secret for the one whose place it is
    Tokens {
        /// The execution, by its id or the beginning of it
        id: String,
        /// Only of this node, such as `sign` or `orders[3]/sign`
        node: Option<String>,
        #[command(flatten)]
        database: Database,
    },
    /// Cancel, pause, unpause or retry many executions of a server; without --yes they are only counted
    Bulk(BulkArguments),
    /// Let a paused execution go on, and go on with it
    Unpause {
        /// The execution, by its id or the beginning of it
        id: String,
        #[command(flatten)]
        target: Target,
    },
    /// Decide about a parked execution, and go on with it
    Unpark(Unpark),
    /// Go through an execution's journal step by step; nothing is run
    Replay(Replay),
    /// Move an execution that nobody drives to another version of its workflow, if what it did so far
    /// could have come about under that one
    Migrate {
        /// The execution, by its id or the beginning of it
        id: String,
        /// The version
        #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(u32).range(1..))]
        to: u32,
        /// Only say whether it could be moved, and what would change
        #[arg(long)]
        check: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Go over an ended execution again: what succeeded is kept, the rest runs under the same keys
    #[command(after_help = RETRY_HELP)]
    Retry {
        /// The execution, by its id or the beginning of it
        id: String,
        #[command(flatten)]
        target: Target,
    },
    /// Run an ended execution once more, from one node on or from the start, under new keys
    #[command(after_help = RESTART_HELP)]
    Restart {
        /// The execution, by its id or the beginning of it
        id: String,
        /// The node that runs again, with all that follows from it; without it, every node
        #[arg(long, value_name = "NODE")]
        from: Option<String>,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Args)]
pub(crate) struct BulkArguments {
    /// What to do
    #[arg(value_enum)]
    pub(crate) action: BulkAction,
    /// Do it: without this they are only counted
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Only of this workflow
    #[arg(long, value_name = "ID")]
    pub(crate) workflow: Option<WorkflowId>,
    /// Only in this status; may be given several times; default: all to which the action applies
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Vec<String>,
    /// Only what was started at this time or later
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Timestamp>,
    /// Only what was started before this time
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Timestamp>,
    /// Only with this label; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) label: Vec<String>,
    #[command(flatten)]
    pub(crate) at: AtServer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BulkAction {
    /// End them early
    Cancel,
    /// Start nothing new in them
    Pause,
    /// Go on after a pause
    Unpause,
    /// Start each that failed, was cancelled or timed out again, keeping what succeeded
    Retry,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The execution, by its id or the beginning of it
    pub(crate) id: String,
    /// Show every node's status and value after this entry, instead of the entries
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) at: Option<u64>,
    /// Only what is about this node
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
    #[command(flatten)]
    pub(crate) target: Target,
}

const RETRY_HELP: &str = "A new execution begins with what stays true of the old one. Effects that may have happened keep their \
     idempotency key, so that a receiver can tell; of at-most-once effects you are asked first.";
const RESTART_HELP: &str = "A new execution shares what came before NODE. What runs again does so with new idempotency keys: \
     what it did outside, it does once more.";

#[derive(Debug, Args)]
pub(crate) struct SendSignal {
    /// The execution, by its id or the beginning of it
    pub(crate) id: String,
    /// The signal's name, as `flow.wait` has it
    pub(crate) name: String,
    /// What the signal brings: the result of the node that takes it; default: null
    #[arg(long, value_name = "JSON")]
    pub(crate) payload: Option<String>,
    /// Tells this signal from others of its name: a second one with the same has no effect
    #[arg(long = "id", value_name = "ID")]
    pub(crate) dedupe: Option<String>,
    /// Whether it is kept until a node takes it; with `false` it is lost where no node waits for it
    /// when it comes
    #[arg(long, value_name = "true|false", default_value_t = true, action = clap::ArgAction::Set)]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Vote {
    /// The execution, by its id or the beginning of it
    #[arg(required_unless_present = "token", conflicts_with = "token")]
    pub(crate) id: Option<String>,
    /// Which node asks, such as `sign` or `orders[3]/sign`; needed if several do
    pub(crate) node: Option<String>,
    /// Who votes; default: whose place the token is for, else the name of the user
    #[arg(long, value_name = "WHO")]
    pub(crate) by: Option<String>,
    /// Why, for the journal and the result
    #[arg(long, value_name = "TEXT")]
    pub(crate) comment: Option<String>,
    /// Vote with a token instead of naming the execution: the token, `@FILE`, or `-` for standard
    /// input, where nobody else sees it
    #[arg(long, value_name = "TOKEN|@FILE|-")]
    pub(crate) token: Option<String>,
    /// Tells this vote from others: a second one with the same has no effect
    #[arg(long = "id", value_name = "ID")]
    pub(crate) dedupe: Option<String>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Unpark {
    /// The execution, by its id or the beginning of it
    pub(crate) id: String,
    /// Which instance the decision is about, such as `pay` or `pay[3]`; needed if several are open
    #[arg(long, value_name = "INSTANCE")]
    pub(crate) node: Option<String>,
    /// What became of the effect, or what shall become of it
    #[arg(long = "as", value_enum, value_name = "DECISION")]
    pub(crate) decision: Decision,
    /// The node's result, for `--as succeeded`; default: null
    #[arg(long, value_name = "JSON")]
    pub(crate) output: Option<String>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Decision {
    /// The effect happened; `--output` is the node's result
    Succeeded,
    /// The effect did not happen, and shall not: the node failed
    Failed,
    /// Do it again
    Retry,
}
