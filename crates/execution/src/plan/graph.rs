//! What follows from the parts of a plan: adjacency, order, who reads whom.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use nebula_action::{ActionKind, ControlKind};
use nebula_core::NodeId;
use nebula_expression::{Program, Root};
use nebula_workflow::JoinRest;

use super::{PlanConnection, PlanLoop, PlanMilestone, PlanNode, PlanOutput, PlanParts};

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
    /// For each node: the values that its own expressions need, and those that what follows from its
    /// end needs.
    needs: Vec<[Needs; 2]>,
    output_reads: Vec<u32>,
    /// Of these, the nodes whose results the output needs.
    output_needs: Vec<u32>,
    /// The roots that the output needs.
    output_needs_roots: Needs,
    /// For each node: the list for whose elements it runs, if its program only names it.
    named_list: Vec<Option<NamedList>>,
    /// For each part of the plan, the top level first: where its nodes begin; and where the last ends.
    extents: Vec<u32>,
    /// For each node: the part of the plan that it stands in.
    extent_of: Vec<u32>,
    /// For each node: the body that it has.
    body_of: Vec<Option<u32>>,
    /// For each node: the loop that it is in.
    loop_of: Vec<Option<u32>>,
    /// For each loop: the connections that leave it.
    exits: Vec<Vec<u32>>,
    /// For each join that cancels the rest: the nodes that lead only to it.
    cancelled_by: HashMap<u32, Vec<u32>>,
    /// Like `cancelled_by`, only asked, never walked: its order reaches nothing.
    by_id: HashMap<NodeId, u32>,
    last: Last,
}

/// The values that expressions read, rather than how nodes stand.
#[derive(Debug, Clone, Default)]
pub(crate) struct Needs {
    /// The nodes whose results.
    pub(crate) results: Vec<u32>,
    /// Whether `$input`.
    pub(crate) input: bool,
    /// Whether `$json`.
    pub(crate) json: bool,
    /// Whether `$inputs`.
    pub(crate) inputs: bool,
    /// Whether `$item`.
    pub(crate) item: bool,
    /// Whether `$loop`.
    pub(crate) round: bool,
    /// Whether `$trigger`.
    pub(crate) trigger: bool,
    /// Whether the result of the node itself, also as `$json`.
    pub(crate) own: bool,
}

/// A list that a program names as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NamedList {
    /// `$json`.
    Json,
    /// The result of the node with this index.
    Result(u32),
}

impl Needs {
    fn extend(&mut self, by_id: &HashMap<NodeId, u32>, program: &Program) {
        self.results.extend(results_of(by_id, program));
        self.results.sort_unstable();
        self.results.dedup();
        self.roots_of(program);
    }

    fn roots_of(&mut self, program: &Program) {
        let reads = |root: Root| program.report().roots.contains(&root);
        self.input |= reads(Root::Input);
        self.json |= reads(Root::Json);
        self.inputs |= reads(Root::Inputs);
        self.item |= reads(Root::Item);
        self.round |= reads(Root::Loop);
        self.trigger |= reads(Root::Trigger);
    }
}

/// The nodes whose results a program reads.
fn results_of(by_id: &HashMap<NodeId, u32>, program: &Program) -> impl Iterator<Item = u32> {
    let report = program.report();
    let read = report.nodes.iter().map(|it| &*it.node);
    let read = read.filter(|node| report.reads_result(node));
    read.filter_map(|node| by_id.get(node).copied())
}

/// The node that was asked for last: what happens to an instance asks for its node some twenty times
/// in a row, and to compare an id costs a fraction of hashing it. No answer depends on it.
#[derive(Debug, Default)]
struct Last(AtomicU32);

