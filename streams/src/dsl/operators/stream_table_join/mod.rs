//! Joins a stream with a table: every record meets the entry of its key, once, when it is read (or when its grace is over).
//!
//! Always true: only the stream brings results; the entries of a whole batch are looked up in one call. The table is a reader ([`TableReader`], or a global table's):
//! what is read of a versioned table is the entry that held at the record's time, otherwise the present one.
//! Next: `buffer.rs` for the grace, `dsl/table_lookup.rs` for reading tables.

pub(in crate::dsl) mod buffer;

use std::sync::Arc;

use millpond_log::types::{Offset, Timestamp};

use self::buffer::{Queued, TimeBuffer};
use crate::dsl::row::{NO_OFFSET, Row, batch_of, rows_of};
use crate::dsl::table_lookup::{TableLookup, TableReader};
use crate::processor::{Batch, BoxError, InitContext, NO_TIME, ProcessContext, ProcessError, Processor};
use crate::serde::{Data, SerdeRef};

/// What a join needs to know beside its closures.
pub(in crate::dsl) struct TableJoinSettings<K, V, TK, TV> {
    pub(in crate::dsl) key: SerdeRef<K>,
    pub(in crate::dsl) value: SerdeRef<V>,
    /// Serde of the table's keys, to know null ones.
    pub(in crate::dsl) table_key: SerdeRef<TK>,
    pub(in crate::dsl) table: TableLookup<TK, TV>,
    /// Records without an entry come out, too.
    pub(in crate::dsl) is_left: bool,
    /// The entry as of the record's time is wanted.
    pub(in crate::dsl) as_of: bool,
    /// Grace in ms and the store of its queue.
    pub(in crate::dsl) grace: Option<(i64, String)>,
}

/// See the module's text. `M` finds the table's key, `J` makes a result.
pub(in crate::dsl) struct StreamTableJoin<K, V, TK, TV, M, J> {
    settings: Arc<TableJoinSettings<K, V, TK, TV>>,
    map: Arc<M>,
    joiner: Arc<J>,
    reader: Option<TableReader<TK, TV>>,
    buffer: Option<TimeBuffer>,
    key_bytes: Vec<u8>,
    value_bytes: Vec<u8>,
}

impl<K, V, TK, TV, M, J> StreamTableJoin<K, V, TK, TV, M, J> {
    pub(in crate::dsl) fn new(
        settings: Arc<TableJoinSettings<K, V, TK, TV>>,
        map: Arc<M>,
        joiner: Arc<J>,
    ) -> Self {
        let buffer = settings
            .grace
            .as_ref()
            .map(|(grace_ms, _)| TimeBuffer::new(*grace_ms));
        StreamTableJoin {
            settings,
            map,
            joiner,
            reader: None,
            buffer,
            key_bytes: Vec::new(),
            value_bytes: Vec::new(),
        }
    }
}

impl<K, V, TK, TV, R, M, J> Processor for StreamTableJoin<K, V, TK, TV, M, J>
where
    K: Data,
    V: Data,
    TK: Data,
    TV: Data,
    R: Data,
    M: Fn(&K, &V) -> TK + Send + Sync + 'static,
    J: Fn(&K, &V, &TK, Option<&TV>) -> Option<R> + Send + Sync + 'static,
{
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.reader = Some(self.settings.table.open(context)?);
        if let (Some(buffer), Some((_, store))) = (&mut self.buffer, &self.settings.grace) {
            buffer.store = context.store_index(store)?;
        }
        Ok(())
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let rows = rows_of::<K, V>(batch, context)?;
        let due = if self.buffer.is_some() {
            self.queue(rows, context)?
        } else {
            rows.into_iter()
                .filter_map(|row| self.usable(row, context))
                .collect()
        };
        self.join(due, context)
    }

    fn on_time(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        // With records, it is they who move the queue's time on, as in Kafka Streams.
        let Some(buffer) = &mut self.buffer else {
            return Ok(());
        };
        let Some(time) = context.idle_time() else {
            return Ok(());
        };
        let limit = limit(context.stream_time(), context.follows_upstreams());
        buffer.begin(time, limit, context)?;
        buffer.advance(time, limit);
        let node = |cause| ProcessError::node(context.node(), cause);
        let settings = &*self.settings;
        let mut due = Vec::new();
        for queued in buffer.take().map_err(node)? {
            due.push(decode(settings, queued, time, NO_OFFSET).map_err(node)?);
        }
        buffer.write(context);
        self.join(due, context)
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        if let Some(buffer) = &mut self.buffer {
            buffer.on_commit(context);
        }
        Ok(())
    }

    fn on_abort(&mut self) {
        if let Some(buffer) = &mut self.buffer {
            buffer.on_abort();
        }
    }
}

