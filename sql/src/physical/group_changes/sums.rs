//! Aggregates whose state is a sum: what adding a row does, taking it back undoes exactly.
//!
//! Always true: a state depends on the sum of the weights of each value alone, not on the order in which rows came; so integers and decimals are
//! added in wider types, where nothing is lost, and only a result that does not fit its type fails. Floats: `floats.rs`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, UInt64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Int64Type, UInt64Type, i256};
use datafusion::functions_aggregate::average::Avg;
use datafusion::functions_aggregate::bool_and_or::{BoolAnd, BoolOr};
use datafusion::functions_aggregate::count::Count;
use datafusion::functions_aggregate::sum::Sum;

use super::floats::Floats;
use crate::error::{Result, SqlError};
use crate::logical::AggregateCall;

/// Results that cannot be computed: (place among those asked for, reason).
pub(super) type Failures = Vec<(usize, String)>;

/// The states of one aggregate for all groups.
pub(super) trait Sums: Send {
    /// Makes room for `slots` slots; new ones are empty.
    fn resize(&mut self, slots: usize);

    /// Adds value i `weights[i]` times to `slots[i]`. A value of weight 0 does not count, whatever it is; one that counts is not NULL.
    fn add(&mut self, slots: &[u32], values: Option<&ArrayRef>, weights: &[i64]) -> Result<()>;

    /// Whether the slot is as new.
    fn is_zero(&self, slot: usize) -> bool;

    /// Appends the state of a slot.
    fn encode(&self, slot: usize, out: &mut Vec<u8>);

    /// Reads what `encode` wrote from the front of `bytes`.
    fn decode(&mut self, slot: usize, bytes: &mut &[u8]) -> Result<()>;

    /// The results of some slots; NULL where it fails.
    fn evaluate(&self, slots: &[u32], failures: &mut Failures) -> ArrayRef;

    /// What is kept, in words.
    fn words(&self) -> &'static str;
}

/// The sums that give `call` over values of type `argument`, if there are any.
pub(super) fn sums_for(call: &AggregateCall, argument: Option<&DataType>) -> Option<Box<dyn Sums>> {
    let function = call.function.inner().as_ref();
    if function.is::<Count>() {
        return Some(Box::<Counts>::default());
    }
    let average = function.is::<Avg>();
    if !average && !function.is::<Sum>() {
        let all = function.is::<BoolAnd>();
        let either = (all || function.is::<BoolOr>()) && argument == Some(&DataType::Boolean);
        return either.then(|| Box::new(Booleans::new(all)) as Box<dyn Sums>);
    }
    match (argument?, &call.output_type) {
        (argument, DataType::Float64) if argument.is_numeric() && (average || argument.is_floating()) => {
            Some(Box::new(Floats::new(average)))
        }
        (argument, kind @ (DataType::Int64 | DataType::UInt64)) if !average && argument.is_integer() => {
            Some(Box::new(Integers::new(kind.clone())))
        }
        (DataType::Decimal128(_, from), DataType::Decimal128(precision, to)) if average || from == to => {
            Some(Box::new(Decimals::new(average, *from, *precision, *to)))
        }
        _ => None,
    }
}

/// Takes `N` bytes off the front.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or_else(damaged)?;
    *bytes = rest;
    Ok(*head)
}

pub(super) fn damaged() -> SqlError {
    SqlError::invalid("a stored group is damaged")
}

/// The values in the type that is added up.
pub(super) fn values_as(values: Option<&ArrayRef>, kind: &DataType) -> Result<ArrayRef> {
    let values = values.ok_or_else(|| SqlError::invalid("an aggregate has no argument"))?;
    if values.data_type() == kind {
        return Ok(values.clone());
    }
    cast(values, kind).map_err(|e| SqlError::runtime("converting the argument of an aggregate", e))
}

/// (row, slot, weight) of the values that count.
pub(super) fn counted<'a>(
    slots: &'a [u32],
    weights: &'a [i64],
) -> impl Iterator<Item = (usize, usize, i64)> + 'a {
    let rows = slots.iter().zip(weights).enumerate();
    rows.filter(|(_, (_, weight))| **weight != 0)
        .map(|(row, (slot, weight))| (row, *slot as usize, *weight))
}

/// COUNT.
#[derive(Default)]
struct Counts(Vec<i64>);

impl Sums for Counts {
    fn resize(&mut self, slots: usize) {
        self.0.resize(slots, 0);
    }

