//! How the rows of a result lie in its store.
//!
//! Always true: key = arrow-row of the key columns; without known key columns, arrow-row of the whole row. Value = version, then for each row of
//! that key its weight (i64, little endian), its length (u32) and its arrow-row bytes; without known key columns the length is 0, because the key
//! is the row. Rows are in the order of their bytes, none has weight 0, and an empty list is no entry. A weight below 0 is a row that was taken back
//! before it came; it shows nothing.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::row::{RowConverter, RowParser, SortField};

use super::calc::batch_of;
use crate::catalog::layout_type;
use crate::error::{Result, SqlError};
use crate::logical::RowsResult;

const VERSION: u8 = 1;

/// Knows the layout of one result.
pub struct RowLayout {
    plan: RowsResult,
    rows: RowConverter,
    parser: RowParser,
    keys: RowConverter,
}

/// The columns as sort fields; errs for a type no row can be kept of, with the column's name.
pub(super) fn sort_fields(schema: &SchemaRef, columns: &[usize]) -> Result<Vec<SortField>> {
    let fields = columns.iter().map(|column| {
        let field = schema.field(*column);
        let sort = SortField::new(field.data_type().clone());
        if RowConverter::supports_fields(std::slice::from_ref(&sort)) {
            return Ok(sort);
        }
        Err(SqlError::unsupported(format!(
            "rows with column \"{}\" cannot be kept: its type is {}",
            field.name(),
            field.data_type()
        ))
        .with_hint("cast the column to another type, for example VARCHAR"))
    });
    fields.collect()
}

impl RowLayout {
    /// The layout of a result.
    pub fn new(plan: &RowsResult) -> Result<RowLayout> {
        let all: Vec<usize> = (0..plan.schema.fields().len()).collect();
        let failed = |e| SqlError::runtime("encoding rows", e);
        let rows = RowConverter::new(sort_fields(&plan.schema, &all)?).map_err(failed)?;
        let keys = plan.key.as_deref().unwrap_or_default();
        Ok(RowLayout {
            parser: rows.parser(),
            rows,
            keys: RowConverter::new(sort_fields(&plan.schema, keys)?).map_err(failed)?,
            plan: plan.clone(),
        })
    }

    /// In words, as the catalogue remembers it.
    pub fn words(&self) -> Result<String> {
        let fields = self.plan.schema.fields();
        let types = fields.iter().map(|field| layout_type(field.data_type()));
        let types = types.collect::<Result<Vec<_>>>()?.join(", ");
        Ok(match &self.plan.key {
            None => format!("rows [{types}]"),
            Some(key) => format!("rows [{types}] by {key:?}"),
        })
    }

    /// Whether rows have columns that tell them apart.
    pub(super) fn is_keyed(&self) -> bool {
        self.plan.key.is_some()
    }

    /// The bytes of keys and rows of a batch; without known keys the rows are their own keys.
    pub(super) fn encode(
        &self,
        batch: &RecordBatch,
    ) -> Result<(Option<datafusion::arrow::row::Rows>, datafusion::arrow::row::Rows)> {
        let failed = |e| SqlError::runtime("encoding rows", e);
        let rows = self.rows.convert_columns(batch.columns()).map_err(failed)?;
        let Some(key) = &self.plan.key else {
            return Ok((None, rows));
        };
        // A key without columns: there is one row at most.
        if key.is_empty() {
            return Ok((None, rows));
        }
        let columns: Vec<ArrayRef> = key.iter().map(|column| batch.column(*column).clone()).collect();
        let keys = self.keys.convert_columns(&columns).map_err(failed)?;
        Ok((Some(keys), rows))
    }

    /// Rows from their bytes.
    pub fn decode<'a>(&self, rows: impl IntoIterator<Item = &'a [u8]>) -> Result<RecordBatch> {
        let rows: Vec<&[u8]> = rows.into_iter().collect();
        let failed = |e| SqlError::runtime("decoding rows", e);
        let columns = if self.plan.schema.fields().is_empty() {
            Vec::new()
        } else {
            self.rows
                .convert_rows(rows.iter().map(|row| self.parser.parse(row)))
                .map_err(failed)?
        };
        batch_of(&self.plan.schema, columns, rows.len())
    }

    /// The key columns of rows.
    pub(super) fn key_columns(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        match &self.plan.key {
            Some(key) => rows.project(key).map_err(|e| SqlError::runtime("taking keys", e)),
            None => Ok(rows.clone()),
        }
    }

    /// The rows of a stored entry: (bytes, how many copies show).
    pub fn shown<'a>(&self, key: &'a [u8], value: &'a [u8]) -> Result<Vec<(&'a [u8], i64)>> {
        let bag = RowBag::parse(value)?;
        let rows = bag.into_iter().filter(|(_, weight)| *weight > 0);
        Ok(rows
            .map(|(row, weight)| {
                if self.is_keyed() {
                    (row, weight)
                } else {
                    (key, weight)
                }
            })
            .collect())
    }
}

/// The rows of one key with their weights.
pub(super) struct RowBag;

impl RowBag {
    /// Reads an entry.
    pub(super) fn parse(value: &[u8]) -> Result<Vec<(&[u8], i64)>> {
        let damaged = || SqlError::invalid("a stored row is damaged");
        let [VERSION, rest @ ..] = value else {
            return Err(SqlError::invalid("a stored row has an unknown version"));
        };
        let mut rest = rest;
        let mut rows = Vec::with_capacity(1);
        while !rest.is_empty() {
            let (weight, after) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
            let (length, after) = after.split_first_chunk::<4>().ok_or_else(damaged)?;
            let length = u32::from_le_bytes(*length) as usize;
            let (row, after) = after.split_at_checked(length).ok_or_else(damaged)?;
            rows.push((row, i64::from_le_bytes(*weight)));
            rest = after;
        }
        Ok(rows)
    }

    /// Writes an entry; nothing for an empty list.
    pub(super) fn write(rows: &[(&[u8], i64)], out: &mut Vec<u8>) {
        out.clear();
        out.push(VERSION);
        for (row, weight) in rows {
            out.extend_from_slice(&weight.to_le_bytes());
            out.extend_from_slice(&(row.len() as u32).to_le_bytes());
            out.extend_from_slice(row);
        }
    }

    /// The sum of two lists, both in the order of their rows.
    pub(super) fn add<'a>(old: &[(&'a [u8], i64)], new: &[(&'a [u8], i64)]) -> Vec<(&'a [u8], i64)> {
        let mut sum = Vec::with_capacity(old.len() + new.len());
        let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
        loop {
            let next = match (old.peek(), new.peek()) {
                (None, None) => return sum,
                (Some(_), None) => old.next().copied(),
                (None, Some(_)) => new.next().copied(),
                (Some((a, _)), Some((b, _))) if a < b => old.next().copied(),
                (Some((a, _)), Some((b, _))) if b < a => new.next().copied(),
                _ => old.next().zip(new.next()).map(|((row, a), (_, b))| (*row, a + b)),
            };
            sum.extend(next.filter(|(_, weight)| *weight != 0));
        }
    }
}

/// The schema of a result, shared.
impl RowLayout {
    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.plan.schema)
    }
}

#[cfg(test)]
#[path = "row_bag_test.rs"]
mod row_bag_test;
