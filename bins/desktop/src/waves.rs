//! The order in which the nodes of a plan can run.

use nebula_execution::ExecutionPlan;

/// Nodes by their distance from the start: those of one wave can run side by side.
#[derive(Debug)]
pub(crate) struct Waves {
    /// For each node: the number of connections on the longest path to it.
    pub(crate) depth: Vec<usize>,
    /// The nodes by wave, in the definition's order within one.
    pub(crate) order: Vec<u32>,
    /// The most nodes in one wave.
    pub(crate) width: usize,
}

impl Waves {
    pub(crate) fn of(plan: &ExecutionPlan) -> Self {
        let count = plan.nodes.len();
        let mut depth = vec![0; count];
        let mut open: Vec<usize> = (0_u32..)
            .take(count)
            .map(|node| plan.incoming(node).len())
            .collect();
        let mut ready: Vec<u32> = (0_u32..)
            .take(count)
            .filter(|node| open[*node as usize] == 0)
            .collect();
        // A plan has no cycles, so this reaches every node.
        while let Some(node) = ready.pop() {
            for (_, connection) in plan.outgoing(node) {
                let to = connection.to as usize;
                depth[to] = depth[to].max(depth[node as usize] + 1);
                open[to] -= 1;
                if open[to] == 0 {
                    ready.push(connection.to);
                }
            }
        }
        let mut order: Vec<u32> = (0_u32..).take(count).collect();
        order.sort_by_key(|node| depth[*node as usize]);
        let waves = depth.iter().max().map_or(0, |deepest| deepest + 1);
        let mut sizes = vec![0; waves];
        for wave in &depth {
            sizes[*wave] += 1;
        }
        let width = sizes.into_iter().max().unwrap_or(0);
        Self {
            depth,
            order,
            width,
        }
    }
}
