//! What local aggregation sends to final aggregation: one record per partition and commit, holding one Arrow IPC batch.
//!
//! Value = `MPX1` and four bytes of zero, then an Arrow IPC stream of: pane (i64 microseconds), key (arrow-row bytes), the columns
//! of each aggregate's state. The upstream's event time rides in the runtime's header `mp.time` on the same record.
//! Always true: rows of the batch belong to windows that the upstream's watermark had not closed when they were read, and the
//! time told by a record counts after it; so the receiver never meets a late group.

use std::io::Cursor;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;

use super::accumulators::Accumulator;
use crate::error::{Result, SqlError};

const HEADER: [u8; 8] = *b"MPX1\0\0\0\0";

/// The columns of the exchange for these aggregates.
pub(super) fn exchange_schema(accumulators: &[Box<dyn Accumulator>]) -> SchemaRef {
    let mut fields = vec![
        Field::new("pane", DataType::Int64, false),
        Field::new("key", DataType::Binary, false),
    ];
    for (index, accumulator) in accumulators.iter().enumerate() {
        for (part, kind) in accumulator.state_types().into_iter().enumerate() {
            fields.push(Field::new(format!("state_{index}_{part}"), kind, true));
        }
    }
    Arc::new(Schema::new(fields))
}

/// The bytes of a record.
pub(super) fn encode_exchange(batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(1024 + batch.get_array_memory_size());
    out.extend_from_slice(&HEADER);
    let failed = |e| SqlError::runtime("writing pre-aggregated groups", e);
    let mut writer = StreamWriter::try_new(&mut out, batch.schema_ref()).map_err(failed)?;
    writer
        .write(batch)
        .and_then(|()| writer.finish())
        .map_err(failed)?;
    drop(writer);
    Ok(out)
}

/// Reads the bytes of a record.
pub(super) fn decode_exchange(bytes: &[u8]) -> Result<RecordBatch> {
    let foreign = || SqlError::invalid("a record of the repartition topic is not ours");
    let body = bytes.strip_prefix(&HEADER).ok_or_else(foreign)?;
    let failed = |e| SqlError::runtime("reading pre-aggregated groups", e);
    let mut reader = StreamReader::try_new(Cursor::new(body), None).map_err(failed)?;
    reader.next().ok_or_else(foreign)?.map_err(failed)
}

#[cfg(test)]
#[path = "exchange_test.rs"]
mod exchange_test;
