//! `KStream::process` and `process_values`: the typed processor API as a step of a stream.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::builder::{Graph, supplier};
use super::operators::process::{Process, ProcessSettings};
use super::operators::stateless::PassThrough;
use super::process::FixedKey;
use super::{FixedKeyProcessor, KStream, RecordProcessor};
use crate::serde::Data;
use crate::topology::TopologyError;

impl<K: Data, V: Data> KStream<K, V> {
    /// Hands every record to a processor of yours, which may read and write the named stores, schedule punctuators, set timers and forward any number of records.
    /// A later grouping goes through a repartition topic, because keys may have changed.
    ///
    /// `supplier` makes a processor for each task, and again after a lost transaction. The stores must have been added before
    /// ([`StreamsBuilder::add_state_store`](super::StreamsBuilder::add_state_store)). Where processors share a store, each record goes through all of them before the next one.
    ///
    /// ```
    /// use millpond_streams::dsl::{BoxError, KeyValueStore, ProcessorContext, ProcessorInit, Record, RecordProcessor, Stores, StreamsBuilder};
    /// use millpond_streams::testing::TopologyTestDriver;
    ///
    /// /// Forwards a reading when it differs from the last one of its sensor.
    /// #[derive(Default)]
    /// struct Changes {
    ///     last: KeyValueStore<String, i64>,
    /// }
    ///
    /// impl RecordProcessor for Changes {
    ///     type KeyIn = String;
    ///     type ValueIn = i64;
    ///     type KeyOut = String;
    ///     type ValueOut = i64;
    ///
    ///     fn init(&mut self, context: &mut ProcessorInit<'_, Self>) -> Result<(), BoxError> {
    ///         self.last = context.store("last-readings")?;
    ///         Ok(())
    ///     }
    ///
    ///     fn process(&mut self, record: Record<String, i64>, context: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
    ///         if self.last.get(context, &record.key)? != Some(record.value) {
    ///             self.last.put(context, &record.key, &record.value)?;
    ///             context.forward(record);
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.add_state_store(Stores::key_value::<String, i64>("last-readings"));
    /// builder.stream::<String, i64>("readings").process(Changes::default, &["last-readings"]).to("changes");
    ///
    /// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let (readings, changes) = (driver.input::<String, i64>("readings"), driver.output::<String, i64>("changes"));
    /// for (time, value) in [(0, 20), (1, 20), (2, 21)] {
    ///     driver.pipe(&readings, "roof".to_owned(), value, time)?;
    /// }
    /// assert_eq!(driver.read_values(&changes)?, [20, 21]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn process<P: RecordProcessor<KeyIn = K, ValueIn = V>>(
        &self,
        supplier: impl Fn() -> P + Send + Sync + 'static,
        stores: &[&str],
    ) -> KStream<P::KeyOut, P::ValueOut> {
        let name = self.graph.lock().new_name("KSTREAM-PROCESSOR");
        self.process_named(&name, supplier, stores)
    }

    /// As [`process`](Self::process); the node is called `name`.
    pub fn process_named<P: RecordProcessor<KeyIn = K, ValueIn = V>>(
        &self,
        name: &str,
        supplier: impl Fn() -> P + Send + Sync + 'static,
        stores: &[&str],
    ) -> KStream<P::KeyOut, P::ValueOut> {
        self.add_process(name, supplier, stores, true)
    }

    /// As [`process`](Self::process), for a processor that cannot change keys: what follows needs no repartition.
    ///
    /// ```
    /// use std::time::Duration;
    /// use millpond_streams::dsl::{BoxError, FixedKeyContext, FixedKeyInit, FixedKeyProcessor, FixedKeyRecord, KeyValueStore, Stores, StreamsBuilder};
    /// use millpond_streams::testing::TopologyTestDriver;
    ///
    /// /// Numbers the records of each key, beginning again when a key was silent for a minute.
    /// #[derive(Default)]
    /// struct Number {
    ///     numbers: KeyValueStore<String, u64>,
    /// }
    ///
    /// impl FixedKeyProcessor for Number {
    ///     type Key = String;
    ///     type ValueIn = String;
    ///     type ValueOut = String;
    ///
    ///     fn init(&mut self, context: &mut FixedKeyInit<'_, Self>) -> Result<(), BoxError> {
    ///         self.numbers = context.store("numbers")?;
    ///         Ok(())
    ///     }
    ///
    ///     fn process(&mut self, record: FixedKeyRecord<String, String>, context: &mut FixedKeyContext<'_, Self>) -> Result<(), BoxError> {
    ///         let number = self.numbers.get(context, record.key())?.unwrap_or(0) + 1;
    ///         self.numbers.put(context, record.key(), &number)?;
    ///         context.forward(record.map_value(|value| format!("{number} {value}")));
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.add_state_store(Stores::key_value::<String, u64>("numbers").with_ttl(Duration::from_secs(60)));
    /// builder.stream::<String, String>("in").process_values(Number::default, &["numbers"]).to("out");
    ///
    /// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let (input, output) = (driver.input::<String, String>("in"), driver.output::<String, String>("out"));
    /// for time in [0, 59_999, 119_999] {
    ///     driver.pipe(&input, "a".to_owned(), "x".to_owned(), time)?;
    /// }
    /// assert_eq!(driver.read_values(&output)?, ["1 x", "2 x", "1 x"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn process_values<P: FixedKeyProcessor<Key = K, ValueIn = V>>(
        &self,
        supplier: impl Fn() -> P + Send + Sync + 'static,
        stores: &[&str],
    ) -> KStream<K, P::ValueOut> {
        let name = self.graph.lock().new_name("KSTREAM-PROCESSVALUES");
        self.process_values_named(&name, supplier, stores)
    }

    /// As [`process_values`](Self::process_values); the node is called `name`.
    pub fn process_values_named<P: FixedKeyProcessor<Key = K, ValueIn = V>>(
        &self,
        name: &str,
        supplier: impl Fn() -> P + Send + Sync + 'static,
        stores: &[&str],
    ) -> KStream<K, P::ValueOut> {
        self.add_process(name, move || FixedKey(supplier()), stores, false)
    }

    /// The same stream behind a node of that name, for processors that forward to a child by name
    /// ([`ProcessorContext::forward_to`](super::ProcessorContext::forward_to)).
    #[must_use]
    pub fn named(&self, name: &str) -> KStream<K, V> {
        let mut graph = self.graph.lock();
        let node = graph
            .topology
            .add_processor(name, supplier(|| PassThrough), &[self.node], &[]);
        KStream::new(self.graph.clone(), node, self.rekeyed)
    }

    fn add_process<P: RecordProcessor<KeyIn = K, ValueIn = V>>(
        &self,
        name: &str,
        make: impl Fn() -> P + Send + Sync + 'static,
        stores: &[&str],
        rekeyed: bool,
    ) -> KStream<P::KeyOut, P::ValueOut> {
        let mut graph = self.graph.lock();
        let stores = graph.connect(name, stores);
        let companions: Vec<String> = stores.iter().flat_map(|(_, store)| store.companions()).collect();
        let settings = Arc::new(ProcessSettings {
            supplier: Box::new(make),
            stores,
        });
        let names = settings.stores.iter().map(|(name, _)| name.as_str());
        let names: Vec<&str> = names.chain(companions.iter().map(String::as_str)).collect();
        let again = settings.clone();
        let make = supplier(move || Process::new(again.clone()));
        let node = graph.topology.add_processor(name, make, &[self.node], &names);
        KStream::new(self.graph.clone(), node, self.rekeyed || rekeyed)
    }
}

