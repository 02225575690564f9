//! SUM over integers (wrapping, as DataFusion's) and over doubles. NULL until a row counts.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};

use super::{Accumulator, for_each, take_bytes, wrong_state};
use crate::error::Result;

macro_rules! sum {
    ($(#[$doc:meta])* $name:ident, $native:ty, $arrow:ty, $array:ty, $type:expr, $add:expr) => {
        $(#[$doc])*
        #[derive(Default)]
        pub(super) struct $name {
            sums: Vec<$native>,
            seen: Vec<bool>,
        }

        impl $name {
            fn add(&mut self, slot: usize, value: $native) {
                const ADD: fn($native, $native) -> $native = $add;
                self.sums[slot] = ADD(self.sums[slot], value);
                self.seen[slot] = true;
            }
        }

        impl Accumulator for $name {
            fn resize(&mut self, slots: usize) {
                self.sums.resize(slots, <$native>::default());
                self.seen.resize(slots, false);
            }

            fn update(
                &mut self,
                slots: &[u32],
                values: Option<&ArrayRef>,
                mask: Option<&BooleanArray>,
            ) -> Result<()> {
                let column = values.and_then(|v| v.as_primitive_opt::<$arrow>()).ok_or_else(wrong_state)?;
                for_each(slots, values, mask, |row, slot| self.add(slot, column.value(row)));
                Ok(())
            }

            fn state_types(&self) -> Vec<DataType> {
                vec![$type]
            }

            fn state(&self, slots: &[u32]) -> Vec<ArrayRef> {
                let sums: $array = slots
                    .iter()
                    .map(|slot| self.seen[*slot as usize].then(|| self.sums[*slot as usize]))
                    .collect();
                vec![Arc::new(sums)]
            }

            fn merge(&mut self, slots: &[u32], state: &[ArrayRef]) -> Result<()> {
                let [sums] = state else { return Err(wrong_state()) };
                let sums = sums.as_primitive_opt::<$arrow>().ok_or_else(wrong_state)?;
                for (row, slot) in slots.iter().enumerate() {
                    if sums.is_valid(row) {
                        self.add(*slot as usize, sums.value(row));
                    }
                }
                Ok(())
            }

            fn encode(&self, slot: usize, out: &mut Vec<u8>) {
                out.push(u8::from(self.seen[slot]));
                out.extend_from_slice(&self.sums[slot].to_le_bytes());
            }

            fn decode(&mut self, slot: usize, bytes: &mut &[u8]) -> Result<()> {
                self.seen[slot] = take_bytes::<1>(bytes)?[0] != 0;
                self.sums[slot] = <$native>::from_le_bytes(take_bytes(bytes)?);
                Ok(())
            }

            fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
                Ok(self.state(slots).swap_remove(0))
            }
        }
    };
}

sum!(
    /// Sums of 64-bit integers.
    SumInteger, i64, Int64Type, Int64Array, DataType::Int64, i64::wrapping_add
);
sum!(
    /// Sums of doubles, in the order of arrival.
    SumFloat, f64, Float64Type, Float64Array, DataType::Float64, |a, b| a + b
);
