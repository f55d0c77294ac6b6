//! The way of one process to the stores and to the queue: everything that can go wrong on it does.

mod blobs;
mod credentials;
mod executions;
mod queue;
mod secrets;
mod triggers;
mod workflows;

use std::{fmt, sync::Arc, time::Duration};

use nebula_core::{Clock, ExecutionId};
use nebula_ports::{ErrorKind, PortError, Receipt, Result};
use tokio::sync::oneshot;

use super::{
    scheduler::{Life, Owner},
    world::{Fate, World},
};
use crate::MemoryTaskQueue;

/// How long a caller waits for a store that it cannot reach.
const GIVES_UP: Duration = Duration::from_secs(2);

/// One process's way to the shared world.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) world: Arc<World>,
    pub(super) life: Life,
    pub(super) queue: Arc<MemoryTaskQueue>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wire").field(&self.life).finish()
    }
}

fn lost(operation: &'static str) -> PortError {
    let message = "the connection broke";
    PortError::new(ErrorKind::Unavailable, "simulated", operation, message)
}

impl Wire {
    /// What this process was delivered for an execution, if that is one thing only.
    fn only_receipt(&self, execution: ExecutionId) -> Option<Receipt> {
        let hands = self.world.hands.lock();
        match hands.get(&(self.life, execution))?.receipts.as_slice() {
            [receipt] => Some(receipt.clone()),
            _ => None,
        }
    }

    /// Makes a call, or lets happen to it what chance decides.
    async fn call<T: Send + 'static>(
        &self,
        operation: &'static str,
        writes: bool,
        work: impl FnOnce(&World, Life) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let fate = self.world.fate(operation, self.life, writes);
        self.fated(operation, fate, work).await
    }

    /// Makes a call to which this happens.
    async fn fated<T: Send + 'static>(
        &self,
        operation: &'static str,
        fate: Fate,
        work: impl FnOnce(&World, Life) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (world, life) = (&self.world, self.life);
        world.note(operation, life);
        match fate {
            Fate::Plain => work(world, life),
            Fate::Refused => Err(lost(operation)),
            Fate::Unanswered => {
                let _ = work(world, life);
                Err(lost(operation))
            }
            Fate::Full => {
                let message = "there is no room left";
                Err(PortError::new(
                    ErrorKind::Full,
                    "simulated",
                    operation,
                    message,
                ))
            }
            Fate::Cut { arrives } => {
                if arrives {
                    let _ = work(world, life);
                }
                world.clock.sleep(GIVES_UP).await;
                Err(lost(operation))
            }
            Fate::Dies { arrives } => {
                if arrives {
                    let _ = work(world, life);
                }
                world.kill(life);
                std::future::pending().await
            }
            Fate::Slow { there, back } => {
                // The request is on its way, whatever becomes of the caller.
                let (answer, answered) = oneshot::channel();
                let travelling = world.clone();
                world.board.spawn(Owner::World, async move {
                    travelling.clock.sleep(there).await;
                    let _ = answer.send(work(&travelling, life));
                });
                let answer = answered.await.map_err(|_| lost(operation))?;
                world.clock.sleep(back).await;
                answer
            }
        }
    }
}
