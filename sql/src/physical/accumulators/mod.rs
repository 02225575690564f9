//! Slot-addressed accumulators: one value per group and aggregate, in flat vectors.
//!
//! Always true: a fresh slot is the aggregate of no rows; `update` adds rows, `merge` adds what another accumulator held;
//! encoding is the full value, never a difference (I6), so replaying it twice changes nothing. One file per aggregate.

mod average;
mod count;
mod extreme;
mod sum;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray};
use datafusion::arrow::datatypes::DataType;

use crate::error::{Result, SqlError};
use crate::logical::{AggregateFunctionKind, AggregateSpec};

/// The values of one aggregate for all groups.
pub trait Accumulator: Send {
    /// Makes room for `slots` slots; new ones are empty.
    fn resize(&mut self, slots: usize);

    /// Adds rows: row i goes to `slots[i]`. Rows that are NULL, or where `mask` is not true, are skipped.
    fn update(&mut self, slots: &[u32], values: Option<&ArrayRef>, mask: Option<&BooleanArray>)
    -> Result<()>;

    /// Types of the columns that `state` gives.
    fn state_types(&self) -> Vec<DataType>;

    /// The values of some slots as columns, for the exchange.
    fn state(&self, slots: &[u32]) -> Vec<ArrayRef>;

    /// Adds the columns of another accumulator's `state`: row i goes to `slots[i]`.
    fn merge(&mut self, slots: &[u32], state: &[ArrayRef]) -> Result<()>;

    /// Appends the full value of a slot, for the store.
    fn encode(&self, slot: usize, out: &mut Vec<u8>);

    /// Reads what `encode` wrote from the front of `bytes` into a slot.
    fn decode(&mut self, slot: usize, bytes: &mut &[u8]) -> Result<()>;

    /// The results of some slots.
    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef>;
}

/// The accumulator of an aggregate.
pub(super) fn accumulator_for(spec: &AggregateSpec) -> Result<Box<dyn Accumulator>> {
    Ok(match (spec.function, &spec.argument_type) {
        (AggregateFunctionKind::Count, _) => Box::new(count::Count::default()),
        (AggregateFunctionKind::Sum, DataType::Int64) => Box::new(sum::SumInteger::default()),
        (AggregateFunctionKind::Sum, DataType::Float64) => Box::new(sum::SumFloat::default()),
        (AggregateFunctionKind::Avg, DataType::Float64) => Box::new(average::Average::default()),
        (AggregateFunctionKind::Min | AggregateFunctionKind::Max, argument) => {
            let largest = spec.function == AggregateFunctionKind::Max;
            match argument {
                DataType::Utf8 => Box::new(extreme::ExtremeText::new(largest)),
                DataType::Float32 | DataType::Float64 => {
                    Box::new(extreme::ExtremeFloat::new(largest, argument.clone()))
                }
                _ => Box::new(extreme::ExtremeInteger::new(largest, argument.clone())),
            }
        }
        (function, argument) => {
            return Err(SqlError::unsupported(format!(
                "{function} over {argument} is not supported"
            )));
        }
    })
}

/// Calls `f(row, slot)` for the rows that count.
fn for_each(
    slots: &[u32],
    values: Option<&ArrayRef>,
    mask: Option<&BooleanArray>,
    mut f: impl FnMut(usize, usize),
) {
    let nulls = values
        .and_then(|v| v.logical_nulls())
        .filter(|n| n.null_count() > 0);
    match (nulls, mask) {
        (None, None) => slots
            .iter()
            .enumerate()
            .for_each(|(row, slot)| f(row, *slot as usize)),
        (nulls, mask) => {
            for (row, slot) in slots.iter().enumerate() {
                let present = nulls.as_ref().is_none_or(|n| n.is_valid(row));
                let wanted = mask.is_none_or(|m| m.is_valid(row) && m.value(row));
                if present && wanted {
                    f(row, *slot as usize);
                }
            }
        }
    }
}

/// Takes `N` bytes off the front.
fn take_bytes<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N]> {
    match bytes.split_first_chunk::<N>() {
        Some((head, rest)) => {
            *bytes = rest;
            Ok(*head)
        }
        None => Err(SqlError::invalid("a stored group ends too early")),
    }
}

fn wrong_state() -> SqlError {
    SqlError::invalid("a pre-aggregated batch does not fit the view's aggregates")
}

#[cfg(test)]
mod accumulators_test;
