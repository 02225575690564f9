//! How a group lies in the store, and how groups become rows again.
//!
//! Always true: key = pane (big endian, sign flipped) ++ arrow-row encoded key columns, so groups lie in the order of their
//! windows; value = version, flags, then each aggregate's full value. The same bytes go to the changelog. arrow-row promises
//! no fixed encoding between its versions: `state_rows_test.rs` pins the bytes, and the catalogue remembers the layout.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use datafusion::arrow::row::{RowConverter, RowParser, SortField};

use super::accumulators::{Accumulator, accumulator_for};
use super::calc::batch_of;
use crate::catalog::{AggregateLayout, StateLayout, WindowLayout, layout_type};
use crate::error::{Result, SqlError};
use crate::logical::{AggregateFunctionKind, AggregatePlan, GroupColumn};

/// Set once a window's final result has left.
pub const FLAG_FINAL: u8 = 1;
/// Set while the output topic shows the group (HAVING may hide it).
pub(super) const FLAG_VISIBLE: u8 = 2;

const VERSION: u8 = 1;

/// The store key of a group.
pub(super) fn store_key(pane: i64, key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + key.len());
    out.extend_from_slice(&pane_prefix(pane));
    out.extend_from_slice(key);
    out
}

/// The first bytes of all groups of a pane; ordered as the panes are.
pub(super) fn pane_prefix(pane: i64) -> [u8; 8] {
    ((pane as u64) ^ (1 << 63)).to_be_bytes()
}

/// Splits a store key into pane and key.
pub fn parse_store_key(bytes: &[u8]) -> Result<(i64, &[u8])> {
    match bytes.split_first_chunk::<8>() {
        Some((pane, key)) => Ok(((u64::from_be_bytes(*pane) ^ (1 << 63)) as i64, key)),
        None => Err(SqlError::invalid("a stored group has a key shorter than a pane")),
    }
}

/// The partition a group belongs to. Part of what is stored: the same in every version and on every machine.
pub(super) fn route(key: &[u8], partitions: u32) -> u32 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in key {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    // FNV's low bits alone follow the last byte too closely.
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((hash >> 32) % u64::from(partitions.max(1))) as u32
}

/// Knows the layout of one view's groups.
pub struct GroupLayout {
    plan: AggregatePlan,
    converter: RowConverter,
    parser: RowParser,
}

impl GroupLayout {
    /// The layout of a GROUP BY.
    pub fn new(plan: &AggregatePlan) -> Result<GroupLayout> {
        let fields = plan
            .keys
            .iter()
            .map(|(_, _, kind)| SortField::new(kind.clone()))
            .collect();
        let converter = RowConverter::new(fields).map_err(|e| SqlError::runtime("encoding group keys", e))?;
        let parser = converter.parser();
        Ok(GroupLayout {
            plan: plan.clone(),
            converter,
            parser,
        })
    }

    /// The GROUP BY.
    pub fn plan(&self) -> &AggregatePlan {
        &self.plan
    }

    /// What must stay the same for groups to be readable, as the catalogue remembers it.
    pub fn state_layout(&self) -> Result<StateLayout> {
        let keys = self.plan.keys.iter().map(|(_, _, kind)| layout_type(kind));
        let aggregates = self.plan.aggregates.iter().zip(self.accumulators()?);
        let aggregates = aggregates.map(|(spec, accumulator)| {
            let state = match spec.function {
                // Kept as integers whatever they are: only the type of the argument tells days from microseconds.
                AggregateFunctionKind::Min | AggregateFunctionKind::Max => vec![spec.argument_type.clone()],
                _ => accumulator.state_types(),
            };
            Ok(AggregateLayout {
                function: spec.function.to_string(),
                state: state.iter().map(layout_type).collect::<Result<_>>()?,
            })
        });
        Ok(StateLayout {
            window: self.plan.window.map(|pane| WindowLayout {
                size_micros: pane.spec.size_micros,
                slide_micros: pane.spec.slide_micros,
            }),
            keys: keys.collect::<Result<_>>()?,
            aggregates: aggregates.collect::<Result<_>>()?,
        })
    }

    /// Encodes key columns.
    pub fn converter(&self) -> &RowConverter {
        &self.converter
    }

    /// Empty accumulators, one per aggregate.
    pub fn accumulators(&self) -> Result<Vec<Box<dyn Accumulator>>> {
        self.plan.aggregates.iter().map(accumulator_for).collect()
    }

    /// Writes the value of a slot.
    pub fn encode(&self, flags: u8, accumulators: &[Box<dyn Accumulator>], slot: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&[VERSION, flags]);
        for accumulator in accumulators {
            accumulator.encode(slot, out);
        }
    }

    /// Reads a value into a slot and gives its flags.
    pub fn decode(&self, value: &[u8], accumulators: &mut [Box<dyn Accumulator>], slot: usize) -> Result<u8> {
        let [VERSION, flags, rest @ ..] = value else {
            return Err(SqlError::invalid("a stored group has an unknown version"));
        };
        let mut rest = rest;
        for accumulator in accumulators {
            accumulator.decode(slot, &mut rest)?;
        }
        if rest.is_empty() {
            Ok(*flags)
        } else {
            Err(SqlError::invalid("a stored group is longer than its aggregates"))
        }
    }

    /// The flags of a value.
    pub fn flags(value: &[u8]) -> Result<u8> {
        match value {
            [VERSION, flags, ..] => Ok(*flags),
            _ => Err(SqlError::invalid("a stored group has an unknown version")),
        }
    }

    /// Groups as rows of the aggregate's output: group columns, then results.
    pub fn rows<'a>(
        &self,
        panes: &[i64],
        keys: impl IntoIterator<Item = &'a [u8]>,
        accumulators: &[Box<dyn Accumulator>],
        slots: &[u32],
    ) -> Result<RecordBatch> {
        let key_columns = if self.plan.keys.is_empty() {
            Vec::new()
        } else {
            let rows: Vec<&[u8]> = keys.into_iter().collect();
            self.converter
                .convert_rows(rows.iter().map(|key| self.parser.parse(key)))
                .map_err(|e| SqlError::runtime("decoding group keys", e))?
        };
        let size = self.plan.window.map_or(0, |pane| pane.spec.size_micros);
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.plan.schema.fields().len());
        for column in &self.plan.group_columns {
            columns.push(match column {
                GroupColumn::Key(index) => key_columns[*index].clone(),
                GroupColumn::WindowStart => Arc::new(TimestampMicrosecondArray::from(panes.to_vec())),
                GroupColumn::WindowEnd => Arc::new(TimestampMicrosecondArray::from_iter_values(
                    panes.iter().map(|pane| pane + size),
                )),
            });
        }
        for accumulator in accumulators {
            columns.push(accumulator.evaluate(slots)?);
        }
        batch_of(&self.plan.schema, columns, slots.len())
    }
}

#[cfg(test)]
#[path = "state_rows_test.rs"]
mod state_rows_test;
