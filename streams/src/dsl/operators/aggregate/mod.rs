//! Aggregation per key, with or without time windows, behind one write-back cache.
//!
//! Always true: between commits every changed aggregate lives in the cache only; `on_commit` writes each once to the store and forwards it once; `on_abort`
//! forgets the whole cache, for it may hold what was never committed. A window that is closed takes nothing, so its pane can be dropped after a flush.
//! A batch goes through in passes over short loops, so that cache misses overlap: encode and hash keys; probe the tables; compare keys and make new slots; read
//! missing aggregates in one call (none in a pane that is new to the store); apply the closure.
//! Lateness is judged by the operator's own time at each row (`../own_time.rs`), never by the batch it came in.
//! Next: `paning.rs` for which windows a record is in, `flush.rs` for writing, `close.rs` for results when a window closes, `intervals.rs` for early
//! ones, `../pane_cache.rs` for the
//! cache; `../spans/` aggregates into sessions and sliding windows.

mod close;
mod flush;
mod intervals;
pub(in crate::dsl) mod paning;

use std::marker::PhantomData;
use std::sync::Arc;

use millpond_log::types::Timestamp;

use self::close::emit_closed;
use self::flush::{Fill, FlushBuffers};
pub(in crate::dsl) use self::paning::{EndlessPane, Panes, Paning, Unwindowed};
use super::early::EarlyResults;
use super::late::{LateOutput, LateRows};
use super::own_time::{Inputs, OwnTime};
use super::pane_cache::{Beyond, NO_SLOT, PaneCache, ProbeKeys};
use crate::dsl::EmitStrategy;
use crate::dsl::change::Change;
use crate::dsl::row::{NO_OFFSET, Row, rows_of};
use crate::dsl::table_origin::TableWishes;
use crate::processor::{Batch, BoxError, InitContext, NO_TIME, ProcessContext, ProcessError, Processor};
use crate::serde::held::{HeldBytes, is_flat};
use crate::serde::{Data, SerdeRef};
use crate::state::{KeyBatch, KeyRange, StoreIndex, ValueEnvelope, window_key};

/// Changed aggregates written to the store in one go.
const FLUSH_CHUNK: usize = 4096;

pub(in crate::dsl) struct AggregateSettings<K, V, A> {
    pub(in crate::dsl) store: String,
    pub(in crate::dsl) key: SerdeRef<K>,
    pub(in crate::dsl) value: SerdeRef<V>,
    pub(in crate::dsl) aggregate: SerdeRef<A>,
    /// Rows whose value is null are left out (as Kafka Streams does without windows).
    pub(in crate::dsl) skips_null_values: bool,
    pub(in crate::dsl) emit_every_update: Option<bool>,
    pub(in crate::dsl) wishes: TableWishes,
    pub(in crate::dsl) emit: EmitStrategy,
    pub(in crate::dsl) late: LateOutput<K, V>,
    pub(in crate::dsl) inputs: Inputs<V>,
}

/// See the module's text. `F` folds a record into an aggregate in place.
pub(in crate::dsl) struct Aggregate<K, V, A, P, F> {
    settings: Arc<AggregateSettings<K, V, A>>,
    update: Arc<F>,
    panes: P,
    cache: PaneCache<A>,
    store: StoreIndex,
    time: OwnTime<V>,
    emit_every_update: bool,
    /// Results are forwarded when their window closes.
    on_close: bool,
    /// Results are forwarded when stream time passes a multiple of an interval.
    early: Option<EarlyResults<A>>,
    /// Somebody below wants the values before.
    old_values: bool,
    /// Somebody else reads the store, so it is written after each batch.
    write_through: bool,
    /// Another table is joined with this one: what changed goes on at the end of each batch.
    each_batch: bool,
    cache_max_bytes: usize,
    expired_before: Timestamp,
    /// Panes starting up to here may be in the store although the cache does not know them.
    stored_until: Option<Timestamp>,
    key_bytes: Vec<u8>,
    keys: ProbeKeys,
    work: Vec<Work>,
    missing: Vec<(Timestamp, u32)>,
    missing_keys: KeyBatch,
    encoded: Vec<u8>,
    types: PhantomData<fn(K, V)>,
}

/// One record for one pane.
struct Work {
    row: u32,
    key: u32,
    slot: u32,
    start_ms: Timestamp,
}

