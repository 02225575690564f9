//! Window assignment by integer arithmetic on the time column.
//!
//! Always true: a row leaves once per window that holds its time and is still open at that row; windows that ended at or
//! before the watermark before the row are closed, and the row is late for them. Rows without a time leave never.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, TimestampMicrosecondArray, UInt32Array,
};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType};

use super::calc::batch_of;
use super::column_batch::ColumnBatch;
use crate::error::{Result, SqlError};
use crate::logical::WindowSpec;

/// Repeats each row for each of its open windows and adds `window_start` and `window_end`.
pub fn assign_windows(
    spec: WindowSpec,
    time_index: usize,
    schema: &SchemaRef,
    input: ColumnBatch,
    late: &mut u64,
) -> Result<ColumnBatch> {
    let times = input
        .batch
        .column(time_index)
        .as_primitive_opt::<TimestampMicrosecondType>()
        .ok_or_else(|| SqlError::invalid("the time column of a window is not a TIMESTAMP"))?;
    let one_each = spec.is_tumbling() && times.null_count() == 0 && input.watermarks.is_none();
    if one_each {
        let starts = tumble(spec, times);
        let ends = starts.iter().map(|start| start + spec.size_micros).collect();
        let rows = input.batch.num_rows();
        let mut columns = input.batch.columns().to_vec();
        push_windows(&mut columns, starts, ends);
        return Ok(ColumnBatch {
            batch: batch_of(schema, columns, rows)?,
            ..input
        });
    }
    let rows = times.len();
    let mut indices: Vec<u32> = Vec::with_capacity(rows * spec.windows_per_row() as usize);
    let mut starts: Vec<i64> = Vec::with_capacity(indices.capacity());
    let mut ends: Vec<i64> = Vec::with_capacity(indices.capacity());
    for row in 0..rows {
        if times.is_null(row) {
            continue;
        }
        let closed = input.watermarks.as_ref().map_or(i64::MIN, |w| w.value(row));
        for (start, end) in spec.windows_of(times.value(row)) {
            if end <= closed {
                *late += 1;
            } else {
                indices.push(row as u32);
                starts.push(start);
                ends.push(end);
            }
        }
    }
    let failed = |e| SqlError::runtime("assigning windows", e);
    let indices = UInt32Array::from(indices);
    let mut columns = input
        .batch
        .columns()
        .iter()
        .map(|column| take(column, &indices, None))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(failed)?;
    let rows = starts.len();
    push_windows(&mut columns, starts, ends);
    let per_row = |values: &Option<Int64Array>| -> Result<Option<Int64Array>> {
        let Some(values) = values else { return Ok(None) };
        Ok(Some(
            take(values, &indices, None)
                .map_err(failed)?
                .as_primitive::<Int64Type>()
                .clone(),
        ))
    };
    Ok(ColumnBatch {
        batch: batch_of(schema, columns, rows)?,
        watermarks: per_row(&input.watermarks)?,
        timestamps: per_row(&input.timestamps)?,
        weights: per_row(&input.weights)?,
        port: input.port,
    })
}

/// One start per row; rows of one batch mostly share their window, so the division is done when it changes.
fn tumble(spec: WindowSpec, times: &TimestampMicrosecondArray) -> Vec<i64> {
    let mut start = i64::MIN;
    let mut end = i64::MIN;
    times
        .values()
        .iter()
        .map(|time| {
            if *time < start || *time >= end {
                start = *time - time.rem_euclid(spec.size_micros);
                end = start + spec.size_micros;
            }
            start
        })
        .collect()
}

fn push_windows(columns: &mut Vec<ArrayRef>, starts: Vec<i64>, ends: Vec<i64>) {
    columns.push(Arc::new(TimestampMicrosecondArray::from(starts)));
    columns.push(Arc::new(TimestampMicrosecondArray::from(ends)));
}
