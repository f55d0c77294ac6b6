//! What facts about `flow.cancel` make of the state.

use std::collections::BTreeMap;

use nebula_core::NodeId;

use super::{Fold, MAIN};
use crate::{
    Ending, Fact, InstanceStatus,
    state::{At, FrameEnding},
    tokens,
};

impl Fold<'_> {
    pub(super) fn cancels(&mut self, fact: &Fact) {
        match fact {
            Fact::NodesCancelled {
                instance,
                nodes,
                taken,
            } => {
                let at = self.whole(instance);
                self.give_up(at, nodes);
                self.passed_on(at);
                self.leave(at, InstanceStatus::Succeeded, Some((&MAIN, taken)));
            }
            Fact::InstanceCancelled { instance } => {
                let at = self.whole(instance);
                let activation = self.open_mut(at);
                activation.items = None;
                activation.runs = None;
                self.leave(at, InstanceStatus::Cancelled, None);
            }
            Fact::QuitRequested { instance, reason } => {
                let at = self.whole(instance);
                self.passed_on(at);
                let quit = Ending::Quit(reason.clone());
                self.state.ending.get_or_insert(quit);
                // Nothing that follows would run any more.
                self.leave(at, InstanceStatus::Succeeded, None);
            }
            _ => unreachable!("the caller sorts facts"),
        }
    }

    /// `$json` is the result of a control action.
    fn passed_on(&mut self, at: At) {
        let json = self.state.json(self.plan, at);
        let activation = self.begun(at);
        activation.attempts = activation.attempts.max(1);
        activation.give(json);
    }

    /// Gives nodes up, each in the run of its part that `from` stands in.
    fn give_up(&mut self, from: At, nodes: &[NodeId]) {
        let mut frames: BTreeMap<u32, Vec<(u32, u32)>> = BTreeMap::new();
        for id in nodes {
            let node = self.plan.index_of(id.as_str());
            let node = node.expect("a journal names only nodes of its plan");
            let asker = self.state.way_out(self.plan, from, node);
            let last = self.last_of_round(asker, node);
            frames.entry(asker.frame).or_default().push((node, last));
        }
        let (plan, at, before) = (self.plan, self.at, self.fresh.cancelled.len());
        for (number, nodes) in frames {
            let frame = self.state.frames.get_mut(number);
            let frame = frame.expect("an activation is in an open frame");
            tokens::give_up(frame, plan, number, &nodes, at, self.fresh);
        }
        self.drop_runs(before);
    }

    /// The last activation of a node that is given up: in the loop of who asks, that of this round.
    fn last_of_round(&self, asker: At, node: u32) -> u32 {
        let within = self.plan.loop_of(asker.node);
        let within = within.filter(|_| self.plan.loop_of(node) == within);
        let frame = self.state.frames.get(asker.frame);
        let round = within.and_then(|within| tokens::round(frame?, within));
        round.map_or(u32::MAX, |round| {
            round.saturating_mul(self.plan.node(node).rate)
        })
    }

    /// What was given up has no use for the runs of its body any more.
    pub(super) fn drop_runs(&mut self, from: usize) {
        for index in from..self.fresh.cancelled.len() {
            self.drop_runs_of(self.fresh.cancelled[index]);
        }
    }

    /// Nothing that the open runs of a body would give is of any use.
    pub(super) fn drop_runs_of(&mut self, at: At) {
        let runs: Vec<_> = self.state.frames.of_activation(at).collect();
        for run in runs {
            self.frame(run).ending.get_or_insert(FrameEnding::Dropped);
        }
    }
}
