//! Mutexes and semaphores in each other: what would wait for itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use nebula_action::{ActionKind, ActionMetadata, ControlKind};
use nebula_core::ParamValue;
use nebula_workflow::Diagnostic;
use serde_json::Value;

use crate::{build::Builder, codes};

/// Which mutex or semaphore, as far as it is literal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Lock {
    kind: &'static str,
    name: String,
    /// Whether only one execution shares it.
    own: bool,
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind, self.name)
    }
}

impl Builder<'_> {
    /// Reports bodies that wait for a slot that is held around them, nests in opposite orders, and
    /// semaphores of one name with different numbers. What is not literal shows at run time.
    pub(crate) fn locks(&mut self, actions: &[Option<&ActionMetadata>]) {
        let locks: Vec<_> = (0..actions.len())
            .map(|node| self.lock(node, actions[node]))
            .collect();
        self.lock_order(&locks);
        self.permits(&locks);
    }

    fn lock(&self, node: usize, metadata: Option<&ActionMetadata>) -> Option<Lock> {
        let kind = match metadata?.kind {
            ActionKind::Control(ControlKind::Mutex) => "mutex",
            ActionKind::Control(ControlKind::Semaphore) => "semaphore",
            _ => return None,
        };
        let definition = self.flat.nodes[node];
        if definition.disabled || definition.pin.is_some() {
            return None;
        }
        let literal = |name: &str| match definition.parameters.get(name) {
            Some(ParamValue::Literal(Value::String(text))) => Some(Some(text.clone())),
            Some(_) => None,
            None => Some(None),
        };
        Some(Lock {
            kind,
            name: literal("name")??,
            own: literal("scope")?.is_some_and(|scope| scope == "execution"),
        })
    }

    fn lock_order(&mut self, locks: &[Option<Lock>]) {
        // For each one, those that are taken while it is held, with the node that does.
        let mut inside: BTreeMap<&Lock, BTreeMap<&Lock, usize>> = BTreeMap::new();
        for (node, lock) in locks.iter().enumerate() {
            let Some(lock) = lock else { continue };
            let owners = self.flat.owners(node as u32);
            for owner in owners.collect::<Vec<_>>() {
                let Some(outer) = &locks[owner as usize] else {
                    continue;
                };
                let id = &self.flat.nodes[node].id;
                let problem = if outer == lock {
                    let around = &self.flat.nodes[owner as usize].id;
                    let message = format!(
                        "node `{id}` takes the {lock}, which `{around}` holds, in whose body it stands"
                    );
                    Some((message, "take the inner one away: the outer one is enough"))
                } else {
                    let other = reached(&inside, lock, outer);
                    inside.entry(outer).or_default().entry(lock).or_insert(node);
                    other.map(|other| {
                        let other = &self.flat.nodes[other].id;
                        let message = format!(
                            "node `{id}` takes the {lock} while the {outer} is held, and `{other}` the other way round: they would wait for each other"
                        );
                        (message, "nest them in one order everywhere")
                    })
                };
                if let Some((message, hint)) = problem {
                    let at = format!("{}/parameters/name", self.flat.pointers[node]);
                    self.diagnostics
                        .push(Diagnostic::error(codes::LOCK, at, message).hint(hint));
                }
            }
        }
    }

    fn permits(&mut self, locks: &[Option<Lock>]) {
        let mut first: BTreeMap<&Lock, (usize, &Value)> = BTreeMap::new();
        for (node, lock) in locks.iter().enumerate() {
            let Some(lock) = lock else { continue };
            let permits = self.flat.nodes[node].parameters.get("permits");
            let Some(ParamValue::Literal(permits)) = permits else {
                continue;
            };
            let (other, known) = *first.entry(lock).or_insert((node, permits));
            if known != permits {
                let (id, other) = (&self.flat.nodes[node].id, &self.flat.nodes[other].id);
                let message = format!(
                    "the {lock} has {permits} permits in node `{id}` and {known} in `{other}`"
                );
                let at = format!("{}/parameters/permits", self.flat.pointers[node]);
                let hint = "write the same number everywhere, or give one of them another name";
                self.diagnostics
                    .push(Diagnostic::error(codes::LOCK, at, message).hint(hint));
            }
        }
    }
}

/// The node by which `to` is taken, at last, while `from` is held.
fn reached(
    inside: &BTreeMap<&Lock, BTreeMap<&Lock, usize>>,
    from: &Lock,
    to: &Lock,
) -> Option<usize> {
    let (mut next, mut seen) = (vec![from], BTreeSet::from([from]));
    while let Some(lock) = next.pop() {
        for (inner, node) in inside.get(lock).into_iter().flatten() {
            if *inner == to {
                return Some(*node);
            }
            if seen.insert(inner) {
                next.push(inner);
            }
        }
    }
    None
}
