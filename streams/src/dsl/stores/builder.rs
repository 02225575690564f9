//! Declaring a store: `Stores` and the builder they return, with Kafka Streams' words.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use super::{KeyValueStore, ListStore, SessionStore, Timers, WindowStore};
use crate::processor::{ProcessContext, ProcessError};
use crate::serde::{Data, DefaultSerde, Serde, SerdeError, SerdeRef};
use crate::state::{StoreIndex, StoreSpec, span_list};

/// Kinds of stores (Kafka Streams' `Stores`). Each returns a builder, to be given to
/// [`StreamsBuilder::add_state_store`](crate::dsl::StreamsBuilder::add_state_store).
#[derive(Clone, Copy, Debug)]
pub struct Stores;

impl Stores {
    /// One value per key, with a timestamp (`timestampedKeyValueStoreBuilder`).
    pub fn key_value<K: Data + DefaultSerde, V: Data + DefaultSerde>(
        name: &str,
    ) -> StoreBuilder<KeyValueStore<K, V>> {
        Stores::key_value_with(name, K::default_serde(), V::default_serde())
    }

    /// As [`key_value`](Self::key_value), with serdes as told.
    pub fn key_value_with<K: Data, V: Data>(
        name: &str,
        key: SerdeRef<K>,
        value: SerdeRef<V>,
    ) -> StoreBuilder<KeyValueStore<K, V>> {
        StoreBuilder::new(
            StoreSpec::key_value(name),
            KeyValueStore::new(name, key, kept(value)),
        )
    }

    /// One value per key and window start (`timestampedWindowStoreBuilder`). Windows are kept until stream time is `retention` after their start, which is at
    /// least their `size`.
    pub fn window<K: Data + DefaultSerde, V: Data + DefaultSerde>(
        name: &str,
        size: Duration,
        retention: Duration,
    ) -> StoreBuilder<WindowStore<K, V>> {
        Stores::window_with(name, size, retention, K::default_serde(), V::default_serde())
    }

    /// As [`window`](Self::window), with serdes as told.
    pub fn window_with<K: Data, V: Data>(
        name: &str,
        size: Duration,
        retention: Duration,
        key: SerdeRef<K>,
        value: SerdeRef<V>,
    ) -> StoreBuilder<WindowStore<K, V>> {
        let (size_ms, retention_ms) = (millis(size), millis(retention));
        let store = WindowStore::new(name, size_ms, retention_ms, key, kept(value));
        let mut builder = StoreBuilder::new(StoreSpec::window(name, size_ms, retention_ms), store);
        if size_ms < 1 {
            builder.mistake = Some("windows must be at least 1 ms long".to_owned());
        } else if retention_ms < size_ms {
            builder.mistake = Some(format!(
                "retention of {retention_ms} ms is shorter than a window of {size_ms} ms"
            ));
        }
        builder
    }

    /// Values per key and session (`sessionStoreBuilder`). Sessions are kept until stream time is `retention` past their end. The layout on disk depends on the power
    /// of two at or above an eighth of it, so a retention that changes much needs another store.
    pub fn session<K: Data + DefaultSerde, V: Data + DefaultSerde>(
        name: &str,
        retention: Duration,
    ) -> StoreBuilder<SessionStore<K, V>> {
        Stores::session_with(name, retention, K::default_serde(), V::default_serde())
    }

    /// As [`session`](Self::session), with serdes as told.
    pub fn session_with<K: Data, V: Data>(
        name: &str,
        retention: Duration,
        key: SerdeRef<K>,
        value: SerdeRef<V>,
    ) -> StoreBuilder<SessionStore<K, V>> {
        let retention_ms = millis(retention);
        let pane_ms = span_list::pane_width(retention_ms / 8);
        let store = SessionStore::new(name, pane_ms, retention_ms, key, kept(value));
        let mut builder = StoreBuilder::new(StoreSpec::spans(name, pane_ms, retention_ms), store);
        if retention_ms < 1 {
            builder.mistake = Some("sessions must be kept for at least 1 ms".to_owned());
        }
        builder
    }

    /// Any number of values per key, in the order they were added; each is an entry of its own, so that adding one does not rewrite the others.
    pub fn list<K: Data + DefaultSerde, V: Data + DefaultSerde>(name: &str) -> StoreBuilder<ListStore<K, V>> {
        Stores::list_with(name, K::default_serde(), V::default_serde())
    }

    /// As [`list`](Self::list), with serdes as told.
    pub fn list_with<K: Data, V: Data>(
        name: &str,
        key: SerdeRef<K>,
        value: SerdeRef<V>,
    ) -> StoreBuilder<ListStore<K, V>> {
        StoreBuilder::new(StoreSpec::key_value(name), ListStore::new(name, key, kept(value)))
    }

