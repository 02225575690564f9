//! Rows as JSON objects, one byte string each.
//!
//! Always true: every column is written, NULL as `null`; timestamps are RFC 3339 with `Z`, so that the text reads back into
//! the same value.

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::json::WriterBuilder;
use datafusion::arrow::json::writer::LineDelimited;

use crate::error::{Result, SqlError};

/// Writes batches as JSON objects; keeps its buffer between calls.
#[derive(Debug, Default)]
pub struct JsonWriter {
    capacity: usize,
}

impl JsonWriter {
    /// A writer.
    pub fn new() -> JsonWriter {
        JsonWriter::default()
    }

    /// One JSON object per row, in order, all slices of one buffer.
    pub fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<Bytes>> {
        if batch.num_rows() == 0 {
            return Ok(Vec::new());
        }
        let mut writer = WriterBuilder::new()
            .with_explicit_nulls(true)
            .with_timestamp_format("%Y-%m-%dT%H:%M:%S%.fZ".to_owned())
            .build::<_, LineDelimited>(Vec::with_capacity(self.capacity));
        writer
            .write(batch)
            .and_then(|()| writer.finish())
            .map_err(|e| SqlError::runtime("writing rows as JSON", e))?;
        let text = Bytes::from(writer.into_inner());
        self.capacity = text.len();
        let mut rows = Vec::with_capacity(batch.num_rows());
        let mut start = 0;
        // JSON escapes line breaks in strings, so every one in the text ends a row.
        for (end, byte) in text.iter().enumerate() {
            if *byte == b'\n' {
                rows.push(text.slice(start..end));
                start = end + 1;
            }
        }
        if rows.len() == batch.num_rows() {
            Ok(rows)
        } else {
            Err(SqlError::invalid(format!(
                "{} rows became {} JSON lines",
                batch.num_rows(),
                rows.len()
            )))
        }
    }
}
