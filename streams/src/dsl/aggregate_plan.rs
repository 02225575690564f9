//! Everything about an aggregation but its windows and its fold: what grouped and cogrouped streams hand to the windows, which complete it.

use std::sync::Arc;
use std::time::Duration;

use super::builder::{GraphRef, supplier};
use super::late_records::LateWishes;
use super::operators::aggregate::{Aggregate, AggregateSettings, Paning, Unwindowed};
use super::operators::early::untold_store;
use super::operators::own_time::Inputs;
use super::operators::spans::lookup::SpanTable;
use super::operators::spans::{Anchor, SpanAggregate, SpanRule, SpanSettings};
use super::operators::table_writer::TableStore;
use super::operators::versioned_table::fold::VersionedFold;
use super::table_origin::{StoredTable, TableWishes, Wish};
use super::{
    EmitStrategy, KTable, KeyValueStore, Materialized, ReadOnly, SessionStore, WindowStore, Windowed,
};
use crate::processor::{BoxError, ProcessorSupplier};
use crate::serde::{Data, SerdeRef, is_unit};
use crate::topology::{NodeId, StoreSpec, TopologyError};

/// Why nothing is aggregated from or into `()`.
pub(super) const UNIT_IS_NULL: &str = "values of type () are null, and null values are left out; map them to something first, `map_values(|()| 1_u8)` for example";

/// See the module's text.
pub struct AggregatePlan<'a, K, V, A> {
    pub(super) graph: &'a GraphRef,
    pub(super) parents: Vec<NodeId>,
    /// Names the node and the store.
    pub(super) name: &'a str,
    pub(super) key: SerdeRef<K>,
    pub(super) value: SerdeRef<V>,
    pub(super) materialized: &'a Materialized<A>,
    pub(super) emit: EmitStrategy,
    pub(super) late: LateWishes<K, V>,
    pub(super) inputs: Inputs<V>,
}

impl<'a, K: Data, V: Data, A> AggregatePlan<'a, K, V, A> {
    /// Forwards on updates, counts late records only.
    pub(super) fn new(
        graph: &'a GraphRef,
        parents: Vec<NodeId>,
        name: &'a str,
        (key, value): (SerdeRef<K>, SerdeRef<V>),
        materialized: &'a Materialized<A>,
    ) -> Self {
        AggregatePlan {
            graph,
            parents,
            name,
            key,
            value,
            materialized,
            emit: EmitStrategy::default(),
            late: LateWishes::default(),
            inputs: Inputs::one(),
        }
    }
}

