//! Final aggregation: merges pre-aggregated groups into the store and lets changes, or closed windows, out.
//!
//! Always true: the groups in memory are a write-back cache of the store; every group changed since the last commit is dirty and
//! is written, in full, before the commit (I6); an abort drops the cache, committed groups come back by `multi_get`.
//! EMIT FINAL: a window leaves once, in the commit in which the least upstream event time passes its end; where this stands is
//! kept in the store, so a restart neither repeats nor forgets a window.

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::datatypes::Int64Type;
use millpond_streams::processor::{
    Batch, Headers, InitContext, NO_TIME, ProcessContext, ProcessError, Processor, RawBatch, RawRecord,
};
use millpond_streams::state::{KeyRange, StoreIndex};

use super::accumulators::Accumulator;
use super::exchange::decode_exchange;
use super::group_results::GroupResults;
use super::group_table::GroupTable;
use super::results::ResultBatch;
use super::state_rows::{FLAG_FINAL, FLAG_VISIBLE, GroupLayout, pane_prefix, parse_store_key, store_key};
use super::topic_source::watermark_at;
use crate::catalog::Emit;
use crate::error::{Result, SqlError};

/// Groups kept in memory between commits.
const GROUPS_MAX: usize = 1 << 19;
/// Groups written and sent per batch at a commit.
const CHUNK: usize = 8192;

/// When the results of groups leave.
#[derive(Debug, Clone, Copy)]
pub enum EmitMode {
    /// Every change, once per commit.
    Changes,
    /// When the watermark passes the window's end.
    Final {
        /// Length of the windows.
        size_micros: i64,
        /// How far the watermark runs behind.
        delay_micros: i64,
    },
}

impl EmitMode {
    /// Whether it is [`Emit::Final`].
    pub fn emit(&self) -> Emit {
        match self {
            EmitMode::Changes => Emit::Changes,
            EmitMode::Final { .. } => Emit::Final,
        }
    }
}

/// Aggregates behind the exchange.
pub struct FinalAggregate {
    layout: GroupLayout,
    results: GroupResults,
    mode: EmitMode,
    store_name: String,
    store: Option<StoreIndex>,
    groups: GroupTable,
    accumulators: Vec<Box<dyn Accumulator>>,
    flags: Vec<u8>,
    dirty: Vec<bool>,
    dirty_slots: Vec<u32>,
}

/// Key of the store's own entry: the first pane that has not left yet. Shorter than any group's key.
pub const EMITTED_KEY: &[u8] = b"emitted";

impl FinalAggregate {
    /// An operator for one task over the store called `store_name`.
    pub fn new(
        layout: GroupLayout,
        results: GroupResults,
        mode: EmitMode,
        store_name: String,
    ) -> Result<FinalAggregate> {
        let accumulators = layout.accumulators()?;
        Ok(FinalAggregate {
            layout,
            results,
            mode,
            store_name,
            store: None,
            groups: GroupTable::default(),
            accumulators,
            flags: Vec::new(),
            dirty: Vec::new(),
            dirty_slots: Vec::new(),
        })
    }

    fn index(&self) -> Result<StoreIndex> {
        self.store
            .ok_or_else(|| SqlError::invalid("the final aggregate was not initialised"))
    }

    fn merge(&mut self, raw: &RawBatch, context: &mut ProcessContext<'_>) -> Result<()> {
        for record in raw.records() {
            let record = record
                .map_err(|e| SqlError::runtime("reading a record batch", e))?
                .record;
            let Some(value) = record.value else { continue };
            let batch = decode_exchange(value)?;
            let wrong = || SqlError::invalid("pre-aggregated groups have other columns than the view");
            if batch.num_columns() < 2 {
                return Err(wrong());
            }
            let panes = batch
                .column(0)
                .as_primitive_opt::<Int64Type>()
                .ok_or_else(wrong)?;
            let keys = batch.column(1).as_binary_opt::<i32>().ok_or_else(wrong)?;
            let mut slots = Vec::with_capacity(batch.num_rows());
            let mut missing = Vec::new();
            for row in 0..batch.num_rows() {
                let (slot, is_new) = self.groups.intern(panes.value(row), keys.value(row));
                if is_new {
                    missing.push(slot);
                }
                slots.push(slot);
            }
            self.resize();
            self.load(&missing, context)?;
            let mut column = 2;
            for accumulator in &mut self.accumulators {
                let end = column + accumulator.state_types().len();
                let state: &[ArrayRef] = batch.columns().get(column..end).ok_or_else(wrong)?;
                accumulator.merge(&slots, state)?;
                column = end;
            }
            for slot in slots {
                if !std::mem::replace(&mut self.dirty[slot as usize], true) {
                    self.dirty_slots.push(slot);
                }
            }
        }
        Ok(())
    }

