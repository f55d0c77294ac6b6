//! The worker's settings: its defaults < its file < the environment < flags.

use std::{net::SocketAddr, time::Duration};

use nebula_core::serde_duration;
use nebula_fleet::settings::{
    Groups, PoolSettings, QueueSettings, Settings, SharedSettings, StorageSettings,
};
use nebula_program::{
    failure::Failure,
    settings::{ConnectionSettings, LogSettings, SecretsSettings},
};
use nebula_runtime::{HttpPolicy, WorkerConfig};
use serde::{Deserialize, Serialize};

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
            pool: PoolSettings::default(),
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

    fn pool(&self) -> PoolSettings {
        self.pool.clone()
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
        self.pool.takes()?;
        Ok(())
    }
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
        says(|it| it.pool.group = "a".repeat(49), "`pool.group`");
        says(|it| it.pool.tags = vec!["GPU 1".to_owned()], "`GPU 1`");
        says(|it| it.pool.tags = vec!["a".to_owned(); 33], "33 tags");
    }
}
