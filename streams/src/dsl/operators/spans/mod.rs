//! Aggregation into windows whose bounds come from the records: sessions and sliding windows.
//!
//! One operator, [`SpanAggregate`], generic over the rule ([`SpanRule`]) that says which spans a record changes. A batch goes through in passes: encode
//! and hash keys; find slots; read what is missing of all of them in one call; apply the rule row by row.
//! Always true: between commits changes live in the cache only (unless somebody looks the table up); `on_commit` writes each changed list once, tells
//! the receivers what changed, and deletes what is past its retention; `on_abort` forgets everything. Lateness is judged by the operator's own time at each row
//! (`../own_time.rs`).
//! Next: `session.rs` and `sliding.rs` for the rules, `cache.rs` and `journal.rs` for what is in memory, `store.rs` for reading and writing, `close.rs` for results
//! at the close of a window, `state/span_list.rs` for the layout of the store.

mod cache;
mod close;
mod journal;
pub(in crate::dsl) mod lookup;
pub(in crate::dsl) mod session;
pub(in crate::dsl) mod sliding;
mod store;

use std::sync::Arc;

use millpond_log::types::Timestamp;

pub(in crate::dsl) use self::cache::{Anchor, KeySpans, SpanUpdate};
use self::cache::{SpanCache, SpanEmit};
use self::close::Closing;
use self::store::SpanStore;
use super::early::EarlyResults;
use super::late::{LateOutput, LateRows};
use super::own_time::{Inputs, OwnTime};
use super::pane_cache::ProbeKeys;
use crate::dsl::change::Change;
use crate::dsl::row::{NO_OFFSET, Row, rows_of};
use crate::dsl::table_origin::TableWishes;
use crate::dsl::{EmitStrategy, Window, Windowed};
use crate::processor::{
    Batch, BoxError, Headers, InitContext, NO_TIME, ProcessContext, ProcessError, Processor,
};
use crate::serde::{Data, SerdeRef};

/// Rows forwarded in one go.
const CHUNK: usize = 4096;

/// Which spans a record changes, and when a span is closed.
pub(in crate::dsl) trait SpanRule<K, V, A>: Send + Sync + 'static {
    const ANCHOR: Anchor;
    /// Results carry the headers of the record that made them.
    const KEEPS_HEADERS: bool;
    /// Rows with a null value are skipped.
    const SKIPS_NULL_VALUES: bool;

    /// Width of the store's panes.
    fn pane_ms(&self) -> i64;

    /// How long after their anchor spans count.
    fn retention_ms(&self) -> i64;

    /// How long after its end a span may still change, in ms of stream time.
    fn grace_ms(&self) -> i64;

    /// Lowest anchor of spans that a record at `timestamp` may see or make.
    fn reads_from(&self, timestamp: Timestamp, stream_time: Timestamp) -> Timestamp;

    /// Spans that end before this are closed at `stream_time`.
    fn closed_before(&self, stream_time: Timestamp) -> Timestamp;

    /// First stream time at which a span that ends then is closed.
    fn closes_at(&self, end_ms: Timestamp) -> Timestamp;

    /// Smallest anchor of spans that end at or after `end_ms`, were they as short as can be.
    fn lowest_anchor(&self, end_ms: Timestamp) -> Timestamp;

    /// Applies a record, at this time of the operator and of its store. Windows it came too late for are added to `late`. An error leaves the spans as they were.
    fn apply(
        &self,
        row: &Row<K, V>,
        now: Now,
        spans: &mut KeySpans<'_, A>,
        late: &mut Vec<Window>,
    ) -> Result<(), BoxError>;
}

/// What time it is for a row.
#[derive(Clone, Copy)]
pub(in crate::dsl) struct Now {
    /// By the records of the row's input: tells what is closed.
    pub(in crate::dsl) input: Timestamp,
    /// By those of all inputs: tells what is past its retention.
    pub(in crate::dsl) store: Timestamp,
}

/// A row to be applied.
struct Work {
    /// Its place in the batch.
    row: u32,
    slot: u32,
    now: Now,
}

