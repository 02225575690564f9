//! The last operator of a view whose rows change: keeps the rows in a store, and lets their changes out as upserts.
//!
//! Always true: at each commit the store is the sum of all rows taken in. Of a key the topic shows the first row of the store that is there, or a
//! tombstone; rows without known key are told apart by a number among their equals, `_copy`, so the topic compacted is the result, too.

use std::collections::BTreeMap;

use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use millpond_streams::processor::{Batch, InitContext, NO_TIME, ProcessContext, ProcessError, Processor};
use millpond_streams::state::StoreIndex;

use super::column_batch::ColumnBatch;
use super::group_table::GroupTable;
use super::results::ResultBatch;
use super::row_bag::{RowBag, RowLayout};
use crate::error::{Result, SqlError};
use crate::format::JsonWriter;

/// Changes are worked off before the commit when they hold as many bytes.
const BYTES_MAX: usize = 64 << 20;
/// Keys worked off at once.
const CHUNK: usize = 8192;

/// Keeps a result.
pub struct ResultRows {
    layout: RowLayout,
    store_name: String,
    store: Option<StoreIndex>,
    writer: JsonWriter,
    /// (key, row) to weight; the key's length stands in place of the pane.
    changed: GroupTable,
    weights: Vec<i64>,
    scratch: Vec<u8>,
}

/// Rows of one key: (bytes, weight or by how much it changes).
type Weighted<'a> = Vec<(&'a [u8], i64)>;

impl ResultRows {
    /// An operator for one task over the store called `store_name`.
    pub fn new(layout: RowLayout, store_name: String) -> ResultRows {
        ResultRows {
            layout,
            store_name,
            store: None,
            writer: JsonWriter::new(),
            changed: GroupTable::default(),
            weights: Vec::new(),
            scratch: Vec::new(),
        }
    }

    fn add(&mut self, rows: &ColumnBatch) -> Result<()> {
        let (keys, encoded) = self.layout.encode(&rows.batch)?;
        for row in 0..rows.batch.num_rows() {
            self.scratch.clear();
            match &keys {
                Some(keys) => self.scratch.extend_from_slice(keys.row(row).data()),
                // A key without columns has a byte all the same: stores have no empty keys.
                None if self.layout.is_keyed() => self.scratch.push(0),
                None => {}
            }
            let length = match (self.layout.is_keyed(), encoded.row(row).data()) {
                (true, bytes) => {
                    let length = self.scratch.len();
                    self.scratch.extend_from_slice(bytes);
                    length
                }
                (false, bytes) => {
                    self.scratch.extend_from_slice(bytes);
                    self.scratch.len()
                }
            };
            let (slot, is_new) = self.changed.intern(length as i64, &self.scratch);
            if is_new {
                self.weights.push(0);
            }
            self.weights[slot as usize] += rows.weight(row);
        }
        Ok(())
    }

