//! What can be written on the command line.

mod approvals;
mod executions;
mod incidents;
mod kept;
mod only_here;
mod people;
mod workflows;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::console::Wishes;
use clap::{Args, Parser, Subcommand, ValueEnum};
use nebula_core::{Priority, TenantId, Timestamp, TriggerId, WorkflowId, parse_duration};

pub(crate) use approvals::Approvals;
pub(crate) use executions::{
    BulkAction, BulkArguments, Decision, Executions, ListExecutions, Replay, SendSignal, Unpark,
    Vote,
};
pub(crate) use incidents::Incidents;
pub(crate) use kept::{Credentials, Fields, Secrets};
pub(crate) use only_here::why_only_here;
pub(crate) use people::{
    Audit, Invitations, Keys, ListAudit, LogIn, Members, People, Projects, Sessions, Settled,
    Setup, Tenants, Users,
};
pub(crate) use workflows::Workflows;

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

impl Global {
    /// How results and errors are to look.
    pub(crate) fn wishes(&self) -> Wishes {
        Wishes {
            json: self.json,
            quiet: self.quiet,
            logs: self.log.is_some(),
            no_color: self.no_color,
        }
    }
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
    /// Look at what is asked of people, and vote
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
    #[command(flatten)]
    People(People),
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
        #[command(flatten)]
        at: AtServer,
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
    /// In this tenant of the server; default: the server's own
    #[arg(long, value_name = "ID", requires = "user")]
    pub(crate) tenant: Option<TenantId>,
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
    /// List the blobs of an execution of a server
    List {
        /// The execution, by its id or the beginning of it
        id: String,
        /// At most so many, up to 1,000
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        #[command(flatten)]
        at: AtServer,
    },
    /// Print a blob of an execution of a server, byte for byte, or write it into a file
    Get {
        /// The execution, by its id or the beginning of it
        id: String,
        /// The blob: its digest, or the beginning of it
        digest: String,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        #[command(flatten)]
        at: AtServer,
    },
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
pub(crate) struct Run {
    /// A definition in YAML or JSON, or the id of a saved workflow: its published version or, if it
    /// has none, its draft; `ID@3`, `ID@draft` and `ID@published` name one. A file is saved as the newest
    /// version, also on a server, where that needs the permission to publish
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
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// A definition in YAML or JSON, or the id of a saved workflow: its draft; `ID@3` and `ID@published`
    /// name another version
    #[arg(value_name = "FILE|ID")]
    pub(crate) which: String,
    #[command(flatten)]
    pub(crate) target: Target,
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
    /// Have this server evaluate it, where `nebula login` lets you in
    #[arg(long, value_name = "URL", conflicts_with = "explain")]
    pub(crate) server: Option<String>,
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