impl Clone for Last {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Graph {
    /// Builds the graph of parts whose connections are sorted by source; or says how they
    /// contradict each other.
    pub(super) fn new(parts: &PlanParts) -> Result<Self, &'static str> {
        check_indices(parts)?;
        let count = parts.nodes.len();
        let edges = &parts.connections;
        let extents = extents(parts)?;
        let extent_of = (0_u32..)
            .zip(extents.windows(2))
            .flat_map(|(extent, ends)| std::iter::repeat_n(extent, (ends[1] - ends[0]) as usize));
        let mut graph = Self {
            out_offsets: offsets(count, edges.iter().map(|c| c.from)),
            in_offsets: offsets(count, forward(edges).map(|(_, c)| c.to)),
            in_edges: vec![0; forward(edges).count()],
            reads: vec![Vec::new(); count],
            reads_inputs: vec![false; count],
            needs: vec![<[Needs; 2]>::default(); count],
            output_reads: Vec::new(),
            output_needs: Vec::new(),
            output_needs_roots: Needs::default(),
            named_list: vec![None; count],
            extent_of: extent_of.collect(),
            extents,
            body_of: vec![None; count],
            loop_of: vec![None; count],
            exits: vec![Vec::new(); parts.loops.len()],
            cancelled_by: HashMap::new(),
            by_id: HashMap::with_capacity(count),
            last: Last::default(),
        };
        let mut next = graph.in_offsets.clone();
        for (edge, connection) in forward(edges) {
            let slot = &mut next[connection.to as usize];
            graph.in_edges[*slot as usize] = edge;
            *slot += 1;
        }
        for (index, node) in (0_u32..).zip(&parts.nodes) {
            if graph.by_id.insert(node.id.clone(), index).is_some() {
                return Err("two nodes have the same id");
            }
        }
        for (body, part) in (0_u32..).zip(&parts.bodies) {
            if graph.body_of[part.owner as usize].replace(body).is_some() {
                return Err("a node has two bodies");
            }
        }
        let astray = |edge: &&PlanConnection| {
            graph.extent_of[edge.from as usize] != graph.extent_of[edge.to as usize]
        };
        if edges.iter().find(astray).is_some() {
            return Err("a connection leads into a body, or out of one");
        }
        graph.check_milestones(parts)?;
        graph.check_order(parts)?;
        graph.find_loops(parts)?;
        graph.find_cancelled(parts);
        graph.find_reads(parts);
        Ok(graph)
    }

    /// A milestone names only what stands beside it, or around a body that it stands in.
    fn check_milestones(&self, parts: &PlanParts) -> Result<(), &'static str> {
        let around = |mut from: u32, node: u32| {
            while self.extent_of[from as usize] != self.extent_of[node as usize] {
                let body = self.extent_of[from as usize].checked_sub(1)?;
                from = parts.bodies[body as usize].owner;
            }
            Some(())
        };
        for (index, node) in (0_u32..).zip(&parts.nodes) {
            for named in node.milestone.into_iter().flat_map(PlanMilestone::nodes) {
                if named as usize >= parts.nodes.len() || around(index, named).is_none() {
                    return Err("a milestone names a node that it does not see");
                }
            }
        }
        Ok(())
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

    pub(super) fn extent_of(&self, node: u32) -> u32 {
        self.extent_of[node as usize]
    }

    pub(super) fn loop_of(&self, node: u32) -> Option<u32> {
        self.loop_of[node as usize]
    }

    pub(super) fn exits(&self, number: u32) -> &[u32] {
        &self.exits[number as usize]
    }

    pub(super) fn cancelled_by(&self, node: u32) -> &[u32] {
        self.cancelled_by.get(&node).map_or(&[], Vec::as_slice)
    }

    pub(super) fn body_of(&self, owner: u32) -> Option<u32> {
        self.body_of[owner as usize]
    }

    pub(super) fn extent_nodes(&self, extent: u32) -> Range<u32> {
        self.extents[extent as usize]..self.extents[extent as usize + 1]
    }

    /// Connections are sorted by source, and so those of a part stand together.
    pub(super) fn extent_edges(&self, extent: u32) -> Range<u32> {
        let nodes = self.extent_nodes(extent);
        self.out_offsets[nodes.start as usize]..self.out_offsets[nodes.end as usize]
    }

    /// The dense index of a node; `nodes` are those that the graph was built of.
    pub(super) fn index_of(&self, nodes: &[PlanNode], id: &str) -> Option<u32> {
        let last = self.last.0.load(Relaxed);
        if nodes
            .get(last as usize)
            .is_some_and(|node| node.id.as_str() == id)
        {
            return Some(last);
        }
        let found = self.by_id.get(id).copied()?;
        self.last.0.store(found, Relaxed);
        Some(found)
    }

    pub(super) fn reads(&self, node: u32) -> &[u32] {
        &self.reads[node as usize]
    }

    pub(super) fn reads_inputs(&self, node: u32) -> bool {
        self.reads_inputs[node as usize]
    }

    pub(super) fn needs(&self, node: u32) -> &[Needs; 2] {
        &self.needs[node as usize]
    }

    pub(super) fn output_needs(&self) -> &[u32] {
        &self.output_needs
    }

    pub(super) fn output_needs_roots(&self) -> &Needs {
        &self.output_needs_roots
    }

    pub(super) fn named_list(&self, node: u32) -> Option<NamedList> {
        self.named_list[node as usize]
    }

    pub(super) fn output_reads(&self) -> &[u32] {
        &self.output_reads
    }

