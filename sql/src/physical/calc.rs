//! Filters, projections and window assignment over one batch, by DataFusion's physical expressions.
//!
//! Always true: no state; the rows that leave depend on the rows that enter alone.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::{filter, filter_record_batch, prep_null_mask_filter};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::physical_expr::PhysicalExpr;

use super::column_batch::ColumnBatch;
use super::windows::assign_windows;
use crate::error::{Result, SqlError};
use crate::logical::Step;

/// Runs `steps` over `input`; adds to `late` the rows that came behind the watermark.
pub fn run_steps(steps: &[Step], mut input: ColumnBatch, late: &mut u64) -> Result<ColumnBatch> {
    for step in steps {
        if input.batch.num_rows() == 0 {
            input.batch = RecordBatch::new_empty(output_schema(steps, &input.batch));
            input.watermarks = None;
            input.timestamps = input.timestamps.map(|t| t.slice(0, 0));
            input.weights = None;
            return Ok(input);
        }
        match step {
            Step::Filter { predicate, .. } => keep(predicate.as_ref(), &mut input)?,
            Step::Project { columns, schema, .. } => {
                let arrays = columns
                    .iter()
                    .map(|column| evaluate(column.expr.as_ref(), &input.batch))
                    .collect::<Result<Vec<_>>>()?;
                input.batch = batch_of(schema, arrays, input.batch.num_rows())?;
            }
            Step::Windows {
                spec,
                time_index,
                schema,
            } => {
                input = assign_windows(*spec, *time_index, schema, input, late)?;
            }
        }
    }
    Ok(input)
}

/// The schema behind the last step that changes it.
fn output_schema(steps: &[Step], input: &RecordBatch) -> SchemaRef {
    steps
        .iter()
        .rev()
        .find_map(|step| match step {
            Step::Project { schema, .. } | Step::Windows { schema, .. } => Some(schema.clone()),
            Step::Filter { .. } => None,
        })
        .unwrap_or_else(|| input.schema())
}

fn keep(predicate: &dyn PhysicalExpr, input: &mut ColumnBatch) -> Result<()> {
    let mask = evaluate(predicate, &input.batch)?;
    let Some(mask) = mask.as_boolean_opt() else {
        return Err(SqlError::invalid(format!(
            "the filter gives {}, not true or false",
            mask.data_type()
        )));
    };
    // NULL is not true.
    let owned;
    let mask = if mask.null_count() > 0 {
        owned = prep_null_mask_filter(mask);
        &owned
    } else {
        mask
    };
    let failed = |e| SqlError::runtime("filtering rows", e);
    for per_row in [&mut input.watermarks, &mut input.timestamps, &mut input.weights] {
        if let Some(values) = per_row {
            *per_row = Some(filter(values, mask).map_err(failed)?.as_primitive().clone());
        }
    }
    input.batch = filter_record_batch(&input.batch, mask).map_err(failed)?;
    Ok(())
}

/// The values of an expression, one per row.
pub(super) fn evaluate(expr: &dyn PhysicalExpr, batch: &RecordBatch) -> Result<ArrayRef> {
    expr.evaluate(batch)
        .and_then(|value| value.into_array(batch.num_rows()))
        .map_err(|e| SqlError::invalid(format!("cannot compute {expr}: {}", e.strip_backtrace())))
}

/// A batch that keeps its number of rows even without columns.
pub(super) fn batch_of(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|e| SqlError::runtime("making a batch", e))
}
