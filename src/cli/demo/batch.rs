//! The same answers by another road: plain DataFusion SQL over the bytes of the CSV file.
//!
//! What is always true: nothing here touches the log, the DSL, our SQL or `flights.rs`; the only thing shared with the
//! streaming side is the file. If both agree on every row, either both are right or two unrelated engines err alike.
//! Where to look next: `answer.rs` compares, `mod.rs` says which streaming result is set beside which query.

use std::sync::Arc;

use anyhow::Context;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::csv::ReaderBuilder;
use datafusion::arrow::csv::reader::Format;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use millpond::sql::plain;

use super::answer::Answer;
use super::flights::FlightsFile;

/// Departures and mean delay per origin and hour.
const HOURLY: &str = "
    SELECT origin, scheduled - scheduled % 3600000 AS window_start, COUNT(*) AS departures, AVG(dep_delay) AS avg_delay
    FROM flights GROUP BY 1, 2";

/// Departures per route in windows of a day that start every six hours.
const ROUTES: &str = "
    SELECT route, window_start, COUNT(*) AS departures FROM (
        SELECT origin || '-' || dest AS route,
               scheduled - scheduled % 21600000 - hop * 21600000 AS window_start
        FROM flights CROSS JOIN (VALUES (0), (1), (2), (3)) AS hops(hop))
    GROUP BY 1, 2";

/// Flights that left two hours late or more.
const VERY_LATE: &str = "
    SELECT carrier || flight || ' ' || origin || '-' || dest AS name, scheduled, COUNT(*) AS times
    FROM flights WHERE dep_delay >= 120 GROUP BY 1, 2";

/// Departures and mean delay per carrier.
const CARRIERS: &str =
    "SELECT carrier, COUNT(*) AS departures, AVG(dep_delay) AS avg_delay FROM flights GROUP BY 1";

/// The flights of one file as a table of a DataFusion session.
pub(crate) struct BatchAnswers {
    session: SessionContext,
}

impl BatchAnswers {
    /// Reads the file's CSV into a table `flights` with `scheduled` in milliseconds since the epoch.
    pub(crate) async fn over(file: &FlightsFile) -> anyhow::Result<BatchAnswers> {
        // Every column as text: inference would make a number column text at its first `NA`, so the query decides.
        let (inferred, _) = Format::default()
            .with_header(true)
            .infer_schema(file.csv.as_slice(), Some(1))
            .context("DataFusion cannot read the header of the flights file")?;
        let texts: Vec<Field> = inferred
            .fields()
            .iter()
            .map(|field| Field::new(field.name(), DataType::Utf8, true))
            .collect();
        let schema = Arc::new(Schema::new(texts));
        let batches = ReaderBuilder::new(Arc::clone(&schema))
            .with_header(true)
            .build(file.csv.as_slice())?
            .collect::<Result<Vec<RecordBatch>, _>>()
            .context("DataFusion cannot read the flights file")?;
        let session = SessionContext::new();
        session.register_table("csv", Arc::new(MemTable::try_new(schema, vec![batches])?))?;
        let flights = plain::query(
            &session,
            "SELECT carrier, flight, origin, dest, CAST(NULLIF(NULLIF(dep_delay, 'NA'), '') AS DOUBLE) AS dep_delay,
                CAST(arrow_cast(time_hour, 'Timestamp(Millisecond, None)') AS BIGINT)
                    + CAST(minute AS BIGINT) * 60000 AS scheduled
             FROM csv",
        )
        .await?;
        let schema = flights.first().context("the flights file is empty")?.schema();
        session.register_table("flights", Arc::new(MemTable::try_new(schema, vec![flights])?))?;
        Ok(BatchAnswers { session })
    }

    /// Key `origin window_start`, value `departures avg_delay`.
    pub(crate) async fn hourly_departures(&self) -> anyhow::Result<Answer> {
        let mut answer = Answer::default();
        for batch in self.rows(HOURLY).await? {
            for row in 0..batch.num_rows() {
                let key = hour_key(&text(&batch, 0, row), int(&batch, 1, row));
                answer.insert(key, delay_value(int(&batch, 2, row), double(&batch, 3, row)));
            }
        }
        Ok(answer)
    }

    /// Key `route window_start`, value `departures`.
    pub(crate) async fn busiest_routes(&self) -> anyhow::Result<Answer> {
        let mut answer = Answer::default();
        for batch in self.rows(ROUTES).await? {
            for row in 0..batch.num_rows() {
                let key = hour_key(&text(&batch, 0, row), int(&batch, 1, row));
                answer.insert(key, int(&batch, 2, row).to_string());
            }
        }
        Ok(answer)
    }

    /// Key `carrier flight route scheduled`, value: how many times it is in the file.
    pub(crate) async fn very_late(&self) -> anyhow::Result<Answer> {
        let mut answer = Answer::default();
        for batch in self.rows(VERY_LATE).await? {
            for row in 0..batch.num_rows() {
                let key = hour_key(&text(&batch, 0, row), int(&batch, 1, row));
                answer.insert(key, int(&batch, 2, row).to_string());
            }
        }
        Ok(answer)
    }

    /// Key `carrier`, value `departures avg_delay`.
    pub(crate) async fn carriers(&self) -> anyhow::Result<Answer> {
        let mut answer = Answer::default();
        for batch in self.rows(CARRIERS).await? {
            for row in 0..batch.num_rows() {
                answer.insert(
                    text(&batch, 0, row),
                    delay_value(int(&batch, 1, row), double(&batch, 2, row)),
                );
            }
        }
        Ok(answer)
    }

    async fn rows(&self, sql: &str) -> anyhow::Result<Vec<RecordBatch>> {
        Ok(plain::query(&self.session, sql).await?)
    }
}

/// Key of a row that stands for one name (origin, route, flight) and one instant in milliseconds.
pub(crate) fn hour_key(name: &str, millis: i64) -> String {
    format!("{name} @ {millis}")
}

/// Value of a row of departures with their mean delay; a mean of nothing is `none`.
pub(crate) fn delay_value(departures: i64, avg_delay: Option<f64>) -> String {
    match avg_delay {
        Some(delay) => format!("{departures} departures, {delay:?} min"),
        None => format!("{departures} departures, none"),
    }
}

fn text(batch: &RecordBatch, column: usize, row: usize) -> String {
    let array = batch.column(column);
    match array.as_string_view_opt() {
        Some(views) => views.value(row).to_owned(),
        None => array.as_string::<i32>().value(row).to_owned(),
    }
}

fn int(batch: &RecordBatch, column: usize, row: usize) -> i64 {
    batch.column(column).as_primitive::<Int64Type>().value(row)
}

fn double(batch: &RecordBatch, column: usize, row: usize) -> Option<f64> {
    let array = batch.column(column).as_primitive::<Float64Type>();
    array.is_valid(row).then(|| array.value(row))
}

#[cfg(test)]
#[path = "batch_test.rs"]
mod batch_test;
