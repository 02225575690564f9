//! One JSON object per value, decoded by arrow-json's tape decoder.
//!
//! Fields that are not columns are skipped, missing ones are NULL. Timestamps are RFC 3339 or `YYYY-MM-DD HH:MM:SS[.f]` (UTC).

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::ReaderBuilder;
use datafusion::arrow::json::reader::Decoder;

use super::isolate::{RUN, Rows, clause};
use crate::error::{Result, SqlError};

pub(super) struct JsonRows {
    schema: SchemaRef,
    decoder: Decoder,
}

impl JsonRows {
    pub(super) fn new(schema: SchemaRef) -> Result<JsonRows> {
        let decoder = build(&schema)?;
        Ok(JsonRows { schema, decoder })
    }
}

fn build(schema: &SchemaRef) -> Result<Decoder> {
    ReaderBuilder::new(schema.clone())
        .with_batch_size(RUN)
        .build_decoder()
        .map_err(|e| SqlError::runtime("building the JSON decoder", e))
}

impl Rows for JsonRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn push(&mut self, value: &[u8]) -> Result<(), String> {
        let before = self.decoder.len();
        let read = self.decoder.decode(value).map_err(|e| clause(&e))?;
        if self.decoder.has_partial_record() {
            return Err("the JSON text ends too early".into());
        }
        match self.decoder.len() - before {
            1 if read == value.len() => Ok(()),
            0 => Err("the value is empty".into()),
            _ => Err("the value holds more than one JSON document".into()),
        }
    }

    fn flush(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        self.decoder.flush()
    }

    fn reset(&mut self) -> Result<()> {
        self.decoder = build(&self.schema)?;
        Ok(())
    }
}