    fn resize(&mut self) {
        let groups = self.groups.len();
        self.flags.resize(groups, 0);
        self.dirty.resize(groups, false);
        for accumulator in &mut self.accumulators {
            accumulator.resize(groups);
        }
    }

    /// Reads groups that are new to the cache from the store, in key order.
    fn load(&mut self, missing: &[u32], context: &mut ProcessContext<'_>) -> Result<()> {
        if missing.is_empty() {
            return Ok(());
        }
        let mut wanted: Vec<(Vec<u8>, u32)> = missing
            .iter()
            .map(|s| (store_key(self.groups.pane(*s), self.groups.key(*s)), *s))
            .collect();
        wanted.sort_unstable();
        let keys: Vec<&[u8]> = wanted.iter().map(|(key, _)| key.as_slice()).collect();
        let found = context
            .store(self.index()?)
            .multi_get(&keys)
            .map_err(|e| SqlError::runtime("reading groups", e))?;
        for ((_, slot), value) in wanted.iter().zip(found) {
            if let Some(value) = value {
                self.flags[*slot as usize] =
                    self.layout
                        .decode(&value, &mut self.accumulators, *slot as usize)?;
            }
        }
        Ok(())
    }

    /// Sends and writes what changed.
    fn write_back(&mut self, context: &mut ProcessContext<'_>) -> Result<()> {
        let mut slots = std::mem::take(&mut self.dirty_slots);
        slots.sort_unstable_by(|a, b| {
            let key = |slot: &u32| (self.groups.pane(*slot), self.groups.key(*slot));
            key(a).cmp(&key(b))
        });
        let store = self.index()?;
        let now_ms = context.stream_time();
        for chunk in slots.chunks(CHUNK) {
            if matches!(self.mode, EmitMode::Changes) {
                let panes: Vec<i64> = chunk.iter().map(|s| self.groups.pane(*s)).collect();
                let keys: Vec<&[u8]> = chunk.iter().map(|s| self.groups.key(*s)).collect();
                let rows = self
                    .layout
                    .rows(&panes, keys.iter().copied(), &self.accumulators, chunk)?;
                let visible: Vec<bool> = chunk
                    .iter()
                    .map(|s| self.flags[*s as usize] & FLAG_VISIBLE != 0)
                    .collect();
                let changes = self
                    .results
                    .changes(&rows, &panes, &visible, now_ms, |key, reason| {
                        context.dead_letter(&without_origin(key), reason);
                    })?;
                for (slot, shown) in chunk.iter().zip(&changes.visible) {
                    let flags = &mut self.flags[*slot as usize];
                    *flags = if *shown {
                        *flags | FLAG_VISIBLE
                    } else {
                        *flags & !FLAG_VISIBLE
                    };
                }
                self.forward(changes.batch, context);
            }
            let mut handle = context.store(store);
            let mut value = Vec::new();
            for slot in chunk {
                value.clear();
                let index = *slot as usize;
                self.layout
                    .encode(self.flags[index], &self.accumulators, index, &mut value);
                handle.put(
                    &store_key(self.groups.pane(*slot), self.groups.key(*slot)),
                    &value,
                );
                self.dirty[index] = false;
            }
        }
        if self.groups.len() > GROUPS_MAX {
            self.forget();
        }
        Ok(())
    }

