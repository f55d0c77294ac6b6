//! A [`Scratch`] of models.

use std::sync::Arc;

use async_trait::async_trait;
use nebula_core::Clock;
use nebula_ports::{Result, Scratch, ScratchStores};

use crate::{MemoryExecutionRepo, MemoryTaskQueue, MemoryWorkflowRepo};

/// Gives new models at each call.
#[derive(Debug)]
pub struct MemoryScratch(Arc<dyn Clock>);

impl MemoryScratch {
    /// They go by this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self(clock)
    }
}

#[async_trait]
impl Scratch for MemoryScratch {
    async fn open(&self) -> Result<ScratchStores> {
        let clock = || Arc::clone(&self.0);
        Ok(ScratchStores {
            executions: Arc::new(MemoryExecutionRepo::new(clock())),
            workflows: Arc::new(MemoryWorkflowRepo::new(clock())),
            queue: Arc::new(MemoryTaskQueue::new(clock(), 1_000, 100)),
        })
    }
}
