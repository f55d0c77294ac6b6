//! The worker's settings: its defaults < its file < the environment < flags.

use std::{net::SocketAddr, time::Duration};

use nebula_core::serde_duration;
use nebula_fleet::settings::{Groups, QueueSettings, Settings, SharedSettings, StorageSettings};
use nebula_program::{
    failure::Failure,
    settings::{ConnectionSettings, LogSettings, SecretsSettings},
};
use nebula_runtime::{HttpPolicy, WorkerConfig};
use serde::{Deserialize, Serialize};

/// The most tags of a worker.
const MAX_TAGS: usize = 32;
/// The longest name of a group or tag, in bytes.
const MAX_NAME: usize = 64;

/// Every setting of the worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkerSettings {
    /// Where executions are kept.
    pub(crate) storage: StorageSettings,
    /// Where tasks are rung for.
    pub(crate) queue: QueueSettings,
    /// What all processes of the fleet see.
    pub(crate) shared: SharedSettings,
    /// Limits of the worker.
    pub(crate) worker: WorkerConfig,
    /// Which workers it is one of.
    pub(crate) pool: PoolSettings,
    /// How it looks for work that nobody rang for, where its queue is its own.
    pub(crate) sweep: SweepSettings,
    /// Where health and metrics are told.
    pub(crate) health: HealthSettings,
    /// What requests over HTTP keep to.
    pub(crate) http: HttpPolicy,
    /// How connections over HTTP are made.
    pub(crate) connections: ConnectionSettings,
    /// Where secrets are kept.
    pub(crate) secrets: SecretsSettings,
    /// What is logged.
    pub(crate) log: LogSettings,
}

/// Which workers it is one of. It is shown; no node chooses its workers yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PoolSettings {
    /// Their name: small letters, digits, `-`, `_`, `.`.
    pub(crate) group: String,
    /// What it has that others have not; of the same characters.
    pub(crate) tags: Vec<String>,
}

/// How it looks for work that nobody rang for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SweepSettings {
    /// How often at least.
    #[serde(with = "serde_duration")]
    pub(crate) every: Duration,
    /// How long after a ring an execution that nobody took is rung for again, by whomever.
    #[serde(with = "serde_duration")]
    pub(crate) ring_again: Duration,
}

/// Where health and metrics are told, to whoever asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HealthSettings {
    /// The address; what reaches it is told, so it should be one of operators alone.
    pub(crate) listen: SocketAddr,
}

impl Default for WorkerSettings {
    /// The preset: 64 executions, a grace that fits into the thirty seconds that orchestrators give, and a
    /// store that fails for a while ends nothing.
    fn default() -> Self {
        Self {
            storage: StorageSettings::default(),
            queue: QueueSettings::default(),
            shared: SharedSettings::default(),
            worker: WorkerConfig {
                executions: 64,
                grace: Duration::from_secs(20),
                ..WorkerConfig::default()
            },
            pool: PoolSettings {
                group: "default".to_owned(),
                tags: Vec::new(),
            },
            sweep: SweepSettings {
                every: Duration::from_secs(1),
                ring_again: Duration::from_secs(5),
            },
            health: HealthSettings {
                listen: SocketAddr::from(([127, 0, 0, 1], 7401)),
            },
            http: HttpPolicy::default(),
            connections: ConnectionSettings::default(),
            secrets: SecretsSettings::default(),
            log: LogSettings::default(),
        }
    }
}

impl Settings for WorkerSettings {
    const PROGRAM: &'static str = "nebula-worker";

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
}

impl WorkerSettings {
    /// Refuses what cannot work, before anything is opened.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let wrong = |message: String| Failure::invalid("SETTINGS", message);
        self.worker.check().map_err(|error| {
            wrong(format!("worker: {error}")).advice("correct it in the settings")
        })?;
        self.http.check().map_err(|error| {
            wrong(format!("http: {error}")).advice("correct it in the settings")
        })?;
        if self.sweep.every.is_zero() {
            return Err(wrong("`sweep.every` is zero; it must be more".to_owned())
                .advice("write how often it is to look, such as 1s"));
        }
        let tags = &self.pool.tags;
        if tags.len() > MAX_TAGS {
            let message = format!(
                "`pool.tags` has {} tags, and at most {MAX_TAGS}",
                tags.len()
            );
            return Err(wrong(message).advice("keep those by which work is to be told apart"));
        }
        let group = ("pool.group", &self.pool.group);
        let all = tags.iter().map(|tag| ("pool.tags", tag)).chain([group]);
        for (key, name) in all {
            if !is_name(name) {
                let shown: String = name.chars().take(MAX_NAME).collect();
                let message = format!("`{key}`: `{shown}` is no name of a group or tag");
                let advice = format!(
                    "write 1 to {MAX_NAME} small letters, digits, `-`, `_` and `.`, such as gpu"
                );
                return Err(wrong(message).advice(advice));
            }
        }
        Ok(())
    }
}

fn is_name(text: &str) -> bool {
    let fits = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.');
    !text.is_empty() && text.len() <= MAX_NAME && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused() {
        let refused = |change: fn(&mut WorkerSettings)| {
            let mut settings = WorkerSettings::default();
            change(&mut settings);
            settings.check().map_err(|failure| failure.message)
        };
        assert_eq!(refused(|_| {}), Ok(()));
        let says = |change, text: &str| {
            let message = refused(change).unwrap_err();
            assert!(message.contains(text), "{message}");
        };
        says(|it| it.worker.executions = 0, "`executions` is zero");
        says(|it| it.worker.lease_ttl = Duration::ZERO, "`lease_ttl`");
        says(|it| it.http.concurrency = 0, "http:");
        says(|it| it.sweep.every = Duration::ZERO, "`sweep.every`");
        says(|it| it.pool.group = String::new(), "`pool.group`");
        says(|it| it.pool.group = "a".repeat(65), "`pool.group`");
        says(|it| it.pool.tags = vec!["GPU 1".to_owned()], "`GPU 1`");
        says(|it| it.pool.tags = vec!["a".to_owned(); 33], "33 tags");
    }
}
