//! SUM and AVG of floats, exactly: a state is the true sum of its values, and only the result is rounded, once.
//!
//! Always true: `ExactSum` holds doubles that do not overlap and whose sum is the exact one (Shewchuk 1997); so values that are taken back leave
//! nothing behind, and the order in which rows came cannot be seen. Infinities and NaN are counted beside them. Compensated (Neumaier) summation
//! would not do: what it loses to a large value it does not get back when that is taken away.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array};
use datafusion::arrow::datatypes::{DataType, Float64Type};

use super::sums::{Failures, Sums, counted, damaged, take, values_as};
use crate::error::Result;

/// Values from 2^900 on are kept apart and divided by 2^128, so no sum of as many as can be counted overflows.
const LARGE: f64 = f64::from_bits((1023 + 900) << 52);
const DOWN: f64 = f64::from_bits((1023 - 128) << 52);
const UP: f64 = f64::from_bits((1023 + 128) << 52);

/// SUM or AVG.
pub(super) struct Floats {
    average: bool,
    sums: Vec<ExactSum>,
    counts: Vec<i64>,
}

impl Floats {
    pub(super) fn new(average: bool) -> Floats {
        Floats {
            average,
            sums: Vec::new(),
            counts: Vec::new(),
        }
    }
}

impl Sums for Floats {
    fn resize(&mut self, slots: usize) {
        self.sums.resize_with(slots, ExactSum::default);
        self.counts.resize(slots, 0);
    }

    fn add(&mut self, slots: &[u32], values: Option<&ArrayRef>, weights: &[i64]) -> Result<()> {
        let values = values_as(values, &DataType::Float64)?;
        let values = values.as_primitive::<Float64Type>().values();
        for (row, slot, weight) in counted(slots, weights) {
            self.sums[slot].add(values[row], weight);
            self.counts[slot] += weight;
        }
        Ok(())
    }

    fn is_zero(&self, slot: usize) -> bool {
        self.counts[slot] == 0 && self.sums[slot].is_zero()
    }

    fn encode(&self, slot: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.counts[slot].to_le_bytes());
        self.sums[slot].encode(out);
    }

    fn decode(&mut self, slot: usize, bytes: &mut &[u8]) -> Result<()> {
        self.counts[slot] = i64::from_le_bytes(take(bytes)?);
        self.sums[slot] = ExactSum::decode(bytes)?;
        Ok(())
    }

    fn evaluate(&self, slots: &[u32], _failures: &mut Failures) -> ArrayRef {
        let results = slots.iter().map(|slot| {
            let (sum, count) = (&self.sums[*slot as usize], self.counts[*slot as usize]);
            let divisor = if self.average { count as f64 } else { 1.0 };
            (count > 0).then(|| sum.value() / divisor)
        });
        Arc::new(results.collect::<Float64Array>())
    }

    fn words(&self) -> &'static str {
        "exact float sum"
    }
}

/// The sum of doubles that were added and taken back.
#[derive(Debug, Clone, Default)]
pub(super) struct ExactSum {
    /// Of values below [`LARGE`], smallest first.
    small: Vec<f64>,
    /// Of the others, times [`DOWN`].
    large: Vec<f64>,
    /// How many are NaN, infinite, negative infinite.
    odd: [i64; 3],
}

impl ExactSum {
    /// Adds `value` so many times.
    pub(super) fn add(&mut self, value: f64, weight: i64) {
        if !value.is_finite() {
            let kind = if value.is_nan() {
                0
            } else {
                1 + usize::from(value < 0.0)
            };
            self.odd[kind] += weight;
            return;
        }
        let (partials, value) = if value.abs() >= LARGE {
            (&mut self.large, value * DOWN)
        } else {
            (&mut self.small, value)
        };
        if weight == 1 || weight == -1 {
            grow(partials, value * weight as f64);
            return;
        }
        // Both parts are whole doubles, and each product is the sum of two.
        let low = weight % (1 << 32);
        for part in [low as f64, (weight - low) as f64] {
            let product = value * part;
            grow(partials, product);
            grow(partials, value.mul_add(part, -product));
        }
    }

    /// The sum, rounded to the nearest double.
    pub(super) fn value(&self) -> f64 {
        let [nan, positive, negative] = self.odd.map(|count| count > 0);
        if nan || (positive && negative) {
            return f64::NAN;
        }
        if positive || negative {
            return if positive {
                f64::INFINITY
            } else {
                f64::NEG_INFINITY
            };
        }
        if self.large.is_empty() {
            return round(&self.small);
        }
        // What the small ones lose by the division is far below the last bit of the large ones.
        let mut all = self.large.clone();
        self.small
            .iter()
            .for_each(|partial| grow(&mut all, partial * DOWN));
        round(&all) * UP
    }

    fn is_zero(&self) -> bool {
        self.small.is_empty() && self.large.is_empty() && self.odd == [0; 3]
    }

    fn encode(&self, out: &mut Vec<u8>) {
        for partials in [&self.small, &self.large] {
            out.push(partials.len() as u8);
            partials
                .iter()
                .for_each(|partial| out.extend_from_slice(&partial.to_le_bytes()));
        }
        let is_odd = self.odd != [0; 3];
        out.push(u8::from(is_odd));
        if is_odd {
            self.odd
                .iter()
                .for_each(|count| out.extend_from_slice(&count.to_le_bytes()));
        }
    }

    fn decode(bytes: &mut &[u8]) -> Result<ExactSum> {
        let mut sum = ExactSum::default();
        for partials in [&mut sum.small, &mut sum.large] {
            for _ in 0..take::<1>(bytes)?[0] {
                partials.push(f64::from_le_bytes(take(bytes)?));
            }
        }
        match take::<1>(bytes)? {
            [0] => {}
            [1] => {
                for count in &mut sum.odd {
                    *count = i64::from_le_bytes(take(bytes)?);
                }
            }
            _ => return Err(damaged()),
        }
        Ok(sum)
    }
}

/// Adds a double to a sum of doubles that do not overlap. No more than 40 of them can stand side by side.
fn grow(partials: &mut Vec<f64>, mut value: f64) {
    let mut kept = 0;
    for place in 0..partials.len() {
        let mut other = partials[place];
        if value.abs() < other.abs() {
            std::mem::swap(&mut value, &mut other);
        }
        let sum = value + other;
        let rest = other - (sum - value);
        if rest != 0.0 {
            partials[kept] = rest;
            kept += 1;
        }
        value = sum;
    }
    partials.truncate(kept);
    if value != 0.0 {
        partials.push(value);
    }
}

/// The nearest double to their sum, to the even one of two as near.
fn round(partials: &[f64]) -> f64 {
    let mut rest = partials.iter().rev();
    let mut sum = rest.next().copied().unwrap_or(0.0);
    let mut low = 0.0;
    for partial in rest.by_ref() {
        let before = sum;
        sum = before + partial;
        low = partial - (sum - before);
        if low != 0.0 {
            break;
        }
    }
    // Half way between two doubles, what lies below decides.
    if let Some(next) = rest.next()
        && ((low < 0.0 && *next < 0.0) || (low > 0.0 && *next > 0.0))
    {
        let twice = low * 2.0;
        let rounded = sum + twice;
        if rounded - sum == twice {
            sum = rounded;
        }
    }
    sum
}

#[cfg(test)]
#[path = "floats_test.rs"]
mod floats_test;
