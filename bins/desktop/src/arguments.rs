//! What can be written on the command line.

mod approvals;
mod incidents;

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use nebula_core::{Priority, ProjectId, Timestamp, TriggerId, WorkflowId, parse_duration};

pub(crate) use approvals::Approvals;
pub(crate) use incidents::Incidents;

/// Runs workflows on this machine. What ran, and how far, is kept in one SQLite file, so that a run
/// survives being killed.
#[derive(Debug, Parser)]
#[command(
    name = "nebula",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
#[command(
    after_help = "Exit codes: 0 completed · 1 failed, cancelled or timed out · 2 bad usage or an invalid definition ·\n\
                  3 the environment (file, database, disk) · 4 waits for a person or is parked · 130 and 143 stopped by a signal"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Give results as JSON; the default where standard output is no terminal
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing on standard error but errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Which log lines go to standard error: a level, or `warn,nebula_runtime=debug`
    #[arg(long, global = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// No colours; so does the variable NO_COLOR
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a workflow and wait for its end
    Run(Run),
    /// Go on with what has not ended: one execution, or everything in the database
    Resume(Resume),
    /// Answer over HTTP: start workflows, watch them, decide; drives everything in the database
    Serve(Serve),
    /// Check definitions and show every problem of them; nothing runs
    Validate(Validate),
    /// Show what would run, in which order, what it may touch and what can repeat
    Plan(Plan),
    /// Give a node another id, everywhere in its definition
    Rename(Rename),
    /// Look at executions, and decide about them
    #[command(subcommand)]
    Executions(Executions),
    /// Look at what is asked of people
    #[command(subcommand)]
    Approvals(Approvals),
    /// Look at what is wrong with services, take it, resolve it
    #[command(subcommand)]
    Incidents(Incidents),
    /// Keep versions of workflows, compare and publish them
    #[command(subcommand)]
    Workflows(Workflows),
    /// Look at what starts workflows by itself, pause it, fire it, and make up for what was missed
    #[command(subcommand)]
    Triggers(Triggers),
    /// Keep secrets, encrypted; no command prints one
    #[command(subcommand)]
    Secrets(Secrets),
    /// Look after the large values that lie beside the database
    #[command(subcommand)]
    Blobs(Blobs),
    /// Keep credentials, encrypted, with the hosts that they may be sent to
    #[command(subcommand)]
    Credentials(Credentials),
    /// Evaluate an expression, or many in a conversation
    Expr(Expr),
    /// Look at the actions that nodes can name
    #[command(subcommand)]
    Actions(Actions),
    /// Look at schedules
    #[command(subcommand)]
    Schedule(Schedule),
    /// Write a definition to begin with; without a template, list them
    New(New),
    /// Look at the settings
    #[command(subcommand)]
    Config(Config),
    /// Look after the queue of a server
    #[command(subcommand)]
    Queue(Queue),
    /// Log in at a server, so that other commands may ask it with --server; the token is kept in your
    /// config folder, for you alone
    #[command(after_help = LOGIN_HELP)]
    Login(Login),
    /// Forget the token for a server
    Logout {
        /// The server; default: NEBULA_SERVER
        server: Option<String>,
    },
    /// Check folders, database, disk, clock and settings; of a server, how it stands now: breakers, rates,
    /// bulkheads and duties
    Doctor(Target),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct New {
    /// Which template, such as `hello`
    pub(crate) template: Option<String>,
    /// The file to write; default: TEMPLATE.yaml in the current folder
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Queue {
    /// What was delivered too often: no worker came to an end with it
    #[command(subcommand)]
    Dead(Dead),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Dead {
    /// List it, the oldest first, with the last reason
    List {
        /// At most so many, up to 500
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
        limit: u16,
        #[command(flatten)]
        at: AtServer,
    },
    /// Deliver all of it again
    Redrive {
        #[command(flatten)]
        at: AtServer,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Show every setting as it counts
    Show {
        /// With where each value comes from: a default, a line of the file, a variable or a flag
        #[arg(long)]
        sources: bool,
    },
}

const LOGIN_HELP: &str = "A token comes from --from, else from standard input, else, where that is a terminal, from a prompt that \
     shows nothing; it is never an argument. With --user it is a password that is asked for, and an API key of yours that is kept: \
     for 90 days, and to be removed like any other. The variable NEBULA_TOKEN comes before what is kept.";

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The server, such as https://nebula.example; default: NEBULA_SERVER
    pub(crate) server: Option<String>,
    /// Log in as this person, with a password, instead of with a token
    #[arg(long, value_name = "LOGIN")]
    pub(crate) user: Option<String>,
    /// Where the token, or the password, is: a file, or `-` for standard input
    #[arg(long, value_name = "FILE|-")]
    pub(crate) from: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Schedule {
    /// Show when a cron expression comes next; nothing is started
    #[command(
        after_help = "Five fields, or six with the second first:\n\n  minute hour day-of-month month day-of-week\n\nStars, ranges, lists, steps, names (MON, JAN), ?, L, 15W, FRI#2, 5L and @hourly to @yearly."
    )]
    Next {
        /// The cron expression, in quotes
        #[arg(long, value_name = "CRON")]
        expr: String,
        /// By the clocks of which time zone: an IANA name
        #[arg(long, value_name = "ZONE", default_value = nebula_workflow::DEFAULT_TIMEZONE)]
        tz: String,
        /// After when, such as 2026-03-14T09:26:53Z; default: now
        #[arg(long, value_name = "TIME")]
        from: Option<Timestamp>,
        /// How many, at most 1,000
        #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u16).range(1..=1_000))]
        count: u16,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Triggers {
    /// List the triggers of published versions: when they are due, and what they started last
    List {
        /// Only those of this workflow
        workflow: Option<WorkflowId>,
        /// At most so many, up to 1,000
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        #[command(flatten)]
        target: Target,
    },
    /// Start what a trigger starts, now; its schedule stays as it is
    Fire {
        /// Of which workflow
        workflow: WorkflowId,
        /// Which trigger
        trigger: TriggerId,
        #[command(flatten)]
        target: Target,
    },
    /// Let a trigger start nothing more until it is unpaused, also through publications
    Pause {
        /// Of which workflow
        workflow: WorkflowId,
        /// Which trigger
        trigger: TriggerId,
        #[command(flatten)]
        target: Target,
    },
    /// Let a trigger start again, from now on; what came meanwhile is not made up for
    Unpause {
        /// Of which workflow
        workflow: WorkflowId,
        /// Which trigger
        trigger: TriggerId,
        #[command(flatten)]
        target: Target,
    },
    /// Give a webhook a new address; the one before leads there for a while
    Rotate {
        /// Of which workflow
        workflow: WorkflowId,
        /// Which trigger
        trigger: TriggerId,
        /// For how long the address before leads there, too, at most 30 days; 0s where somebody knows it who should not
        #[arg(long, value_name = "SPAN", value_parser = parse_duration)]
        grace: Duration,
        #[command(flatten)]
        target: Target,
    },
    /// Start an execution for each occurrence in a range that nobody started in the last days, at most 1,000
    Backfill {
        /// Of which workflow
        workflow: WorkflowId,
        /// Which trigger
        trigger: TriggerId,
        /// After when, such as 2026-03-14T09:26:53Z
        #[arg(long, value_name = "TIME")]
        from: Timestamp,
        /// Up to when
        #[arg(long, value_name = "TIME")]
        to: Timestamp,
        #[command(flatten)]
        target: Target,
    },
}

impl Triggers {
    /// Which database, or which server.
    pub(crate) fn target(&self) -> &Target {
        match self {
            Self::List { target, .. }
            | Self::Fire { target, .. }
            | Self::Pause { target, .. }
            | Self::Unpause { target, .. }
            | Self::Rotate { target, .. }
            | Self::Backfill { target, .. } => target,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Blobs {
    /// Delete the blobs that no execution names and that are older than a day and some hours; others
    /// may work meanwhile
    Collect(Database),
}

/// Which database.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Database {
    /// The database file; default: nebula.db in your data folder
    #[arg(long, value_name = "PATH")]
    pub(crate) db: Option<PathBuf>,
}

/// Which database, or which server.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Target {
    #[command(flatten)]
    pub(crate) database: Database,
    /// Ask this server instead of a database, such as https://nebula.example, where `nebula login` lets you
    /// in; default: NEBULA_SERVER
    #[arg(long, value_name = "URL", conflicts_with = "db")]
    pub(crate) server: Option<String>,
}

/// A server, for what no database has.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct AtServer {
    /// Ask this server instead, where `nebula login` lets you in; default: NEBULA_SERVER
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where to listen; without TLS an address of this machine alone; port 0 has the system choose one
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Answer over TLS: the file with the certificate, in PEM, with those between it and a known one
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The file with the key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) database: Database,
}

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

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// A definition in YAML or JSON, or the id of a saved workflow: its published version or, if it
    /// has none, its draft; `ID@3`, `ID@draft` and `ID@published` name one
    #[arg(value_name = "FILE|ID")]
    pub(crate) target: String,
    /// One field of the input: `name=text`, read as the workflow's schema says, or `name:=JSON`, taken exactly
    #[arg(long, value_name = "K=V")]
    pub(crate) input: Vec<String>,
    /// More fields, so that several may follow one `--input`
    #[arg(value_name = "K=V", hide = true)]
    pub(crate) more_input: Vec<String>,
    /// The whole input: JSON, `@FILE`, or `-` for standard input
    #[arg(long, value_name = "JSON|@FILE|-")]
    pub(crate) input_json: Option<String>,
    /// Grant a capability, such as `fs:read:/var/log`; relative paths begin at the current folder
    #[arg(long, value_name = "CAPABILITY")]
    pub(crate) grant: Vec<String>,
    /// Grant everything that this workflow asks for
    #[arg(long)]
    pub(crate) grant_requested: bool,
    /// How urgent it is beside others: lowest, low, normal, high or highest; default: as the workflow says
    #[arg(long)]
    pub(crate) priority: Option<Priority>,
    /// What it is to be found by: a label; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) label: Vec<String>,
    #[command(flatten)]
    pub(crate) at: Target,
    /// Keep the database in memory only: nothing is left, and nothing can be resumed
    #[arg(long, conflicts_with_all = ["db", "server"])]
    pub(crate) ephemeral: bool,
    /// Run only this node and what it needs, as a trial; its result is the output
    #[arg(long, value_name = "NODE", help_heading = "Trials")]
    pub(crate) until: Option<String>,
    /// Run this node alone, as a trial: what feeds it and what it reads is pinned
    #[arg(
        long,
        value_name = "NODE",
        conflicts_with = "until",
        help_heading = "Trials"
    )]
    pub(crate) only: Option<String>,
    /// Let a value stand for a node's result; may be given several times
    #[arg(long, value_name = "NODE=JSON", help_heading = "Trials")]
    pub(crate) pin: Vec<String>,
    /// Take the results of nodes from this execution, where --pin has none
    #[arg(
        long,
        value_name = "EXECUTION",
        help_heading = "Trials",
        conflicts_with = "ephemeral"
    )]
    pub(crate) pin_from: Option<String>,
    /// Touch nothing outside: nodes that would are answered by their pin, else by the example of their
    /// action, else by null
    #[arg(long, help_heading = "Trials")]
    pub(crate) dry_run: bool,
    /// Return as soon as the execution is there; a server drives it
    #[arg(long)]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// The execution, by its id or the beginning of it; without one, everything that has not ended
    pub(crate) id: Option<String>,
    #[command(flatten)]
    pub(crate) database: Database,
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// Definitions in YAML or JSON
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// A definition in YAML or JSON
    pub(crate) file: PathBuf,
    /// How to show it; default: text on a terminal, else JSON
    #[arg(long, value_enum)]
    pub(crate) format: Option<PlanFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// For reading
    Text,
    /// For programs
    Json,
    /// A flowchart for Mermaid
    Mermaid,
    /// A drawing, as one SVG file
    Svg,
}

