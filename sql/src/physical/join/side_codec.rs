//! How the rows of one side of a join lie in its store.
//!
//! Always true: key = arrow-row of the join's columns ++ arrow-row of all columns, so the rows of one join key are those with one beginning, and no
//! join key is the beginning of another. Value = weight (i64, big endian), and for sides that are shown by whether they match, the sum of the
//! weights of the rows they match (i64, big endian). No entry has weight 0; a weight below 0 is a row that was taken back before it came.
//! arrow-row promises no fixed encoding between its versions: `join_test.rs` pins the bytes.

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::row::{RowConverter, RowParser, Rows, SortField};

use crate::error::{Result, SqlError};

/// Columns to bytes and back. Without columns, no bytes.
struct ColumnCodec(Option<(RowConverter, RowParser)>);

impl ColumnCodec {
    fn new(schema: &SchemaRef, columns: impl Iterator<Item = usize>) -> Result<ColumnCodec> {
        let fields: Vec<SortField> = columns
            .map(|column| SortField::new(schema.field(column).data_type().clone()))
            .collect();
        if fields.is_empty() {
            return Ok(ColumnCodec(None));
        }
        let converter = RowConverter::new(fields).map_err(|e| SqlError::runtime("encoding rows", e))?;
        let parser = converter.parser();
        Ok(ColumnCodec(Some((converter, parser))))
    }

    fn encode(&self, columns: &[ArrayRef]) -> Result<EncodedRows> {
        let rows = self
            .0
            .as_ref()
            .map(|(converter, _)| converter.convert_columns(columns));
        rows.transpose()
            .map(EncodedRows)
            .map_err(|e| SqlError::runtime("encoding rows", e))
    }
}

/// Rows of a codec.
pub(super) struct EncodedRows(Option<Rows>);

impl EncodedRows {
    /// The bytes of one row.
    pub(super) fn row(&self, index: usize) -> &[u8] {
        self.0.as_ref().map_or(&[], |rows| rows.row(index).data())
    }
}

/// From the rows of one side to bytes and back.
pub(super) struct SideCodec {
    columns: usize,
    key_columns: Vec<usize>,
    key: ColumnCodec,
    row: ColumnCodec,
    /// Whether the values have a count of matches.
    is_counted: bool,
}

impl SideCodec {
    /// The codec of a side with these columns and keys.
    pub(super) fn new(schema: &SchemaRef, key_columns: Vec<usize>, is_counted: bool) -> Result<SideCodec> {
        let columns = schema.fields().len();
        Ok(SideCodec {
            columns,
            key: ColumnCodec::new(schema, key_columns.iter().copied())?,
            row: ColumnCodec::new(schema, 0..columns)?,
            key_columns,
            is_counted,
        })
    }

    /// The bytes of the keys and of the rows. Errs when these are not the side's columns.
    pub(super) fn encode(&self, columns: &[ArrayRef]) -> Result<[EncodedRows; 2]> {
        if columns.len() != self.columns {
            return Err(SqlError::invalid(format!(
                "a join was planned for {} columns and got {}",
                self.columns,
                columns.len()
            )));
        }
        let keys: Vec<ArrayRef> = self
            .key_columns
            .iter()
            .map(|column| columns[*column].clone())
            .collect();
        Ok([self.key.encode(&keys)?, self.row.encode(columns)?])
    }

    /// Which rows have a NULL in their key, if any has.
    pub(super) fn null_keys(&self, columns: &[ArrayRef]) -> Option<NullBuffer> {
        self.key_columns.iter().fold(None, |nulls, column| {
            NullBuffer::union(nulls.as_ref(), columns[*column].logical_nulls().as_ref())
        })
    }

    /// The columns of stored rows.
    pub(super) fn decode<'a>(&self, rows: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
        match &self.row.0 {
            None => Ok(Vec::new()),
            Some((converter, parser)) => converter
                .convert_rows(rows.map(|row| parser.parse(row)))
                .map_err(|e| SqlError::runtime("decoding rows", e)),
        }
    }

    /// Writes a value behind what is in `out`.
    pub(super) fn write_value(&self, weight: i64, matches: i64, out: &mut Vec<u8>) {
        out.extend_from_slice(&weight.to_be_bytes());
        if self.is_counted {
            out.extend_from_slice(&matches.to_be_bytes());
        }
    }

    /// Reads a value: weight and matches, 0 where they are not counted.
    pub(super) fn read_value(&self, value: &[u8]) -> Result<(i64, i64)> {
        let damaged = || SqlError::invalid("a stored row of a join has a damaged weight");
        let (weight, rest) = value.split_first_chunk::<8>().ok_or_else(damaged)?;
        let matches = match rest.try_into() {
            Ok(matches) if self.is_counted => i64::from_be_bytes(matches),
            Err(_) if !self.is_counted && rest.is_empty() => 0,
            _ => return Err(damaged()),
        };
        Ok((i64::from_be_bytes(*weight), matches))
    }
}
