//! Holds updates of a table back until they are due, or the buffer is full.
//!
//! The whole buffer is in memory, ordered by (buffer time, key bytes); the store has what stood in it at the last commit, from where a restarted task
//! reads it. Always true: a key has one entry, which keeps the place of its first update while later ones replace its contents; an entry leaves
//! with the latest update, and with the value the receivers know as the one before.
//!
//! Time is the largest timestamp that came by here, as in Kafka Streams, and is stored too, so that a restart changes nothing. Behind a repartition topic it is never
//! ahead of the task's stream time, by which the windows above are limited as well, or a window could change after its final result. Time
//! that goes on without updates, because input is idle or upstream tasks say so, counts at the commit, when everything above has been forwarded.
//! Final results behind a repartition topic all wait for that moment: the task's stream time may be past the end of a window whose last update
//! a cache above has not forwarded yet.
//! `on_abort` forgets the buffer, which is then read again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millpond_log::types::Timestamp;

use super::suppress_entry::{BufferEntry, BufferTime, TIME_KEY, append_store_key, key_of, read_prior};
use crate::dsl::Suppressed;
use crate::dsl::change::Change;
use crate::dsl::row::{NO_OFFSET, Row, batch_of, rows_of};
use crate::dsl::suppressed::WhenFull;
use crate::dsl::table_lookup::{Entry, ReadTable, TableReader};
use crate::dsl::table_origin::Wish;
use crate::processor::{Batch, BoxError, InitContext, NO_TIME, ProcessContext, ProcessError, Processor};
use crate::serde::{Data, SerdeRef};
use crate::state::{KeyBatch, KeyRange, StoreIndex};

/// What an entry costs besides its bytes: buffer time, timestamp, place.
const ENTRY_OVERHEAD: u64 = 24;

pub(in crate::dsl) struct SuppressSettings<K, V> {
    pub(in crate::dsl) store: String,
    pub(in crate::dsl) key: SerdeRef<K>,
    pub(in crate::dsl) value: SerdeRef<V>,
    pub(in crate::dsl) suppressed: Suppressed<K>,
    /// How long past its buffer time an update is due, in ms.
    pub(in crate::dsl) wait_ms: i64,
    /// Others read the store.
    pub(in crate::dsl) write_through: Wish,
}

/// Key bytes, shared by the order and the index.
type KeyBytes = Arc<[u8]>;

/// See the module's text.
pub(in crate::dsl) struct Suppress<K, V> {
    settings: Arc<SuppressSettings<K, V>>,
    store: StoreIndex,
    write_through: bool,
    /// The buffer equals the store and what was changed since.
    loaded: bool,
    order: BTreeMap<(Timestamp, KeyBytes), BufferEntry<K, V>>,
    index: BTreeMap<KeyBytes, Timestamp>,
    bytes: u64,
    time: BufferTime,
    stored_time: BufferTime,
    /// How far time went while input was idle, since the last commit.
    idle_time: Timestamp,
    /// Entries the store has not got in this form.
    changed: BTreeSet<KeyBytes>,
    /// Keys that left the buffer but not the store.
    gone: BTreeSet<KeyBytes>,
}

/// The task stops, as it was told.
#[derive(Debug, thiserror::Error)]
#[error(
    "the suppression buffer is over its bounds: {records} of {max_records:?} records, {bytes} of {max_bytes:?} bytes"
)]
struct BufferFull {
    records: u64,
    max_records: Option<u64>,
    bytes: u64,
    max_bytes: Option<u64>,
}

impl<K: Data, V: Data> Suppress<K, V> {
    pub(in crate::dsl) fn new(settings: Arc<SuppressSettings<K, V>>) -> Self {
        Suppress {
            settings,
            store: StoreIndex::new(0),
            write_through: false,
            loaded: false,
            order: BTreeMap::new(),
            index: BTreeMap::new(),
            bytes: 0,
            time: BufferTime::UNKNOWN,
            stored_time: BufferTime::UNKNOWN,
            idle_time: NO_TIME,
            changed: BTreeSet::new(),
            gone: BTreeSet::new(),
        }
    }

