//! Builds a topology node by node: the level below the DSL, used by SQL and by custom operators.
//!
//! Parents must exist before their children, so the order of adding is a topological order. Mistakes are reported by `build`, not by panics.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use millpond_log::types::TopicName;

use super::{GlobalSource, Node, NodeId, NodeKind, RecordCheck, TopicRef, Topology, TopologyError};
use crate::config::ErrorPolicy;
use crate::processor::ProcessorSupplier;
use crate::state::StoreSpec;

/// How a source turns records into batches.
#[derive(Clone, Default)]
pub struct SourceOptions {
    /// Turns raw batches into typed ones; none = children get raw batches.
    pub decoder: Option<ProcessorSupplier>,
}

/// How a sink turns batches into records.
#[derive(Clone, Default)]
pub struct SinkOptions {
    /// Sends records for the batches it gets (`InitContext::output` with the topic's name). None = raw batches are copied as they are.
    pub encoder: Option<ProcessorSupplier>,
}

/// A repartition topic: a sink and the source that reads it back.
#[derive(Clone, Default)]
pub struct RepartitionOptions {
    /// Partitions of the topic; none = as many as the tasks that write it.
    pub partitions: Option<i32>,
    /// Encoder of the sink side (its output is named `{name}-repartition`).
    pub encoder: Option<ProcessorSupplier>,
    /// Decoder of the source side.
    pub decoder: Option<ProcessorSupplier>,
}

/// Builds a [`Topology`].
#[derive(Clone, Default)]
pub struct TopologyBuilder {
    nodes: Vec<Node>,
    stores: BTreeMap<String, StoreSpec>,
    /// Stores that nodes may share without knowing of each other.
    open_stores: BTreeSet<String>,
    /// By source node, how long its topics may be idle before time goes on without them.
    idle_timeouts: BTreeMap<usize, (Duration, Option<String>)>,
    repartitions: BTreeMap<String, Option<i32>>,
    /// Indices of source nodes that must have the same partition count.
    copartitioned: Vec<BTreeSet<usize>>,
    globals: Vec<GlobalSource>,
    errors: Vec<TopologyError>,
}

impl TopologyBuilder {
    /// An empty topology.
    pub fn new() -> TopologyBuilder {
        TopologyBuilder::default()
    }

    /// Adds a source reading `topics`.
    pub fn add_source(&mut self, name: &str, topics: &[&str], options: SourceOptions) -> NodeId {
        let topics = topics.iter().filter_map(|topic| self.external(topic)).collect();
        self.add_node(
            name,
            NodeKind::Source {
                topics,
                decoder: options.decoder,
            },
            &[],
            &[],
        )
    }

    /// Lets stream time go on with the wall clock once no record came from the topics of `source`, nor from any other input of its tasks, for `timeout`. What
    /// tasks do then is written to a topic of its own, so that a replay does the same: `{app}-{name}-time`, where the name is that of the source's first topic
    /// unless another is given.
    pub fn idle_advance(&mut self, source: NodeId, timeout: Duration, name: Option<&str>) {
        if let Some(name) = name {
            self.check_name("time topic", name);
        }
        self.idle_timeouts
            .insert(source.0, (timeout, name.map(str::to_owned)));
    }

    /// Adds a processor fed by `parents`, with access to the named stores.
    pub fn add_processor(
        &mut self,
        name: &str,
        supplier: ProcessorSupplier,
        parents: &[NodeId],
        stores: &[&str],
    ) -> NodeId {
        self.add_node(name, NodeKind::Processor { supplier }, parents, stores)
    }

    /// Adds a sink writing to `topic`.
    pub fn add_sink(&mut self, name: &str, topic: &str, options: SinkOptions, parents: &[NodeId]) -> NodeId {
        match self.external(topic) {
            Some(topic) => self.add_node(
                name,
                NodeKind::Sink {
                    topic,
                    others: Vec::new(),
                    encoder: options.encoder,
                },
                parents,
                &[],
            ),
            // The error is recorded; any node id will do, because `build` fails.
            None => NodeId(parents.first().map_or(0, |parent| parent.0)),
        }
    }

