//! The sink that reaches every watcher in the process.

use std::sync::Arc;

use async_trait::async_trait;
use nebula_execution::ExecutionEvent;
use nebula_ports::{EventSink, EventWatch, Received};
use tokio::sync::broadcast::{self, error::RecvError};

/// A bounded broadcast within the process.
#[derive(Debug)]
pub struct Broadcast {
    sender: broadcast::Sender<Arc<ExecutionEvent>>,
}

impl Broadcast {
    /// Keeps at least `capacity` events for watchers that are behind; at least one.
    ///
    /// The room is rounded up to a power of two and taken at once: a few dozen bytes for each event.
    /// What a workflow emits is kept beside it until every watcher has seen it.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            sender: broadcast::Sender::new(capacity.max(1)),
        }
    }
}

impl EventSink for Broadcast {
    fn is_watched(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    fn publish(&self, event: ExecutionEvent) {
        if self.is_watched() {
            // An error says that the last watcher left just now.
            let _ = self.sender.send(Arc::new(event));
        }
    }

    fn watch(&self) -> Box<dyn EventWatch> {
        Box::new(Receiver(self.sender.subscribe()))
    }
}

#[derive(Debug)]
struct Receiver(broadcast::Receiver<Arc<ExecutionEvent>>);

#[async_trait]
impl EventWatch for Receiver {
    async fn next(&mut self) -> Option<Received> {
        match self.0.recv().await {
            Ok(event) => Some(Received::Event(event)),
            Err(RecvError::Lagged(lost)) => Some(Received::Lost(lost)),
            Err(RecvError::Closed) => None,
        }
    }
}
