//! States of executions that rest, for when they go on here soon.
//!
//! The journal is the truth, and a state is what follows from it up to its last entry: one that is kept
//! stands for reading it again as long as the journal has not grown since. A grant says how far that
//! goes, so whatever another holder did meanwhile is noticed, and the state is read again.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use nebula_core::{ByteSize, ExecutionId, TenantId};
use nebula_execution::{Machine, Started};
use nebula_ports::Granted;

/// About how many bytes a state takes beside its values.
const STATE_BYTES: usize = 4 * 1024;

/// The states that were left last, up to so many bytes.
#[derive(Debug)]
pub(crate) struct Kept {
    most: usize,
    states: Mutex<States>,
}

#[derive(Debug, Default)]
struct States {
    bytes: usize,
    /// How often a state was put in.
    puts: u64,
    by_age: BTreeMap<u64, Whose>,
    states: BTreeMap<Whose, Held>,
}

type Whose = (TenantId, ExecutionId);

#[derive(Debug)]
struct Held {
    age: u64,
    bytes: usize,
    state: State,
}

/// What a worker had of an execution when it left its hands.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) machine: Machine,
    /// The number of the entry that follows.
    pub(crate) next_seq: u64,
    /// The last entry that is in a snapshot, how many bytes that has, and about how many came after it.
    pub(crate) snapshot: (u64, usize, usize),
}

impl Kept {
    pub(crate) fn new(most: ByteSize) -> Self {
        Self {
            most: most.as_usize(),
            states: Mutex::default(),
        }
    }

    /// Keeps a state whose values take about so many bytes, and lets go of those that were left before
    /// it until all have room.
    pub(crate) fn put(&self, state: State, values: usize) {
        let bytes = values.saturating_add(STATE_BYTES);
        let mut kept = self.lock();
        let whose = (state.machine.tenant().clone(), state.machine.id());
        kept.remove(&whose);
        if bytes > self.most {
            return;
        }
        kept.puts += 1;
        let age = kept.puts;
        kept.bytes += bytes;
        kept.by_age.insert(age, whose.clone());
        kept.states.insert(whose, Held { age, bytes, state });
        kept.shrink_to(self.most);
    }

    /// The state of an execution that was granted, if nothing was added to its journal since.
    pub(crate) fn take(&self, granted: &Granted) -> Option<State> {
        let whose = (granted.lease.tenant.clone(), granted.lease.execution);
        let state = self.lock().remove(&whose)?;
        let plan = state
            .machine
            .state()
            .started()
            .map(|Started { plan, .. }| *plan);
        let stands = state.next_seq == granted.next_seq && plan == Some(granted.plan);
        stands.then_some(state)
    }

    /// Lets go of what takes more than so many bytes.
    pub(crate) fn shrink_to(&self, bytes: usize) {
        self.lock().shrink_to(bytes);
    }

    fn lock(&self) -> MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl States {
    fn remove(&mut self, whose: &Whose) -> Option<State> {
        let held = self.states.remove(whose)?;
        self.by_age.remove(&held.age);
        self.bytes -= held.bytes;
        Some(held.state)
    }

    fn shrink_to(&mut self, bytes: usize) {
        while self.bytes > bytes
            && let Some((_, oldest)) = self.by_age.first_key_value()
        {
            let oldest = oldest.clone();
            drop(self.remove(&oldest));
        }
    }
}
