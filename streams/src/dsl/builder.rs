//! `StreamsBuilder`: where every stream begins.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::operators::source::{DecodeSource, SourceSettings};
use super::stores::{StateStore, StoreBuilder, StoreDefinition};
use super::table_origin::Wish;
use super::{Consumed, KStream, KTable, Materialized};
use crate::processor::{Processor, ProcessorSupplier};
use crate::serde::{Data, DefaultSerde, OptionSerde};
use crate::topology::{NodeId, SourceOptions, Topology, TopologyBuilder, TopologyError};

/// Builds a topology out of streams and tables. Cheap to clone; clones build the same topology.
///
/// ```
/// use millpond_streams::dsl::StreamsBuilder;
///
/// let builder = StreamsBuilder::new();
/// builder.stream::<String, String>("words").filter(|_, word| !word.is_empty()).to("cleaned");
/// let topology = builder.build()?;
/// assert!(topology.describe().contains("Source: KSTREAM-SOURCE-0000000000 (topics: [words])"));
/// # Ok::<(), millpond_streams::topology::TopologyError>(())
/// ```
#[derive(Clone, Default)]
pub struct StreamsBuilder {
    graph: Arc<Mutex<Graph>>,
}

/// The topology being built, and the counter behind the names of stateless nodes.
#[derive(Default)]
pub(super) struct Graph {
    pub(super) topology: TopologyBuilder,
    next_node: usize,
    /// Stores that processors can connect to, by name: those of the user, and those of tables.
    pub(super) stores: BTreeMap<String, Arc<dyn StoreDefinition>>,
    /// Which node each store of timers belongs to.
    pub(super) timer_users: BTreeMap<String, String>,
    /// Of repartition topics, by the node that reads them: whether records with a null key are kept, and what is sent there.
    pub(super) repartitions: BTreeMap<usize, (Wish, NodeId)>,
}

/// A shared graph, as streams hold it.
pub(super) type GraphRef = Arc<Mutex<Graph>>;

impl Graph {
    /// Lets processors connect to the store of a table, by its name.
    pub(super) fn offer_table(&mut self, name: &str, store: impl StateStore) {
        // A name used twice is reported by the topology.
        self.stores
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(store));
    }

    /// A name such as Kafka Streams gives to nodes nobody named. No state or topic is ever called by it.
    pub(super) fn new_name(&mut self, prefix: &str) -> String {
        let number = self.next_node;
        self.next_node += 1;
        format!("{prefix}-{number:010}")
    }

    /// Lets records with a null key through all repartition topics above the node, for a join below it that has results for them (KIP-962).
    pub(super) fn keep_null_keys_above(&self, node: NodeId) {
        for source in self.topology.sources_above(node) {
            if let Some((keeps, sent)) = self.repartitions.get(&source)
                && !keeps.is_made()
            {
                keeps.make();
                self.keep_null_keys_above(*sent);
            }
        }
    }
}

/// A supplier from a closure making a concrete processor.
pub(super) fn supplier<P: Processor + 'static>(
    make: impl Fn() -> P + Send + Sync + 'static,
) -> ProcessorSupplier {
    Arc::new(move || Box::new(make()) as Box<dyn Processor>)
}

impl StreamsBuilder {
    /// An empty builder.
    pub fn new() -> StreamsBuilder {
        StreamsBuilder::default()
    }

    /// The records of a topic, read with the types' default serdes. Records that cannot be read go to the dead-letter topic.
    pub fn stream<K, V>(&self, topic: &str) -> KStream<K, V>
    where
        K: Data + DefaultSerde,
        V: Data + DefaultSerde,
    {
        self.stream_with(topic, Consumed::default())
    }

    /// The records of a topic, read as told.
    pub fn stream_with<K: Data, V: Data>(&self, topic: &str, consumed: Consumed<K, V>) -> KStream<K, V> {
        self.streams_with(&[topic], consumed)
    }

