//! Stores that forget.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use crate::{ExecutionRepo, Result, TaskQueue, WorkflowRepo};

/// Stores that belong to each other, and to nobody else.
#[derive(Debug, Clone)]
pub struct ScratchStores {
    /// Executions.
    pub executions: Arc<dyn ExecutionRepo>,
    /// Workflows and plans.
    pub workflows: Arc<dyn WorkflowRepo>,
    /// The doorbell.
    pub queue: Arc<dyn TaskQueue>,
}

/// Gives empty stores in memory, for what is executed and leaves no record.
///
/// Rules: each call gives others, which keep to the rules of their ports but for durability; dropping them
/// forgets what is in them.
#[async_trait]
pub trait Scratch: fmt::Debug + Send + Sync + 'static {
    /// Empty stores.
    ///
    /// # Errors
    /// `Unavailable`: there is no room for them now.
    ///
    /// # Cancel safety
    /// A dropped call leaves nothing.
    async fn open(&self) -> Result<ScratchStores>;
}