impl<K, V, TK, TV, R, M, J> StreamTableJoin<K, V, TK, TV, M, J>
where
    K: Data,
    V: Data,
    TK: Data,
    TV: Data,
    R: Data,
    M: Fn(&K, &V) -> TK + Send + Sync + 'static,
    J: Fn(&K, &V, &TK, Option<&TV>) -> Option<R> + Send + Sync + 'static,
{
    /// The row, unless it can have no result (KIP-962: a null key can, in a left join).
    fn usable(&self, row: Row<K, V>, context: &mut ProcessContext<'_>) -> Option<Row<K, V>> {
        let settings = &*self.settings;
        let is_usable = !settings.value.is_null(&row.value)
            && (settings.is_left || !settings.table_key.is_null(&(self.map)(&row.key, &row.value)));
        if !is_usable {
            context.skipped(1);
        }
        is_usable.then_some(row)
    }

    /// Puts rows into the queue and takes out those that are due, in the order in which they are joined.
    fn queue(
        &mut self,
        rows: Vec<Row<K, V>>,
        context: &mut ProcessContext<'_>,
    ) -> Result<Vec<Row<K, V>>, ProcessError> {
        let follows = context.follows_upstreams();
        let rows: Vec<Row<K, V>> = rows
            .into_iter()
            .filter_map(|row| self.usable(row, context))
            .collect();
        let settings = self.settings.clone();
        let latest = rows.iter().map(|row| row.timestamp).max();
        let (Some(buffer), Some(latest)) = (&mut self.buffer, latest) else {
            return Ok(rows);
        };
        let furthest = rows.iter().map(|row| row.stream_time).max();
        buffer.begin(latest, limit(furthest.unwrap_or(NO_TIME), follows), context)?;
        let mut due = Vec::with_capacity(rows.len());
        for row in rows {
            if settings.key.is_null(&row.key) {
                due.push(row);
                continue;
            }
            self.key_bytes.clear();
            self.value_bytes.clear();
            let encoded = settings
                .key
                .serialize(&row.key, &mut self.key_bytes)
                .and_then(|()| settings.value.serialize(&row.value, &mut self.value_bytes));
            if let Err(cause) = encoded {
                context.refuse(None, row.offset, row.timestamp, cause.into())?;
                continue;
            }
            if !buffer.put(
                row.timestamp,
                limit(row.stream_time, follows),
                &self.key_bytes,
                &self.value_bytes,
                &row.headers,
            ) {
                due.push(row);
                continue;
            }
            let node = |cause| ProcessError::node(context.node(), cause);
            for queued in buffer.take().map_err(node)? {
                due.push(decode(&settings, queued, row.stream_time, row.offset).map_err(node)?);
            }
        }
        buffer.write(context);
        Ok(due)
    }

    /// Looks up the entries of all rows and forwards the results.
    fn join(&mut self, rows: Vec<Row<K, V>>, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let settings = &*self.settings;
        let (mut keys, mut times, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        let mut all_keys = Vec::with_capacity(rows.len());
        for (number, row) in rows.iter().enumerate() {
            let key = (self.map)(&row.key, &row.value);
            if !settings.table_key.is_null(&key) {
                keys.push(key.clone());
                times.push(row.timestamp);
                numbers.push(number);
            }
            all_keys.push(key);
        }
        let Some(reader) = &mut self.reader else {
            return Ok(());
        };
        let entries = if settings.as_of {
            reader.get_many_as_of(&keys, &times, context)?
        } else {
            reader.get_many(&keys, context)?
        };
        let mut entries = numbers.into_iter().zip(entries).peekable();
        let mut results = Vec::with_capacity(rows.len());
        for (number, (row, key)) in rows.into_iter().zip(all_keys).enumerate() {
            let entry = entries
                .next_if(|(wanted, _)| *wanted == number)
                .and_then(|(_, entry)| entry);
            if entry.is_none() && !settings.is_left {
                continue;
            }
            let value = (self.joiner)(&row.key, &row.value, &key, entry.as_ref().map(|(value, _)| value));
            let (row_key, _, rest) = row.into_parts();
            results.extend(value.map(|value| rest.with(row_key, value)));
        }
        if !results.is_empty() {
            context.forward(batch_of(results));
        }
        Ok(())
    }
}

/// What the queue's time must not be ahead of, when the task's is `stream_time`.
fn limit(stream_time: Timestamp, follows: bool) -> Timestamp {
    if follows { stream_time } else { Timestamp::MAX }
}

/// A record as it was before it was queued.
fn decode<K: Data, V: Data, TK, TV>(
    settings: &TableJoinSettings<K, V, TK, TV>,
    queued: Queued,
    stream_time: Timestamp,
    offset: Offset,
) -> Result<Row<K, V>, BoxError> {
    Ok(Row {
        key: settings.key.deserialize(&queued.key)?,
        value: settings.value.deserialize(&queued.value)?,
        timestamp: queued.timestamp,
        headers: queued.headers,
        stream_time,
        offset,
    })
}