impl<K, V, A: Data, P, F> Aggregate<K, V, A, P, F> {
    pub(in crate::dsl) fn new(settings: Arc<AggregateSettings<K, V, A>>, panes: P, update: Arc<F>) -> Self {
        let early = settings.emit.interval_ms();
        let shares_one = settings.emit.is_on_close() || early.is_some();
        let time = OwnTime::new(settings.inputs, shares_one);
        Aggregate {
            early: early.map(|interval_ms| EarlyResults::new(interval_ms, settings.aggregate.clone())),
            settings,
            update,
            panes,
            cache: PaneCache::new(),
            store: StoreIndex::new(0),
            time,
            emit_every_update: false,
            on_close: false,
            old_values: false,
            write_through: false,
            each_batch: false,
            cache_max_bytes: 0,
            expired_before: NO_TIME,
            stored_until: None,
            key_bytes: Vec::new(),
            keys: ProbeKeys::default(),
            work: Vec::new(),
            missing: Vec::new(),
            missing_keys: KeyBatch::new(),
            encoded: Vec::new(),
            types: PhantomData,
        }
    }
}

impl<K, V, A, P, F> Processor for Aggregate<K, V, A, P, F>
where
    K: Data,
    V: Data,
    A: Data,
    P: Paning<K>,
    F: Fn(&K, &V, &mut Option<A>) -> Result<(), BoxError> + Send + Sync + 'static,
{
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.store = context.store_index(&self.settings.store)?;
        self.on_close = self.settings.emit.is_on_close();
        let every = self.settings.emit_every_update;
        let waits = self.on_close || self.early.is_some();
        self.emit_every_update = !waits && every.unwrap_or(context.config().emit_every_update);
        if let Some(early) = &mut self.early {
            early.init(&self.settings.store, context)?;
        }
        if self.early.is_some() || self.panes.grace_ms().is_some() {
            self.time.init(&self.settings.store, context);
        }
        self.old_values = self.settings.wishes.old_values.is_made();
        self.each_batch = !waits && self.settings.wishes.each_batch.is_made();
        self.write_through = !self.each_batch && self.settings.wishes.write_through.is_made();
        self.cache_max_bytes = context.config().cache_max_bytes;
        Ok(())
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let rows = rows_of::<K, V>(batch, context)?;
        if self.early.is_none() {
            self.fold(&rows, context)?;
        } else {
            self.fold_by_intervals(&rows, context)?;
        }
        if self.each_batch {
            self.flush(context)?;
        }
        if self.cache.bytes() > self.cache_max_bytes {
            self.flush(context)?;
            self.forget();
        }
        Ok(())
    }

    fn on_time(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.tell_early(self.time.now(context), context)
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.tell_early(self.time.now(context), context)?;
        self.flush(context)?;
        if let Some(early) = &mut self.early {
            early.write(context)?;
        }
        let stream_time = self.time.now(context);
        if self.on_close {
            let times = (self.time.committed(context), stream_time);
            emit_closed(self.panes, &self.settings, self.store, times, context)?;
        }
        let panes = self.panes;
        self.cache
            .panes
            .retain(|pane| !panes.is_closed(panes.window_of(pane.start_ms), stream_time));
        if stream_time != NO_TIME
            && let Some(horizon) = self.panes.horizon(stream_time)
            && horizon > self.expired_before
        {
            let (from, to) = window_key::panes_before(horizon);
            context.store(self.store).delete_range(&from, &to);
            self.expired_before = horizon;
        }
        Ok(())
    }

    fn on_abort(&mut self) {
        self.forget();
        if let Some(early) = &mut self.early {
            early.forget();
        }
        self.expired_before = NO_TIME;
    }
}

