//! Holding updates of a table back: rate limits and final results of windows.
//!
//! Next: `suppressed.rs` for what can be asked for, `operators/suppress.rs` for the buffer.

use std::sync::Arc;

use super::builder::supplier;
use super::operators::suppress::{Suppress, SuppressSettings, SuppressedReader};
use super::suppressed::Wait;
use super::table_lookup::{TableLookup, TableReader};
use super::table_origin::{TableOrigin, Wish};
use super::{KTable, Materialized, Suppressed};
use crate::processor::InitContext;
use crate::serde::{Data, DefaultSerde};
use crate::topology::{StoreSpec, TopologyError};

impl<K: Data, V: Data> KTable<K, V> {
    /// Holds updates back as told, in a buffer in memory that survives a crash through the changelog `{app}-{name}-changelog`.
    ///
    /// Time is that of the updates that come by here, as in Kafka Streams: results that are due wait for the next update of any key, unless the source lets time
    /// go on while it is idle ([`Consumed::idle_advance`](super::Consumed::idle_advance)). Behind a repartition topic final results come when the
    /// upstream tasks have passed the end of the window.
    ///
    /// ```
    /// use std::time::Duration;
    /// # use millpond_streams::dsl::{StreamsBuilder, StrictBuffer, Suppressed, TimeWindows};
    /// # use millpond_streams::testing::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("departures")
    ///     .group_by_key()
    ///     .windowed_by(TimeWindows::of(Duration::from_secs(60)))
    ///     .count("departures-per-minute")
    ///     .suppress("final", Suppressed::until_window_closes(StrictBuffer::unbounded()))
    ///     .updates()
    ///     .map(|windowed, count| (windowed.key, count))
    ///     .to("final-counts");
    /// # let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let departures = driver.input::<String, i64>("departures");
    /// # for ts in [1_000, 2_000, 59_000, 60_000] {
    /// #     driver.pipe(&departures, "JFK".to_owned(), 1, ts)?;
    /// # }
    /// # let counts = driver.output::<String, u64>("final-counts");
    /// # assert_eq!(driver.read_values(&counts)?, [3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn suppress(&self, name: &str, suppressed: Suppressed<K>) -> KTable<K, V>
    where
        V: DefaultSerde,
    {
        self.suppress_with(name, suppressed, Materialized::default())
    }

    /// As `suppress`, with the buffer stored as told.
    pub fn suppress_with(
        &self,
        name: &str,
        suppressed: Suppressed<K>,
        materialized: Materialized<V>,
    ) -> KTable<K, V> {
        // The values before are what receivers know, and what others see of a buffered key.
        self.enable_old_values();
        let wait_ms = match suppressed.wait {
            Wait::Ms(ms) => ms,
            Wait::Grace => self.origin.grace_ms().unwrap_or_else(|| {
                let reason = "final results need a table of windows above, to know how long they may change";
                self.graph.lock().topology.report(TopologyError::InvalidOperator {
                    node: name.to_owned(),
                    reason: reason.to_owned(),
                });
                0
            }),
        };
        if self.origin.history_ms().is_some() {
            let reason =
                "updates of a versioned table cannot be held back: they are not in the order of time";
            self.graph.lock().topology.report(TopologyError::InvalidOperator {
                node: name.to_owned(),
                reason: reason.to_owned(),
            });
        }
        let settings = Arc::new(SuppressSettings {
            store: name.to_owned(),
            key: self.key.clone(),
            value: materialized.value,
            suppressed,
            wait_ms,
            write_through: Wish::default(),
        });
        let mut spec = StoreSpec::key_value(name);
        spec.logged = materialized.logged;
        let origin = SuppressedTable {
            parent: self.origin.clone(),
            settings: settings.clone(),
        };
        let make = supplier(move || Suppress::new(settings.clone()));
        let mut graph = self.graph.lock();
        graph.topology.add_store(spec);
        let node = graph.topology.add_processor(name, make, &[self.node], &[name]);
        drop(graph);
        KTable::new(self.graph.clone(), node, self.key.clone(), origin)
    }
}

/// A table seen through a buffer: of buffered keys what was let go before, of others what the table above has.
struct SuppressedTable<K, V> {
    parent: Arc<dyn TableOrigin<K, V>>,
    settings: Arc<SuppressSettings<K, V>>,
}

impl<K: Data, V: Data> TableOrigin<K, V> for SuppressedTable<K, V> {
    fn enable_old_values(&self, force: bool) -> bool {
        self.parent.enable_old_values(force)
    }

    fn lookup(&self) -> TableLookup<K, V> {
        self.settings.write_through.make();
        let (parent, settings) = (self.parent.lookup(), self.settings.clone());
        let mut stores: Vec<String> = parent.stores().map(str::to_owned).collect();
        stores.push(settings.store.clone());
        TableLookup::new(stores, move |context: &InitContext<'_>| {
            let store = context.store_index(&settings.store)?;
            let parent = parent.open(context)?;
            Ok(TableReader::new(SuppressedReader::new(
                parent,
                store,
                settings.clone(),
            )))
        })
    }

    fn forward_each_batch(&self) {
        self.parent.forward_each_batch();
    }

    fn grace_ms(&self) -> Option<i64> {
        self.parent.grace_ms()
    }
}
