//! Bytes of a record's value to columns and back.
//!
//! Always true: a malformed row never costs its neighbours: it is reported with its index and the reason, and the others are
//! decoded. One record is one row. `json.rs` and `csv.rs` decode, `isolate.rs` holds the way both find bad rows,
//! `json_writer.rs` writes results.

mod csv;
mod isolate;
mod json;
mod json_writer;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;

pub use json_writer::JsonWriter;

use self::isolate::Rows;
use crate::catalog::{Format, TopicTable};
use crate::error::{Result, SqlError};

/// A value that is not a row of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Index among the values handed in.
    pub index: usize,
    /// Why, as one clause.
    pub reason: String,
}

/// What came out of a run of values.
#[derive(Debug)]
pub struct Decoded {
    /// The good rows, in order.
    pub batch: RecordBatch,
    /// For each row of `batch` the index of its value; `None` when they are the same.
    pub row_to_value: Option<Vec<u32>>,
    /// The malformed values.
    pub bad: Vec<BadRow>,
}

impl Decoded {
    /// The index of the value that row `row` came from.
    pub fn value_of(&self, row: usize) -> usize {
        self.row_to_value.as_ref().map_or(row, |map| map[row] as usize)
    }
}

/// Decodes the values of one stream, for the columns that are asked for.
pub struct RowDecoder(Inner);

enum Inner {
    Json(Box<json::JsonRows>),
    Csv(Box<csv::CsvRows>),
}

impl RowDecoder {
    /// A decoder for the columns of `table` at `projection` (all, if none).
    pub fn new(table: &TopicTable, projection: Option<&[usize]>) -> Result<RowDecoder> {
        let schema = table.schema.clone();
        Ok(RowDecoder(match table.format {
            Format::Json => {
                let schema = match projection {
                    Some(columns) => SchemaRef::new(
                        schema
                            .project(columns)
                            .map_err(|e| SqlError::runtime("projecting a stream", e))?,
                    ),
                    None => schema,
                };
                Inner::Json(Box::new(json::JsonRows::new(schema)?))
            }
            Format::Csv => Inner::Csv(Box::new(csv::CsvRows::new(
                schema,
                table.csv_delimiter,
                projection.map(<[usize]>::to_vec),
            )?)),
        }))
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        match &self.0 {
            Inner::Json(rows) => rows.schema(),
            Inner::Csv(rows) => rows.schema(),
        }
    }

    /// Decodes values; a missing value (a tombstone) is no row and no error.
    pub fn decode(&mut self, values: &[Option<&[u8]>]) -> Result<Decoded> {
        match &mut self.0 {
            Inner::Json(rows) => isolate::decode(rows.as_mut(), values),
            Inner::Csv(rows) => isolate::decode(rows.as_mut(), values),
        }
    }
}

#[cfg(test)]
mod format_test;
