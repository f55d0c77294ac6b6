//! The control plane's settings: its defaults < its file < the environment < flags.

use std::{collections::BTreeMap, path::PathBuf};

use nebula_control_plane::Served;
use nebula_engine::EngineConfig;
use nebula_fleet::settings::{Groups, QueueSettings, Settings, SharedSettings, StorageSettings};
use nebula_program::settings::{ConnectionSettings, LogSettings, SecretsSettings};
use nebula_runtime::HttpPolicy;
use nebula_serve::settings::ServeSettings;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Every setting of the control plane.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ControlPlaneSettings {
    /// Where executions are kept.
    pub(crate) storage: StorageSettings,
    /// Where tasks are rung for.
    pub(crate) queue: QueueSettings,
    /// What all processes of the fleet see.
    pub(crate) shared: SharedSettings,
    /// Limits of starts and plans.
    pub(crate) engine: EngineConfig,
    /// How it answers.
    pub(crate) serve: ServeSettings,
    /// What requests for tokens keep to.
    pub(crate) http: HttpPolicy,
    /// How connections over HTTP are made.
    pub(crate) connections: ConnectionSettings,
    /// Where secrets are kept.
    pub(crate) secrets: SecretsSettings,
    /// What is logged.
    pub(crate) log: LogSettings,
    /// `$vars`: what workflows may see of the operator's values.
    pub(crate) vars: BTreeMap<String, Value>,
}

impl Settings for ControlPlaneSettings {
    const PROGRAM: &'static str = "nebula-control-plane";

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

    fn paths(&self) -> Vec<(&'static str, &PathBuf)> {
        let files = [
            ("serve.tls_cert", &self.serve.tls_cert),
            ("serve.tls_key", &self.serve.tls_key),
        ];
        let given = files.into_iter();
        given
            .filter_map(|(key, path)| Some((key, path.as_ref()?)))
            .collect()
    }
}

impl Served for ControlPlaneSettings {
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
