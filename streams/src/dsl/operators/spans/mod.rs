//! Aggregation into windows whose bounds come from the records: sessions and sliding windows.
//!
//! One operator, [`SpanAggregate`], generic over the rule ([`SpanRule`]) that says which spans a record changes. A batch goes through in passes: encode
//! and hash keys; find slots; read what is missing of all of them in one call; apply the rule row by row.
//! Always true: between commits changes live in the cache only (unless somebody looks the table up); `on_commit` writes each changed list once, tells
//! the receivers what changed, and deletes what is past its retention; `on_abort` forgets everything. Lateness is judged by the stream time each row carries.
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

    /// Applies a record. Windows it came too late for are added to `late`. An error leaves the spans as they were.
    fn apply(
        &self,
        row: &Row<K, V>,
        spans: &mut KeySpans<'_, A>,
        late: &mut Vec<Window>,
    ) -> Result<(), BoxError>;
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
}

/// See the module's text.
pub(in crate::dsl) struct SpanAggregate<K, V, A, R> {
    settings: Arc<SpanSettings<K, V, A>>,
    rule: Arc<R>,
    kept_ms: i64,
    cache: SpanCache<A>,
    store: SpanStore,
    closing: Option<Closing>,
    /// Results are forwarded when stream time passes a multiple of an interval.
    early: Option<EarlyResults<A>>,
    emits_each: bool,
    old_values: bool,
    write_through: bool,
    cache_max_bytes: usize,
    /// Panes that start before this were deleted.
    expired_before: Timestamp,
    key_bytes: Vec<u8>,
    keys: ProbeKeys,
    /// Per row: its place in the batch and its slot.
    work: Vec<(u32, u32)>,
    updates: Vec<SpanUpdate<A>>,
    late_windows: Vec<Window>,
}

impl<K, V, A: Data, R: SpanRule<K, V, A>> SpanAggregate<K, V, A, R> {
    /// `kept_ms`: how long spans stay in the store after their anchor, at least the rule's retention.
    pub(in crate::dsl) fn new(settings: Arc<SpanSettings<K, V, A>>, rule: Arc<R>, kept_ms: i64) -> Self {
        let early = settings.emit.interval_ms();
        SpanAggregate {
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
        self.old_values = settings.wishes.old_values.is_made();
        self.write_through = settings.wishes.write_through.is_made();
        self.cache_max_bytes = context.config().cache_max_bytes;
        Ok(())
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let rows = rows_of::<K, V>(batch, context)?;
        let mut rest = &rows[..];
        while let (Some(early), Some(first)) = (&self.early, rest.first()) {
            let (now, later) = rest.split_at(early.rows_of_interval(rest));
            self.tell_early(first.stream_time, context)?;
            self.fold(now, context)?;
            rest = later;
        }
        self.fold(rest, context)?;
        if self.cache.bytes() > self.cache_max_bytes {
            self.flush(context)?;
            self.store.remember_written();
            self.cache.clear();
        }
        Ok(())
    }

    fn on_time(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.tell_early(context.stream_time(), context)
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.tell_early(context.stream_time(), context)?;
        self.flush(context)?;
        if let Some(early) = &mut self.early {
            early.write(context)?;
        }
        if let Some(closing) = &mut self.closing {
            closing.emit(&*self.rule, &self.settings, &mut self.store, context)?;
        }
        self.expire(context);
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
        let needs = work.iter().map(|(row, slot)| {
            let row = &rows[*row as usize];
            (*slot, rule.reads_from(row.timestamp, row.stream_time))
        });
        self.store
            .load(needs, &mut self.cache, &self.settings.aggregate, context)?;
        self.apply(rows, context)?;
        if self.write_through {
            self.write(context)?;
        }
        Ok(())
    }

    /// Tells what changed in the interval that ends by `stream_time`, if one does.
    fn tell_early(
        &mut self,
        stream_time: Timestamp,
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        let Some(early) = &mut self.early else {
            return Ok(());
        };
        early.load(context)?;
        let Some(told_at) = early.advance(stream_time, context.committed_time()) else {
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
        self.work.clear();
        self.keys.clear();
        for (index, row) in rows.iter().enumerate() {
            let null_value = R::SKIPS_NULL_VALUES && settings.value.is_null(&row.value);
            if null_value || settings.key.is_null(&row.key) {
                skipped += 1;
                continue;
            }
            self.key_bytes.clear();
            if let Err(cause) = settings.key.serialize(&row.key, &mut self.key_bytes) {
                context.refuse(None, row.offset, row.timestamp, cause.into())?;
                continue;
            }
            let key = self.keys.push(&self.key_bytes);
            let slot = self.cache.slot(self.keys.hash(key), self.keys.key(key));
            self.work.push((index as u32, slot));
        }
        context.skipped(skipped);
        Ok(())
    }

    /// Applies the rule to every row, in order.
    fn apply(&mut self, rows: &[Row<K, V>], context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let mut forwarded = Vec::new();
        let mut late = LateRows::new(&self.settings.late);
        let journals = !self.emits_each && self.closing.is_none() && context.has_children();
        for (row, slot) in self.work.drain(..) {
            let row = &rows[row as usize];
            let emit = SpanEmit {
                updates: self.emits_each.then_some(&mut self.updates),
                journals,
                old_values: self.old_values,
            };
            let mut spans = self.cache.of_slot(slot, emit);
            if let Err(cause) = self.rule.apply(row, &mut spans, &mut self.late_windows) {
                context.refuse(None, row.offset, row.timestamp, cause)?;
            }
            for window in self.late_windows.drain(..) {
                late.add(row, window, context);
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
                    value: Change {
                        new: span.map(|span| span.value.clone()),
                        old: entry.old.clone(),
                    },
                    timestamp: span.map_or(entry.timestamp, |span| span.timestamp),
                    headers: Headers::NONE,
                    stream_time,
                    offset: NO_OFFSET,
                });
            }
            self.settings.late.forward_results(rows, context);
        }
        Ok(())
    }

    /// Deletes panes past their retention, each once.
    fn expire(&mut self, context: &mut ProcessContext<'_>) {
        let stream_time = context.stream_time();
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
