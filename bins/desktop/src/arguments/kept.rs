//! What can be written about secrets and credentials.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Subcommand};
use nebula_core::ProjectId;

use super::{AtServer, Target};

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
    Types {
        #[command(flatten)]
        at: AtServer,
    },
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
