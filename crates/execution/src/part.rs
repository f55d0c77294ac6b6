//! Parts of a list: neighbouring items of a distributed `for_each`, run by a child.
//!
//! A child that runs a part has the plan of the execution whose list it is. Its state begins with what
//! the items see of what stands around them, and with the one instance whose items they are; nothing
//! else of the plan runs in it. Items keep their index, and with it their keys.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use nebula_action::ActionError;
use nebula_core::{ExecutionId, NodeId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use smallvec::SmallVec;

use crate::{Activation, Given, InstanceId, ItemOutcome, LIST_SEGMENT, Machine, Repeats};

/// How many items one part has at most.
pub const MAX_PART_ITEMS: u32 = LIST_SEGMENT;

/// How many parts of one list are under way at most.
pub const MAX_PARTS: u32 = 64;

/// Into how many parts the share of each that is under way is cut at least, so that a slow one holds up
/// few items behind it.
const PARTS_PER_LANE: u32 = 4;

/// A part of a list. JSON: a part of the first entry of the child that runs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The instance whose items they are.
    #[serde(rename = "on")]
    pub instance: InstanceId,
    /// The index of the first item.
    pub from: u32,
    /// The elements, one for each item; null for one that is no value.
    pub elements: Arc<Value>,
    /// The elements that are no values, by index.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub apart: BTreeMap<u32, Given>,
    /// How many of the items run at a time, at least 1.
    pub window: u32,
    /// How many attempts at a time, at least 1.
    pub concurrency: u32,
    /// The execution whose list it is: `$execution`.
    pub execution: ExecutionId,
    /// When that one began.
    pub started_at: Timestamp,
    /// The execution in which the work began: keys come from it.
    pub began: ExecutionId,
    /// What was restarted of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<Box<Repeats>>,
    /// When the inputs of the instance were complete: its `$now`.
    pub ready_at: Timestamp,
    /// The tokens that activated it.
    #[serde(default, skip_serializing_if = "SmallVec::is_empty")]
    pub tokens: SmallVec<[(u32, u32); 1]>,
    /// What its items see of other nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<PartNode>,
}

impl Part {
    /// The indices of its items.
    #[must_use]
    pub fn items(&self) -> Range<u32> {
        let len = self.elements.as_array().map_or(0, Vec::len);
        self.from..self.from.saturating_add(len as u32)
    }
}

/// What the items of a part see of one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartNode {
    /// Which node.
    pub id: NodeId,
    /// How it ended.
    pub activation: Activation,
}

impl PartNode {
    /// What it gave.
    #[must_use]
    pub fn given(&self) -> Option<Given> {
        self.activation.given()
    }

    /// The same, with what it gave in another place.
    pub fn gives(&mut self, given: Given) {
        self.activation.gives_nothing();
        self.activation.give(given);
    }
}

/// What has become of the items of a part. JSON: the output of the child that ran it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PartEnd {
    /// Runs of items that ended: the index of the first, and one outcome for each.
    pub ended: Vec<(u32, Vec<ItemOutcome>)>,
    /// The item whose failure ended the part before all of its items had run, and the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<(u32, ActionError)>,
}

/// How a list of `count` items is distributed of which `concurrency` run at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Distribution {
    /// How many parts are under way at a time, 1 to [`MAX_PARTS`].
    pub lanes: u32,
    /// How many items of each run at a time, so that all together are no more than may be.
    pub window: u32,
    /// How many items a part has, 1 to [`MAX_PART_ITEMS`].
    pub size: u32,
}

impl Distribution {
    /// Both numbers are at least 1 where there is anything to distribute.
    #[must_use]
    pub fn new(count: u32, concurrency: u32) -> Self {
        let lanes = concurrency.clamp(1, MAX_PARTS);
        Self {
            lanes,
            window: (concurrency / lanes).max(1),
            size: count
                .div_ceil(lanes.saturating_mul(PARTS_PER_LANE))
                .clamp(1, MAX_PART_ITEMS),
        }
    }
}

impl Machine {
    /// The part that this execution runs, if it is the child of a list.
    #[must_use]
    pub fn part(&self) -> Option<&Part> {
        self.state().part()
    }