impl Graph {
    /// The definitions of the named stores, for the node of that name. Mistakes are reported by `build`.
    pub(super) fn connect(
        &mut self,
        node: &str,
        stores: &[&str],
    ) -> Vec<(String, Arc<dyn super::stores::StoreDefinition>)> {
        let mut connected = Vec::new();
        let mut timers = 0;
        for name in stores.iter().copied().collect::<BTreeSet<&str>>() {
            let Some(store) = self.stores.get(name) else {
                self.topology.report(TopologyError::UnknownStore {
                    node: node.to_owned(),
                    store: name.to_owned(),
                    known: self.stores.keys().cloned().collect(),
                });
                continue;
            };
            let store = store.clone();
            store.connected();
            self.topology.open_store(name);
            if store.is_timers() {
                timers += 1;
                let other = self.timer_users.insert(name.to_owned(), node.to_owned());
                let reason = match other {
                    Some(other) => {
                        format!("timers {name:?} belong to {other:?}; give each processor its own")
                    }
                    None if timers > 1 => "a processor has one store of timers".to_owned(),
                    None => String::new(),
                };
                if !reason.is_empty() {
                    let node = node.to_owned();
                    self.topology
                        .report(TopologyError::InvalidOperator { node, reason });
                }
            }
            connected.push((name.to_owned(), store));
        }
        connected
    }
}
