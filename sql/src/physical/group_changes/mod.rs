//! GROUP BY over a relation that changes: what has arrived of each group, and what of it has left.
//!
//! Always true: the output is, after each commit, one row for each group that is there: its rows' weights sum up to more than 0, or there are no
//! keys and rows have arrived. Each group's entry in the store holds the row that left for it last, so what is taken back is what was given, also
//! by an older version. Groups in memory are a write-back cache; an abort drops it with all that is pending.
//! `calls.rs` says how an aggregate is kept, `groups.rs` how a group lies in the store, `values.rs` writes values that changed, `settle.rs` makes
//! rows of the groups that did.

mod calls;
mod extremes;
mod floats;
mod groups;
mod layout;
mod replay;
mod settle;
mod sums;
mod value_set;
mod values;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::row::{RowConverter, RowParser};
use millpond_streams::processor::{Batch, InitContext, ProcessContext, ProcessError, Processor};
use millpond_streams::state::StoreIndex;

use self::calls::{Call, CallKind, calls_of};
use self::groups::Groups;
pub use self::layout::{group_changes_layout, group_changes_stores};
use self::value_set::{ValueSet, converter, weights_of};
use self::values::ChangedValues;
use super::column_batch::ColumnBatch;
use crate::error::{Result, SqlError};
use crate::format::JsonWriter;
use crate::logical::GroupChangesPlan;

/// When memory is given back.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Bytes of groups in memory.
    groups: usize,
    /// Bytes of values that changed since the last commit.
    values: usize,
    /// Groups and values worked off at once.
    chunk: usize,
}

const LIMITS: Limits = Limits {
    groups: 64 << 20,
    values: 32 << 20,
    chunk: 8192,
};

/// The key of the one group when there are no keys.
const NO_KEY: &[u8] = &[0];

/// Keeps groups.
pub struct GroupChanges {
    plan: GroupChangesPlan,
    limits: Limits,
    keys: Option<Encoding>,
    results: Option<Encoding>,
    calls: Vec<Call>,
    sets: Vec<ValueSet>,
    stores: Option<Stores>,
    groups: Groups,
    changed: ChangedValues,
    writer: JsonWriter,
}

#[derive(Clone, Copy)]
struct Stores {
    groups: StoreIndex,
    /// None when no aggregate keeps values.
    values: Option<StoreIndex>,
}

/// Columns to bytes and back.
struct Encoding {
    converter: RowConverter,
    parser: RowParser,
}

impl Encoding {
    /// None without columns: arrow-row cannot tell how many rows there are.
    fn new(
        schema: &datafusion::arrow::datatypes::SchemaRef,
        columns: impl Iterator<Item = usize>,
    ) -> Result<Option<Encoding>> {
        let columns: Vec<_> = columns.map(|column| (column, SortOptions::default())).collect();
        if columns.is_empty() {
            return Ok(None);
        }
        let converter = converter(schema, &columns)?;
        Ok(Some(Encoding {
            parser: converter.parser(),
            converter,
        }))
    }

    fn decode<'a>(&self, rows: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
        self.converter
            .convert_rows(rows.map(|row| self.parser.parse(row)))
            .map_err(|e| SqlError::runtime("decoding groups", e))
    }
}

impl GroupChanges {
    /// An operator for one task. Errs when a column or an aggregate is of a kind that cannot be kept.
    pub fn new(plan: GroupChangesPlan) -> Result<GroupChanges> {
        GroupChanges::with_limits(plan, LIMITS)
    }

    fn with_limits(plan: GroupChangesPlan, limits: Limits) -> Result<GroupChanges> {
        let (calls, sets) = calls_of(&plan)?;
        let first_result = plan.keys.len();
        Ok(GroupChanges {
            keys: Encoding::new(&plan.input, plan.keys.iter().copied())?,
            results: Encoding::new(&plan.schema, first_result..first_result + calls.len())?,
            limits,
            calls,
            sets,
            stores: None,
            groups: Groups::default(),
            changed: ChangedValues::default(),
            writer: JsonWriter::new(),
            plan,
        })
    }