    fn add(&mut self, slots: &[u32], _values: Option<&ArrayRef>, weights: &[i64]) -> Result<()> {
        for (slot, weight) in slots.iter().zip(weights) {
            self.0[*slot as usize] += weight;
        }
        Ok(())
    }

    fn is_zero(&self, slot: usize) -> bool {
        self.0[slot] == 0
    }

    fn encode(&self, slot: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0[slot].to_le_bytes());
    }

    fn decode(&mut self, slot: usize, bytes: &mut &[u8]) -> Result<()> {
        self.0[slot] = i64::from_le_bytes(take(bytes)?);
        Ok(())
    }

    fn evaluate(&self, slots: &[u32], _failures: &mut Failures) -> ArrayRef {
        let counts = slots.iter().map(|slot| self.0[*slot as usize]);
        Arc::new(Int64Array::from_iter_values(counts))
    }

    fn words(&self) -> &'static str {
        "count"
    }
}

/// BOOL_AND and BOOL_OR: how many are true, how many false.
struct Booleans {
    all: bool,
    trues: Vec<i64>,
    falses: Vec<i64>,
}

impl Booleans {
    fn new(all: bool) -> Booleans {
        Booleans {
            all,
            trues: Vec::new(),
            falses: Vec::new(),
        }
    }
}

impl Sums for Booleans {
    fn resize(&mut self, slots: usize) {
        self.trues.resize(slots, 0);
        self.falses.resize(slots, 0);
    }

    fn add(&mut self, slots: &[u32], values: Option<&ArrayRef>, weights: &[i64]) -> Result<()> {
        let values = values_as(values, &DataType::Boolean)?;
        let values = values.as_boolean();
        for (row, slot, weight) in counted(slots, weights) {
            let counts = if values.value(row) {
                &mut self.trues
            } else {
                &mut self.falses
            };
            counts[slot] += weight;
        }
        Ok(())
    }

    fn is_zero(&self, slot: usize) -> bool {
        self.trues[slot] == 0 && self.falses[slot] == 0
    }

    fn encode(&self, slot: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.trues[slot].to_le_bytes());
        out.extend_from_slice(&self.falses[slot].to_le_bytes());
    }

    fn decode(&mut self, slot: usize, bytes: &mut &[u8]) -> Result<()> {
        self.trues[slot] = i64::from_le_bytes(take(bytes)?);
        self.falses[slot] = i64::from_le_bytes(take(bytes)?);
        Ok(())
    }

    fn evaluate(&self, slots: &[u32], _failures: &mut Failures) -> ArrayRef {
        let results = slots.iter().map(|slot| {
            let (yes, no) = (self.trues[*slot as usize] > 0, self.falses[*slot as usize] > 0);
            (yes || no).then_some(if self.all { !no } else { yes })
        });
        Arc::new(results.collect::<BooleanArray>())
    }

    fn words(&self) -> &'static str {
        "trues and falses"
    }
}

/// SUM of integers: 128 bits, so no number of 64-bit values that can be counted goes beyond them.
struct Integers {
    kind: DataType,
    sums: Vec<i128>,
    counts: Vec<i64>,
}

impl Integers {
    fn new(kind: DataType) -> Integers {
        Integers {
            kind,
            sums: Vec::new(),
            counts: Vec::new(),
        }
    }
}

impl Sums for Integers {
    fn resize(&mut self, slots: usize) {
        self.sums.resize(slots, 0);
        self.counts.resize(slots, 0);
    }

    fn add(&mut self, slots: &[u32], values: Option<&ArrayRef>, weights: &[i64]) -> Result<()> {
        let values = values_as(values, &self.kind)?;
        let mut add = |slot: usize, value: i128, weight: i64| {
            // Wrapping: what is beyond the range on the way may come back.
            self.sums[slot] = self.sums[slot].wrapping_add(value.wrapping_mul(i128::from(weight)));
            self.counts[slot] += weight;
        };
        if self.kind == DataType::UInt64 {
            let values = values.as_primitive::<UInt64Type>().values();
            counted(slots, weights)
                .for_each(|(row, slot, weight)| add(slot, i128::from(values[row]), weight));
        } else {
            let values = values.as_primitive::<Int64Type>().values();
            counted(slots, weights)
                .for_each(|(row, slot, weight)| add(slot, i128::from(values[row]), weight));
        }
        Ok(())
    }

    fn is_zero(&self, slot: usize) -> bool {
        self.sums[slot] == 0 && self.counts[slot] == 0
    }

