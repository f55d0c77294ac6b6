//! How tokens move along connections.
//!
//! Each connection is a queue of tokens, live or dead. A connection that is not taken gets a dead
//! token, so that a join always learns that nothing comes. What a join may wait for is settled when
//! the plan is made: inputs of equal rate, or a diagnostic.
//!
//! A token costs the same at a join of two and at a join of ten thousand connections: a join looks
//! at all of its inputs only when it takes something from each.

mod looping;
mod queue;

use std::collections::BTreeSet;

use compact_str::CompactString;
use nebula_core::Timestamp;
use nebula_workflow::JoinRule;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::{
    Activation, At, ExecutionPlan, InstanceStatus, Taken,
    state::{Frame, Fresh},
};
pub(crate) use looping::{Looping, is_beyond, round};
pub(crate) use queue::Queue;

/// One token on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Token {
    /// Whether a value comes with it.
    live: bool,
    /// Which activation of the source sent it.
    source: u32,
}

/// The live tokens that activate a node: connection, and activation of its source.
type Live = SmallVec<[(u32, u32); 1]>;

/// What a counting join has seen since it was last armed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Round {
    /// Connections that have sent their token of this round.
    seen: BTreeSet<u32>,
    /// Live tokens of this round, until the join fires.
    live: Live,
    /// Whether it has fired in this round.
    fired: bool,
}

impl Round {
    /// Whether no token was taken since the join was last armed.
    pub(crate) fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

/// What a join gives.
enum Joined {
    /// An activation by these tokens.
    Live(Live),
    /// Nothing can come any more: death is passed on.
    Dead,
}

/// Activates every node of a frame without incoming connections that nothing holds back.
pub(crate) fn start(
    frame: &mut Frame,
    plan: &ExecutionPlan,
    number: u32,
    at: Timestamp,
    fresh: &mut Fresh,
) {
    let body = frame.body(plan);
    for node in plan.extent_nodes(frame.extent) {
        let held = body.is_some_and(|body| body.handler(node).is_some());
        if plan.incoming(node).is_empty() && !held {
            activate(frame, plan, (number, node), Live::new(), at, fresh);
        }
    }
}

/// Activates a node that was held back.
pub(crate) fn call(
    frame: &mut Frame,
    plan: &ExecutionPlan,
    (number, node): (u32, u32),
    at: Timestamp,
    fresh: &mut Fresh,
) {
    activate(frame, plan, (number, node), Live::new(), at, fresh);
}

/// Sends one token along every outgoing connection of an activation, and lets the joins that these
/// reach fire or pass death on, as far as that goes. What `runs_on` after it is open until [`rest_ended`].
pub(crate) fn emit(
    frame: &mut Frame,
    plan: &ExecutionPlan,
    (from, runs_on): (At, bool),
    through: Option<(&CompactString, &Taken)>,
    at: Timestamp,
    fresh: &mut Fresh,
) {
    let mut moving = Moving::new(from.frame, at);
    if !runs_on {
        moving.ended(frame, plan, from.node);
    }
    send(frame, plan, (from.node, from.number), through, &mut moving);
    come_to_rest(frame, plan, &mut moving, fresh);
}

/// What ran on after an activation had sent its tokens has ended: with it, a round may be over.
pub(crate) fn rest_ended(
    frame: &mut Frame,
    plan: &ExecutionPlan,
    from: At,
    at: Timestamp,
    fresh: &mut Fresh,
) {
    let mut moving = Moving::new(from.frame, at);
    moving.ended(frame, plan, from.node);
    come_to_rest(frame, plan, &mut moving, fresh);
}

/// Gives nodes of a frame up, each up to and including one of its activations: what is open of
/// them ends, or is marked where an attempt, a body or a question is under way; what has not begun
/// never does. Dead tokens follow.
pub(crate) fn give_up(
    frame: &mut Frame,
    plan: &ExecutionPlan,
    number: u32,
    nodes: &[(u32, u32)],
    at: Timestamp,
    fresh: &mut Fresh,
) {
    let mut moving = Moving::new(number, at);
    cancel(frame, plan, nodes, &mut moving, fresh);
    come_to_rest(frame, plan, &mut moving, fresh);
}

/// Lets tokens move until each of them waits.
fn come_to_rest(frame: &mut Frame, plan: &ExecutionPlan, moving: &mut Moving, fresh: &mut Fresh) {
    loop {
        arrive(frame, plan, moving, fresh);
        // Only when everything else has come to rest: whatever a round may get, it has by then.
        let Some(number) = moving.stirred.pop_first() else {
            return;
        };
        looping::go_on(frame, plan, number, moving, fresh);
    }
}

/// Tokens on their way.
struct Moving {
    /// The number of the frame.
    number: u32,
    at: Timestamp,
    /// Connections on which a token has arrived that no join has looked at. A queue rather than
    /// recursion: a dead path may be as long as the workflow.
    arrived: Arrived,
    /// Loops whose round may be over.
    stirred: BTreeSet<u32>,
}

impl Moving {
    fn new(number: u32, at: Timestamp) -> Self {
        Self {
            number,
            at,
            arrived: Arrived::default(),
            stirred: BTreeSet::new(),
        }
    }

