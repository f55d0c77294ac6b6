//! How tokens move along connections.
//!
//! Each connection is a queue of tokens, live or dead. A connection that is not taken gets a dead
//! token, so that a join always learns that nothing comes. What a join may wait for is settled when
//! the plan is made: inputs of equal rate, or a diagnostic.

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
    pub(crate) live: bool,
    /// Which activation of the source sent it.
    pub(crate) source: u32,
}

/// What a counting join has seen since it was last armed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Round {
    /// Connections that have sent their token of this round.
    seen: SmallVec<[u32; 4]>,
    /// Live tokens of this round, until the join fires.
    live: SmallVec<[(u32, u32); 1]>,
    /// Whether it has fired in this round.
    fired: bool,
}

impl Round {
    /// Whether no token was taken since the join was last armed.
    pub(crate) fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
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
            activate(state, node, SmallVec::new(), at, fresh);
        }
    }
}

/// Sends one token along every outgoing connection of an activation, and lets the joins that these
/// reach fire or pass death on, as far as that goes.
pub(crate) fn emit(
    state: &mut ExecutionState,
    plan: &ExecutionPlan,
    (node, number): (u32, u32),
    through: Option<(&CompactString, &Taken)>,
    at: Timestamp,
    fresh: &mut Fresh,
) {
    let mut touched = Vec::new();
    for (edge, connection) in plan.outgoing(node) {
        let live = through.is_some_and(|(port, taken)| {
            connection.port == *port
                && match taken {
                    Taken::All => true,
                    Taken::Only(names) => names.contains(&connection.name),
                }
        });
        state.queues[edge as usize].push_back(Token {
            live,
            source: number,
        });
        touched.push(connection.to);
    }
    // An explicit stack: a dead path may be as long as the workflow.
    while let Some(node) = touched.pop() {
        while let Some(joined) = join(state, plan, node) {
            match joined {
                Joined::Live(tokens) => activate(state, node, tokens, at, fresh),
                Joined::Dead => {
                    let skipped = Activation::new(InstanceStatus::Skipped, at, SmallVec::new());
                    let activations = &mut state.nodes[node as usize].activations;
                    activations.push(skipped);
                    let source = activations.len() as u32;
                    for (edge, connection) in plan.outgoing(node) {
                        state.queues[edge as usize].push_back(Token {
                            live: false,
                            source,
                        });
                        touched.push(connection.to);
                    }
                }
            }
        }
    }
}

fn activate(
    state: &mut ExecutionState,
    node: u32,
    tokens: SmallVec<[(u32, u32); 1]>,
    at: Timestamp,
    fresh: &mut Fresh,
) {
    let activations = &mut state.nodes[node as usize].activations;
    activations.push(Activation::new(InstanceStatus::Ready, at, tokens));
    fresh.push((node, activations.len() as u32));
    state.open += 1;
}

/// What a join gives.
enum Joined {
    /// An activation by these tokens.
    Live(SmallVec<[(u32, u32); 1]>),
    /// Nothing can come any more: death is passed on.
    Dead,
}

/// Takes tokens off the incoming connections of `node` until its join gives something.
fn join(state: &mut ExecutionState, plan: &ExecutionPlan, node: u32) -> Option<Joined> {
    let incoming = plan.incoming(node);
    let rule = plan.node(node).join;
    match rule {
        JoinRule::All => {
            if incoming
                .iter()
                .any(|edge| state.queues[*edge as usize].is_empty())
            {
                return None;
            }
            let mut live = SmallVec::new();
            for edge in incoming {
                let token = state.queues[*edge as usize].pop_front();
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
        JoinRule::Each => {
            let (edge, token) = incoming.iter().find_map(|edge| {
                state.queues[*edge as usize]
                    .pop_front()
                    .map(|token| (*edge, token))
            })?;
            Some(if token.live {
                Joined::Live(SmallVec::from_elem((edge, token.source), 1))
            } else {
                Joined::Dead
            })
        }
        JoinRule::Any | JoinRule::Count { .. } => {
            let (count, _) = rule.threshold()?;
            let (nodes, queues) = (&mut state.nodes, &mut state.queues);
            let round = &mut nodes[node as usize].round;
            loop {
                for edge in incoming {
                    if round.seen.contains(edge) {
                        continue;
                    }
                    let Some(token) = queues[*edge as usize].pop_front() else {
                        continue;
                    };
                    round.seen.push(*edge);
                    if !token.live || round.fired {
                        continue;
                    }
                    round.live.push((*edge, token.source));
                    if round.live.len() == count as usize {
                        round.fired = true;
                        let live = std::mem::take(&mut round.live);
                        rearm(round, incoming.len());
                        return Some(Joined::Live(live));
                    }
                }
                if round.seen.len() < incoming.len() {
                    return None;
                }
                let fired = round.fired;
                rearm(round, incoming.len());
                if !fired {
                    return Some(Joined::Dead);
                }
            }
        }
    }
}

/// Begins a new round once a token came from every connection.
fn rearm(round: &mut Round, inputs: usize) {
    if round.seen.len() == inputs {
        *round = Round::default();
    }
}