    fn encode(&self, slot: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.sums[slot].to_le_bytes());
        out.extend_from_slice(&self.counts[slot].to_le_bytes());
    }

    fn decode(&mut self, slot: usize, bytes: &mut &[u8]) -> Result<()> {
        self.sums[slot] = i128::from_le_bytes(take(bytes)?);
        self.counts[slot] = i64::from_le_bytes(take(bytes)?);
        Ok(())
    }

    fn evaluate(&self, slots: &[u32], failures: &mut Failures) -> ArrayRef {
        let sums = slots.iter().map(|slot| {
            let slot = *slot as usize;
            (self.counts[slot] > 0).then_some(self.sums[slot])
        });
        let mut fail = |place: usize, sum: i128| failures.push((place, format!("{sum} is out of range")));
        if self.kind == DataType::UInt64 {
            let sums = sums.enumerate().map(|(place, sum)| {
                sum.and_then(|sum| u64::try_from(sum).map_err(|_| fail(place, sum)).ok())
            });
            Arc::new(sums.collect::<UInt64Array>())
        } else {
            let sums = sums.enumerate().map(|(place, sum)| {
                sum.and_then(|sum| i64::try_from(sum).map_err(|_| fail(place, sum)).ok())
            });
            Arc::new(sums.collect::<Int64Array>())
        }
    }

    fn words(&self) -> &'static str {
        "128-bit sum"
    }
}

/// SUM and AVG of decimals: 256 bits.
struct Decimals {
    average: bool,
    from_scale: i8,
    precision: u8,
    scale: i8,
    sums: Vec<i256>,
    counts: Vec<i64>,
}

impl Decimals {
    fn new(average: bool, from_scale: i8, precision: u8, scale: i8) -> Decimals {
        Decimals {
            average,
            from_scale,
            precision,
            scale,
            sums: Vec::new(),
            counts: Vec::new(),
        }
    }

    /// The result of a slot that has values; none when it does not fit.
    fn result(&self, slot: usize) -> Option<i128> {
        let ten = i256::from_i128(10);
        let mut result = self.sums[slot];
        if self.average {
            let shift = u32::try_from(i32::from(self.scale) - i32::from(self.from_scale)).ok()?;
            result = result
                .checked_mul(ten.checked_pow(shift)?)?
                .checked_div(i256::from_i128(i128::from(self.counts[slot])))?;
        }
        let bound = ten.checked_pow(u32::from(self.precision))?;
        if result >= bound || result <= bound.wrapping_neg() {
            return None;
        }
        result.to_i128()
    }
}

impl Sums for Decimals {
    fn resize(&mut self, slots: usize) {
        self.sums.resize(slots, i256::ZERO);
        self.counts.resize(slots, 0);
    }

    fn add(&mut self, slots: &[u32], values: Option<&ArrayRef>, weights: &[i64]) -> Result<()> {
        let values = values
            .and_then(|values| values.as_primitive_opt::<Decimal128Type>())
            .ok_or_else(|| SqlError::invalid("the argument of an aggregate is no decimal"))?;
        for (row, slot, weight) in counted(slots, weights) {
            let times = i256::from_i128(i128::from(weight));
            let value = i256::from_i128(values.value(row)).wrapping_mul(times);
            self.sums[slot] = self.sums[slot].wrapping_add(value);
            self.counts[slot] += weight;
        }
        Ok(())
    }

    fn is_zero(&self, slot: usize) -> bool {
        self.sums[slot] == i256::ZERO && self.counts[slot] == 0
    }

    fn encode(&self, slot: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.sums[slot].to_le_bytes());
        out.extend_from_slice(&self.counts[slot].to_le_bytes());
    }

    fn decode(&mut self, slot: usize, bytes: &mut &[u8]) -> Result<()> {
        self.sums[slot] = i256::from_le_bytes(take(bytes)?);
        self.counts[slot] = i64::from_le_bytes(take(bytes)?);
        Ok(())
    }

    fn evaluate(&self, slots: &[u32], failures: &mut Failures) -> ArrayRef {
        let results = slots.iter().enumerate().map(|(place, slot)| {
            let slot = *slot as usize;
            if self.counts[slot] <= 0 {
                return None;
            }
            let result = self.result(slot);
            if result.is_none() {
                let type_name = format!("DECIMAL({}, {})", self.precision, self.scale);
                failures.push((place, format!("the result is out of range of {type_name}")));
            }
            result
        });
        let results: Decimal128Array = results.collect();
        Arc::new(results.with_data_type(DataType::Decimal128(self.precision, self.scale)))
    }

    fn words(&self) -> &'static str {
        "256-bit sum"
    }
}