    /// Reads the buffer back from the store.
    fn load(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        if self.loaded {
            return Ok(());
        }
        let settings = self.settings.clone();
        let failed = |node: &str, cause: BoxError| ProcessError::node(node, cause);
        let node = context.node().to_owned();
        let mut store = context.store(self.store);
        let mut scan = store.scan(&KeyRange::all())?;
        while let Some((store_key, stored)) = scan.next_entry()? {
            let Some(key_bytes) = key_of(store_key) else {
                self.stored_time = BufferTime::read(stored).map_err(|cause| failed(&node, cause))?;
                self.time = self.stored_time;
                continue;
            };
            let read = || -> Result<_, BoxError> {
                let key = settings.key.deserialize(key_bytes)?;
                let (time, mut entry) = BufferEntry::read(key, &settings.value, stored)?;
                entry.bytes = self.size_of(key_bytes, &entry)?;
                Ok((time, entry))
            };
            let (time, entry) = read().map_err(|cause| failed(&node, cause))?;
            let key_bytes = KeyBytes::from(key_bytes);
            self.bytes += entry.bytes;
            self.index.insert(key_bytes.clone(), time);
            self.order.insert((time, key_bytes), entry);
        }
        self.loaded = true;
        Ok(())
    }

    /// What an entry counts against the bound in bytes; 0 without such a bound.
    fn size_of(&self, key: &[u8], entry: &BufferEntry<K, V>) -> Result<u64, BoxError> {
        if self.settings.suppressed.bounds.max_bytes.is_none() {
            return Ok(0);
        }
        let mut values = Vec::new();
        for value in [&entry.prior, &entry.new].into_iter().flatten() {
            self.settings.value.serialize(value, &mut values)?;
        }
        let headers = entry.headers.iter();
        let headers: usize = headers
            .map(|header| header.key.len() + header.value.as_ref().map_or(0, |value| value.len()))
            .sum();
        Ok(ENTRY_OVERHEAD + (key.len() + values.len() + headers) as u64)
    }

    fn put(&mut self, row: Row<K, Change<V>>, key_bytes: &[u8]) -> Result<(), BoxError> {
        let Row {
            key,
            value: Change { new, old, .. },
            timestamp,
            headers,
            ..
        } = row;
        let place = self.index.get_key_value(key_bytes);
        let place = place.map(|(key, time)| (*time, key.clone()));
        let before = place.as_ref().and_then(|place| self.order.get_mut(place));
        let (prior, stored) = match &before {
            Some(_) => (None, false),
            None => (old, self.gone.contains(key_bytes)),
        };
        let mut entry = BufferEntry {
            prior,
            new,
            timestamp,
            headers,
            bytes: 0,
            stored,
            key,
        };
        entry.detach(&self.settings.key, &self.settings.value);
        if let Some(before) = before {
            entry.prior = before.prior.take();
            entry.stored = before.stored;
            self.bytes -= before.bytes;
        }
        entry.bytes = self.size_of(key_bytes, &entry)?;
        self.bytes += entry.bytes;
        let place = place.unwrap_or_else(|| {
            let time = (self.settings.suppressed.time)(&entry.key, timestamp);
            (time, KeyBytes::from(key_bytes))
        });
        self.gone.remove(key_bytes);
        self.changed.insert(place.1.clone());
        self.index.insert(place.1.clone(), place.0);
        self.order.insert(place, entry);
        Ok(())
    }

    /// Results leave at the commit only; see the module's text.
    fn leaves_at_commit(&self, follows: bool) -> bool {
        follows && self.settings.suppressed.drops_tombstones
    }

    /// The time up to which this operator may go.
    fn time(&self, stream_time: Timestamp, follows: bool) -> Timestamp {
        match follows {
            true => self.time.stream_time.min(stream_time),
            false => self.time.stream_time,
        }
    }