    /// The timers of one processor with keys `K` (see [`ProcessorContext::timer`](crate::dsl::ProcessorContext::timer)).
    pub fn timers<K: Data + DefaultSerde>(name: &str) -> StoreBuilder<Timers<K>> {
        Stores::timers_with(name, K::default_serde())
    }

    /// As [`timers`](Self::timers), with a serde as told.
    pub fn timers_with<K: Data>(name: &str, key: SerdeRef<K>) -> StoreBuilder<Timers<K>> {
        StoreBuilder::new(StoreSpec::key_value(name), Timers::new(key))
    }
}

/// How values are kept: as their serde says, but for `()`. In a topic that is null, as a value of a store it says that the key is there.
fn kept<V: 'static>(mut serde: SerdeRef<V>) -> SerdeRef<V> {
    if let Some(unit) = (&mut serde as &mut dyn Any).downcast_mut::<SerdeRef<()>>() {
        *unit = Arc::new(Present);
    }
    serde
}

/// `()` as no bytes, which is not null.
struct Present;

impl Serde<()> for Present {
    fn serialize(&self, _value: &(), _out: &mut Vec<u8>) -> Result<(), SerdeError> {
        Ok(())
    }

    fn deserialize(&self, _bytes: &[u8]) -> Result<(), SerdeError> {
        Ok(())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A store that is being declared (Kafka Streams' `StoreBuilder`). `S` is the handle processors get.
#[derive(Clone)]
pub struct StoreBuilder<S> {
    pub(super) spec: StoreSpec,
    pub(super) store: S,
    mistake: Option<String>,
}

impl<S: StateStore> StoreBuilder<S> {
    fn new(spec: StoreSpec, store: S) -> Self {
        StoreBuilder {
            spec,
            store,
            mistake: None,
        }
    }

    /// Keeps the store in memory only (`inMemoryKeyValueStore`): nothing of it is on disk, and it is read from its changelog at every start.
    #[must_use]
    pub fn in_memory(mut self) -> Self {
        self.spec.persistent = false;
        self
    }

    /// No changelog topic (`withLoggingDisabled`): the store does not survive the loss of its disk, nor a crash before it was flushed.
    #[must_use]
    pub fn without_changelog(mut self) -> Self {
        self.spec.logged = false;
        self
    }

    /// A setting of the changelog topic, by Kafka's name (`withLoggingEnabled`).
    #[must_use]
    pub fn changelog_config(mut self, name: &str, value: &str) -> Self {
        self.spec
            .changelog_configs
            .insert(name.to_owned(), value.to_owned());
        self
    }

    /// The stores to be added to the topology, and the definition of the handle.
    pub(in crate::dsl) fn into_parts(self) -> (Vec<StoreSpec>, Result<Arc<dyn StoreDefinition>, String>) {
        let mut specs = vec![self.spec.clone()];
        specs.extend(self.store.companions().into_iter().map(|name| StoreSpec {
            name,
            ..self.spec.clone()
        }));
        match self.mistake {
            Some(mistake) => (specs, Err(mistake)),
            None => (specs, Ok(Arc::new(self.store))),
        }
    }
}

/// A typed handle of a store: implemented by [`KeyValueStore`], [`WindowStore`], [`SessionStore`], [`ListStore`] and [`Timers`].
pub trait StateStore: StoreDefinition + Clone {
    /// The same handle for the stores of a task, which `index_of` finds by name.
    #[doc(hidden)]
    fn bind(&self, index_of: &dyn Fn(&str) -> Result<StoreIndex, ProcessError>)
    -> Result<Self, ProcessError>;
}

/// A handle without its types, as the builder keeps it.
#[doc(hidden)]
pub trait StoreDefinition: Any + Send + Sync {
    /// For the downcast in a processor's `init`.
    fn as_any(&self) -> &dyn Any;

    /// Names of stores that belong to it.
    fn companions(&self) -> Vec<String> {
        Vec::new()
    }

    /// A processor was connected to it.
    fn connected(&self) {}

    /// Whether these are timers, which belong to one processor only.
    fn is_timers(&self) -> bool {
        false
    }

    /// What removes expired entries, bound to a task; none when nothing expires.
    fn expiry(
        &self,
        _index_of: &dyn Fn(&str) -> Result<StoreIndex, ProcessError>,
    ) -> Result<Option<Box<dyn Expiry>>, ProcessError> {
        Ok(None)
    }
}

/// Removes what is expired; called before every commit.
#[doc(hidden)]
pub trait Expiry: Send {
    /// Removes what is expired at the stream time of the context.
    fn expire(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError>;

    /// The transaction was lost.
    fn on_abort(&mut self) {}
}
