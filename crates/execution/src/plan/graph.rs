//! What follows from the parts of a plan: adjacency, order, who reads whom.

use std::{collections::HashMap, ops::Range};

use nebula_core::NodeId;
use nebula_expression::{Program, Root};

use super::{PlanOutput, PlanParts};

/// Adjacency as flat arrays: the connections of node `n` are `offsets[n]..offsets[n + 1]`.
#[derive(Debug, Clone)]
pub(super) struct Graph {
    out_offsets: Vec<u32>,
    in_offsets: Vec<u32>,
    in_edges: Vec<u32>,
    /// For each node: the nodes that its expressions and those of its connections read.
    reads: Vec<Vec<u32>>,
    /// For each node: whether one of them reads `$inputs`.
    reads_inputs: Vec<bool>,
    output_reads: Vec<u32>,
    /// Only asked, never walked: its order reaches nothing.
    by_id: HashMap<NodeId, u32>,
}

impl Graph {
    /// Builds the graph of parts whose connections are sorted by source; or says how they
    /// contradict each other.
    pub(super) fn new(parts: &PlanParts) -> Result<Self, &'static str> {
        check_indices(parts)?;
        let count = parts.nodes.len();
        let edges = &parts.connections;
        let mut graph = Self {
            out_offsets: offsets(count, edges.iter().map(|c| c.from)),
            in_offsets: offsets(count, edges.iter().map(|c| c.to)),
            in_edges: vec![0; edges.len()],
            reads: vec![Vec::new(); count],
            reads_inputs: vec![false; count],
            output_reads: Vec::new(),
            by_id: HashMap::with_capacity(count),
        };
        let mut next = graph.in_offsets.clone();
        for (edge, connection) in (0_u32..).zip(edges) {
            let slot = &mut next[connection.to as usize];
            graph.in_edges[*slot as usize] = edge;
            *slot += 1;
        }
        for (index, node) in (0_u32..).zip(&parts.nodes) {
            if graph.by_id.insert(node.id.clone(), index).is_some() {
                return Err("two nodes have the same id");
            }
        }
        graph.check_order(parts)?;
        graph.find_reads(parts);
        Ok(graph)
    }

    /// The range of connections that leave `node`.
    pub(super) fn outgoing(&self, node: u32) -> Range<u32> {
        self.out_offsets[node as usize]..self.out_offsets[node as usize + 1]
    }

    /// The connections that end at `node`.
    pub(super) fn incoming(&self, node: u32) -> &[u32] {
        let range = self.in_offsets[node as usize]..self.in_offsets[node as usize + 1];
        &self.in_edges[range.start as usize..range.end as usize]
    }

    pub(super) fn index_of(&self, id: &str) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    pub(super) fn reads(&self, node: u32) -> &[u32] {
        &self.reads[node as usize]
    }

    pub(super) fn reads_inputs(&self, node: u32) -> bool {
        self.reads_inputs[node as usize]
    }

    pub(super) fn output_reads(&self) -> &[u32] {
        &self.output_reads
    }

    /// Tokens come to rest only if no path comes round.
    fn check_order(&self, parts: &PlanParts) -> Result<(), &'static str> {
        let nodes = 0..parts.nodes.len() as u32;
        let mut waits: Vec<_> = nodes
            .clone()
            .map(|node| self.incoming(node).len())
            .collect();
        let mut ready: Vec<_> = nodes.filter(|node| waits[*node as usize] == 0).collect();
        let mut reached = 0;
        while let Some(node) = ready.pop() {
            reached += 1;
            let range = self.outgoing(node);
            for connection in &parts.connections[range.start as usize..range.end as usize] {
                let waits = &mut waits[connection.to as usize];
                *waits -= 1;
                if *waits == 0 {
                    ready.push(connection.to);
                }
            }
        }
        if reached == parts.nodes.len() {
            Ok(())
        } else {
            Err("nodes wait for each other")
        }
    }

    fn find_reads(&mut self, parts: &PlanParts) {
        for (index, node) in (0_u32..).zip(&parts.nodes) {
            let range = self.outgoing(index);
            let leaving = &parts.connections[range.start as usize..range.end as usize];
            let conditions = leaving
                .iter()
                .filter_map(|connection| connection.condition.as_ref());
            for program in node.programs().into_iter().chain(conditions) {
                let (reads, inputs) = (self.read_by(program), reads_inputs(program));
                self.reads[index as usize].extend(reads);
                self.reads_inputs[index as usize] |= inputs;
            }
        }
        let mut reads = Vec::new();
        match &parts.output {
            PlanOutput::Program(program) => {
                program.each_use("", &mut |found| reads.extend(self.read_by(found.program)));
            }
            PlanOutput::Node(node) => reads.push(*node),
            PlanOutput::Nodes(nodes) => reads.extend(nodes),
        }
        self.output_reads = reads;
        for reads in self.reads.iter_mut().chain([&mut self.output_reads]) {
            reads.sort_unstable();
            reads.dedup();
        }
    }

    fn read_by(&self, program: &Program) -> Vec<u32> {
        let references = program.report().nodes.iter();
        references
            .filter_map(|reference| self.index_of(&reference.node))
            .collect()
    }
}

fn reads_inputs(program: &Program) -> bool {
    program.report().roots.contains(&Root::Inputs)
}

fn check_indices(parts: &PlanParts) -> Result<(), &'static str> {
    let known = |index: u32| (index as usize) < parts.nodes.len();
    let ends = match &parts.output {
        PlanOutput::Program(_) => &[][..],
        PlanOutput::Node(node) => std::slice::from_ref(node),
        PlanOutput::Nodes(nodes) => nodes,
    };
    if !parts
        .connections
        .iter()
        .all(|c| known(c.from) && known(c.to))
    {
        return Err("a connection leads to a node that is not there");
    }
    if !ends.iter().all(|node| known(*node)) {
        return Err("the output names a node that is not there");
    }
    Ok(())
}

fn offsets(count: usize, nodes: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut offsets = vec![0; count + 1];
    for node in nodes {
        offsets[node as usize + 1] += 1;
    }
    for i in 0..count {
        offsets[i + 1] += offsets[i];
    }
    offsets
}
