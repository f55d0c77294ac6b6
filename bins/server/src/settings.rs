//! The server's settings: its defaults < its file < the environment < flags.

use std::{collections::BTreeMap, path::PathBuf};

use nebula_control_plane::Served;
use nebula_engine::EngineConfig;
use nebula_fleet::settings::{
    Groups, PoolSettings, QueueSettings, Settings, SharedSettings, StorageSettings,
};
use nebula_program::settings::{ConnectionSettings, LogSettings, ProcessSettings, SecretsSettings};
use nebula_runtime::{HttpPolicy, WorkerConfig};
use nebula_serve::settings::ServeSettings;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Every setting of the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerSettings {
    /// Where executions are kept.
    pub(crate) storage: StorageSettings,
    /// Where tasks are rung for.
    pub(crate) queue: QueueSettings,
    /// What all processes over one store see.
    pub(crate) shared: SharedSettings,
    /// Limits of starts and plans.
    pub(crate) engine: EngineConfig,
    /// Limits of the worker.
    pub(crate) worker: WorkerConfig,
    /// Which workers it is one of.
    pub(crate) pool: PoolSettings,
    /// How it answers.
    pub(crate) serve: ServeSettings,
    /// What requests over HTTP keep to.
    pub(crate) http: HttpPolicy,
    /// How connections over HTTP are made.
    pub(crate) connections: ConnectionSettings,
    /// Which programs may run; none by default.
    pub(crate) process: ProcessSettings,
    /// Where secrets are kept.
    pub(crate) secrets: SecretsSettings,
    /// What is logged.
    pub(crate) log: LogSettings,
    /// `$vars`: what workflows may see of the operator's values.
    pub(crate) vars: BTreeMap<String, Value>,
}

impl Default for ServerSettings {
    /// The preset: 64 executions, and 64 attempts of one of them, at a time.
    fn default() -> Self {
        Self {
            storage: StorageSettings::default(),
            queue: QueueSettings::default(),
            shared: SharedSettings::default(),
            engine: EngineConfig {
                concurrency: 64,
                ..EngineConfig::default()
            },
            worker: WorkerConfig {
                executions: 64,
                ..WorkerConfig::default()
            },
            pool: PoolSettings::default(),
            serve: ServeSettings::default(),
            http: HttpPolicy::default(),
            connections: ConnectionSettings::default(),
            process: ProcessSettings::default(),
            secrets: SecretsSettings::default(),
            log: LogSettings::default(),
            vars: BTreeMap::new(),
        }
    }
}

impl Settings for ServerSettings {
    const PROGRAM: &'static str = "nebula-server";

    fn groups(&self) -> Groups<'_> {
        Groups {
            storage: &self.storage,
            queue: &self.queue,
            shared: &self.shared,
            secrets: &self.secrets,
            connections: &self.connections,
            log: &self.log,
        }
    }

    fn pool(&self) -> PoolSettings {
        self.pool.clone()
    }

    fn paths(&self) -> Vec<(&'static str, &PathBuf)> {
        let files = [
            ("serve.tls_cert", &self.serve.tls_cert),
            ("serve.tls_key", &self.serve.tls_key),
        ];
        let given = files.into_iter();
        let files = given.filter_map(|(key, path)| Some((key, path.as_ref()?)));
        let programs = self.process.allow.iter().map(|it| ("process.allow", it));
        files.chain(programs).collect()
    }
}

impl Served for ServerSettings {
    fn serve(&self) -> &ServeSettings {
        &self.serve
    }

    fn http(&self) -> &HttpPolicy {
        &self.http
    }

    fn vars(&self) -> &BTreeMap<String, Value> {
        &self.vars
    }
}