    /// Tokens come to rest only if no path comes round but through what closes a loop.
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
            let leaving = &parts.connections[range.start as usize..range.end as usize];
            for (_, connection) in forward(leaving) {
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

    /// Each node of a loop is reached from its entry, and only the entry from outside.
    fn find_loops(&mut self, parts: &PlanParts) -> Result<(), &'static str> {
        for (number, part) in (0_u32..).zip(&parts.loops) {
            if part.max_rounds == 0 || !part.nodes.contains(&part.entry) {
                return Err("a loop has no round, or no beginning");
            }
            for node in &part.nodes {
                let before = self.loop_of[*node as usize].replace(number);
                let inside = self.extent_of(*node) == self.extent_of(part.entry);
                let reached = *node == part.entry || !self.incoming(*node).is_empty();
                if before.is_some() || !inside || !reached {
                    return Err("a node is in two loops, or a loop holds what it does not reach");
                }
            }
        }
        for (edge, connection) in (0_u32..).zip(&parts.connections) {
            let (from, to) = (self.loop_of(connection.from), self.loop_of(connection.to));
            let begins = |number: u32| parts.loops[number as usize].entry == connection.to;
            let begins = to.is_some_and(begins);
            let fits = match (from == to, connection.closes_loop) {
                (true, true) => begins,
                (true, false) => !begins,
                (false, closes) => !closes && (to.is_none() || begins),
            };
            if !fits {
                return Err("a loop begins elsewhere than at its entry");
            }
            if let Some(left) = from.filter(|_| from != to) {
                self.exits[left as usize].push(edge);
            }
        }
        Ok(())
    }

    /// For each join that cancels the rest: of the nodes that lead to it, those whose connections
    /// all lead to the join or to another of these. What also leads elsewhere has a use beside it.
    fn find_cancelled(&mut self, parts: &PlanParts) {
        for (index, node) in (0_u32..).zip(&parts.nodes) {
            let rest = node.join.threshold().map(|(_, rest)| rest);
            if rest != Some(JoinRest::Cancel) {
                continue;
            }
            let mut within = self.leading_to(parts, index);
            loop {
                let astray = |from: &u32| {
                    let range = self.outgoing(*from);
                    let leaving = &parts.connections[range.start as usize..range.end as usize];
                    let mut leaving = leaving.iter();
                    leaving.any(|edge| edge.to != index && !within.contains(&edge.to))
                };
                let kept: BTreeSet<u32> = within.iter().copied().filter(|it| !astray(it)).collect();
                if kept.len() == within.len() {
                    break;
                }
                within = kept;
            }
            self.cancelled_by
                .insert(index, within.into_iter().collect());
        }
    }

    /// The nodes from which a path leads to this one, without itself.
    fn leading_to(&self, parts: &PlanParts, node: u32) -> BTreeSet<u32> {
        let (mut found, mut next) = (BTreeSet::new(), vec![node]);
        while let Some(to) = next.pop() {
            for edge in self.incoming(to) {
                let from = parts.connections[*edge as usize].from;
                if found.insert(from) {
                    next.push(from);
                }
            }
        }
        found
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
            self.find_needs(index, node, leaving);
        }
        let (mut reads, mut needs) = (Vec::new(), Vec::new());
        let mut roots = Needs::default();
        match &parts.output {
            PlanOutput::Program(program) => program.each_use("", &mut |found| {
                roots.roots_of(found.program);
                reads.extend(self.read_by(found.program));
                needs.extend(results_of(&self.by_id, found.program));
            }),
            PlanOutput::Node(node) => reads.push(*node),
            PlanOutput::Nodes(nodes) => reads.extend(nodes),
        }
        if !matches!(parts.output, PlanOutput::Program(_)) {
            needs.clone_from(&reads);
        }
        self.output_reads = reads;
        self.output_needs = needs;
        self.output_needs_roots = roots;
        let of_output = [&mut self.output_reads, &mut self.output_needs];
        for reads in self.reads.iter_mut().chain(of_output) {
            reads.sort_unstable();
            reads.dedup();
        }
    }

    /// What a node's expressions need: `leaving` are its connections.
    fn find_needs(&mut self, index: u32, node: &PlanNode, leaving: &[PlanConnection]) {
        self.named_list[index as usize] = self.named_list_of(node);
        let [start, end] = &mut self.needs[index as usize];
        for program in node.own_programs() {
            start.extend(&self.by_id, program);
        }
        let (control, disabled) = (matches!(node.kind, ActionKind::Control(_)), node.disabled);
        let kind = |kind| node.kind == ActionKind::Control(kind);
        // What a list is of, and what is gathered, is needed as a value.
        let passed_by_each = disabled && node.for_each.is_some();
        start.json |= kind(ControlKind::Batches) || node.each_item || passed_by_each;
        start.inputs |= kind(ControlKind::MergeTokens);
        for condition in leaving.iter().filter_map(|it| it.condition.as_ref()) {
            end.extend(&self.by_id, condition);
        }
        // There `$json` is the result, and that is what came in only where it is passed on.
        end.json |= end.results.contains(&index);
        end.own = end.json;
        end.json &= control || disabled;
        let compensation = node.compensation.as_deref();
        let mut undoing = Needs::default();
        for program in compensation.map(|it| it.all_programs()).unwrap_or_default() {
            undoing.extend(&self.by_id, program);
        }
        // Where an effect is undone, `$json` is the result as well.
        end.results.extend(undoing.results);
        end.input |= undoing.input;
        end.inputs |= undoing.inputs;
        end.item |= undoing.item;
        end.round |= undoing.round;
        end.trigger |= undoing.trigger;
        end.json |= undoing.json && (control || disabled);
        end.own |= undoing.json || end.results.contains(&index);
    }

    /// The list for whose elements a node runs, if its program only names it, and no other program of the
    /// node reads it.
    fn named_list_of(&self, node: &PlanNode) -> Option<NamedList> {
        let list = match (&node.for_each, node.kind) {
            (Some(program), _) => program,
            (None, ActionKind::Control(ControlKind::ForEach)) => {
                node.parameters.expression("items")?
            }
            (None, _) => return None,
        };
        let whole = list.source().trim();
        let named = match whole
            .strip_prefix("$nodes.")
            .and_then(|it| it.strip_suffix(".result"))
        {
            Some(id) => NamedList::Result(*self.by_id.get(id)?),
            None if whole == "$json" => NamedList::Json,
            None => return None,
        };
        let others = node.own_programs().into_iter();
        let mut others = others.filter(|other| !std::ptr::eq(*other, list));
        let reads_it = |other: &Program| {
            let mut paths = other.report().paths.iter();
            paths.any(|path| path.starts_with(whole) || whole.starts_with(path.as_str()))
        };
        let alone = list.report().paths == [whole] && !others.any(reads_it);
        alone.then_some(named)
    }

    fn read_by(&self, program: &Program) -> Vec<u32> {
        let references = program.report().nodes.iter();
        references
            .filter_map(|reference| self.by_id.get(&*reference.node).copied())
            .collect()
    }
}

