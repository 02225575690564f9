//! MIN and MAX over rows that are only ever added: the extreme alone is kept.
//!
//! Always true: values are compared and kept as their arrow-row bytes, so the order is that of the store of values (NaN is larger than every
//! number), and a MIN over append-only input gives what a MIN over changing input would.

use datafusion::arrow::array::{ArrayRef, UInt32Array, new_null_array};
use datafusion::arrow::compute::take as take_rows;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::row::{RowConverter, RowParser, SortField};

use super::sums::{counted, damaged, take};
use crate::error::{Result, SqlError};

/// The extremes of one call for all groups.
pub(super) struct Extremes {
    largest: bool,
    converter: RowConverter,
    parser: RowParser,
    values: Vec<Option<Box<[u8]>>>,
}

impl Extremes {
    pub(super) fn new(largest: bool, field: SortField) -> Result<Extremes> {
        let converter =
            RowConverter::new(vec![field]).map_err(|e| SqlError::runtime("encoding values", e))?;
        Ok(Extremes {
            largest,
            parser: converter.parser(),
            converter,
            values: Vec::new(),
        })
    }

    pub(super) fn resize(&mut self, slots: usize) {
        self.values.resize(slots, None);
    }

    /// Adds values; gives by how many bytes what is kept grew.
    pub(super) fn add(&mut self, slots: &[u32], values: &ArrayRef, weights: &[i64]) -> Result<usize> {
        let rows = self
            .converter
            .convert_columns(std::slice::from_ref(values))
            .map_err(|e| SqlError::runtime("encoding values", e))?;
        let mut grown = 0;
        for (row, slot, weight) in counted(slots, weights) {
            if weight < 0 {
                return Err(SqlError::invalid(
                    "a row was taken back from rows that are only added",
                ));
            }
            let (row, known) = (rows.row(row), &mut self.values[slot]);
            let replaces = match known.as_deref() {
                None => true,
                Some(old) if self.largest => row.data() > old,
                Some(old) => row.data() < old,
            };
            if replaces {
                grown += row.data().len();
                *known = Some(row.data().into());
            }
        }
        Ok(grown)
    }

    pub(super) fn is_zero(&self, slot: usize) -> bool {
        self.values[slot].is_none()
    }

    pub(super) fn encode(&self, slot: usize, out: &mut Vec<u8>) {
        match &self.values[slot] {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                out.extend_from_slice(&(value.len() as u32).to_le_bytes());
                out.extend_from_slice(value);
            }
        }
    }

    pub(super) fn decode(&mut self, slot: usize, bytes: &mut &[u8]) -> Result<()> {
        self.values[slot] = match take::<1>(bytes)? {
            [0] => None,
            [1] => {
                let length = u32::from_le_bytes(take(bytes)?) as usize;
                let (value, rest) = bytes.split_at_checked(length).ok_or_else(damaged)?;
                *bytes = rest;
                Some(value.into())
            }
            _ => return Err(damaged()),
        };
        Ok(())
    }

    pub(super) fn evaluate(&self, slots: &[u32], kind: &DataType) -> Result<ArrayRef> {
        let values = slots.iter().map(|slot| self.values[*slot as usize].as_deref());
        decode_some(&self.converter, &self.parser, values, kind)
    }
}

/// Values of one column from their bytes; NULL where there are none.
pub(super) fn decode_some<'a>(
    converter: &RowConverter,
    parser: &RowParser,
    values: impl Iterator<Item = Option<&'a [u8]>>,
    kind: &DataType,
) -> Result<ArrayRef> {
    let failed = |e| SqlError::runtime("decoding values", e);
    let mut present: Vec<&[u8]> = Vec::new();
    let places: UInt32Array = values
        .map(|value| {
            value.map(|value| {
                present.push(value);
                present.len() as u32 - 1
            })
        })
        .collect();
    if present.is_empty() {
        return Ok(new_null_array(kind, places.len()));
    }
    let columns = converter
        .convert_rows(present.iter().map(|value| parser.parse(value)))
        .map_err(failed)?;
    let [column] = columns.as_slice() else {
        return Err(damaged());
    };
    take_rows(column, &places, None).map_err(failed)
}
