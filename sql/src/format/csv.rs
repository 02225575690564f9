//! One CSV row per value, columns in the order of the stream; an empty field is NULL.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::csv::ReaderBuilder;
use datafusion::arrow::csv::reader::Decoder;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;

use super::isolate::{RUN, Rows, clause};
use crate::error::{Result, SqlError};

pub(super) struct CsvRows {
    /// Of the file.
    file_schema: SchemaRef,
    /// Of the batches.
    schema: SchemaRef,
    delimiter: u8,
    projection: Option<Vec<usize>>,
    decoder: Decoder,
}

impl CsvRows {
    pub(super) fn new(
        file_schema: SchemaRef,
        delimiter: char,
        projection: Option<Vec<usize>>,
    ) -> Result<CsvRows> {
        let delimiter = u8::try_from(delimiter).map_err(|_| {
            SqlError::invalid(format!(
                "`{delimiter}` cannot separate CSV fields: it is not ASCII"
            ))
        })?;
        let schema = match &projection {
            Some(columns) => SchemaRef::new(
                file_schema
                    .project(columns)
                    .map_err(|e| SqlError::runtime("projecting a stream", e))?,
            ),
            None => file_schema.clone(),
        };
        let decoder = build(&file_schema, delimiter, projection.as_deref());
        Ok(CsvRows {
            file_schema,
            schema,
            delimiter,
            projection,
            decoder,
        })
    }
}

fn build(schema: &SchemaRef, delimiter: u8, projection: Option<&[usize]>) -> Decoder {
    let mut builder = ReaderBuilder::new(schema.clone())
        .with_header(false)
        .with_delimiter(delimiter)
        // One more than a run: at full capacity the decoder would stop reading, and every value would look short.
        .with_batch_size(RUN + 1);
    if let Some(projection) = projection {
        builder = builder.with_projection(projection.to_vec());
    }
    builder.build_decoder()
}

impl Rows for CsvRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn push(&mut self, value: &[u8]) -> Result<(), String> {
        let value = value.strip_suffix(b"\n").unwrap_or(value);
        let value = value.strip_suffix(b"\r").unwrap_or(value);
        let before = self.decoder.capacity();
        for piece in [value, b"\n"] {
            let mut rest = piece;
            while !rest.is_empty() {
                let read = self.decoder.decode(rest).map_err(|e| without_line(&clause(&e)))?;
                if read == 0 {
                    return Err("the value holds more than one CSV row".into());
                }
                rest = &rest[read..];
            }
        }
        match before - self.decoder.capacity() {
            1 => Ok(()),
            0 if value.is_empty() => Err("the value is empty".into()),
            0 => Err("a quoted field is not closed".into()),
            _ => Err("the value holds more than one CSV row".into()),
        }
    }

    fn flush(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        self.decoder.flush()
    }

    fn reset(&mut self) -> Result<()> {
        self.decoder = build(&self.file_schema, self.delimiter, self.projection.as_deref());
        Ok(())
    }
}

/// The decoder's line numbers count what it was fed, which says nothing to a reader of the topic.
fn without_line(text: &str) -> String {
    text.split(" for line ").next().unwrap_or(text).to_owned()
}
