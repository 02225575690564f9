//! AVG over doubles, as a sum and a count. NULL until a row counts.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};

use super::{Accumulator, for_each, take_bytes, wrong_state};
use crate::error::Result;

#[derive(Default)]
pub(super) struct Average {
    sums: Vec<f64>,
    counts: Vec<i64>,
}

impl Accumulator for Average {
    fn resize(&mut self, slots: usize) {
        self.sums.resize(slots, 0.0);
        self.counts.resize(slots, 0);
    }

    fn update(
        &mut self,
        slots: &[u32],
        values: Option<&ArrayRef>,
        mask: Option<&BooleanArray>,
    ) -> Result<()> {
        let column = values
            .and_then(|v| v.as_primitive_opt::<Float64Type>())
            .ok_or_else(wrong_state)?;
        for_each(slots, values, mask, |row, slot| {
            self.sums[slot] += column.value(row);
            self.counts[slot] += 1;
        });
        Ok(())
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Float64, DataType::Int64]
    }

    fn state(&self, slots: &[u32]) -> Vec<ArrayRef> {
        vec![
            Arc::new(Float64Array::from_iter_values(
                slots.iter().map(|s| self.sums[*s as usize]),
            )),
            Arc::new(Int64Array::from_iter_values(
                slots.iter().map(|s| self.counts[*s as usize]),
            )),
        ]
    }

    fn merge(&mut self, slots: &[u32], state: &[ArrayRef]) -> Result<()> {
        let [sums, counts] = state else {
            return Err(wrong_state());
        };
        let sums = sums.as_primitive_opt::<Float64Type>().ok_or_else(wrong_state)?;
        let counts = counts.as_primitive_opt::<Int64Type>().ok_or_else(wrong_state)?;
        for (row, slot) in slots.iter().enumerate() {
            self.sums[*slot as usize] += sums.value(row);
            self.counts[*slot as usize] += counts.value(row);
        }
        Ok(())
    }

    fn encode(&self, slot: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.sums[slot].to_le_bytes());
        out.extend_from_slice(&self.counts[slot].to_le_bytes());
    }

    fn decode(&mut self, slot: usize, bytes: &mut &[u8]) -> Result<()> {
        self.sums[slot] = f64::from_le_bytes(take_bytes(bytes)?);
        self.counts[slot] = i64::from_le_bytes(take_bytes(bytes)?);
        Ok(())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let averages: Float64Array = slots
            .iter()
            .map(|slot| {
                let slot = *slot as usize;
                (self.counts[slot] > 0).then(|| self.sums[slot] / self.counts[slot] as f64)
            })
            .collect();
        Ok(Arc::new(averages))
    }
}
