//! A sub-topology: the nodes that must run in one task, because they are joined by edges or by a shared store.
//!
//! Repartition topics are the only way from one sub-topology to another. One task per partition of its sources runs all its nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Node, NodeKind, TopicRef, TopologyError};
use crate::state::{StoreIndex, StoreSpec};

/// Part of a topology that runs as tasks, one per partition.
#[derive(Clone, Debug)]
pub struct SubTopology {
    pub(super) id: u32,
    pub(super) nodes: Vec<Node>,
    pub(super) stores: Vec<StoreSpec>,
    pub(super) record_at_a_time: bool,
    pub(super) idle_advance: Option<IdleAdvance>,
}

/// Stream time of a task goes on while its input is idle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdleAdvance {
    /// How long all inputs must have been idle.
    pub timeout: Duration,
    /// Where it is written.
    pub topic: TopicRef,
}

impl SubTopology {
    /// Its number, from 0.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its nodes, parents before children.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Its stores, ordered by name; the position is the store's index.
    pub fn stores(&self) -> &[StoreSpec] {
        &self.stores
    }

    /// True when nodes of it share a store of the user ([`add_open_store`](super::TopologyBuilder::add_open_store)), or when a record can reach a node or a
    /// store in more than one way: every record then goes through the whole task before the next one does.
    pub fn is_record_at_a_time(&self) -> bool {
        self.record_at_a_time
    }

    /// Whether and how stream time goes on while input is idle.
    pub fn idle_advance(&self) -> Option<&IdleAdvance> {
        self.idle_advance.as_ref()
    }

    /// Index of the store of that name.
    pub fn store_index(&self, name: &str) -> Option<StoreIndex> {
        self.stores
            .iter()
            .position(|store| store.name == name)
            .map(|index| StoreIndex::new(index as u32))
    }

    /// The topics it reads.
    pub fn source_topics(&self) -> impl Iterator<Item = &TopicRef> {
        self.nodes.iter().flat_map(|node| match &node.kind {
            NodeKind::Source { topics, .. } => topics.as_slice(),
            _ => &[],
        })
    }

    /// The topics it writes (dead letters and changelogs excluded).
    pub fn sink_topics(&self) -> impl Iterator<Item = &TopicRef> {
        self.nodes.iter().flat_map(|node| {
            let (topic, others) = match &node.kind {
                NodeKind::Sink { topic, others, .. } => (Some(topic), others.as_slice()),
                _ => (None, &[][..]),
            };
            topic.into_iter().chain(others)
        })
    }

    /// The topic it writes under that name (see [`TopicRef::name`]).
    pub fn output_topic(&self, name: &str) -> Option<&TopicRef> {
        self.sink_topics().find(|topic| topic.name() == name)
    }

    /// Number of tasks = the largest partition count of its sources, after checking that the sources that feed one store agree.
    pub(super) fn task_count(
        &self,
        partitions: &dyn Fn(&TopicRef) -> Option<i32>,
    ) -> Result<i32, TopologyError> {
        let count = |topic: &TopicRef| {
            partitions(topic).ok_or_else(|| TopologyError::MissingTopic {
                topic: topic.name(),
                sub_topology: self.id,
            })
        };
        let mut most = 0;
        for topic in self.source_topics() {
            most = most.max(count(topic)?);
        }
        for (store, topics) in self.topics_by_store() {
            let counts: Vec<(String, i32)> = topics
                .into_iter()
                .map(|topic| Ok((topic.name(), count(topic)?)))
                .collect::<Result<_, _>>()?;
            if counts.iter().any(|(_, count)| *count != counts[0].1) {
                return Err(TopologyError::NotCoPartitioned {
                    store: store.to_owned(),
                    counts,
                });
            }
        }
        Ok(most)
    }

    /// For each store the source topics whose records can reach a node that uses it.
    fn topics_by_store(&self) -> BTreeMap<&str, BTreeSet<&TopicRef>> {
        let mut reaching: Vec<BTreeSet<&TopicRef>> = Vec::new();
        let mut by_store: BTreeMap<&str, BTreeSet<&TopicRef>> = BTreeMap::new();
        for node in &self.nodes {
            let mut topics: BTreeSet<&TopicRef> = BTreeSet::new();
            if let NodeKind::Source { topics: read, .. } = &node.kind {
                topics.extend(read);
            }
            for parent in &node.parents {
                topics.extend(reaching[*parent].iter().copied());
            }
            for store in &node.stores {
                by_store.entry(store).or_default().extend(topics.iter().copied());
            }
            reaching.push(topics);
        }
        by_store
    }
}