    /// Adds a sink whose encoder chooses among `topics` for every record.
    pub fn add_choosing_sink(
        &mut self,
        name: &str,
        topics: &[&str],
        options: SinkOptions,
        parents: &[NodeId],
    ) -> NodeId {
        let mut topics: Vec<TopicRef> = topics.iter().filter_map(|topic| self.external(topic)).collect();
        if topics.is_empty() {
            self.errors.push(TopologyError::InvalidOperator {
                node: name.to_owned(),
                reason: "a sink needs a topic it may write to".to_owned(),
            });
            return NodeId(parents.first().map_or(0, |parent| parent.0));
        }
        let topic = topics.remove(0);
        let kind = NodeKind::Sink {
            topic,
            others: topics,
            encoder: options.encoder,
        };
        self.add_node(name, kind, parents, &[])
    }

    /// Adds a store; nodes connect to it by its name.
    pub fn add_store(&mut self, spec: StoreSpec) {
        self.check_name("store", &spec.name);
        let is_global = self.globals.iter().any(|global| global.store.name == spec.name);
        if is_global || self.stores.contains_key(&spec.name) {
            self.errors.push(TopologyError::DuplicateName {
                kind: "store",
                name: spec.name,
            });
        } else {
            self.stores.insert(spec.name.clone(), spec);
        }
    }

    /// As [`add_store`](Self::add_store), for a store that several nodes may read and write without knowing of each other. Where they do, their task works a
    /// record at a time, so that what one node sees of another does not depend on how input was cut into batches.
    pub fn add_open_store(&mut self, spec: StoreSpec) {
        self.open_stores.insert(spec.name.clone());
        self.add_store(spec);
    }

    /// From now on nodes use the store without knowing of each other, as one of [`add_open_store`](Self::add_open_store).
    pub fn open_store(&mut self, name: &str) {
        self.open_stores.insert(name.to_owned());
    }

    /// Gives a node that was added before access to one more store.
    pub fn connect_store(&mut self, node: NodeId, store: &str) {
        let stores = &mut self.nodes[node.0].stores;
        if !stores.iter().any(|known| known == store) {
            stores.push(store.to_owned());
        }
    }

    /// Adds a global table: a topic that every instance reads whole, in front of everything else, into a store that tasks can look up.
    pub fn add_global(&mut self, topic: &str, store: StoreSpec, check: RecordCheck) {
        self.check_name("store", &store.name);
        let is_taken = self.globals.iter().any(|known| known.store.name == store.name);
        if is_taken || self.stores.contains_key(&store.name) {
            self.errors.push(TopologyError::DuplicateName {
                kind: "store",
                name: store.name.clone(),
            });
        }
        if let Some(TopicRef::External(topic)) = self.external(topic) {
            self.globals.push(GlobalSource { topic, store, check });
        }
    }

    /// Sends what `parents` forward through the topic `{app}-{name}-repartition`; returns the source that reads it. Nodes are named
    /// `{name}-repartition-sink` and `{name}-repartition-source`, as in Kafka Streams.
    pub fn add_repartition(&mut self, name: &str, options: RepartitionOptions, parents: &[NodeId]) -> NodeId {
        self.check_name("repartition", name);
        if self
            .repartitions
            .insert(name.to_owned(), options.partitions)
            .is_some()
        {
            self.errors.push(TopologyError::DuplicateName {
                kind: "repartition",
                name: name.to_owned(),
            });
        }
        let topic = TopicRef::Repartition(name.to_owned());
        self.add_node(
            &format!("{name}-repartition-sink"),
            NodeKind::Sink {
                topic: topic.clone(),
                others: Vec::new(),
                encoder: options.encoder,
            },
            parents,
            &[],
        );
        self.add_node(
            &format!("{name}-repartition-source"),
            NodeKind::Source {
                topics: vec![topic],
                decoder: options.decoder,
            },
            &[],
            &[],
        )
    }

