//! COUNT.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array};
use datafusion::arrow::datatypes::{DataType, Int64Type};

use super::{Accumulator, for_each, take_bytes, wrong_state};
use crate::error::Result;

#[derive(Default)]
pub(super) struct Count {
    counts: Vec<i64>,
}

impl Accumulator for Count {
    fn resize(&mut self, slots: usize) {
        self.counts.resize(slots, 0);
    }

    fn update(
        &mut self,
        slots: &[u32],
        values: Option<&ArrayRef>,
        mask: Option<&BooleanArray>,
    ) -> Result<()> {
        for_each(slots, values, mask, |_, slot| self.counts[slot] += 1);
        Ok(())
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Int64]
    }

    fn state(&self, slots: &[u32]) -> Vec<ArrayRef> {
        vec![Arc::new(Int64Array::from_iter_values(
            slots.iter().map(|s| self.counts[*s as usize]),
        ))]
    }

    fn merge(&mut self, slots: &[u32], state: &[ArrayRef]) -> Result<()> {
        let [counts] = state else {
            return Err(wrong_state());
        };
        let counts = counts.as_primitive_opt::<Int64Type>().ok_or_else(wrong_state)?;
        for (slot, count) in slots.iter().zip(counts.values()) {
            self.counts[*slot as usize] += count;
        }
        Ok(())
    }

    fn encode(&self, slot: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.counts[slot].to_le_bytes());
    }

    fn decode(&mut self, slot: usize, bytes: &mut &[u8]) -> Result<()> {
        self.counts[slot] = i64::from_le_bytes(take_bytes(bytes)?);
        Ok(())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        Ok(self.state(slots).swap_remove(0))
    }
}
