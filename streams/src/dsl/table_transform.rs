//! `KTable::transform_values`: new values for the entries of a table, made with stores at hand.
//!
//! Next: `process/value_transformer.rs` for what the user writes, `operators/table_transform.rs` for what runs it.

use std::sync::Arc;

use super::operators::entry_writer::EntryWriter;
use super::operators::table_transform::{TransformSettings, TransformTable, TransformedReader};
use super::operators::table_writer::TableStore;
use super::table_lookup::{TableLookup, TableReader};
use super::table_origin::{TableOrigin, TableWishes, Wish};
use super::{KTable, Materialized, ValueTransformerWithKey};
use crate::processor::InitContext;
use crate::serde::Data;

impl<K: Data, V: Data> KTable<K, V> {
    /// New value for every entry, made by a transformer of yours that may read and write the named stores.
    ///
    /// `supplier` makes a transformer for each task, and again after a lost transaction; the stores must have been added before
    /// ([`StreamsBuilder::add_state_store`](super::StreamsBuilder::add_state_store)). Nothing is kept of the result: where somebody needs the value before, the
    /// transformer is asked again about the old value; where the table is joined, another transformer is asked about the entry of the table above. So without
    /// a store of the result it should say the same about the same entry each time; otherwise use [`transform_values_with`](Self::transform_values_with).
    ///
    /// ```
    /// use millpond_streams::dsl::{KeyValueStore, Stores, StreamsBuilder, ValueTransformerContext, ValueTransformerInit, ValueTransformerWithKey};
    /// use millpond_streams::processor::BoxError;
    /// use millpond_streams::testing::TopologyTestDriver;
    ///
    /// /// Says how often an entry was changed.
    /// #[derive(Default)]
    /// struct Changes(Option<KeyValueStore<String, u64>>);
    ///
    /// impl ValueTransformerWithKey for Changes {
    ///     type Key = String;
    ///     type ValueIn = i64;
    ///     type ValueOut = String;
    ///
    ///     fn init(&mut self, context: &ValueTransformerInit<'_>) -> Result<(), BoxError> {
    ///         self.0 = Some(context.store("changes")?);
    ///         Ok(())
    ///     }
    ///
    ///     fn transform(&mut self, key: &String, value: Option<i64>, context: &mut ValueTransformerContext<'_>) -> Result<Option<String>, BoxError> {
    ///         let changes = self.0.as_ref().ok_or("not started")?;
    ///         let number = changes.get(context, key)?.unwrap_or(0) + 1;
    ///         changes.put(context, key, &number)?;
    ///         Ok(value.map(|value| format!("{value} (change {number})")))
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.add_state_store(Stores::key_value::<String, u64>("changes"));
    /// builder.table::<String, i64>("prices", "prices").transform_values(Changes::default, &["changes"]).to_stream().to("out");
    ///
    /// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let (prices, out) = (driver.input::<String, Option<i64>>("prices"), driver.output::<String, Option<String>>("out"));
    /// for (time, price) in [(0, Some(3)), (1, Some(4)), (2, None)] {
    ///     driver.pipe(&prices, "tea".to_owned(), price, time)?;
    /// }
    /// assert_eq!(driver.read_values(&out)?, [Some("3 (change 1)".to_owned()), Some("4 (change 2)".to_owned()), None]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn transform_values<T: ValueTransformerWithKey<Key = K, ValueIn = V>>(
        &self,
        supplier: impl Fn() -> T + Send + Sync + 'static,
        stores: &[&str],
    ) -> KTable<K, T::ValueOut> {
        let mut graph = self.graph.lock();
        let name = graph.new_name("KTABLE-TRANSFORMVALUES");
        let settings = Arc::new(TransformSettings {
            supplier: Box::new(supplier),
            stores: graph.connect(&name, stores),
            old_values: Wish::default(),
        });
        let for_tasks = settings.clone();
        let make = super::builder::supplier(move || TransformTable::new(for_tasks.clone(), None));
        let names = settings.store_names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let node = graph.topology.add_processor(&name, make, &[self.node], &names);
        drop(graph);
        let origin = TransformedTable {
            parent: self.origin.clone(),
            settings,
        };
        KTable::new(self.graph.clone(), node, self.key.clone(), origin)
    }

    /// As [`transform_values`](Self::transform_values), with the result kept in the store `name`: values before and look-ups are read from there.
    pub fn transform_values_with<T: ValueTransformerWithKey<Key = K, ValueIn = V>>(
        &self,
        name: &str,
        supplier: impl Fn() -> T + Send + Sync + 'static,
        stores: &[&str],
        materialized: Materialized<T::ValueOut>,
    ) -> KTable<K, T::ValueOut> {
        let settings = Arc::new(TransformSettings {
            supplier: Box::new(supplier),
            stores: self.graph.lock().connect(name, stores),
            old_values: Wish::default(),
        });
        let names = settings.store_names();
        let store = TableStore {
            grace_ms: self.origin.grace_ms(),
            ..TableStore::new(name, self.key.clone(), &materialized, TableWishes::default())
        };
        let table = store.add_to(&self.graph, &[self.node], move |store| {
            TransformTable::new(settings.clone(), Some(EntryWriter::new(store)))
        });
        let mut graph = self.graph.lock();
        for store in names {
            graph.topology.connect_store(table.node, &store);
        }
        drop(graph);
        table
    }
}

/// A table worked out from its parent.
struct TransformedTable<T: ValueTransformerWithKey> {
    parent: Arc<dyn TableOrigin<T::Key, T::ValueIn>>,
    settings: Arc<TransformSettings<T>>,
}

impl<T: ValueTransformerWithKey> TableOrigin<T::Key, T::ValueOut> for TransformedTable<T> {
    fn enable_old_values(&self, force: bool) -> bool {
        let enabled = self.parent.enable_old_values(force);
        if enabled {
            self.settings.old_values.make();
        }
        enabled
    }

    fn forward_each_batch(&self) {
        self.parent.forward_each_batch();
    }

    fn grace_ms(&self) -> Option<i64> {
        self.parent.grace_ms()
    }

    fn history_ms(&self) -> Option<i64> {
        self.parent.history_ms()
    }

    fn lookup(&self) -> TableLookup<T::Key, T::ValueOut> {
        let (parent, settings) = (self.parent.lookup(), self.settings.clone());
        let mut stores: Vec<String> = parent.stores().map(str::to_owned).collect();
        stores.extend(settings.store_names());
        stores.sort();
        stores.dedup();
        TableLookup::new(stores, move |context: &InitContext<'_>| {
            let reader = TransformedReader::open(parent.open(context)?, settings.clone(), context)?;
            Ok(TableReader::new(reader))
        })
    }
}
