//! The order in which the nodes of a plan can run.

use nebula_execution::ExecutionPlan;

/// Nodes by their distance from the start of the part of the plan that they stand in: those of one
/// wave can run side by side.
#[derive(Debug)]
pub(crate) struct Waves {
    /// For each node: the number of connections on the longest path to it in its part.
    pub(crate) depth: Vec<usize>,
    /// For each node: how far in a picture of all of it stands.
    pub(crate) indent: Vec<usize>,
    /// For each node: the node whose body it stands in.
    pub(crate) owner: Vec<Option<u32>>,
    /// The nodes by wave, in the definition's order within one; those of a body behind its node.
    pub(crate) order: Vec<u32>,
    /// The most nodes in one wave, those of bodies included.
    pub(crate) width: usize,
}

impl Waves {
    pub(crate) fn of(plan: &ExecutionPlan) -> Self {
        let count = plan.nodes.len();
        let mut waves = Self {
            depth: depth(plan),
            indent: vec![0; count],
            owner: vec![None; count],
            order: Vec::with_capacity(count),
            width: 0,
        };
        let top = 0..plan.top_level().len() as u32;
        waves.width = waves.part(plan, top, None);
        waves
    }

    /// Puts the nodes of a part in order, and gives the most that run side by side in it.
    fn part(
        &mut self,
        plan: &ExecutionPlan,
        nodes: std::ops::Range<u32>,
        owner: Option<u32>,
    ) -> usize {
        let mut order: Vec<u32> = nodes.collect();
        order.sort_by_key(|node| self.depth[*node as usize]);
        let base = owner.map_or(0, |owner| self.indent[owner as usize] + 1);
        let mut sizes: Vec<usize> = Vec::new();
        for node in order {
            let depth = self.depth[node as usize];
            self.indent[node as usize] = base + depth;
            self.owner[node as usize] = owner;
            self.order.push(node);
            let inside = plan.body_of(node).map(|(_, body)| {
                let nodes = body.first..body.first + body.count;
                self.part(plan, nodes, Some(node))
            });
            let held = owner
                .and_then(|owner| plan.body_of(owner))
                .is_some_and(|(_, body)| body.handler(node).is_some());
            sizes.resize(sizes.len().max(depth + 1), 0);
            // What handles a failure does not run beside what failed.
            sizes[depth] += if held { 0 } else { inside.unwrap_or(1) };
        }
        sizes.into_iter().max().unwrap_or(0)
    }

    /// The number of a node's wave, from 1, behind those of the nodes in whose bodies it stands: `2.1`.
    pub(crate) fn wave(&self, node: u32) -> String {
        let own = (self.depth[node as usize] + 1).to_string();
        match self.owner[node as usize] {
            Some(owner) => format!("{}.{own}", self.wave(owner)),
            None => own,
        }
    }
}

/// For each node: the number of connections on the longest path to it.
fn depth(plan: &ExecutionPlan) -> Vec<usize> {
    let count = plan.nodes.len();
    let mut depth = vec![0; count];
    let nodes = (0_u32..).take(count);
    let mut open: Vec<usize> = nodes
        .clone()
        .map(|node| plan.incoming(node).len())
        .collect();
    let mut ready: Vec<u32> = nodes.filter(|node| open[*node as usize] == 0).collect();
    // A plan has no cycles but through what closes a loop, so this reaches every node.
    while let Some(node) = ready.pop() {
        let leaving = plan.outgoing(node).filter(|(_, it)| !it.closes_loop);
        for (_, connection) in leaving {
            let to = connection.to as usize;
            depth[to] = depth[to].max(depth[node as usize] + 1);
            open[to] -= 1;
            if open[to] == 0 {
                ready.push(connection.to);
            }
        }
    }
    depth
}
