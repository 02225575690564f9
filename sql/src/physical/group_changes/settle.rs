//! From groups that changed to the rows that leave: the old one taken back, the new one added.
//!
//! Always true: a group whose result cannot be computed goes to the dead-letter topic with its key and the reason, and has no row. Values are read
//! by one walk per group and set.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, Int64Array};
use datafusion::arrow::row::Rows;
use datafusion::logical_expr::Accumulator;
use datafusion::scalar::ScalarValue;
use millpond_streams::processor::{Batch, Headers, ProcessContext, RawRecord};
use millpond_streams::state::KeyRange;

use super::super::calc::batch_of;
use super::calls::CallKind;
use super::extremes::decode_some;
use super::replay::Replay;
use super::sums::Failures;
use super::value_set::weight_from;
use super::{ColumnBatch, GroupChanges, Result, SqlError};

/// Values read from the store before they are fed on.
const VALUES_MAX: usize = 8192;

/// Rows that leave: slot of the group, results, weight.
type Leaving<'a> = Vec<(u32, Cow<'a, [u8]>, i64)>;

impl GroupChanges {
    /// Writes all that changed, and lets the changes out.
    pub(super) fn settle_all(&mut self, context: &mut ProcessContext<'_>) -> Result<()> {
        self.write_values(context)?;
        for chunk in self.groups.take_touched().chunks(self.limits.chunk) {
            self.settle(chunk, context)?;
        }
        if self.bytes() > self.limits.groups {
            self.forget();
        }
        Ok(())
    }

    fn settle(&mut self, slots: &[u32], context: &mut ProcessContext<'_>) -> Result<()> {
        let there: Vec<u32> = slots
            .iter()
            .copied()
            .filter(|slot| self.is_there(*slot))
            .collect();
        let mut failed = BTreeMap::new();
        let results = self.results_of(&there, &mut failed, context)?;
        for (place, reason) in &failed {
            let key = self.key_text(there[*place])?;
            context.dead_letter(&without_origin(key), reason);
        }
        let mut places = there.iter().enumerate().peekable();
        let mut leaving: Leaving<'_> = Vec::new();
        for slot in slots {
            let place = places
                .next_if(|(_, there)| *there == slot)
                .map(|(place, _)| place);
            let new = place
                .filter(|place| !failed.contains_key(place))
                .map(|place| results.as_ref().map_or(&[][..], |rows| rows.row(place).data()));
            let index = *slot as usize;
            if self.groups.shown[index].as_deref() == new {
                continue;
            }
            let old = self.groups.shown[index].clone();
            self.groups.show(index, new.map(Box::from));
            leaving.extend(old.map(|old| (*slot, Cow::Owned(old.into_vec()), -1)));
            leaving.extend(new.map(|new| (*slot, Cow::Borrowed(new), 1)));
        }
        if !leaving.is_empty() {
            let batch = self.batch_of(&leaving)?;
            context.forward(Batch::Columns(Box::new(batch)));
        }
        let mut store = context.store(self.stores()?.groups);
        let mut value = Vec::new();
        for slot in slots {
            let key = self.groups.table.key(*slot);
            if self.groups.is_zero(&self.calls, *slot as usize) && self.keys.is_some() {
                store.delete(key);
            } else {
                self.groups.encode(&self.calls, *slot as usize, &mut value);
                store.put(key, &value);
            }
        }
        Ok(())
    }

