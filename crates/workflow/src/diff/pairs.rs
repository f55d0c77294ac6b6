//! Which nodes of two definitions are the same one under another id.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use nebula_core::NodeId;
use serde_json::Value;

use super::{
    RenameNode, Renamed,
    parts::{Named, each_connection, nodes},
};
use crate::WorkflowDefinition;

/// The most pairs of a node that went and one that came of which each is looked at; of more, only
/// nodes whose content is the same are found to be renamed.
pub const MAX_RENAME_PAIRS: usize = 10_000;

/// The most nodes that are found to be renamed: each is looked for in the whole definition.
pub const MAX_RENAMES: usize = 256;

/// How often is looked again, because what was found tells more about its neighbours.
const MAX_ROUNDS: usize = 8;

/// How much of two nodes must be alike, of 1,000: half of what they say and lead to.
const ENOUGH: usize = 500;

/// The likeness of nodes with the same content, whatever they lead to; what they share of that is added.
const SAME: usize = 1_000;

/// Renames the nodes of `old` that have another id in `new`, and says which.
pub(super) fn pairs(
    old: &mut WorkflowDefinition,
    new: &WorkflowDefinition,
    rename: &RenameNode<'_>,
) -> Vec<Renamed> {
    let (now, known) = (Side::of(new), Side::of(old));
    let mut all = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let before = Side::of(old);
        // A node that gave its id to another action may be there under another one.
        let went = before.names(|name| before.action(name) != now.action(name));
        // No id that a node had: so the names can be given one after the other.
        let came = now.names(|name| !before.has(name) && !known.has(name));
        let found = best((&before, &went), (&now, &came));
        if found.is_empty() {
            break;
        }
        let left = MAX_RENAMES - all.len();
        for (from, to) in found.into_iter().take(left) {
            let id = |name: &str| NodeId::new(name).expect("it is the id of a node");
            let (from, to) = (id(from), id(to));
            rename(old, &from, &to);
            all.push(Renamed { from, to });
        }
    }
    let place: HashMap<_, _> = known.order.iter().zip(0..).collect();
    all.sort_by_key(|renamed| place.get(&renamed.from.to_string()).copied());
    all
}

/// The nodes of one definition, with what is said of them.
struct Side {
    order: Vec<String>,
    content: BTreeMap<String, Value>,
    /// Where its connections lead and come from: (`in main main`, `fetch`).
    neighbours: BTreeMap<String, Vec<(String, String)>>,
}

impl Side {
    fn of(definition: &WorkflowDefinition) -> Self {
        let mut neighbours = BTreeMap::<_, Vec<_>>::new();
        each_connection(
            &definition.nodes,
            &definition.connections,
            None,
            &mut |c, _| {
                let mut add = |at: &NodeId, way: &str, other: &NodeId| {
                    let way = format!("{way} {} {}", c.port, c.input);
                    let known = neighbours.entry(at.to_string()).or_default();
                    known.push((way, other.to_string()));
                };
                add(&c.from, "out", &c.to);
                add(&c.to, "in", &c.from);
            },
        );
        let listed = nodes(definition);
        Self {
            order: listed.iter().map(|node| node.name.clone()).collect(),
            content: listed
                .into_iter()
                .map(|Named { name, content }| (name, content))
                .collect(),
            neighbours,
        }
    }

    fn names(&self, wanted: impl Fn(&str) -> bool) -> Vec<&str> {
        let names = self.order.iter().map(String::as_str);
        names.filter(|name| wanted(name)).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.content.contains_key(name)
    }

    /// The action of a node, without its version.
    fn action(&self, name: &str) -> Option<&str> {
        let action = self.content.get(name)?.get("action")?.as_str()?;
        Some(action.split_once('@').map_or(action, |(id, _)| id))
    }

    /// A neighbour that the other side has is told by its id, any other one by its action.
    fn features(&self, name: &str, other: &Self) -> Features {
        let (mut content, node) = (BTreeSet::new(), &self.content[name]);
        leaves(node, "", &mut content);
        let around = self.neighbours.get(name).into_iter().flatten();
        let near = |(way, id): &(String, String)| match self.action(id) {
            Some(action) if other.action(id) != Some(action) => format!("{way} ?{action}"),
            _ => format!("{way} {id}"),
        };
        Features {
            action: self.action(name).map(str::to_owned),
            content,
            neighbours: around.map(near).collect(),
        }
    }
}

/// What is known of a node, in pieces that can be counted.
struct Features {
    action: Option<String>,
    content: BTreeSet<String>,
    neighbours: BTreeSet<String>,
}

impl Features {
    /// How alike two nodes are; below [`ENOUGH`] they are not the same one.
    fn likeness(&self, other: &Self) -> usize {
        if self.action != other.action {
            return 0;
        }
        let of = |a: &BTreeSet<String>, b: &BTreeSet<String>| {
            let both = a.intersection(b).count();
            (both, a.len() + b.len() - both)
        };
        let (content, all) = of(&self.content, &other.content);
        let (near, around) = of(&self.neighbours, &other.neighbours);
        let part = (content + near) * 1_000 / (all + around).max(1);
        // A node that says no more than its action is like any other one.
        if content == all && all > 1 {
            SAME + part
        } else {
            part
        }
    }
}

/// Every value inside, with its path.
fn leaves(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                leaves(value, &format!("{path}/{key}"), found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                leaves(item, &format!("{path}/-"), found);
            }
        }
        leaf => {
            found.insert(format!("{path} {leaf}"));
        }
    }
}

/// The best pairs of a node that went and one that came; the surest ones alone if there are any,
/// since they tell more about the others.
fn best<'a>(
    (before, went): (&Side, &[&'a str]),
    (now, came): (&Side, &[&'a str]),
) -> Vec<(&'a str, &'a str)> {
    let features = |side: &Side, other: &Side, names: &[&str]| -> Vec<Features> {
        let names = names.iter();
        names.map(|name| side.features(name, other)).collect()
    };
    let gone = features(before, now, went);
    let new = features(now, before, came);
    let mut scored = Vec::new();
    if gone.len() * new.len() <= MAX_RENAME_PAIRS {
        for (from, one) in gone.iter().enumerate() {
            let others = new.iter().enumerate();
            scored.extend(others.map(|(to, other)| (one.likeness(other), from, to)));
        }
    } else {
        let mut same = BTreeMap::<_, Vec<_>>::new();
        for (to, other) in new.iter().enumerate() {
            same.entry(&other.content).or_default().push(to);
        }
        for (from, one) in gone.iter().enumerate() {
            // Those that share all are many only if they say nearly nothing.
            let others = same.get(&one.content).into_iter().flatten().take(1);
            scored.extend(others.map(|to| (one.likeness(&new[*to]), from, *to)));
        }
    }
    scored.retain(|(likeness, ..)| *likeness >= ENOUGH);
    scored.sort_by_key(|(likeness, from, to)| (std::cmp::Reverse(*likeness), *from, *to));
    if scored
        .first()
        .is_some_and(|(likeness, ..)| *likeness >= SAME)
    {
        scored.retain(|(likeness, ..)| *likeness >= SAME);
    }
    let (mut taken, mut given) = (BTreeSet::new(), BTreeSet::new());
    scored
        .into_iter()
        .filter(|(_, from, to)| {
            let free = !taken.contains(from) && !given.contains(to);
            if free {
                taken.insert(*from);
                given.insert(*to);
            }
            free
        })
        .map(|(_, from, to)| (went[from], came[to]))
        .collect()
}
