//! What can be written about who there is at a server, what they may, and what was done.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use nebula_core::{ProjectId, TenantId, Timestamp};

use super::AtServer;

const LIMIT: &str = "At most so many, up to 1,000";

#[derive(Debug, Args)]
pub(crate) struct Setup {
    /// What they log in with
    pub(crate) login: String,
    /// Where the token is that makes the first person: the file that `nebula serve` names at its start
    #[arg(long, value_name = "FILE")]
    pub(crate) token: PathBuf,
    /// What is shown of them
    #[arg(long, value_name = "NAME", default_value = "")]
    pub(crate) name: String,
    /// Where their password is: a file, or `-` for standard input; else, on a terminal, it is asked for
    #[arg(long, value_name = "FILE|-")]
    pub(crate) from: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) at: AtServer,
}

/// An API key, which a login of this program keeps, makes no keys and changes no passwords.
#[derive(Debug, Default, Args)]
pub(crate) struct LogIn {
    /// Log in with a password for this command alone: as this person, where what is kept may not do it
    #[arg(long, value_name = "LOGIN")]
    pub(crate) login: Option<String>,
    /// Where that password is: a file, or `-` for standard input; else it is asked for
    #[arg(long, value_name = "FILE|-", requires = "login")]
    pub(crate) login_from: Option<PathBuf>,
}