pub(in crate::dsl) struct SpanSettings<K, V, A> {
    pub(in crate::dsl) store: String,
    pub(in crate::dsl) key: SerdeRef<K>,
    pub(in crate::dsl) value: SerdeRef<V>,
    pub(in crate::dsl) aggregate: SerdeRef<A>,
    pub(in crate::dsl) emit_every_update: Option<bool>,
    pub(in crate::dsl) emit: EmitStrategy,
    pub(in crate::dsl) wishes: TableWishes,
    pub(in crate::dsl) late: LateOutput<K, V>,
    pub(in crate::dsl) inputs: Inputs<V>,
}

impl<K: Data, V: Data, A> SpanSettings<K, V, A> {
    /// Whether a row takes part, and moves the time on.
    fn counts<R: SpanRule<K, V, A>>(&self, row: &Row<K, V>) -> bool {
        let null_value = R::SKIPS_NULL_VALUES && self.value.is_null(&row.value);
        !null_value && !self.key.is_null(&row.key)
    }
}

/// See the module's text.
pub(in crate::dsl) struct SpanAggregate<K, V, A, R> {
    settings: Arc<SpanSettings<K, V, A>>,
    rule: Arc<R>,
    kept_ms: i64,
    cache: SpanCache<A>,
    store: SpanStore,
    time: OwnTime<V>,
    closing: Option<Closing>,
    /// Results are forwarded when stream time passes a multiple of an interval.
    early: Option<EarlyResults<A>>,
    emits_each: bool,
    old_values: bool,
    write_through: bool,
    /// Another table is joined with this one: what changed goes on at the end of each batch.
    each_batch: bool,
    cache_max_bytes: usize,
    /// Panes that start before this were deleted.
    expired_before: Timestamp,
    key_bytes: Vec<u8>,
    keys: ProbeKeys,
    work: Vec<Work>,
    updates: Vec<SpanUpdate<A>>,
    late_windows: Vec<Window>,
}

impl<K, V, A: Data, R: SpanRule<K, V, A>> SpanAggregate<K, V, A, R> {
    /// `kept_ms`: how long spans stay in the store after their anchor, at least the rule's retention.
    pub(in crate::dsl) fn new(settings: Arc<SpanSettings<K, V, A>>, rule: Arc<R>, kept_ms: i64) -> Self {
        let early = settings.emit.interval_ms();
        let shares_one = settings.emit.is_on_close() || early.is_some();
        SpanAggregate {
            time: OwnTime::new(settings.inputs, shares_one),
            early: early.map(|interval_ms| EarlyResults::new(interval_ms, settings.aggregate.clone())),
            cache: SpanCache::new(R::ANCHOR, rule.pane_ms()),
            store: SpanStore::default(),
            closing: settings.emit.is_on_close().then(Closing::default),
            settings,
            rule,
            kept_ms,
            emits_each: false,
            old_values: false,
            write_through: false,
            each_batch: false,
            cache_max_bytes: 0,
            expired_before: NO_TIME,
            key_bytes: Vec::new(),
            keys: ProbeKeys::default(),
            work: Vec::new(),
            updates: Vec::new(),
            late_windows: Vec::new(),
        }
    }
}

