//! The first operator over a topic whose records replace each other: keeps the last value of each key, and gives what changed as rows taken back
//! and added.
//!
//! Always true: behind each batch the store holds, for every record key, the last value that is a row, as it was written; what left this operator
//! sums up to exactly those rows. A null value takes the row of its key back. A value that is no row, and a record without key, goes to the
//! dead-letter topic and changes nothing. Several records of one key in a batch are one change. Append-only topics: `topic_source.rs`.

use std::collections::BTreeMap;

use bytes::Bytes;
use datafusion::arrow::array::{Array, ArrayRef, Int64Array, UInt32Array};
use datafusion::arrow::compute::{concat, take};
use millpond_streams::processor::{
    Batch, InitContext, ProcessContext, ProcessError, Processor, RawBatch, RawRecordRef,
};
use millpond_streams::state::StoreIndex;

use super::calc::batch_of;
use super::column_batch::ColumnBatch;
use crate::catalog::{TopicTable, layout_type};
use crate::error::{Result, SqlError};
use crate::format::{Decoded, RowDecoder};

/// How the entries of its store lie, in words for the catalogue.
pub fn upsert_layout(table: &TopicTable) -> Result<String> {
    let fields = table.schema.fields().iter();
    let types = fields.map(|field| Ok(format!("{} {}", field.name(), layout_type(field.data_type())?)));
    let types = types.collect::<Result<Vec<_>>>()?.join(", ");
    Ok(format!("last {} value by record key [{types}]", table.format))
}

/// Keeps the last value of each key.
pub struct UpsertSource {
    decoder: RowDecoder,
    store_name: String,
    store: Option<StoreIndex>,
}

/// What the last record of a key in a batch says.
#[derive(Clone, Copy)]
enum Last {
    /// This row of the decoded ones, of the record at the second index.
    Row(u32, usize),
    /// The row is gone.
    Gone,
}

impl UpsertSource {
    /// An operator for one task over the store called `store_name`.
    pub fn new(decoder: RowDecoder, store_name: String) -> UpsertSource {
        UpsertSource {
            decoder,
            store_name,
            store: None,
        }
    }

    fn run(&mut self, raw: &RawBatch, context: &mut ProcessContext<'_>) -> Result<Option<ColumnBatch>> {
        let Some(store) = self.store else {
            return Err(SqlError::invalid("the source of upserts was not initialised"));
        };
        let records = raw
            .records()
            .collect::<std::result::Result<Vec<RawRecordRef<'_>>, _>>()
            .map_err(|e| SqlError::runtime("reading a record batch", e))?;
        let values: Vec<Option<&[u8]>> = records.iter().map(|r| r.record.value).collect();
        let decoded = self.decoder.decode(&values)?;
        for bad in &decoded.bad {
            context.dead_letter(&records[bad.index].to_raw_record(raw.partition()), &bad.reason);
        }
        let last = last_of_each_key(&records, &decoded, |record| {
            context.dead_letter(
                &records[record].to_raw_record(raw.partition()),
                "the record has no key",
            );
        });
        for record in &records {
            context.observe_time(record.record.timestamp);
        }
        let keys: Vec<&[u8]> = last.keys().copied().collect();
        let failed = |e| SqlError::runtime("reading the last values of keys", e);
        let before = context.store(store).multi_get(&keys).map_err(failed)?;
        let mut taken_back: Vec<Option<&[u8]>> = Vec::new();
        let mut added: Vec<u32> = Vec::new();
        let mut handle = context.store(store);
        for ((key, last), before) in last.iter().zip(&before) {
            let old = before.as_ref().map(Bytes::as_ref);
            match last {
                Last::Row(row, record) => {
                    let new = values[*record].unwrap_or_default();
                    if old == Some(new) {
                        continue;
                    }
                    handle.put(key, new);
                    added.push(*row);
                }
                Last::Gone if old.is_some() => handle.delete(key),
                Last::Gone => continue,
            }
            if old.is_some() {
                taken_back.push(old);
            }
        }
        drop(handle);
        if added.is_empty() && taken_back.is_empty() {
            return Ok(None);
        }
        self.changes(&taken_back, &decoded, added).map(Some)
    }

    /// The old rows, taken back, and behind them the new ones.
    fn changes(
        &mut self,
        taken_back: &[Option<&[u8]>],
        decoded: &Decoded,
        added: Vec<u32>,
    ) -> Result<ColumnBatch> {
        let old = self.decoder.decode(taken_back)?;
        if let Some(bad) = old.bad.first() {
            return Err(SqlError::invalid(format!(
                "a stored row cannot be read any more: {}",
                bad.reason
            )));
        }
        let (minus, plus) = (taken_back.len(), added.len());
        let added = UInt32Array::from(added);
        let failed = |e| SqlError::runtime("joining rows", e);
        let columns = old.batch.columns().iter().zip(decoded.batch.columns());
        let columns = columns.map(|(old, new)| -> Result<ArrayRef> {
            let new = take(new.as_ref(), &added, None).map_err(failed)?;
            let parts: [&dyn Array; 2] = [old.as_ref(), new.as_ref()];
            concat(&parts).map_err(failed)
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let batch = batch_of(self.decoder.schema(), columns, minus + plus)?;
        let weights = std::iter::repeat_n(-1, minus).chain(std::iter::repeat_n(1, plus));
        Ok(ColumnBatch::weighted(
            batch,
            Int64Array::from_iter_values(weights),
        ))
    }
}

/// What the last good record of each key says; `keyless` gets the index of records that have a value and no key.
fn last_of_each_key<'a>(
    records: &[RawRecordRef<'a>],
    decoded: &Decoded,
    mut keyless: impl FnMut(usize),
) -> BTreeMap<&'a [u8], Last> {
    let mut last = BTreeMap::new();
    let mut row = 0;
    for (index, record) in records.iter().enumerate() {
        let is_row = row < decoded.batch.num_rows() && decoded.value_of(row) == index;
        let says = match (is_row, record.record.value) {
            (true, _) => Some(Last::Row(row as u32, index)),
            (false, None) => Some(Last::Gone),
            (false, Some(_)) => None,
        };
        row += usize::from(is_row);
        let Some(says) = says else { continue };
        match record.record.key {
            // Stores have no empty keys.
            Some(key) if !key.is_empty() => {
                last.insert(key, says);
            }
            _ => keyless(index),
        }
    }
    last
}

impl Processor for UpsertSource {
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
        match self.run(&raw, context) {
            Ok(Some(output)) => {
                context.forward(Batch::Columns(Box::new(output)));
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(e) => Err(ProcessError::node(context.node(), e)),
        }
    }
}
