//! The stores of tables as processors see them: to be read, not written.
//!
//! A table's store belongs to its operator, which keeps changes in memory and tells its receivers of them; a write past it would be lost, or known to nobody. (Kafka
//! Streams lets processors write there.) Always true: a processor connected to a table's store sees every update that was processed before the record it is
//! working on, also those that the table has not forwarded yet.

use std::any::Any;

use millpond_log::types::Timestamp;

use super::access::StateContext;
use super::builder::{StateStore, StoreDefinition};
use super::{KeyValueStore, SessionStore, ValueAndTimestamp, WindowStore};
use crate::dsl::Windowed;
use crate::dsl::table_origin::Wish;
use crate::processor::ProcessError;
use crate::serde::Data;
use crate::state::StoreIndex;

/// A store that can be read only: a table's. Connect a processor to it by the table's name, and get it in `init` as [`ReadOnlyKeyValueStore`],
/// [`ReadOnlyWindowStore`] or [`ReadOnlySessionStore`].
///
/// ```
/// use millpond_streams::dsl::{ProcessorContext, ProcessorInit, ReadOnlyKeyValueStore, Record, RecordProcessor, StreamsBuilder};
/// use millpond_streams::processor::BoxError;
/// use millpond_streams::testing::TopologyTestDriver;
///
/// /// Answers a question with what the table of prices says.
/// #[derive(Default)]
/// struct Answer(Option<ReadOnlyKeyValueStore<String, i64>>);
///
/// impl RecordProcessor for Answer {
///     type KeyIn = String;
///     type ValueIn = String;
///     type KeyOut = String;
///     type ValueOut = i64;
///
///     fn init(&mut self, context: &mut ProcessorInit<'_, Self>) -> Result<(), BoxError> {
///         self.0 = Some(context.store("prices")?);
///         Ok(())
///     }
///
///     fn process(&mut self, record: Record<String, String>, context: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
///         let prices = self.0.as_ref().ok_or("not started")?;
///         if let Some(price) = prices.get(context, &record.value)? {
///             context.forward(Record::new(record.key, price, record.timestamp));
///         }
///         Ok(())
///     }
/// }
///
/// let builder = StreamsBuilder::new();
/// builder.table::<String, i64>("price-list", "prices");
/// builder.stream::<String, String>("questions").process(Answer::default, &["prices"]).to("answers");
/// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
/// let (prices, questions) = (driver.input::<String, i64>("price-list"), driver.input::<String, String>("questions"));
/// driver.pipe(&prices, "tea".to_owned(), 3, 0)?;
/// driver.pipe(&questions, "Ada".to_owned(), "tea".to_owned(), 1)?;
/// let answers = driver.output::<String, i64>("answers");
/// assert_eq!(driver.read_values(&answers)?, [3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ReadOnly<S> {
    store: S,
    wish: Wish,
}

/// One value per key of a table without windows.
pub type ReadOnlyKeyValueStore<K, V> = ReadOnly<KeyValueStore<K, V>>;

/// One value per key and window of a table with windows of a fixed grid.
pub type ReadOnlyWindowStore<K, V> = ReadOnly<WindowStore<K, V>>;

/// Values per key and session of a table of sessions.
pub type ReadOnlySessionStore<K, V> = ReadOnly<SessionStore<K, V>>;

impl<S> ReadOnly<S> {
    /// `wish` is made when somebody connects: the store must then be up to date at the end of each batch.
    pub(in crate::dsl) fn new(store: S, wish: Wish) -> Self {
        ReadOnly { store, wish }
    }
}

impl<S: StateStore + Sync> StateStore for ReadOnly<S> {
    fn bind(
        &self,
        index_of: &dyn Fn(&str) -> Result<StoreIndex, ProcessError>,
    ) -> Result<Self, ProcessError> {
        Ok(ReadOnly::new(self.store.bind(index_of)?, self.wish.clone()))
    }
}

/// What is expired is removed by the table, not by its readers.
impl<S: StateStore> StoreDefinition for ReadOnly<S> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn connected(&self) {
        self.wish.make();
    }
}

impl<K: Data, V: Data> ReadOnly<KeyValueStore<K, V>> {
    /// The value of a key.
    pub fn get(&self, context: &mut impl StateContext, key: &K) -> Result<Option<V>, ProcessError> {
        self.store.get(context, key)
    }

    /// The value of a key, with its timestamp.
    pub fn get_with_timestamp(
        &self,
        context: &mut impl StateContext,
        key: &K,
    ) -> Result<Option<ValueAndTimestamp<V>>, ProcessError> {
        self.store.get_with_timestamp(context, key)
    }

    /// The entries with keys from `from` to `to`, both included, in ascending order; `None` leaves that end open.
    pub fn range(
        &self,
        context: &mut impl StateContext,
        from: Option<&K>,
        to: Option<&K>,
    ) -> Result<Vec<(K, V)>, ProcessError> {
        self.store.range(context, from, to)
    }

    /// As [`range`](Self::range), in descending order.
    pub fn reverse_range(
        &self,
        context: &mut impl StateContext,
        from: Option<&K>,
        to: Option<&K>,
    ) -> Result<Vec<(K, V)>, ProcessError> {
        self.store.reverse_range(context, from, to)
    }

    /// Every entry, in ascending order.
    pub fn all(&self, context: &mut impl StateContext) -> Result<Vec<(K, V)>, ProcessError> {
        self.store.all(context)
    }

    /// The entries whose keys, as bytes, begin with `prefix`.
    pub fn prefix_scan(
        &self,
        context: &mut impl StateContext,
        prefix: impl AsRef<[u8]>,
    ) -> Result<Vec<(K, V)>, ProcessError> {
        self.store.prefix_scan(context, prefix)
    }

    /// Roughly how many entries there are.
    pub fn approximate_num_entries(&self, context: &mut impl StateContext) -> Result<u64, ProcessError> {
        self.store.approximate_num_entries(context)
    }
}

impl<K: Data, V: Data> ReadOnly<WindowStore<K, V>> {
    /// The value of a key in the window starting at `time`.
    pub fn fetch(
        &self,
        context: &mut impl StateContext,
        key: &K,
        time: Timestamp,
    ) -> Result<Option<V>, ProcessError> {
        self.store.fetch(context, key, time)
    }

    /// The windows of a key that start from `from` to `to`, by start: (start, value).
    pub fn fetch_range(
        &self,
        context: &mut impl StateContext,
        key: &K,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(Timestamp, V)>, ProcessError> {
        self.store.fetch_range(context, key, from, to)
    }

    /// The windows of all keys that start from `from` to `to`, by start and key.
    pub fn fetch_all(
        &self,
        context: &mut impl StateContext,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(Windowed<K>, V)>, ProcessError> {
        self.store.fetch_all(context, from, to)
    }
}

impl<K: Data, V: Data> ReadOnly<SessionStore<K, V>> {
    /// Every session of a key, by end and start.
    pub fn fetch(
        &self,
        context: &mut impl StateContext,
        key: &K,
    ) -> Result<Vec<(Windowed<K>, V)>, ProcessError> {
        self.store.fetch(context, key)
    }

    /// The sessions of a key that end at `earliest_end` or later and start at `latest_start` or earlier, by end and start.
    pub fn find_sessions(
        &self,
        context: &mut impl StateContext,
        key: &K,
        earliest_end: Timestamp,
        latest_start: Timestamp,
    ) -> Result<Vec<(Windowed<K>, V)>, ProcessError> {
        self.store.find_sessions(context, key, earliest_end, latest_start)
    }
}