    /// The records of several topics as one stream.
    pub fn streams_with<K: Data, V: Data>(&self, topics: &[&str], consumed: Consumed<K, V>) -> KStream<K, V> {
        let node = self.source("KSTREAM-SOURCE", topics, consumed);
        KStream::new(self.graph.clone(), node, false)
    }

    /// A topic as a table: the latest value per key, kept in the store `name`. A null value deletes its key; records with a null key are skipped and
    /// counted. Offsets decide what is latest, not timestamps.
    ///
    /// ```
    /// use millpond_streams::dsl::StreamsBuilder;
    /// use millpond_streams::testing::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.table::<String, String>("airports", "airport-names");
    /// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let airports = driver.input::<String, Option<String>>("airports");
    /// driver.pipe(&airports, "JFK".to_owned(), Some("Kennedy".to_owned()), 0)?;
    /// assert_eq!(driver.value::<String, String>("airport-names", &"JFK".to_owned())?, Some("Kennedy".to_owned()));
    /// driver.pipe(&airports, "JFK".to_owned(), None, 1)?;
    /// assert_eq!(driver.value::<String, String>("airport-names", &"JFK".to_owned())?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn table<K, V>(&self, topic: &str, name: &str) -> KTable<K, V>
    where
        K: Data + DefaultSerde,
        V: Data + DefaultSerde,
    {
        self.table_with(topic, name, Consumed::default(), Materialized::default())
    }

    /// A topic as a table, read and stored as told.
    pub fn table_with<K: Data, V: Data>(
        &self,
        topic: &str,
        name: &str,
        consumed: Consumed<K, V>,
        materialized: Materialized<V>,
    ) -> KTable<K, V> {
        let Consumed {
            key,
            value,
            timestamps,
            on_error,
            name: source_name,
            idle_timeout,
        } = consumed;
        let consumed = Consumed {
            key: key.clone(),
            value: Arc::new(OptionSerde(value)),
            timestamps: timestamps.for_nullable(),
            on_error,
            name: source_name,
            idle_timeout,
        };
        let source = self.source("KSTREAM-SOURCE", &[topic], consumed);
        super::stream_to_table::add_table(&self.graph, source, name, key, &materialized)
    }

    /// Adds a store, for processors to be connected to by its name ([`KStream::process`]). Several may share it. Add it before them.
    pub fn add_state_store<S: StateStore>(&self, store: StoreBuilder<S>) -> &Self {
        let (specs, definition) = store.into_parts();
        let mut graph = self.graph.lock();
        let name = specs[0].name.clone();
        specs
            .into_iter()
            .for_each(|spec| graph.topology.add_open_store(spec));
        match definition {
            Ok(definition) => {
                graph.stores.insert(name, definition);
            }
            Err(reason) => graph
                .topology
                .report(TopologyError::InvalidOperator { node: name, reason }),
        }
        drop(graph);
        self
    }

    pub(super) fn graph(&self) -> &GraphRef {
        &self.graph
    }

    /// Checks the topology and cuts it into sub-topologies.
    /// # Errors
    /// The first mistake: names used twice, illegal names or windows, topics read twice, unused stores.
    pub fn build(&self) -> Result<Topology, TopologyError> {
        self.graph.lock().topology.build()
    }

    fn source<K: Data, V: Data>(&self, prefix: &str, topics: &[&str], consumed: Consumed<K, V>) -> NodeId {
        let Consumed {
            key,
            value,
            timestamps,
            on_error,
            name,
            idle_timeout,
        } = consumed;
        let settings = Arc::new(SourceSettings {
            key,
            value,
            timestamps,
            on_error,
        });
        let decoder = supplier(move || DecodeSource {
            settings: settings.clone(),
        });
        let mut graph = self.graph.lock();
        let name = name.unwrap_or_else(|| graph.new_name(prefix));
        let options = SourceOptions {
            decoder: Some(decoder),
        };
        let node = graph.topology.add_source(&name, topics, options);
        if let Some(timeout) = idle_timeout {
            graph.topology.idle_advance(node, timeout, None);
        }
        node
    }
}
