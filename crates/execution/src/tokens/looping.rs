//! Loops of connections that go back: their rounds, and what leaves them.
//!
//! Rounds follow each other: the next one begins once no activation of the loop is open, with the
//! live tokens of the connections that close it. What leaves the loop waits until it is over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Live, Moving, Token, arm, put};
use crate::{
    ExecutionPlan,
    state::{Frame, Fresh},
};

/// A loop that has begun and is not over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Looping {
    /// Which round it is in, from 1; one more than the loop may have where it goes on too long.
    round: u32,
    /// Activations of its nodes that have not ended.
    pub(super) open: u32,
    /// The live tokens of this round on connections that close it.
    next: Live,
    /// For each connection that leaves it and had a live token: the source of the last one.
    exits: BTreeMap<u32, u32>,
}

/// Whether the round that a node begins is one more than its loop may have.
pub(crate) fn is_beyond(frame: &Frame, plan: &ExecutionPlan, node: u32) -> bool {
    let Some(number) = plan.loop_of(node) else {
        return false;
    };
    let part = &plan.loops[number as usize];
    let looping = frame.loops.get(&number);
    part.entry == node && looping.is_some_and(|looping| looping.round > part.max_rounds)
}

/// Which round a loop is in, from 1; `None` if it has not begun or is over.
pub(crate) fn round(frame: &Frame, number: u32) -> Option<u32> {
    frame.loops.get(&number).map(|looping| looping.round)
}

/// The loop of a node that is activated or skipped: with its entry, it begins.
pub(super) fn begun(frame: &mut Frame, number: u32) -> &mut Looping {
    let first = Looping {
        round: 1,
        ..Looping::default()
    };
    frame.loops.entry(number).or_insert(first)
}

/// One of the activations of a loop has ended.
pub(super) fn ended(frame: &mut Frame, number: u32) {
    let looping = frame.loops.get_mut(&number);
    looping.expect("what is open in a loop is in a round").open -= 1;
}

/// Keeps a token that closes a loop, or leaves one, until the round is over; says whether it did.
/// Dead ones have no effect.
pub(super) fn keeps(frame: &mut Frame, plan: &ExecutionPlan, edge: u32, token: Token) -> bool {
    let connection = &plan.connections[edge as usize];
    let within = plan.loop_of(connection.from);
    let leaves = within != plan.loop_of(connection.to);
    let Some(number) = within.filter(|_| connection.closes_loop || leaves) else {
        return false;
    };
    if token.live {
        let looping = begun(frame, number);
        if leaves {
            looping.exits.insert(edge, token.source);
        } else {
            looping.next.push((edge, token.source));
        }
    }
    true
}

/// Begins the next round of a loop that is at rest; or ends it, with one token on each connection
/// that leaves it.
pub(super) fn go_on(
    frame: &mut Frame,
    plan: &ExecutionPlan,
    number: u32,
    moving: &mut Moving,
    fresh: &mut Fresh,
) {
    let part = &plan.loops[number as usize];
    let Some(looping) = frame.loops.get_mut(&number) else {
        return;
    };
    if looping.open > 0 {
        return;
    }
    let mut tokens = std::mem::take(&mut looping.next);
    // The round beyond the last one fails with its beginning, and none follows it.
    if !tokens.is_empty() && looping.round <= part.max_rounds {
        tokens.sort_unstable();
        looping.round += 1;
        arm(frame, plan, part.entry, tokens, moving, fresh);
        return;
    }
    let exits = std::mem::take(&mut looping.exits);
    frame.loops.remove(&number);
    for edge in plan.exits(number) {
        let source = exits.get(edge).copied();
        let token = Token {
            live: source.is_some(),
            source: source.unwrap_or_default(),
        };
        put(frame, plan, *edge, token);
        moving.arrived.push(*edge);
    }
}
