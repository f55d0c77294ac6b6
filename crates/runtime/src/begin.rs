//! Executions that do not exist before their first step: who starts one and waits for its end has
//! nobody told its id, so creation and first step may share a transaction.

use nebula_core::ExecutionId;
use nebula_execution::NewExecution;
use nebula_ports::{DedupeKey, ErrorKind, PortError};
use tokio::sync::oneshot;

use crate::{
    Worker,
    worker::{Handed, lock},
};

/// What became of an execution that a worker was to begin.
#[derive(Debug)]
pub enum Beginning {
    /// It exists, or the one that its dedupe key began before.
    There(ExecutionId),
    /// The worker has no room for it, or stops: it is for its creator to create it.
    Back(Box<NewExecution>),
    /// The store failed. With `Unavailable` it may exist.
    Failed(PortError),
}

/// Who is told what became of it.
#[derive(Debug)]
pub(crate) struct Unborn {
    pub(crate) dedupe: Option<DedupeKey>,
    told: oneshot::Sender<Beginning>,
}

impl Unborn {
    /// Who no longer listens need not know.
    pub(crate) fn becomes(self, beginning: Beginning) {
        let _ = self.told.send(beginning);
    }
}

/// Tells a creator what became of its execution.
#[derive(Debug)]
pub struct Begins(oneshot::Receiver<Beginning>);

impl Begins {
    /// What became of it, once.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing.
    pub async fn outcome(&mut self) -> Beginning {
        (&mut self.0).await.unwrap_or_else(|_| {
            let message = "the worker went away while it began the execution; it may exist";
            let error = PortError::new(ErrorKind::Unavailable, "runtime", "begin", message);
            Beginning::Failed(error)
        })
    }
}

impl Worker {
    /// Takes over an execution that does not exist yet. It is created with its first step: when
    /// pure work has come to its end or takes long, and before anything outside begins. Given back
    /// at once where it takes turns for its start, where the worker does not run, and where too many
    /// wait for it.
    ///
    /// # Errors
    /// The execution: it is for the caller to create it.
    pub fn begin(
        &self,
        new: NewExecution,
        dedupe: Option<DedupeKey>,
    ) -> Result<Begins, Box<NewExecution>> {
        let asked = self.shared.ports.clock.monotonic();
        // Kept until it is handed over: a worker that stops gives back what it finds.
        let at_home = lock(&self.shared.adopted);
        let waits = new.slot.is_some() || new.rate.is_some() || !new.quotas.is_none();
        if at_home.is_some() || waits {
            return Err(Box::new(new));
        }
        let (told, tells) = oneshot::channel();
        let unborn = Unborn { dedupe, told };
        let handed = Handed::Unborn(Box::new(new), asked, unborn);
        match self.shared.adopt.try_send(handed) {
            Ok(()) => Ok(Begins(tells)),
            Err(refused) => match refused.into_inner() {
                Handed::Unborn(new, ..) => Err(new),
                Handed::Lease { .. } => unreachable!("it was no lease"),
            },
        }
    }
}
