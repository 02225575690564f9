//! Arrow batches as a [`Grid`] for output.
//!
//! What is always true: integers, floats and booleans keep their type (JSON numbers stay numbers), unknown is null,
//! everything else becomes the text Arrow prints for it; NaN and infinities, which JSON cannot say, become text too.

use anyhow::Context;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, SchemaRef, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::Value;

use super::output::Grid;

/// All rows of `batches`, under the column names of `schema`.
pub(crate) fn grid_of(schema: &SchemaRef, batches: &[RecordBatch]) -> anyhow::Result<Grid> {
    let mut grid = Grid::new(schema.fields().iter().map(|field| field.name().clone()));
    for batch in batches {
        let columns = batch
            .columns()
            .iter()
            .map(|column| values_of(column.as_ref()))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
        for _ in 0..batch.num_rows() {
            grid.push(
                columns
                    .iter_mut()
                    .map(|column| column.next().unwrap_or(Value::Null))
                    .collect(),
            );
        }
    }
    Ok(grid)
}

fn values_of(array: &dyn Array) -> anyhow::Result<Vec<Value>> {
    macro_rules! numbers {
        ($kind:ty) => {
            array
                .as_primitive::<$kind>()
                .iter()
                .map(Value::from)
                .collect()
        };
    }
    Ok(match array.data_type() {
        DataType::Boolean => array.as_boolean().iter().map(Value::from).collect(),
        DataType::Int8 => numbers!(Int8Type),
        DataType::Int16 => numbers!(Int16Type),
        DataType::Int32 => numbers!(Int32Type),
        DataType::Int64 => numbers!(Int64Type),
        DataType::UInt8 => numbers!(UInt8Type),
        DataType::UInt16 => numbers!(UInt16Type),
        DataType::UInt32 => numbers!(UInt32Type),
        DataType::UInt64 => numbers!(UInt64Type),
        DataType::Float32 => array
            .as_primitive::<Float32Type>()
            .iter()
            .map(|value| value.map_or(Value::Null, |v| float(v.into())))
            .collect(),
        DataType::Float64 => array
            .as_primitive::<Float64Type>()
            .iter()
            .map(|value| value.map_or(Value::Null, float))
            .collect(),
        _ => texts_of(array)?,
    })
}

fn float(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(|| Value::from(value.to_string()), Value::Number)
}

fn texts_of(array: &dyn Array) -> anyhow::Result<Vec<Value>> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array, &options).context("cannot print this column")?;
    (0..array.len())
        .map(|row| {
            if array.is_null(row) {
                return Ok(Value::Null);
            }
            formatter
                .value(row)
                .try_to_string()
                .map(Value::from)
                .context("cannot print this value")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{
        ArrayRef, Float64Array, Int64Array, StringArray, TimestampMillisecondArray,
    };

    use super::*;
    use crate::cli::output::Format;

    #[test]
    fn keeps_numbers_and_nulls_and_prints_times() {
        let batch = RecordBatch::try_from_iter([
            (
                "origin",
                Arc::new(StringArray::from(vec![Some("JFK"), None])) as ArrayRef,
            ),
            ("departures", Arc::new(Int64Array::from(vec![Some(3), None]))),
            (
                "avg_delay",
                Arc::new(Float64Array::from(vec![Some(2.5), Some(f64::NAN)])),
            ),
            (
                "at",
                Arc::new(TimestampMillisecondArray::from(vec![
                    Some(1_357_035_300_000),
                    None,
                ])),
            ),
        ])
        .expect("columns of one length");
        let mut out = Vec::new();
        let grid = grid_of(&batch.schema(), &[batch]).expect("all types print");
        grid.write(Format::Json, &mut out)
            .expect("a vector takes every write");
        assert_eq!(
            String::from_utf8(out).expect("JSON is UTF-8"),
            "{\"origin\":\"JFK\",\"departures\":3,\"avg_delay\":2.5,\"at\":\"2013-01-01T10:15:00\"}\n\
             {\"origin\":null,\"departures\":null,\"avg_delay\":\"NaN\",\"at\":null}\n"
        );
    }
}
