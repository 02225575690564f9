//! Sends rows to the task that has their key: one Arrow batch per partition and commit, weights in a last column.
//!
//! Always true: equal keys go to the same partition in every version and on every machine (`route` over arrow-row bytes); the rows of one task
//! arrive in the order they were sent. What is held here belongs to the open transaction and leaves with it.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{concat_batches, take_record_batch};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::arrow::row::{RowConverter, SortField};
use millpond_streams::processor::{Batch, ProcessContext, ProcessError, Processor};

use super::calc::batch_of;
use super::column_batch::ColumnBatch;
use super::exchange::decode_exchange;
use super::local_aggregate::ExchangeBatch;
use super::state_rows::route;
use crate::error::{Result, SqlError};

/// Rows leave before the commit when as many are held.
const ROWS_MAX: usize = 1 << 17;

/// The input's columns with the weights behind them.
fn shuffled_schema(input: &SchemaRef) -> SchemaRef {
    let mut fields = input.fields().to_vec();
    fields.push(Arc::new(Field::new("weight", DataType::Int64, false)));
    Arc::new(Schema::new(fields))
}

/// The sending side.
pub struct ShuffleWriter {
    keys: Vec<usize>,
    converter: RowConverter,
    schema: SchemaRef,
    partitions: u32,
    /// By partition.
    held: Vec<Vec<RecordBatch>>,
    rows: usize,
}

impl ShuffleWriter {
    /// Spreads the rows of `input` over `partitions` by their `keys`.
    pub fn new(input: &SchemaRef, keys: Vec<usize>, partitions: u32) -> Result<ShuffleWriter> {
        let fields = keys
            .iter()
            .map(|key| SortField::new(input.field(*key).data_type().clone()));
        let converter = RowConverter::new(fields.collect())
            .map_err(|e| SqlError::runtime("encoding the keys of a shuffle", e))?;
        Ok(ShuffleWriter {
            keys,
            converter,
            schema: shuffled_schema(input),
            partitions: partitions.max(1),
            held: vec![Vec::new(); partitions.max(1) as usize],
            rows: 0,
        })
    }

    fn add(&mut self, rows: &ColumnBatch) -> Result<()> {
        let count = rows.batch.num_rows();
        let mut columns = rows.batch.columns().to_vec();
        columns.push(match &rows.weights {
            Some(weights) => Arc::new(weights.clone()),
            None => Arc::new(Int64Array::from_value(1, count)) as ArrayRef,
        });
        let batch = batch_of(&self.schema, columns, count)?;
        self.rows += count;
        if self.keys.is_empty() {
            self.held[0].push(batch);
            return Ok(());
        }
        let keys: Vec<ArrayRef> = self
            .keys
            .iter()
            .map(|key| rows.batch.column(*key).clone())
            .collect();
        let failed = |e| SqlError::runtime("spreading rows by their keys", e);
        let encoded = self.converter.convert_columns(&keys).map_err(failed)?;
        let mut by_partition: Vec<Vec<u32>> = vec![Vec::new(); self.held.len()];
        for row in 0..count {
            by_partition[route(encoded.row(row).data(), self.partitions) as usize].push(row as u32);
        }
        for (held, rows) in self.held.iter_mut().zip(by_partition) {
            if rows.len() == count {
                held.push(batch.clone());
            } else if !rows.is_empty() {
                held.push(take_record_batch(&batch, &UInt32Array::from(rows)).map_err(failed)?);
            }
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<ExchangeBatch> {
        let mut parts = Vec::new();
        for (partition, held) in self.held.iter_mut().enumerate() {
            let batches = std::mem::take(held);
            if !batches.is_empty() {
                let batch = concat_batches(&self.schema, &batches)
                    .map_err(|e| SqlError::runtime("joining rows for a shuffle", e))?;
                parts.push((partition as i32, batch));
            }
        }
        self.rows = 0;
        Ok(ExchangeBatch { parts })
    }

    fn leave(&mut self, context: &mut ProcessContext<'_>) -> std::result::Result<(), ProcessError> {
        if self.rows > 0 {
            let batch = self.drain().map_err(|e| ProcessError::node(context.node(), e))?;
            context.forward(Batch::Columns(Box::new(batch)));
        }
        Ok(())
    }
}

impl Processor for ShuffleWriter {
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
            .map_err(|e| ProcessError::node(context.node(), e))?;
        if self.rows >= ROWS_MAX {
            self.leave(context)?;
        }
        Ok(())
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> std::result::Result<(), ProcessError> {
        self.leave(context)
    }

    fn on_abort(&mut self) {
        self.held.iter_mut().for_each(Vec::clear);
        self.rows = 0;
    }
}

/// The receiving side.
pub struct ShuffleReader {
    schema: SchemaRef,
    port: usize,
}

impl ShuffleReader {
    /// Rows of these columns, for input `port` of the operator behind.
    pub fn new(schema: SchemaRef, port: usize) -> ShuffleReader {
        ShuffleReader { schema, port }
    }

    fn rows(&self, value: &[u8]) -> Result<ColumnBatch> {
        let batch = decode_exchange(value)?;
        let wrong = || SqlError::invalid("shuffled rows have other columns than the query");
        let (weights, columns) = batch.columns().split_last().ok_or_else(wrong)?;
        if columns.len() != self.schema.fields().len() {
            return Err(wrong());
        }
        let weights = weights.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?;
        let only_adds = weights.values().iter().all(|weight| *weight == 1);
        Ok(ColumnBatch {
            weights: (!only_adds).then(|| weights.clone()),
            port: self.port,
            ..ColumnBatch::plain(batch_of(&self.schema, columns.to_vec(), batch.num_rows())?)
        })
    }
}

impl Processor for ShuffleReader {
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
        for record in raw.records() {
            let record = record.map_err(|e| {
                ProcessError::node(context.node(), SqlError::runtime("reading a record batch", e))
            })?;
            let Some(value) = record.record.value else {
                continue;
            };
            let rows = self
                .rows(value)
                .map_err(|e| ProcessError::node(context.node(), e))?;
            if rows.batch.num_rows() > 0 {
                context.forward(Batch::Columns(Box::new(rows)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "shuffle_test.rs"]
mod shuffle_test;