    /// An activation of a node has ended: with it, a round may be over.
    fn ended(&mut self, frame: &mut Frame, plan: &ExecutionPlan, node: u32) {
        frame.open -= 1;
        if let Some(number) = plan.loop_of(node) {
            looping::ended(frame, number);
            self.stirred.insert(number);
        }
    }
}

/// A queue of connections that costs nothing while they are few, as they most often are.
#[derive(Default)]
struct Arrived {
    edges: SmallVec<[u32; 8]>,
    /// How many of them were taken.
    taken: usize,
}

impl Arrived {
    fn push(&mut self, edge: u32) {
        // What looks at a connection takes all tokens that are there.
        if self.edges[self.taken..].last() != Some(&edge) {
            self.edges.push(edge);
        }
    }

    fn pop(&mut self) -> Option<u32> {
        let edge = self.edges.get(self.taken).copied();
        self.taken += 1;
        if self.taken >= self.edges.len() {
            self.edges.clear();
            self.taken = 0;
        }
        edge
    }
}

/// Lets the joins fire, or pass death on, that tokens have arrived at.
fn arrive(frame: &mut Frame, plan: &ExecutionPlan, moving: &mut Moving, fresh: &mut Fresh) {
    while let Some(edge) = moving.arrived.pop() {
        let node = plan.connections[edge as usize].to;
        while let Some(joined) = join(frame, plan, node, edge) {
            match joined {
                Joined::Live(tokens) => arm(frame, plan, node, tokens, moving, fresh),
                Joined::Dead => {
                    pass_over(
                        frame,
                        plan,
                        node,
                        InstanceStatus::Skipped,
                        Live::new(),
                        moving,
                    );
                }
            }
        }
    }
}

/// Activates a node that tokens have reached, unless it was given up. With a join that cancels the
/// rest, what could only have brought it more is given up.
fn arm(
    frame: &mut Frame,
    plan: &ExecutionPlan,
    node: u32,
    tokens: Live,
    moving: &mut Moving,
    fresh: &mut Fresh,
) {
    let number = frame.node(node).activations.len() as u32 + 1;
    if frame.is_given_up(node, number) {
        pass_over(frame, plan, node, InstanceStatus::Cancelled, tokens, moving);
        return;
    }
    activate(frame, plan, (moving.number, node), tokens, moving.at, fresh);
    let rest = plan.cancelled_by(node);
    if !rest.is_empty() {
        // In a loop, the activation of each node has the number of its round.
        let within = plan.loop_of(node);
        let of_round = |of: &u32| within.is_some() && plan.loop_of(*of) == within;
        let last = |of: &u32| if of_round(of) { number } else { u32::MAX };
        let rest: Vec<_> = rest.iter().map(|of| (*of, last(of))).collect();
        cancel(frame, plan, &rest, moving, fresh);
    }
}

/// An activation that ends as it begins: nothing lives that leads to it, or it was given up.
fn pass_over(
    frame: &mut Frame,
    plan: &ExecutionPlan,
    node: u32,
    status: InstanceStatus,
    tokens: Live,
    moving: &mut Moving,
) {
    let activation = Activation::new(status, moving.at, tokens);
    let number = frame.node_mut(node).begin(activation);
    if let Some(within) = plan.loop_of(node) {
        looping::begun(frame, within);
        moving.stirred.insert(within);
    }
    send(frame, plan, (node, number), None, moving);
}

/// Gives nodes up: see [`give_up`].
fn cancel(
    frame: &mut Frame,
    plan: &ExecutionPlan,
    nodes: &[(u32, u32)],
    moving: &mut Moving,
    fresh: &mut Fresh,
) {
    // All of them first: what one sends must begin none of the others.
    for (node, last) in nodes {
        let known = frame.given_up.entry(*node).or_default();
        *known = (*known).max(*last);
    }
    for (node, last) in nodes {
        let there = frame.node(*node).activations.len() as u32;
        for number in 1..=there.min(*last) {
            let activation = &mut frame.node_mut(*node).activations[number as usize - 1];
            if activation.has_ended() || activation.given_up {
                continue;
            }
            fresh.cancelled.push(At {
                frame: moving.number,
                node: *node,
                number,
            });
            if activation.give_up(moving.at) {
                moving.ended(frame, plan, *node);
                send(frame, plan, (*node, number), None, moving);
            }
        }
    }
}

/// Puts one token on every outgoing connection of an activation.
fn send(
    frame: &mut Frame,
    plan: &ExecutionPlan,
    (node, number): (u32, u32),
    through: Option<(&CompactString, &Taken)>,
    moving: &mut Moving,
) {
    let names: Option<BTreeSet<&str>> = match through {
        Some((_, Taken::Only(names))) => Some(names.iter().map(CompactString::as_str).collect()),
        _ => None,
    };
    for (edge, connection) in plan.outgoing(node) {
        let live = through.is_some_and(|(port, _)| connection.port == *port)
            && names
                .as_ref()
                .is_none_or(|names| names.contains(connection.name.as_str()));
        let token = Token {
            live,
            source: number,
        };
        #[cfg(sim_bug)]
        if !live && nebula_core::sim_bug::is_awake("dead-token-is-dropped") {
            continue;
        }
        for _ in 0..plan.splits(node) {
            if looping::keeps(frame, plan, edge, token) {
                continue;
            }
            put(frame, plan, edge, token);
            moving.arrived.push(edge);
        }
    }
}

/// Puts a token on a connection.
fn put(frame: &mut Frame, plan: &ExecutionPlan, edge: u32, token: Token) {
    let queue = frame.queue_mut(edge);
    let first = queue.is_empty();
    queue.push(token);
    if first {
        let to = plan.connections[edge as usize].to;
        frame.node_mut(to).filled += 1;
    }
}

/// Takes the next token off a connection to `node`.
fn take(frame: &mut Frame, node: u32, edge: u32) -> Option<Token> {
    let queue = frame.queue_mut(edge);
    let token = queue.pop()?;
    if queue.is_empty() {
        frame.node_mut(node).filled -= 1;
    }
    Some(token)
}

fn activate(
    frame: &mut Frame,
    plan: &ExecutionPlan,
    (number, node): (u32, u32),
    tokens: Live,
    at: Timestamp,
    fresh: &mut Fresh,
) {
    let activation = Activation::new(InstanceStatus::Ready, at, tokens);
    fresh.ready.push(At {
        frame: number,
        node,
        number: frame.node_mut(node).begin(activation),
    });
    frame.open += 1;
    if let Some(within) = plan.loop_of(node) {
        looping::begun(frame, within).open += 1;
    }
}

/// What the join of `node` gives after a token arrived on `edge`; asked again until it gives nothing.
fn join(frame: &mut Frame, plan: &ExecutionPlan, node: u32, edge: u32) -> Option<Joined> {
    if let Some(many) = plan.merges(node) {
        return join_merged(frame, plan, node, many as usize);
    }
    match plan.node(node).join {
        JoinRule::All => join_all(frame, plan, node),
        JoinRule::Each => take(frame, node, edge).map(|token| {
            if token.live {
                Joined::Live(SmallVec::from_elem((edge, token.source), 1))
            } else {
                Joined::Dead
            }
        }),
        JoinRule::Any => join_counted(frame, plan, node, edge, 1),
        JoinRule::Count { count, .. } => join_counted(frame, plan, node, edge, count as usize),
    }
}

fn join_all(frame: &mut Frame, plan: &ExecutionPlan, node: u32) -> Option<Joined> {
    let incoming = plan.incoming(node);
    if (frame.node(node).filled as usize) < incoming.len() {
        return None;
    }
    let mut live = Live::new();
    for edge in incoming {
        let token = take(frame, node, *edge);
        live.extend(
            token
                .filter(|token| token.live)
                .map(|token| (*edge, token.source)),
        );
    }
    Some(if live.is_empty() {
        Joined::Dead
    } else {
        Joined::Live(live)
    })
}

/// Takes so many tokens once there are as many, in the order of the connections.
fn join_merged(frame: &mut Frame, plan: &ExecutionPlan, node: u32, many: usize) -> Option<Joined> {
    let incoming = plan.incoming(node);
    let there: usize = incoming.iter().map(|edge| frame.waiting(*edge)).sum();
    if there < many {
        return None;
    }
    let (mut live, mut left) = (Live::new(), many);
    for edge in incoming {
        while left > 0
            && let Some(token) = take(frame, node, *edge)
        {
            left -= 1;
            live.extend(token.live.then_some((*edge, token.source)));
        }
    }
    Some(match live.is_empty() {
        true => Joined::Dead,
        false => Joined::Live(live),
    })
}

/// Fires with the `count`-th live token of a round; what comes later in the round has no effect,
/// whether it is absorbed or blocked. A connection that has sent its token of this round keeps
/// further ones until every other has sent its own.
fn join_counted(
    frame: &mut Frame,
    plan: &ExecutionPlan,
    node: u32,
    edge: u32,
    count: usize,
) -> Option<Joined> {
    let incoming = plan.incoming(node);
    loop {
        let mut round = std::mem::take(&mut frame.node_mut(node).round);
        let one = [edge];
        // Tokens may have gathered behind the last round.
        let edges = if round.is_empty() { incoming } else { &one };
        let mut gathered = None;
        for edge in edges {
            if round.seen.contains(edge) {
                continue;
            }
            let Some(token) = take(frame, node, *edge) else {
                continue;
            };
            round.seen.insert(*edge);
            if token.live && !round.fired {
                round.live.push((*edge, token.source));
                if round.live.len() == count {
                    round.fired = true;
                    gathered = Some(std::mem::take(&mut round.live));
                }
            }
        }
        let over = round.seen.len() == incoming.len();
        let fired = round.fired;
        if !over {
            frame.node_mut(node).round = round;
        }
        match gathered {
            Some(live) => return Some(Joined::Live(live)),
            None if !over => return None,
            None if !fired => return Some(Joined::Dead),
            // The round ended without a sign; the next one may have begun.
            None => {}
        }
    }
}
