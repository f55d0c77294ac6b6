//! The desktop preset's settings: its defaults < the user's file < the environment < flags.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use nebula_config::{Flag, Layers, Sources};
use nebula_core::{ByteSize, serde_duration};
use nebula_engine::EngineConfig;
use nebula_program::{
    settings::{
        ConnectionSettings, LogSettings, ProcessSettings, SecretsSettings, absolute, relative,
    },
    shown,
};
use nebula_runtime::{HttpPolicy, WorkerConfig};
use nebula_serve::settings::ServeSettings;
use nebula_system::{Folders, HOME_VARIABLE};
use nebula_telemetry::{LinesLeftOut, LogFilter};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    arguments::{Database, Global, Target},
    exports::Copies,
    failure::Failure,
    server::{SERVER_VARIABLE, ServerUrl, TOKEN_VARIABLE},
};

/// Settings come from variables with this prefix: `NEBULA_DATABASE__PATH`.
const PREFIX: &str = "NEBULA_";
/// Variables with the prefix that are no settings.
const RESERVED: &[&str] = &[
    HOME_VARIABLE,
    "NEBULA_REQUIRE_BACKENDS",
    KEY_VARIABLE,
    SERVER_VARIABLE,
    TOKEN_VARIABLE,
];
/// The variable that is usually named by `secrets.key_variable`.
pub(crate) const KEY_VARIABLE: &str = "NEBULA_SECRETS_KEY";
/// The settings file's name in the user's config folder.
pub(crate) const FILE_NAME: &str = "nebula.toml";

/// Every setting of the desktop binary.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where executions are kept.
    pub(crate) database: DatabaseSettings,
    /// Limits of starts and plans.
    pub(crate) engine: EngineConfig,
    /// Limits of the worker.
    pub(crate) worker: WorkerConfig,
    /// What requests over HTTP keep to.
    pub(crate) http: HttpPolicy,
    /// How connections over HTTP are made.
    pub(crate) connections: ConnectionSettings,
    /// Which programs may run; none by default.
    pub(crate) process: ProcessSettings,
    /// Where secrets are kept.
    pub(crate) secrets: SecretsSettings,
    /// How `nebula serve` answers.
    pub(crate) serve: ServeSettings,
    /// What is logged.
    pub(crate) log: LogSettings,
    /// What `nebula serve` exports to a receiver of OpenTelemetry.
    #[cfg(feature = "otlp")]
    pub(crate) otlp: nebula_telemetry::OtlpConfig,
    /// `$vars`: what workflows may see of the operator's values.
    pub(crate) vars: BTreeMap<String, Value>,
}

/// Where executions are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DatabaseSettings {
    /// The file; default: `nebula.db` in the user's data folder.
    pub(crate) path: Option<PathBuf>,
    /// How long a write waits for another process that writes.
    #[serde(with = "serde_duration")]
    pub(crate) busy_timeout: Duration,
    /// The size that the database does not exceed; default: none but the disk.
    pub(crate) max_size: Option<ByteSize>,
}

impl Default for Settings {
    /// The preset: four attempts of an execution at a time, and a store that fails ends the command.
    fn default() -> Self {
        Self {
            database: DatabaseSettings {
                path: None,
                busy_timeout: Duration::from_secs(5),
                max_size: None,
            },
            engine: EngineConfig {
                concurrency: 4,
                ..EngineConfig::default()
            },
            worker: WorkerConfig {
                stop_on_store_failure: true,
                ..WorkerConfig::default()
            },
            http: HttpPolicy::default(),
            connections: ConnectionSettings::default(),
            process: ProcessSettings::default(),
            secrets: SecretsSettings::default(),
            serve: ServeSettings::default(),
            log: LogSettings::default(),
            #[cfg(feature = "otlp")]
            otlp: nebula_telemetry::OtlpConfig::default(),
            vars: BTreeMap::new(),
        }
    }
}

/// Where the database of a command is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a file that the user named.
    Named(PathBuf),
    /// In the usual file, whose folder is made when it is needed.
    Usual(PathBuf),
    /// In memory.
    Memory,
    /// Behind a server.
    Server(ServerUrl),
}

impl Place {
    /// The file, if there is one.
    pub(crate) fn path(&self) -> Option<&PathBuf> {
        match self {
            Self::Named(path) | Self::Usual(path) => Some(path),
            Self::Memory | Self::Server(_) => None,
        }
    }

    /// The flag that names this database in a command for the user; empty where none is needed.
    pub(crate) fn flag(&self) -> String {
        match self {
            Self::Named(path) => format!(" --db {}", crate::shell::quoted(&path.to_string_lossy())),
            Self::Usual(_) | Self::Memory => String::new(),
            Self::Server(url) => format!(" --server {}", crate::shell::quoted(url.text())),
        }
    }