    /// The results of groups that are there as bytes; none when there is nothing to compute.
    fn results_of(
        &self,
        slots: &[u32],
        failed: &mut BTreeMap<usize, String>,
        context: &mut ProcessContext<'_>,
    ) -> Result<Option<Rows>> {
        let Some(encoding) = self.results.as_ref().filter(|_| !slots.is_empty()) else {
            return Ok(None);
        };
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.calls.len()];
        let mut failures: Vec<Failures> = vec![Failures::new(); self.calls.len()];
        for (index, call) in self.calls.iter().enumerate() {
            columns[index] = match &call.kind {
                CallKind::Sums(sums) | CallKind::Distinct(_, sums) => {
                    Some(sums.evaluate(slots, &mut failures[index]))
                }
                CallKind::Extreme(extremes) => Some(extremes.evaluate(slots, &call.output_type)?),
                CallKind::First(_) | CallKind::Replay(..) => None,
            };
        }
        for set in 0..self.sets.len() {
            self.read_values(set, slots, &mut columns, &mut failures, context)?;
        }
        for (call, failures) in self.calls.iter().zip(failures) {
            for (place, reason) in failures {
                failed
                    .entry(place)
                    .or_insert_with(|| format!("cannot compute {}: {reason}", call.text));
            }
        }
        let columns: Option<Vec<ArrayRef>> = columns.into_iter().collect();
        let columns = columns.ok_or_else(|| SqlError::invalid("an aggregate has no result"))?;
        let rows = encoding.converter.convert_columns(&columns);
        rows.map(Some)
            .map_err(|e| SqlError::runtime("encoding the results of groups", e))
    }

    /// The results of the calls that read the values of a set.
    fn read_values(
        &self,
        number: usize,
        slots: &[u32],
        columns: &mut [Option<ArrayRef>],
        failures: &mut [Failures],
        context: &mut ProcessContext<'_>,
    ) -> Result<()> {
        let calls = || self.calls.iter().enumerate();
        let replays: Vec<(usize, &Replay)> = calls()
            .filter_map(|(index, call)| match &call.kind {
                CallKind::Replay(set, replay) if *set == number => Some((index, replay.as_ref())),
                _ => None,
            })
            .collect();
        let firsts: Vec<usize> = calls()
            .filter(|(_, call)| matches!(call.kind, CallKind::First(set) if set == number))
            .map(|(index, _)| index)
            .collect();
        if replays.is_empty() && firsts.is_empty() {
            return Ok(());
        }
        let mut first_values: Vec<Option<Vec<u8>>> = Vec::with_capacity(slots.len());
        let mut results: Vec<Vec<ScalarValue>> = vec![Vec::with_capacity(slots.len()); replays.len()];
        for (place, slot) in slots.iter().enumerate() {
            let (first, scalars) = self.walk(number, *slot, &replays, context)?;
            first_values.push(first);
            for ((result, scalar), (index, _)) in results.iter_mut().zip(scalars).zip(&replays) {
                match scalar {
                    Ok(scalar) => result.push(scalar),
                    Err(reason) => {
                        failures[*index].push((place, reason));
                        let null = ScalarValue::try_from(&self.calls[*index].output_type);
                        result.push(null.map_err(|e| SqlError::runtime("making a NULL", e))?);
                    }
                }
            }
        }
        let set = &self.sets[number];
        for index in firsts {
            let values = first_values.iter().map(Option::as_deref);
            let kind = &self.calls[index].output_type;
            columns[index] = Some(decode_some(&set.converter, &set.parser, values, kind)?);
        }
        for ((index, _), result) in replays.iter().zip(results) {
            let column = ScalarValue::iter_to_array(result);
            columns[*index] = Some(column.map_err(|e| SqlError::runtime("collecting results", e))?);
        }
        Ok(())
    }

    /// Walks over the values of a group: the first, and what the replayed functions say of them all.
    #[allow(clippy::type_complexity)]
    fn walk(
        &self,
        number: usize,
        slot: u32,
        replays: &[(usize, &Replay)],
        context: &mut ProcessContext<'_>,
    ) -> Result<(Option<Vec<u8>>, Vec<Result<ScalarValue, String>>)> {
        let Some(store) = self.stores()?.values else {
            return Err(SqlError::invalid("the groups have no store of values"));
        };
        let mut accumulators: Vec<Result<Box<dyn Accumulator>, String>> =
            replays.iter().map(|(_, replay)| replay.accumulator()).collect();
        let mut prefix = self.groups.table.key(slot).to_vec();
        prefix.push(number as u8);
        let failed = |e| SqlError::runtime("reading values", e);
        let mut handle = context.store(store);
        let mut scan = handle.scan(&KeyRange::prefix(&prefix)).map_err(failed)?;
        let mut first = None;
        let mut read = ReadValues::default();
        while let Some((key, value)) = scan.next_entry().map_err(failed)? {
            let weight = weight_from(value)?;
            if weight <= 0 {
                continue;
            }
            let row = &key[prefix.len()..];
            if first.is_none() {
                first = Some(row.to_vec());
                if replays.is_empty() {
                    break;
                }
            }
            read.push(row, weight);
            if read.weights.len() == VALUES_MAX {
                self.feed(number, &mut read, replays, &mut accumulators)?;
            }
        }
        self.feed(number, &mut read, replays, &mut accumulators)?;
        let results = replays
            .iter()
            .zip(accumulators)
            .map(|((_, replay), accumulator)| {
                accumulator.and_then(|mut accumulator| replay.result(accumulator.as_mut()))
            });
        Ok((first, results.collect()))
    }

    fn feed(
        &self,
        number: usize,
        read: &mut ReadValues,
        replays: &[(usize, &Replay)],
        accumulators: &mut [Result<Box<dyn Accumulator>, String>],
    ) -> Result<()> {
        if read.weights.is_empty() || replays.is_empty() {
            return Ok(());
        }
        let columns = self.sets[number].decode(read.rows())?;
        for ((_, replay), accumulator) in replays.iter().zip(accumulators) {
            if let Ok(fed) = accumulator
                && let Err(reason) = replay.feed(fed.as_mut(), &columns, &read.weights)
            {
                *accumulator = Err(reason);
            }
        }
        read.clear();
        Ok(())
    }

    fn batch_of(&self, leaving: &Leaving<'_>) -> Result<ColumnBatch> {
        let mut columns = Vec::with_capacity(self.plan.schema.fields().len());
        if let Some(keys) = &self.keys {
            let rows = leaving.iter().map(|(slot, ..)| self.groups.table.key(*slot));
            columns.extend(keys.decode(rows)?);
        }
        if let Some(results) = &self.results {
            columns.extend(results.decode(leaving.iter().map(|(_, row, _)| row.as_ref()))?);
        }
        let batch = batch_of(&self.plan.schema, columns, leaving.len())?;
        let weights = Int64Array::from_iter_values(leaving.iter().map(|(.., weight)| *weight));
        Ok(ColumnBatch::weighted(batch, weights))
    }

    /// The key of a group as JSON.
    fn key_text(&mut self, slot: u32) -> Result<Bytes> {
        let Some(keys) = &self.keys else {
            return Ok(Bytes::from_static(b"{}"));
        };
        let columns = keys.decode(std::iter::once(self.groups.table.key(slot)))?;
        let indices: Vec<usize> = (0..columns.len()).collect();
        let schema = self.plan.schema.project(&indices);
        let schema = schema.map_err(|e| SqlError::runtime("making keys", e))?;
        let rows = self.writer.rows(&batch_of(&schema.into(), columns, 1)?)?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }
}

/// Values read and not yet fed.
#[derive(Default)]
struct ReadValues {
    arena: Vec<u8>,
    ends: Vec<usize>,
    weights: Vec<i64>,
}

impl ReadValues {
    fn push(&mut self, row: &[u8], weight: i64) {
        self.arena.extend_from_slice(row);
        self.ends.push(self.arena.len());
        self.weights.push(weight);
    }

    fn rows(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts
            .zip(&self.ends)
            .map(|(start, end)| &self.arena[*start..*end])
    }

    fn clear(&mut self) {
        self.arena.clear();
        self.ends.clear();
        self.weights.clear();
    }
}

/// A group whose result cannot be computed comes from no single record.
fn without_origin(key: Bytes) -> RawRecord {
    RawRecord {
        origin: None,
        key: Some(key),
        value: None,
        timestamp: 0,
        headers: Headers::NONE,
    }
}
