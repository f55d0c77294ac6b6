//! What executions hold in memory, and the limits for it.
//!
//! The values of a state are counted: exactly when an execution comes into the worker's hands and
//! when an estimate passes the limit, by estimate between. What is shared counts once.

use std::sync::Arc;

use nebula_action::ActionError;
use nebula_core::{ByteSize, MemoryPressure};
use nebula_execution::{Elements, Fact, Footprint, InstanceId, Machine, footprint};
use nebula_memory::ByteLease;
use serde_json::Value;

use crate::{drive::Drive, flush::each_value, worker::Shared};

/// What one execution in the worker's hands holds of the worker's memory, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    state: ByteLease,
    /// What was read from blobs and is at hand now.
    read: ByteLease,
}

impl Held {
    pub(crate) fn new(shared: &Shared, machine: &Machine) -> Self {
        let (mut state, read) = (shared.budget.lease(), shared.budget.lease());
        let mut all = Footprint::default();
        all.state(machine.state());
        state.set(all.bytes());
        Self { state, read }
    }

    /// More, by estimate.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.state.add(bytes);
    }

    /// From now on so much is at hand that was read from blobs.
    pub(crate) fn read(&mut self, bytes: usize) {
        self.read.set(bytes);
    }

    /// What its state counts.
    pub(crate) fn state_bytes(&self) -> usize {
        self.state.bytes()
    }

    pub(crate) fn read_bytes(&self) -> usize {
        self.read.bytes()
    }

    /// All that it counts.
    pub(crate) fn all(&self) -> usize {
        self.state.bytes().saturating_add(self.read.bytes())
    }
}

impl Shared {
    /// Whether the executions in this worker's hands leave no room for another one. Where there is
    /// none, there is room, since the limit is not zero: an execution alone goes on up to its own.
    ///
    /// What is only kept in case it is read again makes room first.
    pub(crate) fn is_full(&self) -> bool {
        let room = match self.is_pressed() {
            true => 0,
            false => self.budget.left(),
        };
        if let Some(values) = &self.ports.values {
            values.shrink_to(room);
        }
        self.kept.shrink_to(room);
        self.budget.is_spent() || self.is_short()
    }

    /// Whether memory is hard to get, whoever has it, and something is in this worker's hands. Alone, an
    /// execution is taken all the same: it is others that have the memory then, and might keep it.
    pub(crate) fn is_short(&self) -> bool {
        self.budget.held() > 0 && self.is_pressed()
    }

    fn is_pressed(&self) -> bool {
        let pressure = self.ports.pressure.as_deref();
        pressure.is_some_and(MemoryPressure::is_short)
    }
}

impl Drive {
    /// Counts what an entry brings.
    pub(crate) fn counts(&mut self, fact: &Fact) {
        let mut more = 0;
        each_value(fact, &mut |value| more += footprint(value));
        self.held.add(more);
    }

    /// Whether the execution can hold what a node gave.
    ///
    /// # Errors
    /// `MEMORY_LIMIT`.
    pub(crate) fn has_room_for(
        &mut self,
        instance: &InstanceId,
        output: &Arc<Value>,
    ) -> Result<(), ActionError> {
        // Somebody has it already.
        if Arc::strong_count(output) > 1 {
            return Ok(());
        }
        self.has_room(instance, "the result", footprint(output))
    }

    /// Whether the execution can hold a list while a node runs for its elements.
    ///
    /// # Errors
    /// `MEMORY_LIMIT`.
    pub(crate) fn has_room_for_list(
        &mut self,
        instance: &InstanceId,
        list: &Elements,
    ) -> Result<(), ActionError> {
        let mut bytes = Footprint::default();
        if let Elements::Given(given) = list {
            bytes.given(given);
        }
        self.has_room(instance, "the list", bytes.bytes())?;
        self.held.add(bytes.bytes());
        Ok(())
    }

    fn has_room(
        &mut self,
        instance: &InstanceId,
        what: &str,
        more: usize,
    ) -> Result<(), ActionError> {
        let limit = self.shared.config.execution_memory;
        let fits = |held: &Held| held.state.bytes().saturating_add(more) <= limit.as_usize();
        if fits(&self.held) {
            return Ok(());
        }
        self.measure();
        if fits(&self.held) {
            return Ok(());
        }
        let size = |bytes: usize| ByteSize::kib((bytes as u64).div_ceil(1024));
        let message = format!(
            "{what} of `{instance}` takes about {} of memory, and the execution holds {} already; \
             the limit is {limit}; give less, put parts of the work into bodies or called \
             workflows, or raise the worker's `execution_memory`",
            size(more),
            size(self.held.state.bytes()),
        );
        Err(ActionError::limit("MEMORY_LIMIT", message))
    }

    /// Counts what the execution holds now.
    fn measure(&mut self) {
        let mut all = Footprint::default();
        all.state(self.machine.state());
        for list in self.lists.values() {
            if let Elements::Given(given) = list {
                all.given(given);
            }
        }
        self.held.state.set(all.bytes());
    }
}
