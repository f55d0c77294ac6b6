//! Looks of triggers: executions in stores that forget.

use std::{sync::Arc, time::Duration};

use nebula_access::Access;
use nebula_action::Protected;
use nebula_core::BoxFuture;
use nebula_engine::{
    Engine, EngineConfig, EnginePorts, InstallError, Look, Looker, check_look, found_by,
    look_options,
};
use nebula_ports::Scratch;
use nebula_registry::Registry;
use nebula_runtime::{PacedHttp, Worker, WorkerConfig, WorkerPorts};
use nebula_telemetry::Bus;
use nebula_workflow::Diagnostic;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::Nebula;

/// How much longer than its own limit a look may take, before it is given up.
const OVERTIME: Duration = Duration::from_secs(5);

/// Executes each look with an engine and a worker of its own, over stores that are gone when it ends; the way
/// out, the credentials and the actions are those of everybody.
#[derive(Debug)]
pub(crate) struct Looks {
    pub(crate) scratch: Arc<dyn Scratch>,
    /// Those of the engine that looks; their stores are replaced.
    pub(crate) ports: WorkerPorts,
    pub(crate) registry: Arc<Registry>,
    pub(crate) http: Option<Arc<PacedHttp>>,
    pub(crate) access: Option<Access>,
    pub(crate) worker: WorkerConfig,
    pub(crate) engine: EngineConfig,
    pub(crate) protected: Protected,
}

impl Looks {
    /// An engine that nobody else knows.
    async fn apart(&self) -> Result<Nebula, String> {
        let stores = self
            .scratch
            .open()
            .await
            .map_err(|error| error.to_string())?;
        let bus = Bus::new(Bus::DEFAULT_CAPACITY);
        let ports = WorkerPorts {
            executions: stores.executions.clone(),
            workflows: stores.workflows.clone(),
            queue: stores.queue.clone(),
            // What a look puts into a blob, nobody would name.
            values: None,
            resume: None,
            ..self.ports.clone()
        };
        let engine = EnginePorts {
            executions: stores.executions.clone(),
            workflows: stores.workflows,
            tenants: None,
            triggers: None,
            folders: None,
            looker: None,
            queues: None,
            queue: stores.queue,
            clock: self.ports.clock.clone(),
            entropy: self.ports.entropy.clone(),
            values: None,
            resume: None,
        };
        let config = WorkerConfig {
            executions: 1,
            ..self.worker.clone()
        };
        let protected = self.protected.clone();
        let worker = Worker::new(ports, self.registry.clone(), bus.clone(), config, protected);
        let engine = Engine::new(
            engine,
            self.registry.clone(),
            bus.clone(),
            self.engine.clone(),
        );
        Ok(Nebula::from_parts(
            (engine, Some(worker)),
            self.registry.clone(),
            (bus, None),
            (Arc::from([]), stores.executions),
            (self.http.clone(), self.access.clone()),
        ))
    }

    async fn found(&self, look: Look) -> Result<Value, String> {
        let nebula = self.apart().await?;
        let engine = nebula.engine();
        let installed = engine.unsaved(&look.tenant, &look.definition).await;
        let installed = installed.map_err(|error| match error {
            // A later build may know less than the one that published it.
            InstallError::Diagnostics(found) => {
                let first = found.into_iter().find(Diagnostic::is_error);
                first.map_or_else(String::new, |it| it.message)
            }
            error => error.to_string(),
        })?;
        check_look(&installed.plan)?;
        let options = look_options(engine, &installed, &look)?;
        let stop = CancellationToken::new();
        let executed = nebula.execute(&look.tenant, &installed, json!({}), options);
        let (clock, limit) = (&self.ports.clock, look.timeout + OVERTIME);
        tokio::select! {
            biased;
            executed = executed => match executed {
                Ok((_, end)) => found_by(end),
                Err(error) => Err(error.to_string()),
            },
            stopped = nebula.run(stop) => match stopped {
                Ok(()) => Err("what executes it stopped".to_owned()),
                Err(error) => Err(error.to_string()),
            },
            () = clock.sleep(limit) => {
                Err("it took longer than its `timeout`".to_owned())
            }
        }
    }
}

impl Looker for Looks {
    fn look(&self, look: Look) -> BoxFuture<'_, Result<Value, String>> {
        Box::pin(self.found(look))
    }
}
