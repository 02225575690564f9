//! What `KTable::transform_values` runs: new values for the entries of a table, made with stores at hand.
//!
//! Always true: a transformer forwards nothing. It is made anew when a transaction is lost, so whatever must survive belongs in a store.

use std::any::type_name;
use std::sync::Arc;

use millpond_log::types::Timestamp;

use crate::dsl::stores::access::{bound, sealed};
use crate::dsl::stores::{StateContext, StateStore, StoreDefinition};
use crate::processor::{BoxError, Headers, ProcessContext, ProcessError};
use crate::serde::Data;
use crate::state::{StoreIndex, StoreRef, TaskId};

/// Makes the values of a table out of those of another (Kafka Streams' `ValueTransformerWithKey`).
///
/// Used by [`KTable::transform_values`](crate::dsl::KTable::transform_values), where there is an example.
pub trait ValueTransformerWithKey: Sized + Send + 'static {
    /// Key of the entries.
    type Key: Data;
    /// Value it takes.
    type ValueIn: Data;
    /// Value it makes.
    type ValueOut: Data;

    /// Called once, before anything else: look up stores here.
    fn init(&mut self, _context: &ValueTransformerInit<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    /// The new value; `None` = no entry. It is also asked about entries that were deleted or never were (`value` is `None`).
    fn transform(
        &mut self,
        key: &Self::Key,
        value: Option<Self::ValueIn>,
        context: &mut ValueTransformerContext<'_>,
    ) -> Result<Option<Self::ValueOut>, BoxError>;
}

/// What a [`ValueTransformerWithKey`] may touch in `init`.
pub struct ValueTransformerInit<'a> {
    pub(in crate::dsl) node: &'a str,
    pub(in crate::dsl) task: TaskId,
    pub(in crate::dsl) stores: &'a [(String, Arc<dyn StoreDefinition>)],
    pub(in crate::dsl) index_of: &'a dyn Fn(&str) -> Result<StoreIndex, ProcessError>,
}

impl ValueTransformerInit<'_> {
    /// The store of that name, which the transformer must have been connected to; see [`ProcessorInit::store`](crate::dsl::ProcessorInit::store).
    /// # Errors
    /// When it is not connected, or of another kind or type.
    pub fn store<S: StateStore>(&self, name: &str) -> Result<S, ProcessError> {
        find_store::<S>(self.node, self.stores, name)?.bind(self.index_of)
    }

    /// The task.
    pub fn task_id(&self) -> TaskId {
        self.task
    }

    /// Name of the node in the topology.
    pub fn node(&self) -> &str {
        self.node
    }
}

#[derive(Debug, thiserror::Error)]
#[error("store {name:?} is no {wanted}")]
struct WrongStore {
    name: String,
    wanted: &'static str,
}

/// The handle of a connected store.
pub(super) fn find_store<'s, S: StateStore>(
    node: &str,
    stores: &'s [(String, Arc<dyn StoreDefinition>)],
    name: &str,
) -> Result<&'s S, ProcessError> {
    let found = stores.iter().find(|(store, _)| store == name);
    let Some((_, store)) = found else {
        return Err(ProcessError::Unknown {
            node: node.to_owned(),
            kind: "store",
            name: name.to_owned(),
        });
    };
    store.as_any().downcast_ref::<S>().ok_or_else(|| {
        let (name, wanted) = (name.to_owned(), type_name::<S>());
        ProcessError::node(node, WrongStore { name, wanted })
    })
}

/// What a [`ValueTransformerWithKey`] may touch while it works. It gives stores access to the task's state; nothing can be forwarded.
pub struct ValueTransformerContext<'a> {
    pub(in crate::dsl) inner: ProcessContext<'a>,
    pub(in crate::dsl) timestamp: Timestamp,
    pub(in crate::dsl) stream_time: Timestamp,
    pub(in crate::dsl) headers: &'a Headers,
}

impl ValueTransformerContext<'_> {
    /// Timestamp of the update, in ms; where a value is worked out for a join, that of the entry it is made from.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Headers of the update; none where a value is worked out for a join.
    pub fn headers(&self) -> &Headers {
        self.headers
    }

    /// Stream time in ms; [`NO_TIME`](crate::processor::NO_TIME) before it is known (`currentStreamTimeMs`).
    pub fn stream_time(&self) -> Timestamp {
        self.stream_time
    }

    /// Wall-clock time in ms, the same for all updates of a batch (`currentSystemTimeMs`).
    pub fn wall_clock_time(&self) -> Timestamp {
        self.inner.now_ms()
    }

    /// The task.
    pub fn task_id(&self) -> TaskId {
        self.inner.task_id()
    }

    /// Name of the node in the topology.
    pub fn node(&self) -> &str {
        self.inner.node()
    }
}

impl sealed::Sealed for ValueTransformerContext<'_> {}

impl StateContext for ValueTransformerContext<'_> {
    fn store_ref(&mut self, store: StoreIndex) -> Result<StoreRef<'_>, ProcessError> {
        bound(store, self.inner.node())?;
        Ok(self.inner.store(store))
    }

    fn node_name(&self) -> &str {
        self.inner.node()
    }

    fn stream_time(&self) -> Timestamp {
        self.stream_time
    }

    fn timestamp(&self) -> Timestamp {
        self.timestamp
    }
}
