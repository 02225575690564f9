//! Pre-aggregation in front of the repartition topic: groups of one commit, or of as much memory as is allowed.
//!
//! Always true: what is held here belongs to the open transaction and leaves with it; the exchange carries differences, and
//! exactly-once makes adding them up safe. Groups leave in the order they were first seen.

use std::any::Any;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use millpond_streams::processor::{Batch, Columns, ProcessContext, ProcessError, Processor};

use super::accumulators::Accumulator;
use super::column_batch::ColumnBatch;
use super::exchange::exchange_schema;
use super::group_table::GroupTable;
use super::pre_aggregation::PreAggregation;
use super::state_rows::{GroupLayout, route};
use crate::error::{Result, SqlError};

/// Groups leave early when they hold this much.
const BYTES_MAX: usize = 32 << 20;
/// And when there are this many, whatever their size.
const GROUPS_MAX: usize = 1 << 18;

/// Pre-aggregated groups for each target partition.
#[derive(Debug, Clone)]
pub struct ExchangeBatch {
    /// (partition, groups).
    pub parts: Vec<(i32, RecordBatch)>,
}

impl Columns for ExchangeBatch {
    fn row_count(&self) -> usize {
        self.parts.iter().map(|(_, batch)| batch.num_rows()).sum()
    }

    fn duplicate(&self) -> Box<dyn Columns> {
        Box::new(self.clone())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// Aggregates before the exchange.
pub struct LocalAggregate {
    layout: GroupLayout,
    input: PreAggregation,
    schema: SchemaRef,
    partitions: u32,
    groups: GroupTable,
    accumulators: Vec<Box<dyn Accumulator>>,
    /// Slot of each row of the batch at hand.
    slots: Vec<u32>,
}

impl LocalAggregate {
    /// An operator for one task that spreads groups over `partitions`.
    pub fn new(layout: GroupLayout, input: PreAggregation, partitions: u32) -> Result<LocalAggregate> {
        let accumulators = layout.accumulators()?;
        Ok(LocalAggregate {
            schema: exchange_schema(&accumulators),
            layout,
            input,
            partitions,
            groups: GroupTable::default(),
            accumulators,
            slots: Vec::new(),
        })
    }

    /// Adds the rows of a batch.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.assign_slots(batch)?;
        let groups = self.groups.len();
        for (accumulator, (argument, filter)) in self.accumulators.iter_mut().zip(&self.input.inputs) {
            accumulator.resize(groups);
            let mask = filter.map(|index| batch.column(index).as_boolean());
            accumulator.update(&self.slots, argument.map(|index| batch.column(index)), mask)?;
        }
        Ok(())
    }

    fn assign_slots(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = batch.num_rows();
        self.slots.clear();
        self.slots.reserve(rows);
        let pane = self
            .input
            .pane
            .map(|index| batch.column(index).as_primitive::<TimestampMicrosecondType>());
        let shift = match self.layout.plan().window {
            Some(window) if window.is_end => window.spec.size_micros,
            _ => 0,
        };
        let pane_of = |row: usize| pane.map_or(0, |pane| pane.value(row) - shift);
        if self.input.keys.is_empty() {
            for row in 0..rows {
                self.slots.push(self.groups.intern(pane_of(row), b"").0);
            }
            return Ok(());
        }
        let keys: Vec<ArrayRef> = batch.columns()[self.input.keys.clone()].to_vec();
        let encoded = self
            .layout
            .converter()
            .convert_columns(&keys)
            .map_err(|e| SqlError::runtime("encoding group keys", e))?;
        for row in 0..rows {
            self.slots
                .push(self.groups.intern(pane_of(row), encoded.row(row).data()).0);
        }
        Ok(())
    }

    /// The groups so far, by target partition; none are left behind.
    pub fn drain(&mut self) -> Result<ExchangeBatch> {
        let mut by_partition: Vec<Vec<u32>> = vec![Vec::new(); self.partitions.max(1) as usize];
        for slot in 0..self.groups.len() as u32 {
            by_partition[route(self.groups.key(slot), self.partitions) as usize].push(slot);
        }
        let mut parts = Vec::new();
        for (partition, slots) in by_partition
            .into_iter()
            .enumerate()
            .filter(|(_, slots)| !slots.is_empty())
        {
            let mut columns: Vec<ArrayRef> = vec![
                Arc::new(Int64Array::from_iter_values(
                    slots.iter().map(|s| self.groups.pane(*s)),
                )),
                Arc::new(BinaryArray::from_iter_values(
                    slots.iter().map(|s| self.groups.key(*s)),
                )),
            ];
            for accumulator in &self.accumulators {
                columns.extend(accumulator.state(&slots));
            }
            let batch = RecordBatch::try_new(self.schema.clone(), columns)
                .map_err(|e| SqlError::runtime("making pre-aggregated groups", e))?;
            parts.push((partition as i32, batch));
        }
        self.clear();
        Ok(ExchangeBatch { parts })
    }

    fn clear(&mut self) {
        self.groups.clear();
        for accumulator in &mut self.accumulators {
            accumulator.resize(0);
        }
    }

    fn leave(&mut self, context: &mut ProcessContext<'_>) -> std::result::Result<(), ProcessError> {
        if self.groups.is_empty() {
            return Ok(());
        }
        let batch = self.drain().map_err(|e| ProcessError::node(context.node(), e))?;
        context.forward(Batch::Columns(Box::new(batch)));
        Ok(())
    }
}

impl Processor for LocalAggregate {
    fn process(
        &mut self,
        batch: Batch,
        context: &mut ProcessContext<'_>,
    ) -> std::result::Result<(), ProcessError> {
        let rows = batch
            .into_columns::<ColumnBatch>()
            .map_err(|other| ProcessError::UnexpectedBatch {
                node: context.node().to_owned(),
                expected: "rows to aggregate",
                actual: other.shape(),
            })?;
        self.add(&rows.batch)
            .map_err(|e| ProcessError::node(context.node(), e))?;
        if self.groups.bytes() > BYTES_MAX || self.groups.len() > GROUPS_MAX {
            self.leave(context)?;
        }
        Ok(())
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> std::result::Result<(), ProcessError> {
        self.leave(context)
    }

    fn on_abort(&mut self) {
        self.clear();
    }
}
