//! Decodes many values at once, and finds the bad ones when that fails.
//!
//! Always true: the fast path feeds values into one columnar decoder and checks after each that exactly one row came of it;
//! any surprise sends the run down the slow path, which tries each value alone and then decodes the good ones together.
//! The slow path costs a bad run about three times the time and changes nothing for the good rows.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;

use super::{BadRow, Decoded};
use crate::error::{Result, SqlError};

/// Values per columnar decode; bounds what the slow path repeats.
pub(super) const RUN: usize = 8192;

/// A columnar decoder that takes one value at a time.
pub(super) trait Rows {
    fn schema(&self) -> &SchemaRef;
    /// Adds one value; errs if it is not exactly one row. After an error the decoder must be `reset`.
    fn push(&mut self, value: &[u8]) -> Result<(), String>;
    /// The rows since the last flush; errs if some value does not fit its column.
    fn flush(&mut self) -> Result<Option<RecordBatch>, ArrowError>;
    /// Forgets everything since the last flush.
    fn reset(&mut self) -> Result<()>;
}

pub(super) fn decode(rows: &mut impl Rows, values: &[Option<&[u8]>]) -> Result<Decoded> {
    let mut batches: Vec<RecordBatch> = Vec::with_capacity(values.len() / RUN + 1);
    let mut map: Vec<u32> = Vec::new();
    // The map is written only from the first value on that made no row.
    let mut same = true;
    let mut bad = Vec::new();
    for (run, chunk) in values.chunks(RUN).enumerate() {
        let base = run * RUN;
        let whole = chunk.iter().all(Option::is_some);
        if let Some(batch) = fast(rows, chunk)? {
            if !(same && whole) {
                leave_identity(&mut map, &mut same, base);
                map.extend(
                    (base..)
                        .zip(chunk)
                        .filter(|(_, v)| v.is_some())
                        .map(|(i, _)| i as u32),
                );
            }
            batches.push(batch);
            continue;
        }
        leave_identity(&mut map, &mut same, base);
        let mut good = Vec::with_capacity(chunk.len());
        for (offset, value) in chunk.iter().enumerate() {
            let Some(value) = value else { continue };
            match alone(rows, value)? {
                Ok(()) => good.push((base + offset, *value)),
                Err(reason) => bad.push(BadRow {
                    index: base + offset,
                    reason,
                }),
            }
        }
        for (_, value) in &good {
            rows.push(value).map_err(SqlError::invalid)?;
        }
        if let Some(batch) = rows.flush().map_err(|e| SqlError::runtime("decoding rows", e))? {
            batches.push(batch);
        }
        map.extend(good.iter().map(|(index, _)| *index as u32));
    }
    let batch = match batches.len() {
        1 => batches.swap_remove(0),
        _ => concat_batches(rows.schema(), &batches).map_err(|e| SqlError::runtime("joining rows", e))?,
    };
    Ok(Decoded {
        batch,
        row_to_value: (!same).then_some(map),
        bad,
    })
}

fn leave_identity(map: &mut Vec<u32>, same: &mut bool, base: usize) {
    if *same {
        *same = false;
        map.extend(0..base as u32);
    }
}

/// All values in one go; `None` if any of them is not one good row.
fn fast(rows: &mut impl Rows, chunk: &[Option<&[u8]>]) -> Result<Option<RecordBatch>> {
    for value in chunk.iter().flatten() {
        if rows.push(value).is_err() {
            rows.reset()?;
            return Ok(None);
        }
    }
    match rows.flush() {
        Ok(Some(batch)) => Ok(Some(batch)),
        Ok(None) => Ok(Some(RecordBatch::new_empty(rows.schema().clone()))),
        Err(_) => {
            rows.reset()?;
            Ok(None)
        }
    }
}

/// Whether the value alone is one good row.
fn alone(rows: &mut impl Rows, value: &[u8]) -> Result<Result<(), String>> {
    let verdict = rows.push(value).and_then(|()| match rows.flush() {
        Ok(_) => Ok(()),
        Err(e) => Err(clause(&e)),
    });
    if verdict.is_err() {
        rows.reset()?;
    }
    Ok(verdict)
}

/// Arrow's error as one clause, without its own prefix.
pub(super) fn clause(error: &ArrowError) -> String {
    let text = error.to_string();
    let text = [
        "Json error: ",
        "Csv error: ",
        "Parser error: ",
        "Cast error: ",
        "Invalid argument error: ",
    ]
    .iter()
    .fold(text.as_str(), |text, prefix| {
        text.strip_prefix(prefix).unwrap_or(text)
    });
    text.to_owned()
}
