//! Groups of settings that the programs of a fleet share, and how the settings of one are read.

use std::{path::PathBuf, time::Duration};

use nebula_config::{Flag, Layers, Sources};
use nebula_core::{ByteSize, Group, serde_duration};
use nebula_program::{
    failure::Failure,
    settings::{ConnectionSettings, LogSettings, SecretsSettings, absolute},
    shown,
};
use nebula_system::{Folders, HOME_VARIABLE};
use nebula_telemetry::{LinesLeftOut, LogFilter};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{arguments::Common, compose::Addresses};

/// Settings come from variables with this prefix: `NEBULA_STORAGE__ADDRESS`.
const PREFIX: &str = "NEBULA_";
/// Variables with the prefix that are no settings.
const RESERVED: &[&str] = &[
    HOME_VARIABLE,
    "NEBULA_REQUIRE_BACKENDS",
    "NEBULA_SECRETS_KEY",
    "NEBULA_SERVER",
    "NEBULA_TOKEN",
];

/// Where executions are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageSettings {
    /// Such as `sqlite:/var/lib/nebula/nebula.db`; default: `nebula.db` in the data folder.
    pub address: Option<String>,
    /// A file that holds the address, for one with a password in it.
    pub address_file: Option<PathBuf>,
    /// How long a write waits for another process that writes, where the store is a file.
    #[serde(with = "serde_duration")]
    pub busy_timeout: Duration,
    /// The size that a store in a file does not exceed; default: none but the disk.
    pub max_size: Option<ByteSize>,
}

impl Default for StorageSettings {
    fn default() -> Self {
        Self {
            address: None,
            address_file: None,
            busy_timeout: Duration::from_secs(5),
            max_size: None,
        }
    }
}

/// Where tasks are rung for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueSettings {
    /// Default: `memory:`, a queue of this process alone, which finds by its sweep what others start.
    pub address: Option<String>,
    /// A file that holds the address, for one with a password in it.
    pub address_file: Option<PathBuf>,
}

/// What must be the same in every process of a fleet, as files on a folder that all of them see.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedSettings {
    /// The folder of large values; default: beside a store that is a file, else `blobs` in the data folder.
    pub blobs: Option<PathBuf>,
    /// The file with the secret from which the tokens of approvals follow; default: beside a store that is a
    /// file, else `resume.key` in the data folder.
    pub resume_key: Option<PathBuf>,
}

/// The most tags of a worker.
const MAX_TAGS: usize = 32;

/// Which workers it is one of, and with them for which groups it takes executions: its own, and those of
/// the names that its tags are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolSettings {
    /// Their name, as `runs_on` of nodes says it.
    pub group: String,
    /// Other groups that it is one of, by what it has that others have not.
    pub tags: Vec<String>,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            group: Group::default().to_string(),
            tags: Vec::new(),
        }
    }
}

impl PoolSettings {
    /// For which groups it takes executions.
    ///
    /// # Errors
    /// A name is none, or there are too many.
    pub fn takes(&self) -> Result<nebula_core::Groups, Failure> {
        let wrong = |message: String| Failure::invalid("SETTINGS", message);
        if self.tags.len() > MAX_TAGS {
            let message = format!(
                "`pool.tags` has {} tags, and at most {MAX_TAGS}",
                self.tags.len()
            );
            return Err(wrong(message).advice("keep those by which work is to be told apart"));
        }
        let tags = self.tags.iter().map(|tag| ("pool.tags", tag));
        let all = [("pool.group", &self.group)].into_iter().chain(tags);
        let named = all.map(|(key, name)| {
            Group::new(name).map_err(|error| {
                wrong(format!("`{key}`: {error}")).advice("write a name such as gpu")
            })
        });
        named
            .collect::<Result<Vec<_>, _>>()
            .map(|all| all.into_iter().collect())
    }
}