impl<K, V, A, P, F> Aggregate<K, V, A, P, F>
where
    K: Data,
    V: Data,
    A: Data,
    P: Paning<K>,
    F: Fn(&K, &V, &mut Option<A>) -> Result<(), BoxError> + Send + Sync + 'static,
{
    /// Folds rows into their aggregates.
    fn fold(&mut self, rows: &[Row<K, V>], context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.plan_work(rows, context)?;
        self.find_slots();
        self.load_missing(context)?;
        self.apply(rows, context)?;
        self.settle();
        if self.write_through {
            self.write_touched(context)?;
        }
        self.work.clear();
        Ok(())
    }

    /// Encodes and hashes the keys, and notes which panes each row goes to.
    fn plan_work(
        &mut self,
        rows: &[Row<K, V>],
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        let settings = &*self.settings;
        let mut skipped = 0;
        let mut late = LateRows::new(&settings.late);
        let mut time = self.time.of_batch(rows, context);
        self.work.clear();
        self.keys.clear();
        for (index, row) in rows.iter().enumerate() {
            let null_value = settings.skips_null_values && settings.value.is_null(&row.value);
            if null_value || settings.key.is_null(&row.key) {
                skipped += 1;
                continue;
            }
            let (now, gone_before) = match &mut time {
                None => (row.stream_time, NO_TIME),
                Some(time) => {
                    let now = time.observe(row);
                    let horizon = if time.is_shared() {
                        self.panes.horizon(time.of_store(now))
                    } else {
                        None
                    };
                    (now, horizon.unwrap_or(NO_TIME))
                }
            };
            self.key_bytes.clear();
            if let Err(cause) = settings.key.serialize(&row.key, &mut self.key_bytes) {
                context.refuse(None, row.offset, row.timestamp, cause.into())?;
                continue;
            }
            let key = self.keys.push(&self.key_bytes);
            self.panes.windows(row.timestamp, |window| {
                if self.panes.is_closed(window, now) || window.start_ms < gone_before {
                    late.add(row, window, now, context);
                } else {
                    self.work.push(Work {
                        row: index as u32,
                        key,
                        slot: NO_SLOT,
                        start_ms: window.start_ms,
                    });
                }
            });
        }
        if let Some(time) = time {
            time.keep(context);
        }
        context.skipped(skipped);
        late.forward(context);
        Ok(())
    }

    /// Finds or makes the slot of each piece of work; new slots whose pane may be in the store are noted as missing.
    fn find_slots(&mut self) {
        let cache = &mut self.cache;
        let (mut pane, mut pane_start) = (0, None);
        for work in &mut self.work {
            if pane_start != Some(work.start_ms) {
                (pane, pane_start) = (cache.pane(work.start_ms), Some(work.start_ms));
            }
            work.slot = cache.panes[pane].candidate(self.keys.hash(work.key));
        }
        pane_start = None;
        for work in &mut self.work {
            if pane_start != Some(work.start_ms) {
                (pane, pane_start) = (cache.pane(work.start_ms), Some(work.start_ms));
            }
            let pane = &mut cache.panes[pane];
            let key = self.keys.key(work.key);
            let (slot, new) = pane.slot(work.slot, self.keys.hash(work.key), key);
            work.slot = slot;
            if new && pane.beyond != Beyond::Nothing {
                self.missing.push((work.start_ms, slot));
                self.missing_keys
                    .push_with(|out| self.panes.store_key(work.start_ms, key.as_bytes(), out));
            }
        }
    }

    /// Asks the store about panes the cache just made: most are new, and then none of their keys need be read.
    fn look_beyond(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        for pane in self
            .cache
            .panes
            .iter_mut()
            .filter(|pane| pane.beyond == Beyond::Unknown)
        {
            pane.beyond = Beyond::Maybe;
            // Only panes that were never here before are asked for: walking a full pane would cost a sort.
            if self.stored_until.is_none_or(|until| pane.start_ms > until) {
                let mut prefix = Vec::new();
                self.panes.store_key(pane.start_ms, &[], &mut prefix);
                if context
                    .store(self.store)
                    .scan(&KeyRange::prefix(&prefix))?
                    .next_entry()?
                    .is_none()
                {
                    pane.beyond = Beyond::Nothing;
                }
            }
        }
        Ok(())
    }

    /// Forgets the cache; what it held may be in the store from now on.
    fn forget(&mut self) {
        let newest = self.cache.panes.last().map(|pane| pane.start_ms);
        self.stored_until = self.stored_until.max(newest);
        self.cache.clear();
        self.work.clear();
        self.missing.clear();
        self.missing_keys.clear();
    }

    /// One read for all new slots.
    fn load_missing(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        if self.missing.is_empty() {
            return Ok(());
        }
        self.look_beyond(context)?;
        let (cache, missing, settings) = (&mut self.cache, &self.missing, &*self.settings);
        let mut damaged: Option<BoxError> = None;
        context
            .store(self.store)
            .multi_get_with(&self.missing_keys, |number, stored| {
                let Some(stored) = stored else { return };
                let read = || -> Result<(A, HeldBytes, Timestamp), BoxError> {
                    let envelope = ValueEnvelope::parse(stored)?;
                    let value = settings.aggregate.deserialize(envelope.value)?;
                    let held = HeldBytes::seen(&*settings.aggregate, &value, envelope.value.len());
                    Ok((value, held, envelope.timestamp))
                };
                match read() {
                    Ok((value, held, timestamp)) => {
                        let (start_ms, slot) = missing[number];
                        let pane = cache.pane(start_ms);
                        cache.panes[pane].set_held(slot, held);
                        let slot = &mut cache.panes[pane].slots[slot as usize];
                        (slot.value, slot.timestamp, slot.was_there) = (Some(value), timestamp, true);
                    }
                    Err(cause) => damaged = Some(cause),
                }
            })?;
        self.missing.clear();
        self.missing_keys.clear();
        damaged.map_or(Ok(()), |cause| Err(ProcessError::node(context.node(), cause)))
    }

    /// Folds every row into its slots, in order.
    fn apply(&mut self, rows: &[Row<K, V>], context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let mut updates = Vec::new();
        let (mut pane, mut pane_start) = (0, None);
        for work in &self.work {
            if pane_start != Some(work.start_ms) {
                (pane, pane_start) = (self.cache.pane(work.start_ms), Some(work.start_ms));
            }
            let row = &rows[work.row as usize];
            let slot = &mut self.cache.panes[pane].slots[work.slot as usize];
            let existed = slot.value.is_some();
            let wants_old = self.old_values && (self.emit_every_update || !slot.is_dirty());
            let mut old = if wants_old { slot.value.clone() } else { None };
            if let Err(cause) = (self.update)(&row.key, &row.value, &mut slot.value) {
                context.refuse(None, row.offset, row.timestamp, cause)?;
                continue;
            }
            slot.timestamp = if existed {
                slot.timestamp.max(row.timestamp)
            } else {
                row.timestamp
            };
            if self.emit_every_update {
                updates.push(Row {
                    key: self.panes.out_key(row.key.clone(), work.start_ms),
                    value: Change::latest(slot.value.clone(), old.take()),
                    timestamp: slot.timestamp,
                    headers: row.headers.clone(),
                    stream_time: row.stream_time,
                    offset: row.offset,
                });
            } else {
                slot.headers.become_those_of(&row.headers);
            }
            let pane = &mut self.cache.panes[pane];
            if pane.touch(work.slot) && wants_old && !self.emit_every_update {
                pane.keep_old(work.slot, old);
            }
        }
        if !updates.is_empty() {
            self.settings.late.forward_results(updates, context);
        }
        Ok(())
    }

    /// The rows go; what the cache took from them stays, on its own.
    fn settle(&mut self) {
        if is_flat::<A>() {
            return;
        }
        let (mut pane, mut pane_start) = (0, None);
        for work in &self.work {
            if pane_start != Some(work.start_ms) {
                (pane, pane_start) = (self.cache.pane(work.start_ms), Some(work.start_ms));
            }
            self.cache.panes[pane].settle(work.slot, &self.settings.aggregate, &mut self.encoded);
        }
    }

    /// Writes the aggregates of this batch to the store.
    fn write_touched(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.work.sort_unstable_by_key(|work| (work.start_ms, work.slot));
        self.work.dedup_by_key(|work| (work.start_ms, work.slot));
        let mut buffers = FlushBuffers::default();
        let mut slots = Vec::new();
        for work in self.work.chunk_by(|a, b| a.start_ms == b.start_ms) {
            let pane = self.cache.pane(work[0].start_ms);
            let mut fill = Fill {
                settings: &self.settings,
                panes: self.panes,
                pane: &mut self.cache.panes[pane],
                deletes_all: true,
            };
            slots.clear();
            slots.extend(work.iter().map(|work| work.slot));
            fill.write(&slots, &mut buffers, self.store, context)?;
        }
        Ok(())
    }

    /// Writes every changed aggregate to the store and, unless each update was forwarded already, forwards it.
    fn flush(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let mut buffers = FlushBuffers::default();
        let stream_time = context.stream_time();
        let waits = self.on_close || self.early.is_some();
        let forwards = !self.emit_every_update && !waits && context.has_children();
        for pane in &mut self.cache.panes {
            let mut forwarded = pane.take_forwarded().into_iter();
            let dirty = std::mem::take(&mut pane.dirty);
            for chunk in dirty.chunks(FLUSH_CHUNK) {
                let mut rows = Vec::with_capacity(if forwards { chunk.len() } else { 0 });
                if !self.write_through {
                    let mut fill = Fill {
                        settings: &self.settings,
                        panes: self.panes,
                        pane: &mut *pane,
                        deletes_all: false,
                    };
                    fill.write(chunk, &mut buffers, self.store, context)?;
                }
                if let Some(early) = &mut self.early {
                    let window = self.panes.window_of(pane.start_ms);
                    for index in chunk {
                        let slot = &pane.slots[*index as usize];
                        let before = (slot.was_there, forwarded.next().flatten());
                        early.note(window, slot.key.as_bytes(), before);
                    }
                }
                if forwards {
                    for index in chunk {
                        let slot = &pane.slots[*index as usize];
                        let old = forwarded.next().flatten();
                        // Came and went since the last commit: nobody below knows of it.
                        if slot.value.is_none() && !slot.was_there {
                            continue;
                        }
                        let key = self.settings.key.deserialize(slot.key.as_bytes());
                        let key = key.map_err(|cause| ProcessError::node(context.node(), cause))?;
                        rows.push(Row {
                            key: self.panes.out_key(key, pane.start_ms),
                            value: Change::latest(slot.value.clone(), old),
                            timestamp: slot.timestamp,
                            headers: slot.headers.clone(),
                            stream_time,
                            offset: NO_OFFSET,
                        });
                    }
                    self.settings.late.forward_results(rows, context);
                }
            }
            pane.dirty = dirty;
            pane.mark_clean();
        }
        Ok(())
    }
}