    /// Fails when what is not due at `time` is over the bounds. What is due and still waits for the commit does not count.
    fn check_bounds(&self, time: Timestamp) -> Result<(), BufferFull> {
        let bounds = self.settings.suppressed.bounds;
        let over = |records: u64, bytes: u64| {
            bounds.max_records.is_some_and(|max| records > max)
                || bounds.max_bytes.is_some_and(|max| bytes > max)
        };
        if !over(self.index.len() as u64, self.bytes) {
            return Ok(());
        }
        let due = time.saturating_sub(self.settings.wait_ms);
        let held = self.order.iter().rev().take_while(|((time, _), _)| *time > due);
        let (records, bytes) = held.fold((0, 0), |(records, bytes), (_, entry)| {
            (records + 1, bytes + entry.bytes)
        });
        match over(records, bytes) {
            true => Err(BufferFull {
                records,
                max_records: bounds.max_records,
                bytes,
                max_bytes: bounds.max_bytes,
            }),
            false => Ok(()),
        }
    }

    /// Takes out what is due or too much, for the rows to forward.
    fn let_go(
        &mut self,
        stream_time: Timestamp,
        follows: bool,
        out: &mut Vec<Row<K, Change<V>>>,
    ) -> Result<(), BufferFull> {
        let due = self
            .time(stream_time, follows)
            .saturating_sub(self.settings.wait_ms);
        while let Some(entry) = self.pop(due)? {
            if entry.new.is_none() && self.settings.suppressed.drops_tombstones {
                continue;
            }
            out.push(Row {
                key: entry.key,
                value: Change::latest(entry.new, entry.prior),
                timestamp: entry.timestamp,
                headers: entry.headers,
                stream_time,
                offset: NO_OFFSET,
            });
        }
        Ok(())
    }

    /// Takes the first entry out if it is `due` by then, or the buffer is too large.
    fn pop(&mut self, due: Timestamp) -> Result<Option<BufferEntry<K, V>>, BufferFull> {
        let Some(first) = self.order.first_entry() else {
            return Ok(None);
        };
        if first.key().0 > due {
            let bounds = self.settings.suppressed.bounds;
            let records = self.index.len() as u64;
            let full = bounds.max_records.is_some_and(|max| records > max)
                || bounds.max_bytes.is_some_and(|max| self.bytes > max);
            if !full {
                return Ok(None);
            }
            if bounds.when_full == WhenFull::ShutDown {
                return Err(BufferFull {
                    records,
                    max_records: bounds.max_records,
                    bytes: self.bytes,
                    max_bytes: bounds.max_bytes,
                });
            }
        }
        let ((_, key_bytes), entry) = first.remove_entry();
        self.bytes -= entry.bytes;
        self.index.remove(&key_bytes);
        self.changed.remove(&key_bytes);
        if entry.stored {
            self.gone.insert(key_bytes);
        }
        Ok(Some(entry))
    }

    /// Brings the store up to date.
    fn write(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        if !self.loaded {
            return Ok(());
        }
        let (mut keys, mut values, mut ends) = (KeyBatch::new(), Vec::new(), Vec::new());
        for key_bytes in std::mem::take(&mut self.changed) {
            let Some(time) = self.index.get(&key_bytes) else {
                continue;
            };
            keys.push_with(|out| append_store_key(&key_bytes, out));
            let time = *time;
            if let Some(entry) = self.order.get_mut(&(time, key_bytes)) {
                let written = entry.write(time, &self.settings.value, &mut values);
                written.map_err(|cause| ProcessError::node(context.node(), cause))?;
                entry.stored = true;
            }
            ends.push(values.len());
        }
        let mut store = context.store(self.store);
        store.put_many(&keys, |number| {
            let start = number.checked_sub(1).map_or(0, |before| ends[before]);
            &values[start..ends[number]]
        });
        let mut store_key = Vec::new();
        for key_bytes in std::mem::take(&mut self.gone) {
            store_key.clear();
            append_store_key(&key_bytes, &mut store_key);
            store.delete(&store_key);
        }
        if self.stored_time != self.time {
            store.put(&TIME_KEY, self.time.to_bytes());
            self.stored_time = self.time;
        }
        Ok(())
    }
}