/// The groups that each program has.
#[derive(Debug, Clone, Copy)]
pub struct Groups<'a> {
    /// Where executions are kept.
    pub storage: &'a StorageSettings,
    /// Where tasks are rung for.
    pub queue: &'a QueueSettings,
    /// What all see.
    pub shared: &'a SharedSettings,
    /// Where secrets are kept.
    pub secrets: &'a SecretsSettings,
    /// How connections over HTTP are made.
    pub connections: &'a ConnectionSettings,
    /// What is logged.
    pub log: &'a LogSettings,
}

/// The settings of a program of a fleet.
pub trait Settings: Default + Clone + Serialize + DeserializeOwned {
    /// The name of the program, and of its settings file, without its ending.
    const PROGRAM: &'static str;

    /// The groups that it shares with others.
    fn groups(&self) -> Groups<'_>;

    /// Which workers it is one of, if it drives executions.
    fn pool(&self) -> PoolSettings {
        PoolSettings::default()
    }

    /// Its own paths, by their keys, which must be absolute.
    fn paths(&self) -> Vec<(&'static str, &PathBuf)> {
        Vec::new()
    }
}

/// Settings with their sources.
#[derive(Debug, Clone)]
pub struct Loaded<S> {
    /// As they count.
    pub settings: S,
    /// Where each value comes from.
    pub sources: Sources,
    /// Where data and settings lie.
    pub folders: Folders,
    /// The file of the settings, which need not be there.
    pub file: PathBuf,
    /// What decides what is logged, once something is.
    pub log: Option<LogFilter>,
    /// What counts the lines that are not.
    pub left_out: Option<LinesLeftOut>,
}

impl<S: Settings> Loaded<S> {
    /// What is told of the settings, without secrets.
    #[must_use]
    pub fn shown(&self) -> Value {
        shown::of_server(&self.settings, &self.sources)
    }
}

/// Reads every layer: the defaults, the file, the environment, then `flags`.
///
/// # Errors
/// Everything that is wrong with them: where, and what to do.
pub fn load<S: Settings>(common: &Common, flags: Vec<Flag>) -> Result<Loaded<S>, Failure> {
    let wrong = |message: String| Failure::invalid("SETTINGS", message);
    let folders = Folders::of_user().map_err(|error| {
        Failure::environment("FOLDERS", error.to_string())
            .advice(format!("set {HOME_VARIABLE} to an absolute path"))
    })?;
    let variables = nebula_system::variables(PREFIX).map_err(|error| wrong(error.to_string()))?;
    let layers = Layers::new(&S::default());
    let (mut layers, file) = match &common.config {
        Some(file) => (layers.file(file), file.clone()),
        None => {
            let file = folders.config.join(format!("{}.toml", S::PROGRAM));
            (layers.optional_file(&file), file)
        }
    };
    layers = layers.environment(PREFIX, RESERVED, variables);
    for flag in common.flags().into_iter().chain(flags) {
        layers = layers.flag(flag);
    }
    let (settings, sources) = layers.build::<S>().map_err(|error| {
        let advice = format!(
            "correct or remove what is named; `{} config show` lists every key",
            S::PROGRAM
        );
        wrong(error.to_string()).advice(advice)
    })?;
    let groups = settings.groups();
    for (key, path) in [
        ("storage.address_file", &groups.storage.address_file),
        ("queue.address_file", &groups.queue.address_file),
        ("shared.blobs", &groups.shared.blobs),
        ("shared.resume_key", &groups.shared.resume_key),
        ("secrets.path", &groups.secrets.path),
        ("secrets.key_file", &groups.secrets.key_file),
    ] {
        absolute(&sources, key, path)?;
    }
    absolute(
        &sources,
        "connections.ca_files",
        &groups.connections.ca_files,
    )?;
    for (key, path) in settings.paths() {
        absolute(&sources, key, [path])?;
    }
    Addresses::of(&groups, &folders)?;
    Ok(Loaded {
        settings,
        sources,
        folders,
        file,
        log: None,
        left_out: None,
    })
}