impl<K, V, A, R> Processor for SpanAggregate<K, V, A, R>
where
    K: Data,
    V: Data,
    A: Data,
    R: SpanRule<K, V, A>,
{
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        let settings = &*self.settings;
        self.store.index = context.store_index(&settings.store)?;
        let every = settings.emit_every_update;
        let waits = self.closing.is_some() || self.early.is_some();
        self.emits_each = !waits && every.unwrap_or(context.config().emit_every_update);
        if let Some(early) = &mut self.early {
            early.init(&settings.store, context)?;
        }
        self.time.init(&settings.store, context);
        self.old_values = settings.wishes.old_values.is_made();
        self.each_batch = !waits && settings.wishes.each_batch.is_made();
        self.write_through = !self.each_batch && settings.wishes.write_through.is_made();
        self.cache_max_bytes = context.config().cache_max_bytes;
        Ok(())
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let rows = rows_of::<K, V>(batch, context)?;
        let mut rest = &rows[..];
        let settings = self.settings.clone();
        let counts = |row: &Row<K, V>| settings.counts::<R>(row);
        while let (Some(early), Some(time)) = (&self.early, self.time.of_batch(rest, context)) {
            let (count, first) = early.rows_of_interval(rest, time.ahead(), counts);
            let (now, later) = rest.split_at(count);
            self.tell_early(first, context)?;
            self.fold(now, context)?;
            rest = later;
        }
        self.fold(rest, context)?;
        if self.each_batch {
            self.flush(context)?;
        }
        if self.cache.bytes() > self.cache_max_bytes {
            self.flush(context)?;
            self.store.remember_written();
            self.cache.clear();
        }
        Ok(())
    }

    fn on_time(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.tell_early(self.time.now(context), context)
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let now = self.time.now(context);
        self.tell_early(now, context)?;
        self.flush(context)?;
        if let Some(early) = &mut self.early {
            early.write(context)?;
        }
        if let Some(closing) = &mut self.closing {
            let times = (self.time.committed(context), now);
            closing.emit(&*self.rule, &self.settings, &mut self.store, times, context)?;
        }
        self.expire(now, context);
        Ok(())
    }

    fn on_abort(&mut self) {
        self.cache.clear();
        self.store.forget();
        if let Some(closing) = &mut self.closing {
            *closing = Closing::default();
        }
        if let Some(early) = &mut self.early {
            early.forget();
        }
        self.expired_before = NO_TIME;
    }
}