    /// The place in a sentence.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Named(_) | Self::Usual(_) | Self::Memory => "in this database".to_owned(),
            Self::Server(url) => format!("on {}, or none that you may see", url.text()),
        }
    }

    /// What to look at where something is not there.
    pub(crate) fn check(&self) -> &'static str {
        match self {
            Self::Named(_) | Self::Usual(_) | Self::Memory => "--db",
            Self::Server(_) => "--server and who you are there",
        }
    }
}

/// The settings with their sources, and the user's folders.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) settings: Settings,
    /// Where each value comes from.
    pub(crate) sources: Sources,
    pub(crate) folders: Folders,
    pub(crate) place: Place,
    /// What is exported of what is logged.
    pub(crate) copies: Copies,
    /// What decides what is logged, once something is.
    pub(crate) log: Option<LogFilter>,
    /// What counts the lines that are not.
    pub(crate) left_out: Option<LinesLeftOut>,
}

impl Loaded {
    /// What a server tells of them.
    pub(crate) fn shown(&self) -> Value {
        shown::of_server(&self.settings, &self.sources)
    }
}

/// Reads every layer.
pub(crate) fn load(global: &Global, database: Option<&Database>) -> Result<Loaded, Failure> {
    let folders = folders()?;
    let variables = nebula_system::variables(PREFIX)
        .map_err(|error| Failure::invalid("SETTINGS", error.to_string()))?;
    let mut layers = Layers::new(&Settings::default())
        .optional_file(&folders.config.join(FILE_NAME))
        .environment(PREFIX, RESERVED, variables);
    if let Some(filter) = &global.log {
        layers = layers.flag(Flag {
            name: "--log",
            key: "log.filter",
            value: filter.clone(),
        });
    }
    let (settings, sources) = layers.build::<Settings>().map_err(|error| {
        Failure::invalid("SETTINGS", error.to_string()).advice(
            "correct or remove what is named; every key is listed in bins/desktop/README.md",
        )
    })?;
    let place = place(&settings, &sources, &folders, database)?;
    for (key, path) in [
        ("secrets.path", &settings.secrets.path),
        ("secrets.key_file", &settings.secrets.key_file),
        ("serve.tls_cert", &settings.serve.tls_cert),
        ("serve.tls_key", &settings.serve.tls_key),
    ] {
        absolute(&sources, key, path)?;
    }
    absolute(
        &sources,
        "connections.ca_files",
        &settings.connections.ca_files,
    )?;
    absolute(&sources, "process.allow", &settings.process.allow)?;
    Ok(Loaded {
        settings,
        sources,
        folders,
        place,
        copies: Copies::default(),
        log: None,
        left_out: None,
    })
}

/// The same for a command that a server may answer: `--server`, or `--db`, or the variable.
pub(crate) fn load_for(global: &Global, target: &Target) -> Result<Loaded, Failure> {
    let mut loaded = load(global, Some(&target.database))?;
    if let Some(url) = server(target)? {
        loaded.place = Place::Server(url);
    }
    Ok(loaded)
}

fn server(target: &Target) -> Result<Option<ServerUrl>, Failure> {
    if let Some(text) = &target.server {
        return ServerUrl::parse(text).map(Some);
    }
    let variable = nebula_system::variable(SERVER_VARIABLE).filter(|it| !it.is_empty());
    match variable {
        Some(text) if target.database.db.is_none() => {
            let text = text.to_string_lossy();
            ServerUrl::parse(&text).map(Some)
        }
        _ => Ok(None),
    }
}

/// The user's folders.
pub(crate) fn folders() -> Result<Folders, Failure> {
    Folders::of_user().map_err(|error| {
        Failure::environment("FOLDERS", error.to_string())
            .advice(format!("set {HOME_VARIABLE} to an absolute path"))
    })
}

fn place(
    settings: &Settings,
    sources: &Sources,
    folders: &Folders,
    database: Option<&Database>,
) -> Result<Place, Failure> {
    // The flag may hold any path, also one that is no text; so it does not pass through the layers.
    if let Some(path) = database.and_then(|database| database.db.as_ref()) {
        if path.as_os_str().is_empty() {
            return Err(Failure::invalid("USAGE", "--db names no file"));
        }
        let path =
            std::path::absolute(path).map_err(|error| Failure::file(path, "find", &error))?;
        return Ok(Place::Named(path));
    }
    match &settings.database.path {
        None => Ok(Place::Usual(folders.data.join("nebula.db"))),
        Some(path) if path.is_absolute() => Ok(Place::Named(path.clone())),
        Some(path) => {
            let failure = relative(sources, "database.path", path);
            let advice = "write an absolute path there, or give --db PATH";
            Err(failure.advice(advice))
        }
    }
}
