//! The state of an execution: a fold over its journal and nothing else.

mod fold;
mod frame;

use std::{collections::VecDeque, sync::Arc};

use compact_str::CompactString;
use nebula_action::{PORT_ERROR, PORT_MAIN};
use nebula_core::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use smallvec::SmallVec;

use crate::{
    Activation, Approval, Claim, ClaimStatus, Compensations, ExecutionPlan, Failure, Given,
    InstanceId, InstanceStatus, NamedSignal, ParkReason, Part, Started, Status, Stored,
    activation::{error_value, there},
    tokens,
};
pub use frame::{At, Key};
pub(crate) use frame::{Called, Frame, FrameEnding, Frames, TOP};

/// The state of an execution. Two are equal if nothing that follows can tell them apart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ExecutionState {
    started: Option<Box<Started>>,
    started_at: Timestamp,
    pub(crate) frames: Frames,
    ending: Option<Ending>,
    parked: Option<ParkReason>,
    #[serde(default)]
    paused: bool,
    /// Signals that no instance has taken, in the order in which they came.
    #[serde(default)]
    signals: VecDeque<NamedSignal>,
    /// What has to be undone if it does not complete, and what was.
    #[serde(default, skip_serializing_if = "Compensations::is_empty")]
    compensations: Compensations,
    /// How many slots were claimed so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    claimed: u32,
    end: Option<End>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference to the field"
)]
pub(crate) fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// How an execution is going to end, once nothing runs any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// A node failed.
    Fail(Failure),
    /// Somebody asked for it.
    Cancel(String),
    /// Its time is up.
    Timeout,
    /// `flow.stop` was reached.
    Stop(Arc<Value>),
    /// `flow.cancel` of the execution was reached.
    Quit(String),
}

impl Ending {
    /// Whether effects are undone before it.
    #[must_use]
    pub fn compensates(&self) -> bool {
        !matches!(self, Self::Stop(_))
    }
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct End {
    status: Status,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "there"
    )]
    output: Option<Arc<Value>>,
    failure: Option<Failure>,
}

/// Where something stands that is no value.
#[derive(Clone, Copy)]
enum Place {
    /// Where readers of snapshots 7 look for it.
    Known,
    /// Elsewhere.
    Elsewhere,
}

/// What an entry has just changed for the holder.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    /// Activations whose inputs are complete.
    pub(crate) ready: SmallVec<[At; 4]>,
    /// Activations that were given up after they had begun: ended, or with something under way.
    pub(crate) cancelled: Vec<At>,
}

impl ExecutionState {
    /// The state before the first entry.
    #[must_use]
    pub fn new(plan: &ExecutionPlan) -> Self {
        Self {
            frames: Frames::new(plan),
            ..Self::default()
        }
    }

    /// What the execution began with.
    #[must_use]
    pub fn started(&self) -> Option<&Started> {
        self.started.as_deref()
    }

    /// The part of a list that it runs, if it runs one.
    #[must_use]
    pub fn part(&self) -> Option<&Part> {
        self.started()?.part.as_deref()
    }

    /// When it began.
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// How it is going to end, if something has decided that.
    #[must_use]
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// Whether nothing new starts in this frame: its run, one around it or the execution is about to end.
    #[must_use]
    pub fn is_ending(&self, frame: u32) -> bool {
        if self.ending.is_some() {
            return true;
        }
        let mut next = self.frames.get(frame);
        while let Some(frame) = next {
            if frame.ending.is_some() {
                return true;
            }
            next = frame
                .owner
                .and_then(|owner| self.frames.get(owner.at.frame));
        }
        false
    }

    /// How many activations of the top level have not ended: as long as there is one, so has the execution not.
    pub(crate) fn open(&self) -> u32 {
        self.frames.get(TOP).map_or(0, |top| top.open)
    }

    /// Why it needs a person.
    #[must_use]
    pub fn parked(&self) -> Option<&ParkReason> {
        self.parked.as_ref()
    }

    /// Whether nothing new is to start until somebody lets it go on.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Signals that no instance has taken, in the order in which they came.
    #[must_use]
    pub fn signals(&self) -> &VecDeque<NamedSignal> {
        &self.signals
    }

    /// The signal that the next taker of this name gets.
    #[must_use]
    pub fn signal(&self, name: &str) -> Option<&NamedSignal> {
        self.signals.iter().find(|signal| signal.name == name)
    }