    /// What happens to records that fail at `node`, whatever the application says.
    pub fn on_error(&mut self, node: NodeId, policy: ErrorPolicy) {
        self.nodes[node.0].on_error = Some(policy);
    }

    /// Adds one more way into a repartition topic that was added before, for nodes that came later.
    pub fn add_repartition_sink(
        &mut self,
        name: &str,
        repartition: &str,
        encoder: ProcessorSupplier,
        parents: &[NodeId],
    ) -> NodeId {
        if !self.repartitions.contains_key(repartition) {
            self.errors.push(TopologyError::InvalidOperator {
                node: name.to_owned(),
                reason: format!("there is no repartition topic {repartition:?}"),
            });
        }
        let kind = NodeKind::Sink {
            topic: TopicRef::Repartition(repartition.to_owned()),
            encoder: Some(encoder),
            others: Vec::new(),
        };
        self.add_node(name, kind, parents, &[])
    }

    /// Says that these nodes meet key by key (in a join, a cogroup), so that the topics they are fed by must have the same partition count. A node stands
    /// for all sources above it; a repartition stands for itself. Groups that share a topic become one.
    ///
    /// Checked when the application starts, against the topics there are: the user's topics of a group must agree, and its repartition topics take
    /// their count; a group of repartition topics only takes the largest, or the number asked for (as in Kafka Streams).
    pub fn copartition(&mut self, nodes: &[NodeId]) {
        let sources = nodes.iter().flat_map(|node| self.sources_above(*node)).collect();
        self.copartitioned.push(sources);
    }

    /// Says that one of these nodes reads what stands above the other, by key. Where both are fed by the same source, its batches are cut so that no key
    /// occurs twice in one: otherwise what the first reads would depend on how the input was cut into batches.
    pub fn keep_in_step(&mut self, one: NodeId, other: NodeId) {
        let both = &self.sources_above(one) & &self.sources_above(other);
        for source in both {
            self.nodes[source].in_step = true;
        }
    }

