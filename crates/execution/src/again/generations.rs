//! Which keys an execution has that goes over another one again.

use nebula_core::{ExecutionId, Timestamp};

use super::Copying;
use crate::{Again, Generation, Repeats};

impl Copying<'_> {
    /// Gives what is restarted a generation of its own.
    pub(super) fn raise(&self, repeats: &mut Repeats, id: ExecutionId, now: Timestamp) {
        let next = |number| Generation {
            number,
            since: id,
            at: now,
        };
        let undone = repeats.undone.iter().map(|it| it.generation.number);
        let of_undone = undone.max().unwrap_or(0);
        match &self.how {
            Again::Retry => {}
            Again::Restart { from: None } => {
                let known = repeats.nodes.values().chain(&repeats.all);
                let highest = known.map(|known| known.number).max().unwrap_or(0);
                repeats.began = now;
                repeats.nodes.clear();
                repeats.undone.clear();
                repeats.all = Some(next(highest.max(of_undone) + 1));
                return;
            }
            Again::Restart { from: Some(_) } => {
                let nodes = self.ended.plan().nodes.iter().zip(&self.restarted);
                for (node, _) in nodes.filter(|(_, restarted)| **restarted) {
                    let before = repeats.generation_of(&node.id);
                    let before = before.map_or(0, |generation| generation.number);
                    let generation = next(before.max(of_undone) + 1);
                    repeats.nodes.insert(node.id.clone(), generation);
                    repeats.undone.retain(|it| it.instance.node != node.id);
                }
            }
        }
        let settled = self.ended.state().compensations().settled().iter();
        for undone in settled.filter(|it| !it.given_up) {
            let node = self.node(&undone.instance);
            if !self.restarted[node as usize] {
                let before = repeats.generation(&undone.instance);
                let before = before.map_or(0, |generation| generation.number);
                repeats.undo(undone.instance.clone(), next(before + 1));
            }
        }
    }
}