/// The connections that close no loop, each with its index.
fn forward(edges: &[PlanConnection]) -> impl Iterator<Item = (u32, &PlanConnection)> {
    let edges = (0_u32..).zip(edges);
    edges.filter(|(_, connection)| !connection.closes_loop)
}

fn reads_inputs(program: &Program) -> bool {
    program.report().roots.contains(&Root::Inputs)
}

/// Where the nodes of the top level and of each body begin, and where the last body ends.
fn extents(parts: &PlanParts) -> Result<Vec<u32>, &'static str> {
    let count = parts.nodes.len() as u32;
    let mut extents = vec![0];
    for body in &parts.bodies {
        let held_inside =
            |held: &u32| (body.first..body.first.saturating_add(body.count)).contains(held);
        let handlers = body.handlers.iter();
        let outputs = handlers
            .clone()
            .map(|handler| &handler.output)
            .chain([&body.output]);
        let outputs_inside = outputs
            .clone()
            .all(|output| output_nodes(output).iter().all(held_inside));
        let mut held = handlers.map(|handler| handler.node);
        if body.count == 0 || body.owner >= body.first || !held.all(|held| held_inside(&held)) {
            return Err("a body is empty, stands before its node, or holds what is not in it");
        }
        let mut programs = outputs.filter(|output| matches!(output, PlanOutput::Program(_)));
        if !outputs_inside || programs.next().is_some() {
            return Err("a body gives what is not in it");
        }
        extents.push(body.first);
    }
    extents.push(count);
    let next = parts
        .bodies
        .iter()
        .map(|body| body.first.saturating_add(body.count));
    if !next.eq(extents.iter().skip(2).copied()) || !extents.is_sorted() {
        return Err("the bodies do not stand one behind the other");
    }
    Ok(extents)
}

fn output_nodes(output: &PlanOutput) -> &[u32] {
    match output {
        PlanOutput::Program(_) => &[],
        PlanOutput::Node(node) => std::slice::from_ref(node),
        PlanOutput::Nodes(nodes) => nodes,
    }
}

fn check_indices(parts: &PlanParts) -> Result<(), &'static str> {
    let known = |index: u32| (index as usize) < parts.nodes.len();
    let mut outputs = parts
        .bodies
        .iter()
        .map(|body| &body.output)
        .chain([&parts.output]);
    if !parts
        .connections
        .iter()
        .all(|c| known(c.from) && known(c.to))
    {
        return Err("a connection leads to a node that is not there");
    }
    let in_loop = |part: &PlanLoop| part.nodes.iter().all(|node| known(*node));
    if !parts.loops.iter().all(in_loop) {
        return Err("a loop has a node that is not there");
    }
    if !outputs.all(|output| output_nodes(output).iter().all(|node| known(*node))) {
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