    /// Adds what changed to the store, and sends it.
    fn work_off(&mut self, context: &mut ProcessContext<'_>) -> Result<()> {
        let Some(store) = self.store else {
            return Err(SqlError::invalid("the result was not initialised"));
        };
        let changed = std::mem::take(&mut self.changed);
        let weights = std::mem::take(&mut self.weights);
        let mut deltas: BTreeMap<&[u8], Weighted<'_>> = BTreeMap::new();
        for (slot, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight != 0) {
            let slot = slot as u32;
            let (key, row) = changed.key(slot).split_at(changed.pane(slot) as usize);
            deltas.entry(key).or_default().push((row, *weight));
        }
        let now_ms = match context.stream_time() {
            NO_TIME => 0,
            time => time.max(0),
        };
        let mut deltas: Vec<(&[u8], Weighted<'_>)> = deltas.into_iter().collect();
        for chunk in deltas.chunks_mut(CHUNK) {
            let keys: Vec<&[u8]> = chunk.iter().map(|(key, _)| *key).collect();
            let failed = |e| SqlError::runtime("reading the rows of a result", e);
            let old = context.store(store).multi_get(&keys).map_err(failed)?;
            let mut shown: Vec<Shown<'_>> = Vec::new();
            let mut handle = context.store(store);
            for ((key, delta), old) in chunk.iter_mut().zip(&old) {
                delta.sort_unstable();
                let before = old.as_deref().map_or(Ok(Vec::new()), RowBag::parse)?;
                let after = RowBag::add(&before, delta);
                if after.is_empty() {
                    handle.delete(key);
                } else {
                    RowBag::write(&after, &mut self.scratch);
                    handle.put(key, &self.scratch);
                }
                self.layout_changes(key, &before, &after, &mut shown);
            }
            drop(handle);
            let records = self.records(&shown, now_ms)?;
            if !records.is_empty() {
                context.forward(Batch::Columns(Box::new(ResultBatch { records })));
            }
        }
        Ok(())
    }

    /// What the topic must be told of one key.
    fn layout_changes<'a>(
        &self,
        key: &'a [u8],
        before: &[(&'a [u8], i64)],
        after: &[(&'a [u8], i64)],
        shown: &mut Vec<Shown<'a>>,
    ) {
        if self.layout.is_keyed() {
            let first =
                |rows: &[(&'a [u8], i64)]| rows.iter().find(|(_, weight)| *weight > 0).map(|(row, _)| *row);
            match (first(before), first(after)) {
                (old, new) if old == new => {}
                (_, Some(row)) => shown.push(Shown {
                    row,
                    copy: None,
                    there: true,
                }),
                (Some(row), None) => shown.push(Shown {
                    row,
                    copy: None,
                    there: false,
                }),
                (None, None) => {}
            }
            return;
        }
        let copies = |rows: &[(&[u8], i64)]| rows.first().map_or(0, |(_, weight)| *weight).max(0);
        let (before, after) = (copies(before), copies(after));
        for copy in before + 1..=after {
            shown.push(Shown {
                row: key,
                copy: Some(copy),
                there: true,
            });
        }
        for copy in (after + 1..=before).rev() {
            shown.push(Shown {
                row: key,
                copy: Some(copy),
                there: false,
            });
        }
    }

    fn records(&mut self, shown: &[Shown<'_>], now_ms: i64) -> Result<Vec<(Bytes, Option<Bytes>, i64)>> {
        if shown.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.layout.decode(shown.iter().map(|shown| shown.row))?;
        let mut keys = self.layout.key_columns(&rows)?;
        if !self.layout.is_keyed() {
            keys = with_copies(&keys, shown)?;
        }
        let keys = if keys.num_columns() == 0 {
            vec![Bytes::from_static(b"{}"); shown.len()]
        } else {
            self.writer.rows(&keys)?
        };
        let values = self.writer.rows(&rows)?;
        let records = keys.into_iter().zip(values).zip(shown);
        Ok(records
            .map(|((key, value), shown)| (key, shown.there.then_some(value), now_ms))
            .collect())
    }

    fn forget(&mut self) {
        self.changed.clear();
        self.weights.clear();
    }
}

/// A change of what the topic shows.
struct Shown<'a> {
    row: &'a [u8],
    /// Which of several equal rows, from 1; none where a key tells rows apart.
    copy: Option<i64>,
    there: bool,
}

fn with_copies(keys: &RecordBatch, shown: &[Shown<'_>]) -> Result<RecordBatch> {
    let mut fields = keys.schema().fields().to_vec();
    fields.push(std::sync::Arc::new(Field::new("_copy", DataType::Int64, false)));
    let mut columns = keys.columns().to_vec();
    let copies = Int64Array::from_iter_values(shown.iter().map(|shown| shown.copy.unwrap_or(1)));
    columns.push(std::sync::Arc::new(copies) as ArrayRef);
    RecordBatch::try_new(std::sync::Arc::new(Schema::new(fields)), columns)
        .map_err(|e| SqlError::runtime("making keys", e))
}

impl Processor for ResultRows {
    fn init(&mut self, context: &mut InitContext<'_>) -> std::result::Result<(), ProcessError> {
        self.store = Some(context.store_index(&self.store_name)?);
        Ok(())
    }

    fn process(
        &mut self,
        batch: Batch,
        context: &mut ProcessContext<'_>,
    ) -> std::result::Result<(), ProcessError> {
        let rows = batch
            .into_columns::<ColumnBatch>()
            .map_err(|other| ProcessError::UnexpectedBatch {
                node: context.node().to_owned(),
                expected: "rows",
                actual: other.shape(),
            })?;
        self.add(&rows)
            .and_then(|()| match self.changed.bytes() > BYTES_MAX {
                true => self.work_off(context),
                false => Ok(()),
            })
            .map_err(|e| ProcessError::node(context.node(), e))
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> std::result::Result<(), ProcessError> {
        self.work_off(context)
            .map_err(|e| ProcessError::node(context.node(), e))
    }

    fn on_abort(&mut self) {
        self.forget();
    }
}