    /// What has to be undone if it does not complete, and what was undone.
    #[must_use]
    pub fn compensations(&self) -> &Compensations {
        &self.compensations
    }

    /// Whether it is about to end, and effects are being undone.
    #[must_use]
    pub fn is_compensating(&self) -> bool {
        let undoes = self.ending.as_ref().is_some_and(Ending::compensates);
        let (open, settled) = (self.compensations.open(), self.compensations.settled());
        let begun = open.last().is_some_and(crate::OpenCompensation::has_begun);
        undoes && !open.is_empty() && (begun || settled.iter().any(|it| !it.early))
    }

    /// The status in which it ended.
    #[must_use]
    pub fn end_status(&self) -> Option<Status> {
        self.end.as_ref().map(|end| end.status)
    }

    /// What it gave.
    #[must_use]
    pub fn output(&self) -> Option<&Arc<Value>> {
        self.end.as_ref()?.output.as_ref()
    }

    /// Why it failed.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.end.as_ref()?.failure.as_ref()
    }

    /// All activations so far of a node of the top level, by its dense index; number 1 first.
    #[must_use]
    pub fn activations(&self, node: u32) -> &[Activation] {
        self.activations_in(TOP, node)
    }

    /// One activation of a node of the top level, by dense node index and number.
    #[must_use]
    pub fn activation(&self, node: u32, number: u32) -> Option<&Activation> {
        self.get(At {
            frame: TOP,
            node,
            number,
        })
    }

    /// One activation; `None` if there is none, or its frame was closed.
    #[must_use]
    pub fn get(&self, at: At) -> Option<&Activation> {
        self.frames.get(at.frame)?.activation(at.node, at.number)
    }

    /// All activations of a node in one frame.
    pub(crate) fn activations_in(&self, frame: u32, node: u32) -> &[Activation] {
        let frame = self.frames.get(frame);
        frame.map_or(&[], |frame| frame.activations(node))
    }

    /// Every activation in an open frame, by frame, then in the order of the plan.
    pub fn all(&self) -> impl Iterator<Item = (At, &Activation)> {
        let frames = self.frames.iter();
        frames.flat_map(|(frame, state)| {
            state.nodes().flat_map(move |(node, state)| {
                let activations = (1..).zip(&state.activations);
                activations.map(move |(number, activation)| {
                    let at = At {
                        frame,
                        node,
                        number,
                    };
                    (at, activation)
                })
            })
        })
    }

    /// Every activation in a run of a body and in those inside it, while it is open.
    pub fn run(
        &self,
        plan: &ExecutionPlan,
        owner: &InstanceId,
    ) -> impl Iterator<Item = (At, &Activation)> {
        let key = self.find(plan, owner).map(|at| Key {
            at,
            item: owner.item,
        });
        let run = key.and_then(|key| self.frames.of_owner(key));
        let mut frames = run.map_or_else(Vec::new, |run| self.frames.inside(run));
        frames.extend(run);
        self.all().filter(move |(at, _)| frames.contains(&at.frame))
    }

    /// Where an instance is; `None` if it is of no node of the plan, or of a frame that is not open.
    #[must_use]
    pub fn find(&self, plan: &ExecutionPlan, instance: &InstanceId) -> Option<At> {
        let frame = match &instance.within {
            None => TOP,
            Some(outer) => self.frames.of_owner(Key {
                at: self.find(plan, outer)?,
                item: outer.item,
            })?,
        };
        let node = plan.index_of(instance.node.as_str())?;
        let there = plan.extent_of(node) == self.frames.get(frame)?.extent;
        there.then_some(At {
            frame,
            node,
            number: instance.activation,
        })
    }

    /// The id of an instance.
    ///
    /// # Panics
    /// If its frame is not open.
    #[must_use]
    pub fn instance(&self, plan: &ExecutionPlan, Key { at, item }: Key) -> InstanceId {
        let frame = self.frames.get(at.frame).expect("the frame is open");
        let within = frame
            .owner
            .map(|owner| Arc::new(self.instance(plan, owner)));
        InstanceId {
            within,
            node: plan.node(at.node).id.clone(),
            activation: at.number,
            item,
        }
    }

    /// The approvals that are open, by frame, then in the order of the plan; none once the execution, or
    /// the run of a body that they stand in, is about to end.
    pub fn approvals<'s>(
        &'s self,
        plan: &'s ExecutionPlan,
    ) -> impl Iterator<Item = (InstanceId, &'s Approval)> {
        let open = self
            .all()
            .filter_map(|(at, it)| Some((at, it.approval.as_deref()?)));
        let open = open.filter(|(at, _)| !self.is_ending(at.frame));
        open.map(|(at, approval)| (self.instance(plan, at.whole()), approval))
    }

    /// Every claim for a slot, with its instance's place.
    pub(crate) fn claims(&self) -> impl Iterator<Item = (At, &Claim)> {
        self.all()
            .filter_map(|(at, activation)| Some((at, activation.claim.as_deref()?)))
    }

    /// The activation of `from`'s way out in the part of the plan in which `node` stands: itself, or
    /// one whose body it stands in.
    pub(crate) fn way_out(&self, plan: &ExecutionPlan, mut from: At, node: u32) -> At {
        while plan.extent_of(from.node) != plan.extent_of(node) {
            let frame = self.frames.get(from.frame);
            let owner = frame.and_then(|frame| frame.owner);
            from = owner.expect("a node names only what stands around it").at;
        }
        from
    }

    /// The activation that `from` means by `node`, which stands beside it or around it: in a loop
    /// that both are in that of this round, else the first.
    pub(crate) fn seen_from(&self, plan: &ExecutionPlan, from: At, node: u32) -> At {
        let beside = self.way_out(plan, from, node);
        let within = plan.loop_of(node);
        let within = within.filter(|_| plan.loop_of(beside.node) == within);
        let round = within.and_then(|within| tokens::round(self.frames.get(beside.frame)?, within));
        At {
            node,
            number: round.unwrap_or(1),
            ..beside
        }
    }

    /// Whether a slot that the body of this frame, or one around it, must hold is not held now.
    pub(crate) fn lacks_slot(&self, frame: u32) -> bool {
        let mut next = self.frames.get(frame);
        while let Some(owner) = next.and_then(|frame| frame.owner) {
            let claim = self.get(owner.at).and_then(|it| it.claim.as_deref());
            if claim.is_some_and(|claim| claim.status != ClaimStatus::Held) {
                return true;
            }
            next = self.frames.get(owner.at.frame);
        }
        false
    }

    /// The instances whose attempts may or may not have changed the outside, by frame, then in
    /// order of nodes.
    #[must_use]
    pub fn indeterminate(&self, plan: &ExecutionPlan) -> Vec<InstanceId> {
        let mut found = Vec::new();
        for (at, activation) in self.all() {
            if activation.status == InstanceStatus::Indeterminate {
                found.push(self.instance(plan, at.whole()));
            } else if let Some(items) = &activation.items {
                let open = items.open.iter().filter(|(_, item)| item.indeterminate);
                found.extend(open.map(|(item, _)| self.instance(plan, at.item(*item))));
            }
        }
        found
    }

    /// Whether a person's decision about this instance is missing. Any id may be asked about.
    #[must_use]
    pub fn is_indeterminate(&self, plan: &ExecutionPlan, instance: &InstanceId) -> bool {
        let at = self.find(plan, instance);
        let Some(activation) = at.and_then(|at| self.get(at)) else {
            return false;
        };
        match (instance.item, &activation.items) {
            (None, _) => activation.status == InstanceStatus::Indeterminate,
            (Some(item), Some(items)) => {
                items.open.get(&item).is_some_and(|open| open.indeterminate)
            }
            (Some(_), None) => false,
        }
    }

    /// The values that lie in blobs, but for the input and what started it; one that was passed on
    /// comes more than once.
    #[must_use]
    pub fn stored(&self) -> Vec<Arc<Stored>> {
        let mut all = Vec::new();
        self.each_given(&mut |_, given| given.each_stored(&mut |it| all.push(it.clone())));
        all
    }

    /// Calls `found` for everything that is no value, and says where it stands.
    fn each_given(&self, found: &mut impl FnMut(Place, &Given)) {
        for (number, frame) in self.frames.iter() {
            if let Some(given) = &frame.given {
                found(Place::Elsewhere, given);
            }
            for activation in frame.nodes().flat_map(|(_, node)| &node.activations) {
                if activation.output.is_none()
                    && let Some(given) = activation.given()
                {
                    let of_top = number == TOP && matches!(given, Given::Blob(_));
                    let known = of_top || given.is_plain();
                    found(
                        if known {
                            Place::Known
                        } else {
                            Place::Elsewhere
                        },
                        &given,
                    );
                }
                let runs = activation.runs.as_deref();
                if let Some(given) = runs.and_then(|runs| runs.last_given.as_ref()) {
                    found(Place::Elsewhere, given);
                }
                if let Some(items) = activation.items.as_deref() {
                    let apart = items.outcomes.apart();
                    apart.for_each(|(_, given)| found(Place::Elsewhere, given));
                }
            }
        }
    }

    /// How many results of the top level lie in blobs, and how much else readers of snapshots 7 would not
    /// understand.
    pub(crate) fn count_stored(&self) -> (usize, usize) {
        let (mut results, mut others) = (0, 0);
        self.each_given(&mut |place, given| match place {
            Place::Known => results += usize::from(!given.is_plain()),
            Place::Elsewhere => others += 1,
        });
        let trigger = self.started().and_then(|it| it.trigger_blob.as_ref());
        (results, others + usize::from(trigger.is_some()))
    }

    /// Whether its input, what started it, or a result lies in a blob.
    #[must_use]
    pub fn names_blobs(&self) -> bool {
        let begun = self.started();
        let input = begun.is_some_and(|it| it.input_blob.is_some() || it.trigger_blob.is_some());
        let elements = self.part().is_some_and(|part| !part.apart.is_empty());
        input || elements || self.count_stored() != (0, 0)
    }

    /// Whether it has the nodes and connections of this plan.
    pub(crate) fn fits(&self, plan: &ExecutionPlan) -> bool {
        self.frames.get(TOP).is_some() && self.frames.iter().all(|(_, frame)| frame.fits(plan))
    }

    /// The values of the live tokens that activated an instance, with the input that each ended at.
    #[must_use]
    pub fn inputs(&self, plan: &ExecutionPlan, at: At) -> Vec<(CompactString, Given)> {
        let tokens = self
            .get(at)
            .into_iter()
            .flat_map(|activation| &activation.tokens);
        let inputs = tokens.map(|(edge, source)| {
            let connection = &plan.connections[*edge as usize];
            let value = self.token_value(plan, at.frame, *edge, *source);
            (connection.input.clone(), value)
        });
        inputs.collect()
    }

    /// `$json` of an instance: the first live value on `main`, or what its frame began with at a
    /// start node: at the top level the execution's input.
    #[must_use]
    pub fn json(&self, plan: &ExecutionPlan, at: At) -> Given {
        let tokens = self
            .get(at)
            .map_or(&[][..], |activation| &activation.tokens);
        let main = tokens
            .iter()
            .find(|(edge, _)| plan.connections[*edge as usize].input == PORT_MAIN);
        match (main, &self.started) {
            (Some((edge, source)), _) => self.token_value(plan, at.frame, *edge, *source),
            (None, _) if !tokens.is_empty() => Given::default(),
            (None, Some(started)) if at.frame == TOP => started.given(),
            _ => self.frame_json(at),
        }
    }

    /// `$json` of a start node in a body: what the run began with, or the failure that it handles.
    fn frame_json(&self, at: At) -> Given {
        let Some(frame) = self.frames.get(at.frame) else {
            return Given::default();
        };
        let called = frame.called.iter().find(|called| called.node == at.node);
        match called.and_then(|called| called.failure.as_ref()) {
            Some(failure) => Given::Value(Arc::new(failure_value(failure))),
            None => frame.json().unwrap_or_default(),
        }
    }

    fn token_value(&self, plan: &ExecutionPlan, frame: u32, edge: u32, number: u32) -> Given {
        let connection = &plan.connections[edge as usize];
        let source = At {
            frame,
            node: connection.from,
            number,
        };
        let Some(source) = self.get(source) else {
            return Given::default();
        };
        if connection.port == PORT_ERROR {
            let error = source.error.as_ref().map_or(Value::Null, error_value);
            return Given::Value(Arc::new(error));
        }
        source.given().unwrap_or_default()
    }
}

/// A failure as its handler sees it: `{ code, message, class, node }`.
pub(crate) fn failure_value(failure: &Failure) -> Value {
    let mut value = error_value(&failure.error);
    if let Some(node) = &failure.node {
        value["node"] = Value::String(node.to_string());
    }
    value
}