    /// Indices of the sources that feed a node; a repartition stands for itself.
    pub(crate) fn sources_above(&self, node: NodeId) -> BTreeSet<usize> {
        let (mut sources, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut left = vec![node.0];
        while let Some(index) = left.pop() {
            if !seen.insert(index) {
                continue;
            }
            let node = &self.nodes[index];
            if matches!(node.kind, NodeKind::Source { .. }) {
                sources.insert(index);
            }
            left.extend(&node.parents);
        }
        sources
    }

    /// Records a mistake that `build` will report.
    pub fn report(&mut self, error: TopologyError) {
        self.errors.push(error);
    }

    /// Number of nodes so far.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Checks everything and cuts the graph into sub-topologies.
    /// # Errors
    /// The first mistake that was made while building.
    pub fn build(&self) -> Result<Topology, TopologyError> {
        if let Some(error) = self.errors.first() {
            return Err(error.clone());
        }
        self.check_nodes()?;
        let topology = Topology::new(
            self.nodes.clone(),
            &self.stores,
            &self.open_stores,
            &self.idle_timeouts,
            self.repartitions.clone(),
            self.copartition_groups(),
            self.globals.clone(),
        );
        for sub in topology.sub_topologies() {
            let follows = sub
                .source_topics()
                .find(|topic| matches!(topic, TopicRef::Repartition(_)));
            if let (Some(_), Some(topic)) = (sub.idle_advance(), follows) {
                return Err(TopologyError::InvalidOperator {
                    node: topic.name(),
                    reason: "time cannot go on by itself where it is told by upstream tasks; let their sources do it"
                        .to_owned(),
                });
            }
        }
        Ok(topology)
    }

    /// The topics of every group, groups with a common topic united. Groups of one topic say nothing and are left out.
    fn copartition_groups(&self) -> Vec<BTreeSet<TopicRef>> {
        let mut groups: Vec<BTreeSet<TopicRef>> = Vec::new();
        for sources in &self.copartitioned {
            let mut topics: BTreeSet<TopicRef> = BTreeSet::new();
            for index in sources {
                if let NodeKind::Source { topics: read, .. } = &self.nodes[*index].kind {
                    topics.extend(read.iter().cloned());
                }
            }
            let (joined, apart): (Vec<_>, Vec<_>) =
                groups.into_iter().partition(|group| !group.is_disjoint(&topics));
            topics.extend(joined.into_iter().flatten());
            groups = apart;
            groups.push(topics);
        }
        groups.retain(|group| group.len() > 1);
        groups
    }

    fn check_nodes(&self) -> Result<(), TopologyError> {
        let mut names = BTreeSet::new();
        let mut read_by: BTreeMap<&TopicRef, &str> = BTreeMap::new();
        let mut used = BTreeSet::new();
        for node in &self.nodes {
            if !names.insert(&node.name) {
                return Err(TopologyError::DuplicateName {
                    kind: "node",
                    name: node.name.clone(),
                });
            }
            if let NodeKind::Source { topics, .. } = &node.kind {
                for topic in topics {
                    if let Some(first) = read_by.insert(topic, &node.name) {
                        return Err(TopologyError::TopicReadTwice {
                            topic: topic.name(),
                            first: first.to_owned(),
                            second: node.name.clone(),
                        });
                    }
                }
            }
            for store in &node.stores {
                if !self.stores.contains_key(store) {
                    return Err(TopologyError::UnknownStore {
                        node: node.name.clone(),
                        store: store.clone(),
                        known: self.stores.keys().cloned().collect(),
                    });
                }
                used.insert(store);
            }
        }
        for global in &self.globals {
            let topic = TopicRef::External(global.topic.clone());
            let others = self.globals.iter().filter(|other| other.topic == global.topic);
            let second = others
                .map(|other| other.store.name.as_str())
                .find(|name| *name != global.store.name);
            if let Some(first) = read_by.get(&topic).copied().or(second) {
                return Err(TopologyError::TopicReadTwice {
                    topic: topic.name(),
                    first: first.to_owned(),
                    second: global.store.name.clone(),
                });
            }
        }
        if let Some(store) = self.stores.keys().find(|store| !used.contains(store)) {
            return Err(TopologyError::UnusedStore { store: store.clone() });
        }
        if read_by.is_empty() {
            Err(TopologyError::NoSource)
        } else {
            Ok(())
        }
    }

    fn add_node(&mut self, name: &str, kind: NodeKind, parents: &[NodeId], stores: &[&str]) -> NodeId {
        let index = self.nodes.len();
        if name.is_empty() {
            self.errors.push(TopologyError::InvalidName {
                kind: "node",
                name: name.to_owned(),
            });
        }
        for parent in parents {
            self.nodes[parent.0].children.push(index);
        }
        self.nodes.push(Node {
            name: name.to_owned(),
            kind,
            parents: parents.iter().map(|parent| parent.0).collect(),
            children: Vec::new(),
            stores: stores.iter().map(|store| (*store).to_owned()).collect(),
            in_step: false,
            on_error: None,
        });
        NodeId(index)
    }

    fn external(&mut self, topic: &str) -> Option<TopicRef> {
        match TopicName::new(topic) {
            Ok(name) => Some(TopicRef::External(name)),
            Err(error) => {
                self.errors.push(TopologyError::InvalidTopic {
                    name: topic.to_owned(),
                    reason: error.to_string(),
                });
                None
            }
        }
    }

    fn check_name(&mut self, kind: &'static str, name: &str) {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || name.len() > 200 || !name.chars().all(legal) {
            self.errors.push(TopologyError::InvalidName {
                kind,
                name: name.to_owned(),
            });
        }
    }
}