    fn stores(&self) -> Result<Stores> {
        self.stores
            .ok_or_else(|| SqlError::invalid("the groups were not initialised"))
    }

    /// Whether the group in a slot has a row.
    fn is_there(&self, slot: u32) -> bool {
        self.keys.is_none() || self.groups.rows[slot as usize] > 0
    }

    fn add(&mut self, rows: &ColumnBatch, context: &mut ProcessContext<'_>) -> Result<()> {
        let batch = &rows.batch;
        let weights: Vec<i64> = (0..batch.num_rows()).map(|row| rows.weight(row)).collect();
        let slots = self.slots_of(batch, context)?;
        for (slot, weight) in slots.iter().zip(&weights) {
            self.groups.rows[*slot as usize] += weight;
            self.groups.touch(*slot);
        }
        for call in &mut self.calls {
            if matches!(call.kind, CallKind::Sums(_) | CallKind::Extreme(_)) {
                let present = call.present.iter().copied();
                let weights = weights_of(&weights, batch, call.filter, present)?;
                let values = call.argument.map(|column| batch.column(column));
                match (&mut call.kind, values) {
                    (CallKind::Sums(sums), values) => sums.add(&slots, values, &weights)?,
                    (CallKind::Extreme(extremes), Some(values)) => {
                        self.groups.bytes += extremes.add(&slots, values, &weights)?;
                    }
                    _ => {}
                }
            }
        }
        self.change_values(batch, &slots, &weights)
    }

    /// The slots of the rows' groups, which are in memory then.
    fn slots_of(
        &mut self,
        batch: &datafusion::arrow::array::RecordBatch,
        context: &mut ProcessContext<'_>,
    ) -> Result<Vec<u32>> {
        let mut slots = Vec::with_capacity(batch.num_rows());
        let mut missing = Vec::new();
        let encoded = match &self.keys {
            None => None,
            Some(keys) => {
                let columns = self.plan.keys.iter().map(|key| batch.column(*key).clone());
                let columns: Vec<ArrayRef> = columns.collect();
                let rows = keys.converter.convert_columns(&columns);
                Some(rows.map_err(|e| SqlError::runtime("encoding group keys", e))?)
            }
        };
        for row in 0..batch.num_rows() {
            let key = encoded.as_ref().map_or(NO_KEY, |rows| rows.row(row).data());
            let (slot, is_new) = self.groups.table.intern(0, key);
            if is_new {
                missing.push(slot);
            }
            slots.push(slot);
        }
        self.groups.resize(&mut self.calls);
        let store = self.stores()?.groups;
        self.groups.load(&mut self.calls, missing, context.store(store))?;
        Ok(slots)
    }

    fn bytes(&self) -> usize {
        self.groups.bytes(self.calls.len())
    }

    fn forget(&mut self) {
        self.groups.clear(&mut self.calls);
        self.changed.clear();
    }

    fn take_in(&mut self, rows: &ColumnBatch, context: &mut ProcessContext<'_>) -> Result<()> {
        self.add(rows, context)?;
        if self.changed.bytes() > self.limits.values {
            self.write_values(context)?;
        }
        if self.bytes() > self.limits.groups {
            self.settle_all(context)?;
        }
        Ok(())
    }
}

impl Processor for GroupChanges {
    fn init(&mut self, context: &mut InitContext<'_>) -> std::result::Result<(), ProcessError> {
        let values = match self.sets.is_empty() {
            true => None,
            false => Some(context.store_index(&self.plan.values_store)?),
        };
        self.stores = Some(Stores {
            groups: context.store_index(&self.plan.store)?,
            values,
        });
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
        self.take_in(&rows, context)
            .map_err(|e| ProcessError::node(context.node(), e))
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> std::result::Result<(), ProcessError> {
        self.settle_all(context)
            .map_err(|e| ProcessError::node(context.node(), e))
    }

    fn on_abort(&mut self) {
        self.forget();
    }
}

#[cfg(test)]
mod group_changes_test;
#[cfg(test)]
mod oracle_test;
#[cfg(test)]
mod test_topology;
#[cfg(test)]
mod test_world;