impl<K, V, A, R> SpanAggregate<K, V, A, R>
where
    K: Data,
    V: Data,
    A: Data,
    R: SpanRule<K, V, A>,
{
    /// Works rows into their spans.
    fn fold(&mut self, rows: &[Row<K, V>], context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        if rows.is_empty() {
            return Ok(());
        }
        self.plan_work(rows, context)?;
        let (work, rule) = (&self.work, &*self.rule);
        let needs = work.iter().map(|work| {
            let row = &rows[work.row as usize];
            (work.slot, rule.reads_from(row.timestamp, work.now.store))
        });
        self.store
            .load(needs, &mut self.cache, &self.settings.aggregate, context)?;
        self.apply(rows, context)?;
        if self.write_through {
            self.write(context)?;
        }
        Ok(())
    }

    /// Tells what changed in the interval that ends by `stream_time`, the operator's, if one does.
    fn tell_early(
        &mut self,
        stream_time: Timestamp,
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        let Some(early) = &mut self.early else {
            return Ok(());
        };
        early.load(context)?;
        let Some(told_at) = early.advance(stream_time, self.time.committed(context)) else {
            return Ok(());
        };
        self.flush(context)?;
        let Some(early) = &mut self.early else {
            return Ok(());
        };
        let (settings, store, pane_ms) = (&*self.settings, &self.store, self.rule.pane_ms());
        let rows = early.take(
            told_at,
            context,
            |keys, context| store.values_of(keys, R::ANCHOR, pane_ms, &settings.aggregate, context),
            |key, window| {
                let key = settings.key.deserialize(key)?;
                Ok(Windowed { key, window })
            },
        )?;
        settings.late.forward_results(rows, context);
        Ok(())
    }

    /// Encodes and hashes the keys and finds their slots.
    fn plan_work(
        &mut self,
        rows: &[Row<K, V>],
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        let settings = &*self.settings;
        let mut skipped = 0;
        let mut late = LateRows::new(&settings.late);
        let Some(mut time) = self.time.of_batch(rows, context) else {
            return Ok(());
        };
        self.work.clear();
        self.keys.clear();
        for (index, row) in rows.iter().enumerate() {
            if !settings.counts::<R>(row) {
                skipped += 1;
                continue;
            }
            let input = time.observe(row);
            let now = Now {
                input,
                store: time.of_store(input),
            };
            if time.is_shared() && self.may_be_gone(row.timestamp, now.store) {
                let window = Window {
                    start_ms: row.timestamp,
                    end_ms: row.timestamp,
                };
                late.add(row, window, input, context);
                continue;
            }
            self.key_bytes.clear();
            if let Err(cause) = settings.key.serialize(&row.key, &mut self.key_bytes) {
                context.refuse(None, row.offset, row.timestamp, cause.into())?;
                continue;
            }
            let key = self.keys.push(&self.key_bytes);
            let slot = self.cache.slot(self.keys.hash(key), self.keys.key(key));
            let row = index as u32;
            self.work.push(Work { row, slot, now });
        }
        time.keep(context);
        context.skipped(skipped);
        late.forward(context);
        Ok(())
    }

    /// Another input took the store's time so far on that some of what a record at `timestamp` works on may be deleted, or not yet.
    fn may_be_gone(&self, timestamp: Timestamp, store_time: Timestamp) -> bool {
        let lowest = self.rule.reads_from(timestamp, store_time);
        let horizon = store_time.saturating_sub(self.kept_ms).max(0);
        self.cache.pane_of(lowest) < self.cache.pane_of(horizon)
    }

    /// Applies the rule to every row, in order.
    fn apply(&mut self, rows: &[Row<K, V>], context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let mut forwarded = Vec::new();
        let mut late = LateRows::new(&self.settings.late);
        let journals = !self.emits_each && self.closing.is_none() && context.has_children();
        for Work { row, slot, now } in self.work.drain(..) {
            let row = &rows[row as usize];
            let emit = SpanEmit {
                updates: self.emits_each.then_some(&mut self.updates),
                journals,
                old_values: self.old_values,
                headers: &row.headers,
            };
            let mut spans = self.cache.of_slot(slot, &self.settings.aggregate, emit);
            if let Err(cause) = self.rule.apply(row, now, &mut spans, &mut self.late_windows) {
                context.refuse(None, row.offset, row.timestamp, cause)?;
            }
            for window in self.late_windows.drain(..) {
                late.add(row, window, now.input, context);
            }
            forwarded.extend(self.updates.drain(..).map(|update| Row {
                key: Windowed {
                    key: row.key.clone(),
                    window: update.window,
                },
                value: update.change,
                timestamp: update.timestamp,
                headers: if R::KEEPS_HEADERS {
                    row.headers.clone()
                } else {
                    Headers::NONE
                },
                stream_time: row.stream_time,
                offset: row.offset,
            }));
        }
        late.forward(context);
        self.settings.late.forward_results(forwarded, context);
        Ok(())
    }

    /// Writes every changed list to the store.
    fn write(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let (settings, closing) = (&*self.settings, &mut self.closing);
        self.store
            .write(&mut self.cache, &settings.aggregate, closing.as_mut(), context)
    }

    /// Writes what changed, and tells what was not told yet.
    fn flush(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.write(context)?;
        let stream_time = context.stream_time();
        let untold = self.cache.journal.drain();
        if let Some(early) = &mut self.early {
            for entry in untold {
                self.cache.slots[entry.slot as usize].journal = journal::NO_ENTRY;
                let key = self.cache.slots[entry.slot as usize].key.as_bytes();
                early.note(entry.window, key, (entry.was_told, entry.old));
            }
            return Ok(());
        }
        for chunk in untold.chunks(CHUNK) {
            let mut rows = Vec::with_capacity(chunk.len());
            for entry in chunk {
                self.cache.slots[entry.slot as usize].journal = journal::NO_ENTRY;
                let key = self.cache.slots[entry.slot as usize].key.as_bytes();
                let key = self.settings.key.deserialize(key);
                let key = key.map_err(|cause| ProcessError::node(context.node(), cause))?;
                let span = self.cache.find(entry.slot, entry.window);
                rows.push(Row {
                    key: Windowed {
                        key,
                        window: entry.window,
                    },
                    value: Change::latest(span.map(|span| span.value.clone()), entry.old.clone()),
                    timestamp: span.map_or(entry.timestamp, |span| span.timestamp),
                    headers: entry.headers.clone(),
                    stream_time,
                    offset: NO_OFFSET,
                });
            }
            self.settings.late.forward_results(rows, context);
        }
        Ok(())
    }

    /// Deletes panes past their retention, each once.
    fn expire(&mut self, stream_time: Timestamp, context: &mut ProcessContext<'_>) {
        if stream_time == NO_TIME {
            return;
        }
        let horizon = stream_time.saturating_sub(self.kept_ms).max(0);
        let horizon = self.cache.pane_of(horizon);
        if horizon > self.expired_before {
            self.store.delete_before(horizon, context);
            self.cache.expire(horizon);
            self.expired_before = horizon;
        }
    }
}
