//! MIN and MAX over integers (and what is stored as integers: dates, timestamps, booleans), floats and strings.
//!
//! Input is append-only, so the running extreme is enough.

use std::cmp::Ordering;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};

use super::{Accumulator, for_each, take_bytes, wrong_state};
use crate::error::{Result, SqlError};

macro_rules! extreme {
    ($(#[$doc:meta])* $name:ident, $native:ty, $arrow:ty, $array:ty, $stored:expr, $replaces:expr) => {
        $(#[$doc])*
        pub(super) struct $name {
            largest: bool,
            argument: DataType,
            values: Vec<$native>,
            seen: Vec<bool>,
        }

        impl $name {
            pub(super) fn new(largest: bool, argument: DataType) -> $name {
                $name { largest, argument, values: Vec::new(), seen: Vec::new() }
            }

            fn offer(&mut self, slot: usize, value: $native) {
                let replaces: fn(bool, $native, $native) -> bool = $replaces;
                if !self.seen[slot] || replaces(self.largest, self.values[slot], value) {
                    self.values[slot] = value;
                    self.seen[slot] = true;
                }
            }
        }

        impl Accumulator for $name {
            fn resize(&mut self, slots: usize) {
                self.values.resize(slots, <$native>::default());
                self.seen.resize(slots, false);
            }

            fn update(
                &mut self,
                slots: &[u32],
                values: Option<&ArrayRef>,
                mask: Option<&BooleanArray>,
            ) -> Result<()> {
                let stored = convert(values.ok_or_else(wrong_state)?, &$stored)?;
                let column = stored.as_primitive_opt::<$arrow>().ok_or_else(wrong_state)?;
                for_each(slots, Some(&stored), mask, |row, slot| self.offer(slot, column.value(row)));
                Ok(())
            }

            fn state_types(&self) -> Vec<DataType> {
                vec![$stored]
            }

            fn state(&self, slots: &[u32]) -> Vec<ArrayRef> {
                let values: $array = slots
                    .iter()
                    .map(|slot| self.seen[*slot as usize].then(|| self.values[*slot as usize]))
                    .collect();
                vec![Arc::new(values)]
            }

            fn merge(&mut self, slots: &[u32], state: &[ArrayRef]) -> Result<()> {
                let [values] = state else { return Err(wrong_state()) };
                let column = values.as_primitive_opt::<$arrow>().ok_or_else(wrong_state)?;
                for_each(slots, Some(values), None, |row, slot| self.offer(slot, column.value(row)));
                Ok(())
            }

            fn encode(&self, slot: usize, out: &mut Vec<u8>) {
                out.push(u8::from(self.seen[slot]));
                out.extend_from_slice(&self.values[slot].to_le_bytes());
            }

            fn decode(&mut self, slot: usize, bytes: &mut &[u8]) -> Result<()> {
                self.seen[slot] = take_bytes::<1>(bytes)?[0] != 0;
                self.values[slot] = <$native>::from_le_bytes(take_bytes(bytes)?);
                Ok(())
            }

            fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
                convert(&self.state(slots)[0], &self.argument)
            }
        }
    };
}

extreme!(
    /// Extremes of whatever fits 64-bit integers.
    ExtremeInteger, i64, Int64Type, Int64Array, DataType::Int64,
    |largest, old, new| if largest { new > old } else { new < old }
);
extreme!(
    /// Extremes of floats. NaN is larger than every number, as in Postgres: a total order, so that the result does not depend on
    /// where batches and commits happened to end.
    ExtremeFloat, f64, Float64Type, Float64Array, DataType::Float64,
    |largest, old, new| {
        let order = old.is_nan().cmp(&new.is_nan()).then(if old.is_nan() {
            Ordering::Equal
        } else {
            old.total_cmp(&new)
        });
        if largest { order.is_lt() } else { order.is_gt() }
    }
);

/// Casts between the argument's type and the stored one.
fn convert(values: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if values.data_type() == to {
        return Ok(values.clone());
    }
    cast(values, to).map_err(|e| SqlError::runtime("converting an extreme", e))
}

/// Extremes of strings, by bytes.
pub(super) struct ExtremeText {
    largest: bool,
    values: Vec<Option<Box<str>>>,
}

impl ExtremeText {
    pub(super) fn new(largest: bool) -> ExtremeText {
        ExtremeText {
            largest,
            values: Vec::new(),
        }
    }

    fn offer(&mut self, slot: usize, value: &str) {
        let replaces = match self.values[slot].as_deref() {
            None => true,
            Some(old) if self.largest => value > old,
            Some(old) => value < old,
        };
        if replaces {
            self.values[slot] = Some(value.into());
        }
    }
}

impl Accumulator for ExtremeText {
    fn resize(&mut self, slots: usize) {
        self.values.resize(slots, None);
    }

    fn update(
        &mut self,
        slots: &[u32],
        values: Option<&ArrayRef>,
        mask: Option<&BooleanArray>,
    ) -> Result<()> {
        let column = values
            .and_then(|v| v.as_string_opt::<i32>())
            .ok_or_else(wrong_state)?;
        for_each(slots, values, mask, |row, slot| {
            self.offer(slot, column.value(row))
        });
        Ok(())
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Utf8]
    }

    fn state(&self, slots: &[u32]) -> Vec<ArrayRef> {
        let values: StringArray = slots
            .iter()
            .map(|slot| self.values[*slot as usize].as_deref())
            .collect();
        vec![Arc::new(values)]
    }

    fn merge(&mut self, slots: &[u32], state: &[ArrayRef]) -> Result<()> {
        let [values] = state else {
            return Err(wrong_state());
        };
        self.update(slots, Some(values), None)
    }

    fn encode(&self, slot: usize, out: &mut Vec<u8>) {
        match &self.values[slot] {
            None => out.push(0),
            Some(text) => {
                out.push(1);
                out.extend_from_slice(&(text.len() as u32).to_le_bytes());
                out.extend_from_slice(text.as_bytes());
            }
        }
    }

    fn decode(&mut self, slot: usize, bytes: &mut &[u8]) -> Result<()> {
        let corrupt = || SqlError::invalid("a stored group ends too early");
        self.values[slot] = match take_bytes::<1>(bytes)?[0] {
            0 => None,
            _ => {
                let length = u32::from_le_bytes(take_bytes(bytes)?) as usize;
                let (text, rest) = bytes.split_at_checked(length).ok_or_else(corrupt)?;
                *bytes = rest;
                Some(std::str::from_utf8(text).map_err(|_| corrupt())?.into())
            }
        };
        Ok(())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        Ok(self.state(slots).swap_remove(0))
    }
}