    /// What the items of this part have come to so far.
    #[must_use]
    pub fn part_end(&self) -> PartEnd {
        let mut end = PartEnd::default();
        let Some(part) = self.part() else {
            return end;
        };
        let at = self.state().find(self.plan(), &part.instance);
        let activation = at.and_then(|at| self.state().get(at));
        let Some(items) = activation.and_then(|it| it.items.as_deref()) else {
            return end;
        };
        for item in part.items() {
            let Some(outcome) = items.outcomes.get(item) else {
                continue;
            };
            match end.ended.last_mut() {
                Some((from, run)) if *from + run.len() as u32 == item => run.push(outcome),
                _ => end.ended.push((item, vec![outcome])),
            }
        }
        end.failed.clone_from(&items.failed);
        end
    }

    /// What a part of the list of `whole` begins with, but for its items: the elements are empty, and
    /// `from` is 0.
    ///
    /// # Panics
    /// If there is no such instance, or the execution has not begun.
    #[must_use]
    pub fn part_of(&self, whole: &InstanceId) -> Part {
        let (plan, state) = (self.plan(), self.state());
        let at = state.find(plan, whole).expect("it is under way");
        let activation = state.get(at).expect("it is under way");
        let node = plan.node(at.node);
        let count = activation.items.as_ref().map_or(0, |it| it.count);
        let distribution = Distribution::new(count, node.concurrency);
        let seen = plan.seen_by_items(at.node);
        let mut nodes: BTreeMap<u32, Activation> = BTreeMap::new();
        for read in &seen.reads {
            // What is still under way goes on here, and must not be taken up by whoever runs a part.
            let found = crate::scope::visible(plan, state, at, *read);
            if let Some(found) = found.filter(|it| it.has_ended()) {
                let mut found = found.for_a_part();
                if !seen.results.contains(read) {
                    found.gives_nothing();
                }
                nodes.insert(*read, found);
            }
        }
        let mut tokens = SmallVec::new();
        if seen.json {
            for (edge, number) in &activation.tokens {
                let from = plan.connections[*edge as usize].from;
                if let Some(source) = state.get(crate::At {
                    node: from,
                    number: *number,
                    ..at
                }) {
                    nodes.insert(from, source.for_a_part());
                }
                tokens.push((*edge, 1));
            }
        }
        let (began, _) = self.work(whole);
        let repeats = state.started().and_then(|it| match &it.part {
            Some(part) => part.repeats.clone(),
            None => it.repeats.clone().map(Box::new),
        });
        Part {
            instance: whole.clone(),
            from: 0,
            elements: Arc::new(Value::Array(Vec::new())),
            apart: BTreeMap::new(),
            window: distribution.window,
            concurrency: (plan.concurrency / distribution.lanes).max(1),
            execution: self.id(),
            started_at: state.started_at(),
            began,
            repeats: repeats.map(|mut repeats| {
                repeats.children.clear();
                repeats
            }),
            ready_at: activation.ready_at,
            tokens,
            nodes: nodes
                .into_iter()
                .map(|(node, activation)| PartNode {
                    id: plan.node(node).id.clone(),
                    activation,
                })
                .collect(),
        }
    }

    /// Whether the items of a node see the input or what started the execution: `(input, trigger)`.
    #[must_use]
    pub fn part_sees(&self, whole: &InstanceId) -> (bool, bool) {
        let plan = self.plan();
        let seen = plan
            .index_of(whole.node.as_str())
            .map(|node| plan.seen_by_items(node));
        let (input, trigger) = seen.map_or((true, true), |it| (it.input, it.trigger));
        (input || plan.asks_by_input(), trigger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards: never more items at a time than may be, over all parts; no list has no parts; a part is
    /// bounded however long the list is.
    #[test]
    fn parts_share_what_may_run_at_a_time() {
        for concurrency in [1, 2, 3, 8, 63, 64, 65, 100, 1_000] {
            for count in [1, 2, 9, 100, 10_000, 1_000_000] {
                let Distribution {
                    lanes,
                    window,
                    size,
                } = Distribution::new(count, concurrency);
                assert!(lanes * window <= concurrency, "{count} {concurrency}");
                assert!((1..=MAX_PARTS).contains(&lanes));
                assert!((1..=MAX_PART_ITEMS).contains(&size));
            }
        }
        let long = Distribution::new(1_000_000, 8);
        assert_eq!((long.lanes, long.window, long.size), (8, 1, 1_024));
        let short = Distribution::new(10, 4);
        assert_eq!((short.lanes, short.window, short.size), (4, 1, 1));
        let wide = Distribution::new(100_000, 200);
        assert_eq!((wide.lanes, wide.window, wide.size), (64, 3, 391));
    }
}
