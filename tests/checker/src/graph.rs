//! Strongly connected components: operations that depend on each other in a circle.
//!
//! Tarjan's algorithm with its own stack, so that a long chain does not need a deep one. O(nodes + edges).

/// Edges as a list of pairs; nodes are numbered from 0.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    edges: Vec<(u32, u32)>,
    nodes: u32,
}

impl Graph {
    /// A new node.
    pub(crate) fn node(&mut self) -> u32 {
        self.nodes += 1;
        self.nodes - 1
    }

    /// `from` surely happened before `to`.
    pub(crate) fn edge(&mut self, from: u32, to: u32) {
        self.edges.push((from, to));
    }

    /// Components of more than one node.
    pub(crate) fn cycles(&self) -> Vec<Vec<u32>> {
        const UNSEEN: u32 = u32::MAX;
        let count = self.nodes as usize;
        // Neighbours of node n: heads[n]..heads[n + 1] in targets.
        let mut heads = vec![0_usize; count + 1];
        for &(from, _) in &self.edges {
            heads[from as usize + 1] += 1;
        }
        for n in 0..count {
            heads[n + 1] += heads[n];
        }
        let mut fill = heads.clone();
        let mut targets = vec![0_u32; self.edges.len()];
        for &(from, to) in &self.edges {
            targets[fill[from as usize]] = to;
            fill[from as usize] += 1;
        }
        let mut order = vec![UNSEEN; count];
        let mut low = vec![0_u32; count];
        let mut on_stack = vec![false; count];
        let (mut stack, mut calls, mut next, mut found) = (Vec::new(), Vec::new(), 0_u32, Vec::new());
        for root in 0..count {
            if order[root] != UNSEEN {
                continue;
            }
            calls.push((root, heads[root]));
            while let Some((node, mut at)) = calls.pop() {
                if order[node] == UNSEEN {
                    order[node] = next;
                    low[node] = next;
                    next += 1;
                    stack.push(node as u32);
                    on_stack[node] = true;
                }
                let mut descended = false;
                while at < heads[node + 1] {
                    let target = targets[at] as usize;
                    if order[target] == UNSEEN {
                        calls.push((node, at));
                        calls.push((target, heads[target]));
                        descended = true;
                        break;
                    }
                    if on_stack[target] {
                        low[node] = low[node].min(low[target]);
                    }
                    at += 1;
                }
                if descended || low[node] != order[node] {
                    continue;
                }
                let mut component = Vec::new();
                while let Some(member) = stack.pop() {
                    on_stack[member as usize] = false;
                    component.push(member);
                    if member as usize == node {
                        break;
                    }
                }
                if component.len() > 1 {
                    found.push(component);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::Graph;

    #[test]
    fn finds_each_circle_once_and_nothing_else() {
        let mut graph = Graph::default();
        for _ in 0..7 {
            graph.node();
        }
        for (from, to) in [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (5, 6), (6, 5), (4, 5)] {
            graph.edge(from, to);
        }
        let mut cycles = graph.cycles();
        for cycle in &mut cycles {
            cycle.sort_unstable();
        }
        cycles.sort();
        assert_eq!(cycles, [vec![0, 1, 2], vec![5, 6]]);
    }

    #[test]
    fn a_chain_of_a_million_needs_no_deep_stack() {
        let mut graph = Graph::default();
        for n in 0..1_000_000 {
            graph.node();
            if n > 0 {
                graph.edge(n - 1, n);
            }
        }
        assert!(graph.cycles().is_empty());
        graph.edge(999_999, 0);
        assert_eq!(graph.cycles().len(), 1);
    }
}