#[derive(Debug, Args)]
pub(crate) struct Rename {
    /// A definition in YAML or JSON
    pub(crate) file: PathBuf,
    /// The id that the node has
    pub(crate) old: String,
    /// The id that it gets
    pub(crate) new: String,
    /// Write nothing: say whether it can be done, and which places would change
    #[arg(long)]
    pub(crate) check: bool,
    /// Leave the file alone and print the definition as it would be
    #[arg(long, conflicts_with = "check")]
    pub(crate) stdout: bool,
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
    pub(crate) database: Database,
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

const SET_HELP: &str = "The value comes from --from, else from standard input, else, where that is a terminal, from a prompt that \
     shows nothing. It is never an argument: those stand in the shell's history and in the list of processes. One line end \
     behind the value does not belong to it.";

#[derive(Debug, Subcommand)]
pub(crate) enum Secrets {
    /// Set a secret; one that is there is replaced
    #[command(after_help = SET_HELP)]
    Set {
        /// Its id: letters, digits, `-`, `_` and `.`
        id: String,
        /// Where its value is: a file, or `-` for standard input
        #[arg(long, value_name = "FILE|-")]
        from: Option<PathBuf>,
        /// The line end behind the value belongs to it
        #[arg(long)]
        exact: bool,
        /// Taken only to be refused without being repeated
        #[arg(hide = true, value_name = "VALUE", allow_hyphen_values = true)]
        value: Vec<OsString>,
        #[command(flatten)]
        at: AtServer,
    },
    /// List the ids of all secrets
    List {
        /// At most so many, up to 1,000
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        #[command(flatten)]
        at: AtServer,
    },
    /// Delete a secret for good
    Rm {
        /// Its id
        id: String,
        #[command(flatten)]
        at: AtServer,
    },
    /// Encrypt all secrets with a new key; no value changes
    Rotate,
}

const FIELDS_HELP: &str = "The value of a secret field is never an argument: it comes from --from, else from standard input \
     where one secret field is left, else, on a terminal, from prompts that show nothing. One line end behind it does not belong \
     to it. `nebula credentials types` shows which fields a type has, and which are secret.";

#[derive(Debug, Subcommand)]
pub(crate) enum Credentials {
    /// List the types of credentials with their fields
    Types,
    /// Add a credential
    #[command(after_help = FIELDS_HELP)]
    Add {
        /// Its id: letters, digits, `-`, `_` and `.`
        id: String,
        /// Its type, such as `bearer`
        #[arg(long = "type", value_name = "TYPE")]
        kind: String,
        #[command(flatten)]
        fields: Fields,
        #[command(flatten)]
        target: Target,
    },
    /// List all credentials: type, version, hosts and last use, and no value
    List {
        /// At most so many, up to 1,000
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        #[command(flatten)]
        target: Target,
    },
    /// List who used a credential, newest first
    Uses {
        /// Its id
        id: String,
        /// At most so many, up to 1,000
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        #[command(flatten)]
        target: Target,
    },
    /// Send a credential to one of its hosts and say what the host answers
    Test {
        /// Its id
        id: String,
        /// What to ask for with GET; redirects are not followed
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        #[command(flatten)]
        target: Target,
    },
    /// Give a credential a new version, or with --keys all credentials a new master key
    #[command(after_help = FIELDS_HELP)]
    Rotate {
        /// Its id; fields and hosts that are not given stay as they are
        #[arg(required_unless_present = "keys")]
        id: Option<String>,
        /// Encrypt all credentials with a new master key; no value changes
        #[arg(long, conflicts_with_all = ["id", "field", "from", "hosts", "project"])]
        keys: bool,
        #[command(flatten)]
        fields: Fields,
        #[command(flatten)]
        target: Target,
    },
    /// Remove a credential for good
    Rm {
        /// Its id
        id: String,
        #[command(flatten)]
        target: Target,
    },
}

/// What a credential is made of.
#[derive(Debug, Args)]
pub(crate) struct Fields {
    /// A field that is not secret, such as `username=ada`
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) field: Vec<String>,
    /// Where the value of a secret field is: a file, or `-` for standard input; with `NAME=` before it,
    /// of that field
    #[arg(long, value_name = "[NAME=]FILE|-")]
    pub(crate) from: Vec<String>,
    /// A host that it may be sent to, such as `api.example`, `*.api.example:443`; without any it is sent
    /// nowhere
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    pub(crate) hosts: Vec<String>,
    /// The project to which it belongs: workflows of others cannot be given it
    #[arg(long, value_name = "ID")]
    pub(crate) project: Option<ProjectId>,
    /// Taken only to be refused without being repeated
    #[arg(hide = true, value_name = "VALUE", allow_hyphen_values = true)]
    pub(crate) value: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Expr {
    /// The expression, without `{{ }}`; without one, on a terminal, expressions are asked for
    #[arg(conflicts_with = "batch")]
    pub(crate) expression: Option<String>,
    /// What it sees: an object of roots without `$`, in a file or, with `-`, on standard input
    #[arg(long, value_name = "FILE|-", conflicts_with = "batch")]
    pub(crate) data: Option<String>,
    /// A member of null or undefined is undefined, as imported workflows expect
    #[arg(long, conflicts_with = "batch")]
    pub(crate) lenient: bool,
    /// Do not evaluate it, but say what it reads, what it depends on and whether it is a constant
    #[arg(long, conflicts_with_all = ["batch", "data"])]
    pub(crate) explain: bool,
    /// Read `{ "expr", "data", "mode" }` per line from standard input and answer each with a line
    #[arg(long)]
    pub(crate) batch: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Actions {
    /// List all actions
    List {
        #[command(flatten)]
        at: AtServer,
    },
    /// Show what an action takes, gives and touches
    Show {
        /// The action, such as `file.read` or `file.read@1`
        action: String,
        #[command(flatten)]
        at: AtServer,
    },
}
