//! Where those who watch learn what became true.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use nebula_execution::ExecutionEvent;

/// What a watcher gets.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// The next event.
    Event(Arc<ExecutionEvent>),
    /// The watcher was too slow, and this many events are gone. The journals have them.
    Lost(u64),
}

/// Shows what becomes true to everybody who watches: people and dashboards. Nothing is ever driven by
/// an event: losing all of them loses no work, and the journals have them.
///
/// Rules (each is a test of `nebula_testkit::event_sink!`): every watcher gets every event, in the order of
/// their publication; what came before it began is not for it; one that is too slow gets the newest events
/// and is told, in their place, how many it lost; it holds up neither who publishes nor other watchers; a
/// call that is given up loses nothing; whoever waits is woken; the sink knows whether anybody watches; what
/// was published is seen after the sink is gone, and then nothing more comes.
pub trait EventSink: fmt::Debug + Send + Sync + 'static {
    /// Whether anybody watches now: if not, an event need not be made.
    fn is_watched(&self) -> bool;

    /// Shows an event to everybody who watches now. Never waits and never fails: where watchers cannot
    /// be reached, they lose it.
    fn publish(&self, event: ExecutionEvent);

    /// Watches whatever is published from now on, of all tenants.
    fn watch(&self) -> Box<dyn EventWatch>;
}

/// One who watches; from [`EventSink::watch`].
#[async_trait]
pub trait EventWatch: fmt::Debug + Send + 'static {
    /// The next event, or how many were lost; `None` once nothing can come any more.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing.
    async fn next(&mut self) -> Option<Received>;
}
