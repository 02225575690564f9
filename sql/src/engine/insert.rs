//! `INSERT INTO stream VALUES …`: rows for tries and tests, all in one batch per partition.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, new_null_array};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::csv::WriterBuilder;
use datafusion::arrow::datatypes::TimestampMicrosecondType;
use datafusion::physical_plan::collect;
use millpond_log::client::{Producer, ProducerOptions, ProducerRecord};
use millpond_log::types::TopicName;

use super::{Inner, unknown};
use crate::catalog::{Entry, Format, StreamDefinition};
use crate::error::{Result, SqlError};
use crate::format::JsonWriter;
use crate::parser::{Insert, Statement};
use crate::planner::{PlaceFinder, Tables, plan_error};
use crate::result::StatementResult;
use crate::suggest;

pub(super) async fn run(inner: &Inner, statement: &Statement, insert: &Insert) -> Result<StatementResult> {
    let stream = {
        let state = inner.state.get();
        match state.catalog.get(&insert.stream) {
            Some(Entry::Stream(stream)) => Arc::clone(stream),
            Some(other) => {
                let error = SqlError::invalid(format!(
                    "\"{}\" is a {}: only streams take rows",
                    insert.stream,
                    other.kind()
                ));
                return Err(statement.locate(error, &insert.stream));
            }
            None => return Err(unknown(&state.catalog, statement, "stream", &insert.stream)),
        }
    };
    let rows = rows(inner, statement, insert, &stream).await?;
    let values: Vec<Vec<u8>> = match stream.format {
        Format::Json => JsonWriter::new()
            .rows(&rows)?
            .iter()
            .map(|row| row.to_vec())
            .collect(),
        Format::Csv => csv_rows(&rows, stream.csv_delimiter.unwrap_or(','))?,
    };
    let writing = format!("writing to topic {}", stream.topic);
    let topic = TopicName::new(&stream.topic).map_err(|e| SqlError::runtime(&writing, e))?;
    let producer = Producer::new(&inner.broker, ProducerOptions::default())
        .await
        .map_err(|e| SqlError::runtime(&writing, e))?;
    let times = stream
        .watermark
        .as_ref()
        .and_then(|w| rows.column_by_name(&w.column).cloned());
    let now = inner.broker.clock().now_ms();
    let mut deliveries = Vec::with_capacity(values.len());
    for (row, value) in values.into_iter().enumerate() {
        let time = times
            .as_ref()
            .map(|t| t.as_primitive::<TimestampMicrosecondType>())
            .filter(|t| t.is_valid(row))
            .map_or(now, |t| t.value(row).div_euclid(1_000));
        let record = ProducerRecord::new(&topic).value(value).timestamp(time);
        deliveries.push(
            producer
                .send(record)
                .await
                .map_err(|e| SqlError::runtime(&writing, e))?,
        );
    }
    for delivery in deliveries {
        delivery.await.map_err(|e| SqlError::runtime(&writing, e))?;
    }
    producer
        .close()
        .await
        .map_err(|e| SqlError::runtime(&writing, e))?;
    Ok(StatementResult::Message(format!(
        "inserted {} rows into {}",
        rows.num_rows(),
        insert.stream
    )))
}

/// The values as rows of the stream.
async fn rows(
    inner: &Inner,
    statement: &Statement,
    insert: &Insert,
    stream: &StreamDefinition,
) -> Result<RecordBatch> {
    let finder = PlaceFinder {
        source: &insert.values.source,
        tokens: &insert.values.tokens,
    };
    let schema = stream.schema();
    let names: Vec<&str> = stream.columns.iter().map(|c| c.name.as_str()).collect();
    let targets: Vec<&str> = if insert.columns.is_empty() {
        names.clone()
    } else {
        insert.columns.iter().map(String::as_str).collect()
    };
    if let Some(missing) = targets.iter().find(|target| !names.contains(target)) {
        let error = SqlError::name(format!("unknown column \"{missing}\" in \"{}\"", stream.name))
            .with_hint(suggest::hint(missing, names.iter().copied(), "columns"));
        return Err(statement.locate(error, missing));
    }
    let plan = inner.planner.logical_plan(&insert.values, &Tables::default())?;
    let physical = inner.planner.physical_plan(&plan, &finder).await?;
    let values_schema = physical.schema();
    let batches = collect(physical, inner.planner.state().task_ctx())
        .await
        .map_err(|e| plan_error(e, &finder))?;
    let values =
        concat_batches(&values_schema, &batches).map_err(|e| SqlError::runtime("joining rows", e))?;
    if values.num_columns() != targets.len() {
        return Err(SqlError::invalid(format!(
            "{} values for {} columns of \"{}\"",
            values.num_columns(),
            targets.len(),
            stream.name
        ))
        .with_hint(format!("the columns are {}", targets.join(", "))));
    }
    let columns = schema
        .fields()
        .iter()
        .map(|field| -> Result<ArrayRef> {
            match targets.iter().position(|target| *target == field.name()) {
                None => Ok(new_null_array(field.data_type(), values.num_rows())),
                Some(index) => cast(values.column(index), field.data_type()).map_err(|e| {
                    SqlError::invalid(format!(
                        "a value for column \"{}\" does not fit: {e}",
                        field.name()
                    ))
                }),
            }
        })
        .collect::<Result<Vec<_>>>()?;
    RecordBatch::try_new(schema, columns)
        .map_err(|e| SqlError::invalid(format!("the rows do not fit the stream: {e}")))
}

fn csv_rows(rows: &RecordBatch, delimiter: char) -> Result<Vec<Vec<u8>>> {
    let delimiter = u8::try_from(delimiter).unwrap_or(b',');
    (0..rows.num_rows())
        .map(|row| {
            let mut writer = WriterBuilder::new()
                .with_header(false)
                .with_delimiter(delimiter)
                .build(Vec::new());
            writer
                .write(&rows.slice(row, 1))
                .map_err(|e| SqlError::runtime("writing rows as CSV", e))?;
            Ok(writer.into_inner())
        })
        .collect()
}
