//! The finished topology: an immutable graph, cut into sub-topologies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{GlobalSource, IdleAdvance, Node, NodeKind, SubTopology, TopicRef};
use crate::state::StoreSpec;

/// An immutable, checked topology. Made by [`super::TopologyBuilder::build`] or `StreamsBuilder::build`.
#[derive(Clone, Debug)]
pub struct Topology {
    sub_topologies: Vec<SubTopology>,
    repartitions: BTreeMap<String, Option<i32>>,
    copartition_groups: Vec<BTreeSet<TopicRef>>,
    globals: Vec<GlobalSource>,
}

impl Topology {
    pub(super) fn new(
        nodes: Vec<Node>,
        stores: &BTreeMap<String, StoreSpec>,
        open_stores: &BTreeSet<String>,
        idle_timeouts: &BTreeMap<usize, (Duration, Option<String>)>,
        repartitions: BTreeMap<String, Option<i32>>,
        copartition_groups: Vec<BTreeSet<TopicRef>>,
        globals: Vec<GlobalSource>,
    ) -> Topology {
        let groups = connected(&nodes);
        let mut sub_topologies: Vec<SubTopology> = Vec::new();
        let mut sub_of_group: BTreeMap<usize, usize> = BTreeMap::new();
        let mut position = vec![0; nodes.len()];
        for (index, node) in nodes.into_iter().enumerate() {
            let sub = *sub_of_group.entry(groups[index]).or_insert_with(|| {
                sub_topologies.push(SubTopology {
                    id: sub_topologies.len() as u32,
                    nodes: Vec::new(),
                    stores: Vec::new(),
                    record_at_a_time: false,
                    idle_advance: None,
                });
                sub_topologies.len() - 1
            });
            if let Some((timeout, name)) = idle_timeouts.get(&index) {
                sub_topologies[sub].may_idle(&node, *timeout, name.as_deref());
            }
            position[index] = sub_topologies[sub].nodes.len();
            sub_topologies[sub].nodes.push(node);
        }
        for sub in &mut sub_topologies {
            let mut names: Vec<&String> = sub.nodes.iter().flat_map(|node| &node.stores).collect();
            names.sort();
            let is_shared = |pair: &[&String]| pair[0] == pair[1] && open_stores.contains(pair[0]);
            sub.record_at_a_time = names.windows(2).any(is_shared);
            names.dedup();
            sub.stores = names
                .into_iter()
                .filter_map(|name| stores.get(name))
                .cloned()
                .collect();
            for link in sub
                .nodes
                .iter_mut()
                .flat_map(|node| node.parents.iter_mut().chain(&mut node.children))
            {
                *link = position[*link];
            }
            sub.record_at_a_time |= meets_again(&sub.nodes);
        }
        Topology {
            sub_topologies,
            repartitions,
            copartition_groups,
            globals,
        }
    }

    /// Topics that every instance reads whole, in the order they were added; a place is the store's index in their state.
    pub fn globals(&self) -> &[GlobalSource] {
        &self.globals
    }

    /// The sub-topologies, in the order their first node was added.
    pub fn sub_topologies(&self) -> &[SubTopology] {
        &self.sub_topologies
    }

    /// Repartition topics by name, with the partition count asked for.
    pub fn repartitions(&self) -> &BTreeMap<String, Option<i32>> {
        &self.repartitions
    }

    /// Topics that must have the same partition count ([`TopologyBuilder::copartition`](super::TopologyBuilder::copartition)); no topic is in two groups.
    pub fn copartition_groups(&self) -> &[BTreeSet<TopicRef>] {
        &self.copartition_groups
    }

    /// What this topology changes against an older one: stores, topics, operators.
    ///
    /// ```
    /// use millpond_streams::dsl::StreamsBuilder;
    ///
    /// let before = StreamsBuilder::new();
    /// before.stream::<String, String>("in").group_by_key().count("seen");
    /// let now = StreamsBuilder::new();
    /// now.stream::<String, String>("in").filter(|_, value| !value.is_empty()).group_by_key().count("seen");
    /// let diff = now.build()?.diff(&before.build()?);
    /// assert!(diff.stores.is_empty(), "every store is kept");
    /// assert_eq!(diff.to_string(), "+ operator KSTREAM-FILTER\n");
    /// # Ok::<(), millpond_streams::topology::TopologyError>(())
    /// ```
    pub fn diff(&self, old: &Topology) -> super::TopologyDiff {
        super::TopologyDiff::between(old, self)
    }

    /// Kafka Streams' text form.
    pub fn describe(&self) -> String {
        super::describe::describe(self)
    }
}

impl SubTopology {
    /// A source of it lets time go on while idle: the shortest timeout counts, and the first name, by default that of the first topic.
    fn may_idle(&mut self, source: &Node, timeout: Duration, name: Option<&str>) {
        let NodeKind::Source { topics, .. } = &source.kind else {
            return;
        };
        let first = topics.iter().map(TopicRef::name).min();
        let Some(topic) = name.map(str::to_owned).or(first).map(TopicRef::Time) else {
            return;
        };
        self.idle_advance = Some(match self.idle_advance.take() {
            None => IdleAdvance { timeout, topic },
            Some(known) => IdleAdvance {
                timeout: timeout.min(known.timeout),
                topic: topic.min(known.topic),
            },
        });
    }
}

/// True when a record can reach a node, or a store, in more than one way: a stream and a part of it merged again, a table joined with a view of itself.
/// In whole batches the second way would see all of the batch that came the first way, and results would depend on how the input was cut.
fn meets_again(nodes: &[Node]) -> bool {
    fn may_stem_from_one_record(left: &BTreeSet<usize>, right: &BTreeSet<usize>) -> bool {
        !left.is_disjoint(right)
    }
    let mut sources: Vec<BTreeSet<usize>> = Vec::with_capacity(nodes.len());
    let mut users: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (index, node) in nodes.iter().enumerate() {
        let mut own = BTreeSet::new();
        if node.parents.is_empty() {
            own.insert(index);
        }
        for parent in &node.parents {
            if may_stem_from_one_record(&own, &sources[*parent]) {
                return true;
            }
            own.extend(&sources[*parent]);
        }
        for store in &node.stores {
            let so_far = users.entry(store).or_default();
            if may_stem_from_one_record(so_far, &own) {
                return true;
            }
            so_far.extend(&own);
        }
        sources.push(own);
    }
    false
}

/// Group of each node: nodes joined by an edge or a store are in one group (numbered by their first node).
fn connected(nodes: &[Node]) -> Vec<usize> {
    fn root(group: &mut [usize], mut node: usize) -> usize {
        while group[node] != node {
            group[node] = group[group[node]];
            node = group[node];
        }
        node
    }
    let mut group: Vec<usize> = (0..nodes.len()).collect();
    let mut join = |left: usize, right: usize| {
        let (left, right) = (root(&mut group, left), root(&mut group, right));
        group[left.max(right)] = left.min(right);
    };
    let mut first_user: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for parent in &node.parents {
            join(*parent, index);
        }
        for store in &node.stores {
            join(*first_user.entry(store).or_insert(index), index);
        }
    }
    (0..nodes.len()).map(|node| root(&mut group, node)).collect()
}
