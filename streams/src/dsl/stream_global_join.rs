//! Joins of a stream with a global table: each record meets the entry of whatever key is made of it.

use std::sync::Arc;

use super::builder::supplier;
use super::operators::stream_table_join::{StreamTableJoin, TableJoinSettings};
use super::{GlobalKTable, Joined, KStream};
use crate::serde::Data;
use crate::topology::TopologyError;

impl<K: Data, V: Data> KStream<K, V> {
    /// Joins every record with the entry of the key that `select` makes of it; records without one have no result.
    ///
    /// Only records of the stream bring results; they keep their key, timestamp and headers. No repartition is needed, whatever the keys. Records with a null value,
    /// or for which `select` gives a null key, are skipped and counted; a null key of the stream's own does not matter.
    pub fn join_global_table<GK: Data, GV: Data, R: Data>(
        &self,
        table: &GlobalKTable<GK, GV>,
        select: impl Fn(&K, &V) -> GK + Send + Sync + 'static,
        joiner: impl Fn(&V, &GV) -> R + Send + Sync + 'static,
        joined: Joined<K, V>,
    ) -> KStream<K, R> {
        self.join_global_table_with_keys(
            table,
            select,
            move |_, value, _, entry| joiner(value, entry),
            joined,
        )
    }

    /// As [`join_global_table`](Self::join_global_table), with a joiner that sees the stream's key and the table's (KIP-1340).
    pub fn join_global_table_with_keys<GK: Data, GV: Data, R: Data>(
        &self,
        table: &GlobalKTable<GK, GV>,
        select: impl Fn(&K, &V) -> GK + Send + Sync + 'static,
        joiner: impl Fn(&K, &V, &GK, &GV) -> R + Send + Sync + 'static,
        joined: Joined<K, V>,
    ) -> KStream<K, R> {
        let joiner = move |key: &K, value: &V, wanted: &GK, entry: Option<&GV>| {
            Some(joiner(key, value, wanted, entry?))
        };
        self.join_with_global(table, select, joiner, joined, false)
    }

    /// As [`join_global_table`](Self::join_global_table); records without an entry are joined with `None`, also those for which `select` gives a null key (KIP-962).
    pub fn left_join_global_table<GK: Data, GV: Data, R: Data>(
        &self,
        table: &GlobalKTable<GK, GV>,
        select: impl Fn(&K, &V) -> GK + Send + Sync + 'static,
        joiner: impl Fn(&V, Option<&GV>) -> R + Send + Sync + 'static,
        joined: Joined<K, V>,
    ) -> KStream<K, R> {
        self.left_join_global_table_with_keys(
            table,
            select,
            move |_, value, _, entry| joiner(value, entry),
            joined,
        )
    }

    /// As [`left_join_global_table`](Self::left_join_global_table), with a joiner that sees the stream's key and the table's.
    pub fn left_join_global_table_with_keys<GK: Data, GV: Data, R: Data>(
        &self,
        table: &GlobalKTable<GK, GV>,
        select: impl Fn(&K, &V) -> GK + Send + Sync + 'static,
        joiner: impl Fn(&K, &V, &GK, Option<&GV>) -> R + Send + Sync + 'static,
        joined: Joined<K, V>,
    ) -> KStream<K, R> {
        let joiner = move |key: &K, value: &V, wanted: &GK, entry: Option<&GV>| {
            Some(joiner(key, value, wanted, entry))
        };
        self.join_with_global(table, select, joiner, joined, true)
    }

    fn join_with_global<GK: Data, GV: Data, R: Data>(
        &self,
        table: &GlobalKTable<GK, GV>,
        select: impl Fn(&K, &V) -> GK + Send + Sync + 'static,
        joiner: impl Fn(&K, &V, &GK, Option<&GV>) -> Option<R> + Send + Sync + 'static,
        joined: Joined<K, V>,
        is_left: bool,
    ) -> KStream<K, R> {
        let settings = Arc::new(TableJoinSettings {
            key: joined.key,
            value: joined.value,
            table_key: table.key.clone(),
            table: table.lookup(),
            is_left,
            as_of: false,
            grace: None,
        });
        let (select, joiner) = (Arc::new(select), Arc::new(joiner));
        let make = supplier(move || StreamTableJoin::new(settings.clone(), select.clone(), joiner.clone()));
        let mut graph = self.graph.lock();
        if is_left {
            graph.keep_null_keys_above(self.node);
        }
        let name = joined.name;
        let mistake = if !Arc::ptr_eq(&self.graph, &table.graph) {
            Some("the stream and the global table belong to different builders")
        } else if joined.grace.is_some() {
            Some("a join with a global table has no grace: nobody knows the time of that table")
        } else {
            None
        };
        if let Some(reason) = mistake {
            let (node, reason) = (name.clone(), reason.to_owned());
            graph
                .topology
                .report(TopologyError::InvalidOperator { node, reason });
        }
        let node = graph.topology.add_processor(&name, make, &[self.node], &[]);
        drop(graph);
        KStream::new(self.graph.clone(), node, self.rekeyed)
    }
}
