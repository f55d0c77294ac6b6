//! How tokens move along connections.
//!
//! Each connection is a queue of tokens, live or dead. A connection that is not taken gets a dead
//! token, so that a join always learns that nothing comes. What a join may wait for is settled when
//! the plan is made: inputs of equal rate, or a diagnostic.
//!
//! A token costs the same at a join of two and at a join of ten thousand connections: a join looks
//! at all of its inputs only when it takes something from each.

use std::collections::{BTreeSet, VecDeque};

use compact_str::CompactString;
use nebula_core::Timestamp;
use nebula_workflow::JoinRule;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::{Activation, ExecutionPlan, ExecutionState, InstanceStatus, Taken, state::Fresh};

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

/// Activates every node without incoming connections.
pub(crate) fn start(
    state: &mut ExecutionState,
    plan: &ExecutionPlan,
    at: Timestamp,
    fresh: &mut Fresh,
) {
    for node in 0..plan.nodes.len() as u32 {
        if plan.incoming(node).is_empty() {
            activate(state, node, Live::new(), at, fresh);
        }
    }
}

/// Sends one token along every outgoing connection of an activation, and lets the joins that these
/// reach fire or pass death on, as far as that goes.
pub(crate) fn emit(
    state: &mut ExecutionState,
    plan: &ExecutionPlan,
    from: (u32, u32),
    through: Option<(&CompactString, &Taken)>,
    at: Timestamp,
    fresh: &mut Fresh,
) {
    // A queue rather than recursion: a dead path may be as long as the workflow.
    let mut arrived = VecDeque::new();
    send(state, plan, from, through, &mut arrived);
    while let Some(edge) = arrived.pop_front() {
        let node = plan.connections[edge as usize].to;
        while let Some(joined) = join(state, plan, node, edge) {
            match joined {
                Joined::Live(tokens) => activate(state, node, tokens, at, fresh),
                Joined::Dead => {
                    let skipped = Activation::new(InstanceStatus::Skipped, at, Live::new());
                    let activations = &mut state.nodes[node as usize].activations;
                    activations.push(skipped);
                    let number = activations.len() as u32;
                    send(state, plan, (node, number), None, &mut arrived);
                }
            }
        }
    }
}

/// Puts one token on every outgoing connection of an activation.
fn send(
    state: &mut ExecutionState,
    plan: &ExecutionPlan,
    (node, number): (u32, u32),
    through: Option<(&CompactString, &Taken)>,
    arrived: &mut VecDeque<u32>,
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
        let queue = &mut state.queues[edge as usize];
        if queue.is_empty() {
            state.nodes[connection.to as usize].filled += 1;
        }
        queue.push_back(Token {
            live,
            source: number,
        });
        arrived.push_back(edge);
    }
}

/// Takes the next token off a connection to `node`.
fn take(state: &mut ExecutionState, node: u32, edge: u32) -> Option<Token> {
    let queue = &mut state.queues[edge as usize];
    let token = queue.pop_front()?;
    if queue.is_empty() {
        state.nodes[node as usize].filled -= 1;
    }
    Some(token)
}

fn activate(state: &mut ExecutionState, node: u32, tokens: Live, at: Timestamp, fresh: &mut Fresh) {
    let activations = &mut state.nodes[node as usize].activations;
    activations.push(Activation::new(InstanceStatus::Ready, at, tokens));
    fresh.push((node, activations.len() as u32));
    state.open += 1;
}

/// What the join of `node` gives after a token arrived on `edge`; asked again until it gives nothing.
fn join(state: &mut ExecutionState, plan: &ExecutionPlan, node: u32, edge: u32) -> Option<Joined> {
    match plan.node(node).join {
        JoinRule::All => join_all(state, plan, node),
        JoinRule::Each => take(state, node, edge).map(|token| {
            if token.live {
                Joined::Live(SmallVec::from_elem((edge, token.source), 1))
            } else {
                Joined::Dead
            }
        }),
        JoinRule::Any => join_counted(state, plan, node, edge, 1),
        JoinRule::Count { count, .. } => join_counted(state, plan, node, edge, count as usize),
    }
}

fn join_all(state: &mut ExecutionState, plan: &ExecutionPlan, node: u32) -> Option<Joined> {
    let incoming = plan.incoming(node);
    if (state.nodes[node as usize].filled as usize) < incoming.len() {
        return None;
    }
    let mut live = Live::new();
    for edge in incoming {
        let token = take(state, node, *edge);
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

/// Fires with the `count`-th live token of a round; what comes later in the round has no effect,
/// whether it is absorbed or blocked. A connection that has sent its token of this round keeps
/// further ones until every other has sent its own.
fn join_counted(
    state: &mut ExecutionState,
    plan: &ExecutionPlan,
    node: u32,
    edge: u32,
    count: usize,
) -> Option<Joined> {
    let incoming = plan.incoming(node);
    loop {
        let mut round = std::mem::take(&mut state.nodes[node as usize].round);
        let one = [edge];
        // Tokens may have gathered behind the last round.
        let edges = if round.is_empty() { incoming } else { &one };
        let mut gathered = None;
        for edge in edges {
            if round.seen.contains(edge) {
                continue;
            }
            let Some(token) = take(state, node, *edge) else {
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
            state.nodes[node as usize].round = round;
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
