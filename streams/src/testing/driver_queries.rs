//! Queries of a driver's stores, as a running application answers them.

use std::sync::Arc;

use super::TopologyTestDriver;
use crate::query::{QueryError, StoreRegistry, StoreView};
use crate::serde::DefaultSerde;
use crate::state::TaskId;

impl TopologyTestDriver {
    /// A typed view of what is committed in a store, over all tasks. It answers as long as the driver lives.
    /// # Errors
    /// When there is no store of that name.
    pub fn query<K: DefaultSerde, V: DefaultSerde>(
        &self,
        store: &str,
    ) -> Result<StoreView<K, V>, QueryError> {
        let registry = StoreRegistry::default();
        for sub in self.topology.sub_topologies() {
            let tasks = || {
                let tasks = self.tasks.iter();
                tasks.filter(|task| task.id.sub_topology == sub.id())
            };
            for spec in sub.stores() {
                registry.announce(spec, tasks().map(|task| task.id).collect());
            }
            for task in tasks() {
                registry.register(task.id, sub.stores(), &task.state);
            }
        }
        if let Some(globals) = &self.globals {
            for spec in globals.state().specs() {
                registry.announce(spec, vec![TaskId::GLOBAL]);
            }
            registry.register(TaskId::GLOBAL, globals.state().specs(), globals.state());
        }
        StoreView::new(Arc::new(registry), store, K::default_serde(), V::default_serde())
    }
}
