//! Joins of a stream with a table: each record meets the entry of its key.

use std::sync::Arc;

use super::builder::supplier;
use super::operators::stream_table_join::buffer::buffer_spec;
use super::operators::stream_table_join::{StreamTableJoin, TableJoinSettings};
use super::{Joined, KStream, KTable};
use crate::serde::Data;
use crate::topology::TopologyError;

impl<K: Data, V: Data> KStream<K, V> {
    /// Joins every record with the table's entry of its key; records without one have no result.
    ///
    /// Only records of the stream bring results: a change of the table shows from the next record on. What the entry is at that moment decides, or, for a
    /// versioned table, what it was at the record's time; with [`Joined::grace`] the record also waits for the table. The result has the record's timestamp and
    /// headers. Records with a null key or value are skipped and counted. Stream and table need the same number of partitions; a stream whose key was changed
    /// goes through a repartition topic.
    ///
    /// ```
    /// use millpond_streams::dsl::{Joined, StreamsBuilder};
    /// # use millpond_streams::testing::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let airports = builder.table::<String, String>("airports", "airport-names");
    /// builder
    ///     .stream::<String, i64>("delays")
    ///     .join_table(&airports, |minutes, name| format!("{name}: {minutes} min"), Joined::named("named-delays"))
    ///     .to("named-delays");
    /// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let (airports, delays) = (driver.input::<String, String>("airports"), driver.input::<String, i64>("delays"));
    /// driver.pipe(&delays, "JFK".into(), 5, 0)?; // nobody knows JFK yet
    /// driver.pipe(&airports, "JFK".into(), "Kennedy".into(), 1)?;
    /// driver.pipe(&delays, "JFK".into(), 12, 2)?;
    /// let named = driver.output::<String, String>("named-delays");
    /// assert_eq!(driver.read_values(&named)?, ["Kennedy: 12 min"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_table<VT: Data, R: Data>(
        &self,
        table: &KTable<K, VT>,
        joiner: impl Fn(&V, &VT) -> R + Send + Sync + 'static,
        joined: Joined<K, V>,
    ) -> KStream<K, R> {
        self.join_table_with_key(table, move |_, value, entry| joiner(value, entry), joined)
    }

    /// As [`join_table`](Self::join_table), with a joiner that sees the key.
    pub fn join_table_with_key<VT: Data, R: Data>(
        &self,
        table: &KTable<K, VT>,
        joiner: impl Fn(&K, &V, &VT) -> R + Send + Sync + 'static,
        joined: Joined<K, V>,
    ) -> KStream<K, R> {
        let joiner = move |key: &K, value: &V, entry: Option<&VT>| Some(joiner(key, value, entry?));
        self.join_with_table(table, joiner, joined, false)
    }

    /// As [`join_table`](Self::join_table); records without an entry are joined with `None`, also those with a null key (KIP-962).
    pub fn left_join_table<VT: Data, R: Data>(
        &self,
        table: &KTable<K, VT>,
        joiner: impl Fn(&V, Option<&VT>) -> R + Send + Sync + 'static,
        joined: Joined<K, V>,
    ) -> KStream<K, R> {
        self.left_join_table_with_key(table, move |_, value, entry| joiner(value, entry), joined)
    }

    /// As [`left_join_table`](Self::left_join_table), with a joiner that sees the key.
    pub fn left_join_table_with_key<VT: Data, R: Data>(
        &self,
        table: &KTable<K, VT>,
        joiner: impl Fn(&K, &V, Option<&VT>) -> R + Send + Sync + 'static,
        joined: Joined<K, V>,
    ) -> KStream<K, R> {
        let joiner = move |key: &K, value: &V, entry: Option<&VT>| Some(joiner(key, value, entry));
        self.join_with_table(table, joiner, joined, true)
    }

    fn join_with_table<VT: Data, R: Data>(
        &self,
        table: &KTable<K, VT>,
        joiner: impl Fn(&K, &V, Option<&VT>) -> Option<R> + Send + Sync + 'static,
        joined: Joined<K, V>,
        is_left: bool,
    ) -> KStream<K, R> {
        let Joined {
            name,
            key,
            value,
            partitions,
            grace,
            logged,
        } = joined;
        let grace = grace.map(|grace| {
            let grace_ms = i64::try_from(grace.as_millis()).unwrap_or(i64::MAX / 4);
            (grace_ms, format!("{name}-Buffer"))
        });
        let same_builder = Arc::ptr_eq(&self.graph, &table.graph);
        let history_ms = table.origin.history_ms();
        let grace_ms = grace.as_ref().map(|(grace_ms, _)| *grace_ms);
        let mistake = match (grace_ms, history_ms) {
            _ if !same_builder => Some("the stream and the table belong to different builders".to_owned()),
            (Some(_), None) => {
                Some("a join with grace needs a versioned table (Materialized::versioned)".to_owned())
            }
            (Some(grace_ms), Some(history_ms)) if grace_ms > history_ms => Some(format!(
                "the grace of {grace_ms} ms is longer than what the table knows of its past, {history_ms} ms"
            )),
            _ => None,
        };
        if let Some(reason) = mistake {
            let node = name.clone();
            let error = TopologyError::InvalidOperator { node, reason };
            self.graph.lock().topology.report(error);
        }
        let input = self.partitioned_for_join(&name, &key, &value, partitions, is_left);
        if is_left {
            self.graph.lock().keep_null_keys_above(input);
        }
        let lookup = table.lookup();
        let settings = Arc::new(TableJoinSettings {
            key,
            value,
            table_key: table.key.clone(),
            table: lookup.clone(),
            is_left,
            as_of: history_ms.is_some(),
            grace: grace.clone(),
        });
        let map = Arc::new(|key: &K, _: &V| key.clone());
        let joiner = Arc::new(move |key: &K, value: &V, _: &K, entry: Option<&VT>| joiner(key, value, entry));
        let make = supplier(move || StreamTableJoin::new(settings.clone(), map.clone(), joiner.clone()));
        let mut graph = self.graph.lock();
        let mut stores: Vec<&str> = if same_builder {
            lookup.stores().collect()
        } else {
            Vec::new()
        };
        if let Some((grace_ms, store)) = &grace {
            let mut spec = buffer_spec(store, *grace_ms);
            spec.logged = logged;
            graph.topology.add_store(spec);
            stores.push(store);
        }
        let node = graph.topology.add_processor(&name, make, &[input], &stores);
        if same_builder {
            graph.topology.copartition(&[input, table.node]);
            // A record that changes the table and is joined with it must see its own change, and none of those after it.
            graph.topology.keep_in_step(input, table.node);
        }
        drop(graph);
        KStream::new(self.graph.clone(), node, false)
    }
}
