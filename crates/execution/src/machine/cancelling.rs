//! Giving up what `flow.cancel` names, and what a join that cancels the rest has no use for.
//!
//! The state says what is given up. What has nothing under way has ended with that; of the rest,
//! attempts are told to stop and bodies are closed, and what they did outside is known before it ends.

use nebula_core::NodeId;

use super::{Flight, Machine, Turn};
use crate::{Activation, At, Command, Fact, InstanceId, InstanceStatus, Key, Taken};

impl Machine {
    /// A control action gives nodes up.
    pub(super) fn cancels(
        &mut self,
        instance: InstanceId,
        nodes: Vec<NodeId>,
        taken: Taken,
        turn: &mut Turn<'_>,
    ) {
        let Some((key, _)) = self.land(&instance) else {
            return;
        };
        if !self.state.is_ending(key.at.frame) {
            let fact = Fact::NodesCancelled {
                instance,
                nodes,
                taken,
            };
            self.note(fact, turn);
        }
    }

    /// A control action gives the execution up.
    pub(super) fn quits(&mut self, instance: InstanceId, reason: String, turn: &mut Turn<'_>) {
        if self.land(&instance).is_some() {
            self.note(Fact::QuitRequested { instance, reason }, turn);
        }
    }

    /// An activation was given up: it waits for nothing more, and what is under way is told to stop.
    pub(super) fn give_up(&mut self, at: At, turn: &mut Turn<'_>) {
        let ours = |key: &Key| key.at == at;
        self.drop_waiting(ours);
        self.unlisten(ours);
        self.unheed(ours);
        self.hands.remove(&at);
        let running: Vec<_> = self
            .flights
            .range(at.whole()..=at.item(u32::MAX))
            .map(|(key, _)| *key)
            .collect();
        for key in running {
            self.abort(key, turn);
        }
        let children = self.children_of_list(at).into_iter();
        let told = children.map(|child| Command::CancelChild { child });
        turn.decision.commands.extend(told);
        self.stirred.extend(self.state.frames.of_activation(at));
        self.cancelling.insert(at);
    }

    /// Whether an activation was given up.
    pub(super) fn is_given_up(&self, at: At) -> bool {
        self.state.get(at).is_some_and(|it| it.given_up)
    }

    /// Whether nothing is to be made of an answer: its instance has ended, or is about to, and
    /// nothing outside hangs on what it says.
    pub(super) fn is_moot(&self, key: Key, flight: Flight) -> bool {
        let activation = self.state.get(key.at);
        activation.is_none_or(|it| !it.is_open() || it.given_up && !flight.journalled)
    }

    /// Ends what was given up and has nothing under way any more; says whether there was any.
    pub(super) fn settle_given_up(&mut self, turn: &mut Turn<'_>) -> bool {
        let mut settled = false;
        for at in self.cancelling.clone() {
            let open = self
                .state
                .get(at)
                .filter(|it| it.given_up && !it.has_ended());
            let Some(activation) = open else {
                self.cancelling.remove(&at);
                continue;
            };
            if self.is_acting(at, activation) {
                continue;
            }
            self.cancelling.remove(&at);
            let instance = self.instance(at.whole());
            self.note(Fact::InstanceCancelled { instance }, turn);
            settled = true;
        }
        settled
    }

    /// Whether something of an activation is under way, or nobody knows what it did outside.
    fn is_acting(&self, at: At, activation: &Activation) -> bool {
        let keys = at.whole()..=at.item(u32::MAX);
        let items = activation
            .items
            .iter()
            .flat_map(|items| items.open.values());
        self.flights.range(keys).next().is_some()
            || !self.children_of_list(at).is_empty()
            || self.state.frames.of_activation(at).next().is_some()
            || self.lost_attempt(at.whole()).is_some()
            || activation.status == InstanceStatus::Indeterminate
            || items.clone().any(|open| open.running || open.indeterminate)
    }
}