/// USER is a login, an id, or `me`.
#[derive(Debug, Subcommand)]
pub(crate) enum Users {
    /// List people and service accounts by login, with their roles
    List {
        #[arg(long, help = LIMIT, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        #[command(flatten)]
        at: AtServer,
    },
    /// Show one
    Show {
        /// A login, an id, or `me`
        user: String,
        #[command(flatten)]
        at: AtServer,
    },
    /// Add a person or a service account, which may do nothing yet: `nebula members set` gives roles
    Add {
        /// What it logs in with, or a service's name
        login: String,
        /// A program's account: it has API keys and no password
        #[arg(long)]
        service: bool,
        /// What is shown of it
        #[arg(long, value_name = "NAME", default_value = "")]
        name: String,
        /// Ask for a password on a terminal; without one, a person logs in by the provider of identities
        #[arg(long, conflicts_with = "service")]
        with_password: bool,
        /// Where the password is: a file, or `-` for standard input
        #[arg(long, value_name = "FILE|-", conflicts_with = "service")]
        from: Option<PathBuf>,
        #[command(flatten)]
        at: AtServer,
    },
    /// Delete somebody with their roles, API keys and sessions
    Rm {
        /// A login or an id
        user: String,
        #[command(flatten)]
        at: AtServer,
    },
    /// Shut somebody out, and end their sessions
    Disable {
        /// A login or an id
        user: String,
        #[command(flatten)]
        at: AtServer,
    },
    /// Let somebody in again
    Enable {
        /// A login or an id
        user: String,
        #[command(flatten)]
        at: AtServer,
    },
    /// Set a password: your own, which closes your other sessions, or somebody's, which closes theirs
    Password {
        /// A login or an id; default: your own
        user: Option<String>,
        /// Of your own: where the one before is, a file or `-`; else it is asked for
        #[arg(long, value_name = "FILE|-", conflicts_with_all = ["user", "login"])]
        old: Option<PathBuf>,
        #[command(flatten)]
        log_in: LogIn,
        /// Where the new one is: a file, or `-` for standard input; else, on a terminal, it is asked for
        #[arg(long, value_name = "FILE|-")]
        from: Option<PathBuf>,
        #[command(flatten)]
        at: AtServer,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// List API keys: what each is for, how long it lasts, when it was used
    List {
        /// Whose: a login, an id, or `me`
        #[arg(default_value = "me")]
        user: String,
        #[command(flatten)]
        at: AtServer,
    },
    /// Make an API key, which is printed once: your own, or one of a service account
    Make {
        /// What is shown of it
        name: String,
        /// Whose: a login, an id, or `me`
        #[arg(long, value_name = "USER", default_value = "me")]
        user: String,
        /// How long it lasts, such as `720h`; a year and a day at most
        #[arg(long, value_name = "SPAN")]
        lasts: String,
        /// The only project that it is for
        #[arg(long, value_name = "ID")]
        project: Option<ProjectId>,
        /// The only permission that it is for, such as `executions:start`; may be given several times
        #[arg(long, value_name = "PERMISSION")]
        permission: Vec<String>,
        #[command(flatten)]
        log_in: LogIn,
        #[command(flatten)]
        at: AtServer,
    },
    /// Remove an API key for good
    Revoke {
        /// By what it is known: what follows `nbk_`, up to the next `_`
        key: String,
        #[command(flatten)]
        at: AtServer,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Sessions {
    /// List sessions that last
    List {
        /// Whose: a login, an id, or `me`
        #[arg(default_value = "me")]
        user: String,
        #[command(flatten)]
        at: AtServer,
    },
    /// Close one session, or all but the one with which you come
    Close {
        /// Whose: a login, an id, or `me`
        #[arg(default_value = "me")]
        user: String,
        /// Only this one
        #[arg(long, value_name = "ID")]
        session: Option<String>,
        #[command(flatten)]
        at: AtServer,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Projects {
    /// List the projects that you may see
    List {
        #[arg(long, help = LIMIT, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        #[command(flatten)]
        at: AtServer,
    },
    /// Add a project, or give one another name
    Put {
        /// Its id
        project: ProjectId,
        /// What is shown of it; default: its id
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        at: AtServer,
    },
    /// Delete a project that has no workflows and no credentials
    Rm {
        /// Its id
        project: ProjectId,
        #[command(flatten)]
        at: AtServer,
    },
}

/// What an operator settles about a tenant; what is not given stays as it is.
#[derive(Debug, Args)]
pub(crate) struct Settled {
    /// What is shown of it
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// How many of its executions may not have ended, those that wait included; `none` for any number
    #[arg(long, value_name = "N|none", allow_hyphen_values = true)]
    pub(crate) executions: Option<String>,
    /// How many bytes its journals and blobs may have when an execution begins; `none` for any number
    #[arg(long, value_name = "N|none", allow_hyphen_values = true)]
    pub(crate) bytes: Option<String>,
    /// How many of its executions may begin in a second; `none` for any number
    #[arg(long, value_name = "N|none", allow_hyphen_values = true)]
    pub(crate) starts_per_second: Option<String>,
    /// How many turns it has where a tenant of weight 1 has one, while both have work that waits
    #[arg(long, value_name = "1-100", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) weight: Option<u32>,
}

/// For people of the server's own tenant.
#[derive(Debug, Subcommand)]
pub(crate) enum Tenants {
    /// List tenants with their quotas
    List {
        #[arg(long, help = LIMIT, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        #[command(flatten)]
        at: AtServer,
    },
    /// Show one, with how much it uses now
    Show {
        /// Its id
        tenant: TenantId,
        #[command(flatten)]
        at: AtServer,
    },
    /// Add a tenant; the token that makes its first person is printed once
    Create {
        /// Its id: letters, digits, `-` and `_`
        tenant: TenantId,
        #[command(flatten)]
        settled: Settled,
        #[command(flatten)]
        at: AtServer,
    },
    /// Change its name, its quotas or its weight
    Set {
        /// Its id
        tenant: TenantId,
        #[command(flatten)]
        settled: Settled,
        #[command(flatten)]
        at: AtServer,
    },
    /// Let nobody of it in, and begin nothing of it; what is under way goes on
    Disable {
        /// Its id
        tenant: TenantId,
        #[command(flatten)]
        at: AtServer,
    },
    /// Let its people in again
    Enable {
        /// Its id
        tenant: TenantId,
        #[command(flatten)]
        at: AtServer,
    },
    /// Print another token that makes its first person, as long as nobody owns it
    Setup {
        /// Its id
        tenant: TenantId,
        #[command(flatten)]
        at: AtServer,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Members {
    /// List who has a role in a project, or in all of them
    List {
        /// In this project; default: in all of them
        #[arg(long, value_name = "ID")]
        project: Option<ProjectId>,
        #[arg(long, help = LIMIT, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        #[command(flatten)]
        at: AtServer,
    },
    /// Give somebody a role, in place of the one that they have there
    Set {
        /// A login, an id, or `me`
        user: String,
        /// viewer, operator, editor, admin or owner
        role: String,
        /// In this project; default: in all of them
        #[arg(long, value_name = "ID")]
        project: Option<ProjectId>,
        #[command(flatten)]
        at: AtServer,
    },
    /// Take somebody's role away
    Rm {
        /// A login, an id, or `me`
        user: String,
        /// In this project; default: in all of them
        #[arg(long, value_name = "ID")]
        project: Option<ProjectId>,
        #[command(flatten)]
        at: AtServer,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Invitations {
    /// List who was invited, and has not accepted yet
    List {
        #[arg(long, help = LIMIT, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        #[command(flatten)]
        at: AtServer,
    },
    /// Invite somebody; the token that they need is printed once, and sent nowhere
    Make {
        /// Their address, which is their login from then on
        email: String,
        /// As what: viewer, operator, editor or admin
        #[arg(long)]
        role: String,
        /// In this project; default: in all of them
        #[arg(long, value_name = "ID")]
        project: Option<ProjectId>,
        /// What is shown of them
        #[arg(long, value_name = "NAME", default_value = "")]
        name: String,
        #[command(flatten)]
        at: AtServer,
    },
    /// Take an invitation back
    Revoke {
        /// The address, or the id
        user: String,
        #[command(flatten)]
        at: AtServer,
    },
    /// Accept an invitation with a password; `nebula login --user` lets you in then
    Accept {
        /// Where the token is: a file, or `-` for standard input
        #[arg(long, value_name = "FILE|-")]
        token: PathBuf,
        /// What is shown of you, if not what whoever invited you said
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Where your password is: a file, or `-`; else, on a terminal, it is asked for
        #[arg(long, value_name = "FILE|-")]
        from: Option<PathBuf>,
        #[command(flatten)]
        at: AtServer,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// List what was done and what was denied, the oldest first
    List(ListAudit),
    /// Print entries as they are, one in JSON to a line
    Export {
        /// Only those after this number
        #[arg(long, value_name = "SEQ")]
        after: Option<u64>,
        #[command(flatten)]
        at: AtServer,
    },
    /// Follow the chain of hashes; exits with 1 where it does not hold
    Verify {
        /// Number and hash of an entry that were kept elsewhere
        #[arg(long, value_name = "SEQ:HASH")]
        known: Option<String>,
        #[command(flatten)]
        at: AtServer,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListAudit {
    /// Only those after this number
    #[arg(long, value_name = "SEQ")]
    pub(crate) after: Option<u64>,
    /// Only of this one: `person:ID`, `service:ID`, `local` or `anonymous`
    #[arg(long)]
    pub(crate) who: Option<String>,
    /// Only of this: `workflows.publish`, or `workflows.` for all of a kind
    #[arg(long)]
    pub(crate) what: Option<String>,
    /// Only to this: `workflow:orders`
    #[arg(long)]
    pub(crate) target: Option<String>,
    /// Only `allowed` or `denied`
    #[arg(long)]
    pub(crate) outcome: Option<String>,
    /// Only at this time or later
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Timestamp>,
    /// Only before this time
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Timestamp>,
    #[arg(long, help = LIMIT, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,
    #[command(flatten)]
    pub(crate) at: AtServer,
}

/// What concerns people at a server.
#[derive(Debug, Subcommand)]
pub(crate) enum People {
    /// Make the first person of a server, who owns everything there
    Setup(Setup),
    /// Say who you are at a server, and what you may
    Whoami {
        #[command(flatten)]
        at: AtServer,
    },
    /// Look after people and service accounts of a server
    #[command(subcommand)]
    Users(Users),
    /// Look after API keys
    #[command(subcommand)]
    Keys(Keys),
    /// Look at who is logged in, and log them out
    #[command(subcommand)]
    Sessions(Sessions),
    /// Look after the projects of a server
    #[command(subcommand)]
    Projects(Projects),
    /// Look at who has which role, and give and take roles
    #[command(subcommand)]
    Members(Members),
    /// Invite people, and accept invitations
    #[command(subcommand)]
    Invitations(Invitations),
    /// Look after the tenants of a server, and how much each may use
    #[command(subcommand)]
    Tenants(Tenants),
    /// Look at what was done at a server and what was denied, and check that nothing of it was changed
    #[command(subcommand)]
    Audit(Audit),
}

impl People {
    /// Which server.
    pub(crate) fn at(&self) -> &AtServer {
        match self {
            Self::Setup(it) => &it.at,
            Self::Whoami { at } => at,
            Self::Users(it) => it.at(),
            Self::Keys(it) => it.at(),
            Self::Sessions(it) => it.at(),
            Self::Projects(it) => it.at(),
            Self::Members(it) => it.at(),
            Self::Invitations(it) => it.at(),
            Self::Tenants(it) => it.at(),
            Self::Audit(it) => it.at(),
        }
    }
}

/// Which server a command names.
macro_rules! at {
    ($($command:ident: $($variant:ident)|+;)+) => {$(
        impl $command {
            pub(crate) fn at(&self) -> &AtServer {
                match self {
                    $(Self::$variant { at, .. })|+ => at,
                }
            }
        }
    )+};
}

at! {
    Users: List | Show | Add | Rm | Disable | Enable | Password;
    Keys: List | Make | Revoke;
    Sessions: List | Close;
    Projects: List | Put | Rm;
    Tenants: List | Show | Create | Set | Disable | Enable | Setup;
    Members: List | Set | Rm;
    Invitations: List | Make | Revoke | Accept;
}

impl Audit {
    pub(crate) fn at(&self) -> &AtServer {
        match self {
            Self::List(list) => &list.at,
            Self::Export { at, .. } | Self::Verify { at, .. } => at,
        }
    }
}
