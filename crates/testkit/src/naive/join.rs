//! When a node is activated, by the tokens that reach it.

use std::collections::BTreeSet;

use nebula_workflow::JoinRule;
use serde_json::Value;

use super::{Ambiguous, Result, SAME, Time};

/// What came along a connection.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) at: Time,
    /// The value, if the connection was taken.
    pub(super) live: Option<Value>,
}

/// An activation.
#[derive(Debug, Clone)]
pub(super) struct Activated {
    pub(super) at: Time,
    /// The connections that led to it, with what they brought.
    pub(super) live: Vec<(usize, Value)>,
    /// Whether it begins a region; without that and without anything live it is skipped.
    pub(super) starts: bool,
}

fn activated(at: Time, live: Vec<(usize, Value)>) -> Activated {
    Activated {
        at,
        live,
        starts: false,
    }
}

/// The activations of a node with these tokens on each of its connections, in their order.
pub(super) fn join(rule: JoinRule, queues: &[(usize, Vec<Token>)]) -> Result<Vec<Activated>> {
    if rule == JoinRule::Each {
        return each(queues);
    }
    let rounds = queues
        .iter()
        .map(|(_, queue)| queue.len())
        .min()
        .unwrap_or(0);
    let mut found = Vec::new();
    let mut begins = 0;
    for round in 0..rounds {
        let tokens = queues.iter().map(|(edge, queue)| (*edge, &queue[round]));
        // A token that came while the round before was open is taken when that is over.
        let mut tokens: Vec<(Time, usize, &Token)> = tokens
            .map(|(edge, token)| (token.at.max(begins), edge, token))
            .collect();
        let over = tokens.iter().map(|(at, ..)| *at).max().unwrap_or(begins);
        let live = |tokens: &[(Time, usize, &Token)]| -> Vec<(usize, Value)> {
            let live = tokens
                .iter()
                .filter_map(|(_, edge, token)| Some((*edge, token.live.clone()?)));
            live.collect()
        };
        let Some((count, _)) = rule.threshold() else {
            found.push(activated(over, live(&tokens)));
            continue;
        };
        tokens.retain(|(.., token)| token.live.is_some());
        tokens.sort_by_key(|(at, ..)| *at);
        let count = count as usize;
        if tokens.len() < count {
            found.push(activated(over, Vec::new()));
        } else {
            let first = &tokens[..tokens.len().min(count + 1)];
            if first.windows(2).any(|pair| pair[1].0 - pair[0].0 < SAME) {
                return Err(Ambiguous);
            }
            found.push(activated(tokens[count - 1].0, live(&tokens[..count])));
        }
        begins = over;
    }
    Ok(found)
}

fn each(queues: &[(usize, Vec<Token>)]) -> Result<Vec<Activated>> {
    let tokens = queues
        .iter()
        .flat_map(|(edge, queue)| queue.iter().map(|token| (*edge, token)));
    let mut tokens: Vec<_> = tokens.collect();
    tokens.sort_by_key(|(_, token)| token.at);
    let close = |pair: &[(usize, &Token)]| pair[1].1.at - pair[0].1.at < SAME;
    let kinds: BTreeSet<bool> = tokens
        .iter()
        .map(|(_, token)| token.live.is_some())
        .collect();
    if tokens.windows(2).any(close) && (kinds.len() > 1 || kinds.contains(&true)) {
        return Err(Ambiguous);
    }
    let found = tokens.into_iter().map(|(edge, token)| {
        let live = token.live.iter().map(|value| (edge, value.clone()));
        activated(token.at, live.collect())
    });
    Ok(found.collect())
}