impl<K: Data, V: Data> Processor for Suppress<K, V> {
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.store = context.store_index(&self.settings.store)?;
        self.write_through = self.settings.write_through.is_made();
        Ok(())
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let rows = rows_of::<K, Change<V>>(batch, context)?;
        self.load(context)?;
        let follows = context.follows_upstreams();
        let mut out = Vec::new();
        let mut key_bytes = Vec::new();
        for row in rows {
            key_bytes.clear();
            self.time.advance(row.timestamp);
            if let Err(cause) = self.settings.key.serialize(&row.key, &mut key_bytes) {
                context.refuse(None, row.offset, row.timestamp, cause.into())?;
                continue;
            }
            let stream_time = row.stream_time;
            // Not refused: a value that cannot be written now could not be written at the commit either.
            self.put(row, &key_bytes)
                .map_err(|cause| ProcessError::node(context.node(), cause))?;
            if !self.leaves_at_commit(follows) {
                self.let_go(stream_time, follows, &mut out)
                    .map_err(|cause| ProcessError::node(context.node(), cause))?;
            }
        }
        if self.leaves_at_commit(follows) {
            self.check_bounds(self.time(context.stream_time(), follows))
                .map_err(|cause| ProcessError::node(context.node(), cause))?;
        }
        if self.write_through {
            self.write(context)?;
        }
        context.forward(batch_of(out));
        Ok(())
    }

    fn on_time(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.idle_time = self.idle_time.max(context.idle_time().unwrap_or(NO_TIME));
        Ok(())
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let follows = context.follows_upstreams();
        let idle_time = std::mem::replace(&mut self.idle_time, NO_TIME);
        if idle_time != NO_TIME || follows {
            self.load(context)?;
            self.time.advance(idle_time);
            let mut out = Vec::new();
            self.let_go(context.stream_time(), follows, &mut out)
                .map_err(|cause| ProcessError::node(context.node(), cause))?;
            context.forward(batch_of(out));
        }
        self.write(context)
    }

    fn on_abort(&mut self) {
        self.loaded = false;
        self.order.clear();
        self.index.clear();
        self.changed.clear();
        self.gone.clear();
        self.bytes = 0;
        (self.time, self.stored_time) = (BufferTime::UNKNOWN, BufferTime::UNKNOWN);
        self.idle_time = NO_TIME;
    }
}

/// Reads a suppressed table: buffered keys as the receivers know them, others from the table above.
pub(in crate::dsl) struct SuppressedReader<K, V> {
    parent: TableReader<K, V>,
    store: StoreIndex,
    settings: Arc<SuppressSettings<K, V>>,
}

/// Timestamp of values whose own nobody knows any more, as in Kafka Streams.
const UNKNOWN_TIME: Timestamp = -1;

impl<K: Data, V: Data> SuppressedReader<K, V> {
    pub(in crate::dsl) fn new(
        parent: TableReader<K, V>,
        store: StoreIndex,
        settings: Arc<SuppressSettings<K, V>>,
    ) -> Self {
        SuppressedReader {
            parent,
            store,
            settings,
        }
    }
}

impl<K: Data, V: Data> ReadTable<K, V> for SuppressedReader<K, V> {
    fn get_many(
        &mut self,
        keys: &[K],
        context: &mut ProcessContext<'_>,
    ) -> Result<Vec<Entry<V>>, ProcessError> {
        let mut entries = self.parent.get_many(keys, context)?;
        let failed = |context: &ProcessContext<'_>, cause| Err(ProcessError::node(context.node(), cause));
        let mut store_keys = KeyBatch::new();
        for key in keys {
            let mut written = Ok(());
            store_keys.push_with(|out| {
                append_store_key(&[], out);
                written = self.settings.key.serialize(key, out);
            });
            if let Err(cause) = written {
                return failed(context, BoxError::from(cause));
            }
        }
        let mut damaged = None;
        let value = &self.settings.value;
        context
            .store(self.store)
            .multi_get_with(&store_keys, |number, stored| {
                match stored.map(|stored| read_prior(value, stored)) {
                    None => {}
                    Some(Ok(prior)) => entries[number] = prior.map(|prior| (prior, UNKNOWN_TIME)),
                    Some(Err(cause)) => damaged = Some(cause),
                }
            })?;
        match damaged {
            None => Ok(entries),
            Some(cause) => failed(context, cause),
        }
    }
}
