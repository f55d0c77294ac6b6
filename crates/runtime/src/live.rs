//! The executions in a worker's hands, each with a bell.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::FutureExt;
use nebula_core::ExecutionId;

use crate::sync::{Mutex, Notify};

/// Who is there to be rung for.
#[derive(Debug, Default)]
pub(crate) struct Live {
    bells: Mutex<BTreeMap<ExecutionId, Arc<Notify>>>,
}

/// An execution in our hands, until it is dropped.
#[derive(Debug)]
pub(crate) struct InHand<'a> {
    live: &'a Live,
    execution: ExecutionId,
    bell: Arc<Notify>,
}

impl Live {
    /// Takes an execution into our hands, with a new bell.
    pub(crate) fn take(&self, execution: ExecutionId) -> InHand<'_> {
        let bell = Arc::new(Notify::new());
        self.bells.lock().insert(execution, bell.clone());
        InHand {
            live: self,
            execution,
            bell,
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.bells.lock().len()
    }

    /// Rings for `execution`; `false` where it is not in our hands.
    pub(crate) fn ring(&self, execution: ExecutionId) -> bool {
        // Under the lock: once it has left our hands, nobody rings its bell any more.
        let bells = self.bells.lock();
        let bell = bells.get(&execution);
        bell.inspect(|bell| bell.notify_one()).is_some()
    }
}

impl InHand<'_> {
    pub(crate) fn bell(&self) -> Arc<Notify> {
        self.bell.clone()
    }

    /// Lets it go; whether somebody has rung since the bell was last heard.
    pub(crate) fn leave(self) -> bool {
        let bell = self.bell();
        drop(self);
        bell.notified().now_or_never().is_some()
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        let mut bells = self.live.bells.lock();
        // A later lease may have put its own bell there.
        let own = bells.get(&self.execution);
        if own.is_some_and(|bell| Arc::ptr_eq(bell, &self.bell)) {
            bells.remove(&self.execution);
        }
    }
}
