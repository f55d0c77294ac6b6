//! A definition with the nodes of its bodies in one row, as a plan has them.

use std::collections::VecDeque;

use nebula_workflow::{Connection, ConnectionOrigin, NodeDefinition, WorkflowDefinition};

/// A definition with the nodes of its bodies in one row: those of the top level, then those of each
/// body, so that a body stands behind its node and in one piece.
#[derive(Debug)]
pub(crate) struct Flat<'a> {
    pub(crate) nodes: Vec<&'a NodeDefinition>,
    /// For each node: its JSON pointer.
    pub(crate) pointers: Vec<String>,
    /// For each node: the part that it stands in; 0 is the top level, `n + 1` the body number `n`.
    pub(crate) parts: Vec<u32>,
    pub(crate) connections: Vec<&'a Connection>,
    pub(crate) bodies: Vec<FlatBody>,
}

/// Where the nodes of a body stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlatBody {
    /// The node whose body it is.
    pub(crate) owner: u32,
    /// Its first node.
    pub(crate) first: u32,
    /// How many nodes it has.
    pub(crate) count: u32,
    /// How many bodies it stands in, itself included.
    pub(crate) depth: usize,
}

impl<'a> Flat<'a> {
    pub(crate) fn new(definition: &'a WorkflowDefinition) -> Self {
        let mut flat = Self {
            nodes: Vec::new(),
            pointers: Vec::new(),
            parts: Vec::new(),
            connections: definition.connections.iter().collect(),
            bodies: Vec::new(),
        };
        let mut bodies = VecDeque::new();
        flat.append(&definition.nodes, "", 0, 0, &mut bodies);
        while let Some((owner, depth)) = bodies.pop_front() {
            let Some(body) = &flat.nodes[owner as usize].body else {
                continue;
            };
            flat.bodies.push(FlatBody {
                owner,
                first: flat.nodes.len() as u32,
                count: body.nodes.len() as u32,
                depth,
            });
            let pointer = format!("{}/body", flat.pointers[owner as usize]);
            let part = flat.bodies.len() as u32;
            flat.append(&body.nodes, &pointer, part, depth, &mut bodies);
            flat.connections.extend(&body.connections);
        }
        flat
    }

    fn append(
        &mut self,
        nodes: &'a [NodeDefinition],
        pointer: &str,
        part: u32,
        depth: usize,
        bodies: &mut VecDeque<(u32, usize)>,
    ) {
        for (index, node) in nodes.iter().enumerate() {
            if node
                .body
                .as_ref()
                .is_some_and(|body| !body.nodes.is_empty())
            {
                bodies.push_back((self.nodes.len() as u32, depth + 1));
            }
            self.nodes.push(node);
            self.pointers.push(format!("{pointer}/nodes/{index}"));
            self.parts.push(part);
        }
    }

    /// The node whose body `node` stands in.
    pub(crate) fn owner(&self, node: u32) -> Option<u32> {
        let part = self.parts[node as usize].checked_sub(1)?;
        Some(self.bodies[part as usize].owner)
    }

    /// The nodes whose bodies `node` stands in, the nearest first.
    pub(crate) fn owners(&self, node: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(self.owner(node), |owner| self.owner(*owner))
    }

    /// The node on `node`'s way out that stands where `other` does: itself, or one whose body it stands
    /// in; itself, if there is none.
    pub(crate) fn beside(&self, node: u32, other: u32) -> u32 {
        let mut way = std::iter::once(node).chain(self.owners(node));
        let part = self.parts[other as usize];
        way.find(|it| self.parts[*it as usize] == part)
            .unwrap_or(node)
    }

    /// The connections without those that only the order of the nodes implies and that lead to or
    /// from a node of `apart`, which has a beginning of its own.
    pub(crate) fn connections_beside(&self, apart: &[u32]) -> Vec<&'a Connection> {
        let ids: Vec<_> = apart
            .iter()
            .map(|node| &self.nodes[*node as usize].id)
            .collect();
        let kept = self.connections.iter().filter(|connection| {
            let implied = matches!(connection.origin, ConnectionOrigin::Implied { .. });
            !(implied && ids.iter().any(|id| **id == connection.to))
        });
        kept.copied().collect()
    }
}