impl<K: Data, V: Data, A: Data> AggregatePlan<'_, K, V, A> {
    /// Adds node and store of an aggregation without windows; two stores if its past is to be kept.
    pub(super) fn add_unwindowed(
        self,
        skips_null_values: bool,
        update: impl Fn(&K, &V, &mut Option<A>) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> KTable<K, A> {
        if self.materialized.history.is_none() {
            return self.add_panes(Unwindowed, None, skips_null_values, update);
        }
        let store = TableStore::new(self.name, self.key, self.materialized, TableWishes::default());
        let (value, update) = (self.value, Arc::new(update));
        store.add_to(self.graph, &self.parents, move |store| {
            VersionedFold::new(store, value.clone(), skips_null_values, update.clone())
        })
    }

    /// Adds node and store of an aggregation into panes. `window`: size and retention of the store in ms, none for a store without windows.
    pub(super) fn add_panes<P: Paning<K>>(
        self,
        panes: P,
        window: Option<(i64, i64)>,
        skips_null_values: bool,
        update: impl Fn(&K, &V, &mut Option<A>) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> KTable<P::OutKey, A> {
        let wishes = TableWishes::default();
        let key = self.key.clone();
        let origin = StoredTable {
            store: self.name.to_owned(),
            value: self.materialized.value.clone(),
            wishes: wishes.clone(),
            grace_ms: panes.grace_ms(),
            write_key: Arc::new(move |wanted: &P::OutKey, out: &mut Vec<u8>| {
                let (start_ms, wanted) = P::parts(wanted);
                panes.store_key(start_ms, &[], out);
                key.serialize(wanted, out)
            }),
        };
        let out_key = panes.out_serde(&self.key);
        self.offer(window, wishes.write_through.clone());
        let spec = match window {
            Some((size_ms, retention_ms)) => StoreSpec::window(self.name, size_ms, retention_ms),
            None => StoreSpec::key_value(self.name),
        };
        let settings = Arc::new(AggregateSettings {
            store: self.name.to_owned(),
            key: self.key.clone(),
            value: self.value.clone(),
            aggregate: self.materialized.value.clone(),
            skips_null_values,
            emit_every_update: self.materialized.emit_every_update,
            wishes,
            emit: self.emit,
            late: self.late.output(),
            inputs: self.inputs,
        });
        let update = Arc::new(update);
        let make = supplier(move || Aggregate::new(settings.clone(), panes, update.clone()));
        let results = self.add(spec, make);
        KTable::new(self.graph.clone(), results, out_key, origin)
    }

    /// Adds node and store of an aggregation into sessions or sliding windows. `out_key`: serde of the result's keys.
    pub(super) fn add_spans<R: SpanRule<K, V, A>>(
        self,
        rule: R,
        out_key: SerdeRef<Windowed<K>>,
    ) -> KTable<Windowed<K>, A> {
        let wishes = TableWishes::default();
        let origin = SpanTable {
            store: self.name.to_owned(),
            key: self.key.clone(),
            aggregate: self.materialized.value.clone(),
            anchor: R::ANCHOR,
            pane_ms: rule.pane_ms(),
            grace_ms: rule.grace_ms(),
            wishes: wishes.clone(),
        };
        let kept_ms = rule.retention_ms().saturating_add(self.kept_longer_ms());
        // The lists of sliding windows lie in other panes, and their ends are told otherwise.
        if R::ANCHOR == Anchor::End {
            let (key, value) = (self.key.clone(), self.materialized.value.clone());
            let store = SessionStore::new(self.name, rule.pane_ms(), kept_ms, key, value);
            let store = ReadOnly::new(store, wishes.write_through.clone());
            self.graph.lock().offer_table(self.name, store);
        }
        let spec = StoreSpec::spans(self.name, rule.pane_ms(), kept_ms);
        let settings = Arc::new(SpanSettings {
            store: self.name.to_owned(),
            key: self.key.clone(),
            value: self.value.clone(),
            aggregate: self.materialized.value.clone(),
            emit_every_update: self.materialized.emit_every_update,
            emit: self.emit,
            wishes,
            late: self.late.output(),
            inputs: self.inputs,
        });
        let rule = Arc::new(rule);
        let make = supplier(move || SpanAggregate::new(settings.clone(), rule.clone(), kept_ms));
        let results = self.add(spec, make);
        KTable::new(self.graph.clone(), results, out_key, origin)
    }

    /// Lets processors read the store.
    fn offer(&self, window: Option<(i64, i64)>, wish: Wish) {
        let (key, value) = (self.key.clone(), self.materialized.value.clone());
        let mut graph = self.graph.lock();
        match window {
            None => {
                let store = KeyValueStore::new(self.name, key, value);
                graph.offer_table(self.name, ReadOnly::new(store, wish));
            }
            Some((size_ms, retention_ms)) => {
                let store = WindowStore::new(self.name, size_ms, retention_ms, key, value);
                graph.offer_table(self.name, ReadOnly::new(store, wish));
            }
        }
    }

    /// Adds the store and the node, both of the plan's name. Returns the node that results come from.
    fn add(&self, mut spec: StoreSpec, make: ProcessorSupplier) -> NodeId {
        spec.logged = self.materialized.logged;
        if is_unit::<V>() || is_unit::<A>() {
            self.report(UNIT_IS_NULL.to_owned());
        }
        if let Some(mistake) = self.emit.mistake() {
            self.report(mistake.to_owned());
        }
        let mut stores = vec![self.name.to_owned()];
        let mut building = self.graph.lock();
        self.materialized
            .refuse_history(self.name, &mut building.topology);
        if self.emit.interval_ms().is_some() {
            let mut untold = StoreSpec::key_value(untold_store(self.name));
            untold.logged = spec.logged;
            stores.push(untold.name.clone());
            building.topology.add_store(untold);
        }
        building.topology.add_store(spec);
        let stores: Vec<&str> = stores.iter().map(String::as_str).collect();
        let node = building
            .topology
            .add_processor(self.name, make, &self.parents, &stores);
        drop(building);
        self.late.connect(self.graph, node)
    }

    /// The retention of the store in ms: as asked, at least `shortest_ms` (`why`: what that is).
    pub(super) fn retention_ms(&self, shortest_ms: i64, why: &str) -> i64 {
        let asked = self.materialized.retention.as_ref().map(Duration::as_millis);
        let retention_ms = asked.map_or(shortest_ms, |asked| i64::try_from(asked).unwrap_or(i64::MAX / 4));
        if retention_ms < shortest_ms {
            self.report(format!(
                "the retention of {retention_ms} ms is shorter than {why}, {shortest_ms} ms"
            ));
        }
        retention_ms
    }

    /// How much longer than their retention results are kept: those told at the end of an interval must be there until then.
    pub(super) fn kept_longer_ms(&self) -> i64 {
        self.emit.interval_ms().unwrap_or(0)
    }

    /// Reports a mistake in the windows or in how they are to be emitted.
    pub(super) fn report(&self, reason: String) {
        let node = self.name.to_owned();
        let error = TopologyError::InvalidOperator { node, reason };
        self.graph.lock().topology.report(error);
    }
}
