//! What the engine knows: the catalogue and what became of its views, as one value.
//!
//! Always true: a change makes a new value and leaves the old one to whoever took it. So nobody holds a lock while planning, reading or
//! waiting, and a statement sees one state from its beginning to its end. Only the holder of the catalogue's topic changes the state.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use super::Inner;
use super::view::View;
use crate::catalog::{Catalog, CatalogRecord, CatalogTopic};
use crate::error::Result;

/// What statements read.
#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) catalog: Catalog,
    pub(super) views: BTreeMap<String, Arc<View>>,
}

/// The state of now.
#[derive(Default)]
pub(super) struct Current(RwLock<Arc<State>>);

impl Current {
    /// Takes the state of now.
    pub(super) fn get(&self) -> Arc<State> {
        Arc::clone(&self.0.read())
    }

    /// Changes it for those who come later.
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        change(Arc::make_mut(&mut self.0.write()));
    }
}

impl Inner {
    /// Writes a record to the catalogue and, once it is durable, to the state. The topic is handed in by the statement that holds it.
    pub(super) async fn define(
        &self,
        topic: &CatalogTopic,
        name: &str,
        record: Option<CatalogRecord>,
    ) -> Result<()> {
        topic.write(name, record.as_ref()).await?;
        self.state.change(|state| state.catalog.apply(name, record));
        Ok(())
    }

    /// Says what became of a view.
    pub(super) fn set_view(&self, name: &str, view: View) {
        self.state.change(|state| {
            state.views.insert(name.to_owned(), Arc::new(view));
        });
    }
}