    /// Lets windows out whose end the watermark has passed.
    fn close_windows(
        &mut self,
        size_micros: i64,
        delay_micros: i64,
        context: &mut ProcessContext<'_>,
    ) -> Result<()> {
        let time = context.stream_time();
        if time == NO_TIME {
            return Ok(());
        }
        // A window is closed when start + size <= watermark.
        let bound = watermark_at(time, delay_micros)
            .saturating_sub(size_micros)
            .saturating_add(1);
        let store = self.index()?;
        let failed = |e| SqlError::runtime("reading groups", e);
        let known = context.store(store).get(EMITTED_KEY).map_err(failed)?;
        let emitted = match known.as_deref().map(<[u8; 8]>::try_from) {
            None => i64::MIN,
            Some(Ok(bytes)) => i64::from_be_bytes(bytes),
            Some(Err(_)) => return Err(SqlError::invalid("the store's mark of closed windows is damaged")),
        };
        if bound <= emitted {
            return Ok(());
        }
        let range = KeyRange::between(pane_prefix(emitted), pane_prefix(bound));
        let mut closed: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        {
            let mut handle = context.store(store);
            let mut scan = handle.scan(&range).map_err(failed)?;
            while let Some((key, value)) = scan.next_entry().map_err(failed)? {
                if key != EMITTED_KEY {
                    closed.push((key.to_vec(), value.to_vec()));
                }
            }
        }
        for chunk in closed.chunks(CHUNK) {
            self.emit_final(chunk, store, context)?;
        }
        context.store(store).put(EMITTED_KEY, bound.to_be_bytes());
        // Their groups take no more rows: what the cache holds of them is stale now (the flag) and of no use.
        if !closed.is_empty() {
            self.forget();
        }
        Ok(())
    }

    fn emit_final(
        &mut self,
        entries: &[(Vec<u8>, Vec<u8>)],
        store: StoreIndex,
        context: &mut ProcessContext<'_>,
    ) -> Result<()> {
        let mut accumulators = self.layout.accumulators()?;
        accumulators.iter_mut().for_each(|a| a.resize(entries.len()));
        let mut panes = Vec::with_capacity(entries.len());
        let mut keys = Vec::with_capacity(entries.len());
        for (slot, (key, value)) in entries.iter().enumerate() {
            let (pane, key) = parse_store_key(key)?;
            panes.push(pane);
            keys.push(key);
            self.layout.decode(value, &mut accumulators, slot)?;
        }
        let slots: Vec<u32> = (0..entries.len() as u32).collect();
        let rows = self.layout.rows(&panes, keys, &accumulators, &slots)?;
        let before = vec![false; entries.len()];
        let now_ms = context.stream_time();
        let changes = self
            .results
            .changes(&rows, &panes, &before, now_ms, |key, reason| {
                context.dead_letter(&without_origin(key), reason);
            })?;
        let mut handle = context.store(store);
        let mut value = Vec::new();
        for (slot, (key, _)) in entries.iter().enumerate() {
            value.clear();
            let shown = if changes.visible[slot] { FLAG_VISIBLE } else { 0 };
            self.layout
                .encode(FLAG_FINAL | shown, &accumulators, slot, &mut value);
            handle.put(key, &value);
        }
        drop(handle);
        self.forward(changes.batch, context);
        Ok(())
    }

    fn forward(&self, batch: ResultBatch, context: &mut ProcessContext<'_>) {
        context.forward(Batch::Columns(Box::new(batch)));
    }

    /// Empties the cache; only when nothing in it is dirty, or when the transaction is lost.
    fn forget(&mut self) {
        self.groups.clear();
        self.flags.clear();
        self.dirty.clear();
        self.dirty_slots.clear();
        self.accumulators.iter_mut().for_each(|a| a.resize(0));
    }
}

/// A group whose result cannot be computed comes from no single record.
fn without_origin(key: bytes::Bytes) -> RawRecord {
    RawRecord {
        origin: None,
        key: Some(key),
        value: None,
        timestamp: 0,
        headers: Headers::NONE,
    }
}

impl Processor for FinalAggregate {
    fn init(&mut self, context: &mut InitContext<'_>) -> std::result::Result<(), ProcessError> {
        self.store = Some(context.store_index(&self.store_name)?);
        Ok(())
    }

    fn process(
        &mut self,
        batch: Batch,
        context: &mut ProcessContext<'_>,
    ) -> std::result::Result<(), ProcessError> {
        let Batch::Raw(raw) = batch else {
            return Err(ProcessError::UnexpectedBatch {
                node: context.node().to_owned(),
                expected: "raw records",
                actual: batch.shape(),
            });
        };
        self.merge(&raw, context)
            .map_err(|e| ProcessError::node(context.node(), e))
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> std::result::Result<(), ProcessError> {
        self.write_back(context)
            .and_then(|()| match self.mode {
                EmitMode::Changes => Ok(()),
                EmitMode::Final {
                    size_micros,
                    delay_micros,
                } => self.close_windows(size_micros, delay_micros, context),
            })
            .map_err(|e| ProcessError::node(context.node(), e))
    }

    fn on_abort(&mut self) {
        self.forget();
    }
}
