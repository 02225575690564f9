//! The SQL of the demo: a stream over the topic, a materialised view, pull and ad-hoc queries.
//!
//! What is always true: the statements are those a user would type; the view is made once and resumes by itself after
//! that (`IF NOT EXISTS`). Where to look next: `millpond_sql::SqlEngine`.

use std::path::Path;

use anyhow::{Context, bail};
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Float64Type, Int64Type, SchemaRef, TimeUnit, TimestampMillisecondType,
};
use millpond::log::broker::Broker;
use millpond::sql::{SqlEngine, SqlOptions, StatementResult};
use millpond::streams::metrics::StreamsMetrics;
use millpond::streams::runtime::StreamsConfig;

use super::answer::Answer;
use super::batch::{delay_value, hour_key};
use crate::cli::arrow_grid::grid_of;
use crate::cli::output::Grid;
use crate::cli::restore_bar;
use crate::cli::sql_failure::sql_failure;

const DEFINITIONS: &str = "\
CREATE STREAM IF NOT EXISTS flights (carrier VARCHAR, flight INT, origin VARCHAR, dest VARCHAR, dep_delay DOUBLE,
    distance DOUBLE, scheduled TIMESTAMP, WATERMARK FOR scheduled AS scheduled - INTERVAL '1' DAY)
  WITH (topic = 'flights', format = 'json', partitions = 4);
CREATE MATERIALIZED VIEW IF NOT EXISTS departures_hourly AS
  SELECT origin, window_start, window_end, COUNT(*) AS departures, AVG(dep_delay) AS avg_delay
  FROM TUMBLE(flights, scheduled, INTERVAL '1' HOUR) GROUP BY origin, window_start, window_end;";

const WHOLE_VIEW: &str = "SELECT origin, window_start, departures, avg_delay FROM departures_hourly";
const ALL_CARRIERS: &str =
    "SELECT carrier, COUNT(*) AS departures, AVG(dep_delay) AS avg_delay FROM flights GROUP BY carrier";

/// Statements whose results are printed.
const SHOWN: [&str; 2] = [
    "SELECT * FROM departures_hourly WHERE origin = 'JFK' ORDER BY window_start LIMIT 5",
    "SELECT carrier, COUNT(*), AVG(dep_delay) FROM flights GROUP BY carrier ORDER BY 2 DESC LIMIT 5",
];

/// The demo's SQL engine.
pub(crate) struct Views {
    engine: SqlEngine,
}

impl Views {
    /// Opens the engine and makes the stream and the view where they are missing.
    pub(crate) async fn open(broker: &Broker, state: &Path, streams: StreamsConfig) -> anyhow::Result<Views> {
        let options = SqlOptions {
            streams,
            on_restore: Some(restore_bar::listener()),
            ..SqlOptions::new(broker, state)
        };
        let engine = SqlEngine::open(options).await.map_err(sql_failure)?;
        engine.execute(DEFINITIONS).await.map_err(sql_failure)?;
        Ok(Views { engine })
    }

    /// Waits until the view reflects every flight in the topic.
    pub(crate) async fn wait_until_caught_up(&self) -> anyhow::Result<()> {
        self.engine.wait_until_caught_up().await.map_err(sql_failure)
    }

    /// Counters of the view's job.
    pub(crate) async fn metrics(&self) -> StreamsMetrics {
        self.engine
            .metrics()
            .await
            .into_values()
            .next()
            .unwrap_or_default()
    }

    /// Stops the view's job after a last commit.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.engine.shutdown().await.map_err(sql_failure)
    }

    /// Key `origin window_start`, value `departures avg_delay`: every row of the view.
    pub(crate) async fn hourly_departures(&self) -> anyhow::Result<Answer> {
        let mut answer = Answer::default();
        for batch in self.rows(WHOLE_VIEW).await?.1 {
            let origins = cast(batch.column(0), &DataType::Utf8)?;
            let starts = cast(batch.column(1), &DataType::Timestamp(TimeUnit::Millisecond, None))?;
            for row in 0..batch.num_rows() {
                let start = starts.as_primitive::<TimestampMillisecondType>().value(row);
                answer.insert(
                    hour_key(origins.as_string::<i32>().value(row), start),
                    delays(&batch, 2, row)?,
                );
            }
        }
        Ok(answer)
    }

    /// Key `carrier`, value `departures avg_delay`.
    pub(crate) async fn carriers(&self) -> anyhow::Result<Answer> {
        let mut answer = Answer::default();
        for batch in self.rows(ALL_CARRIERS).await?.1 {
            let carriers = cast(batch.column(0), &DataType::Utf8)?;
            for row in 0..batch.num_rows() {
                answer.insert(
                    carriers.as_string::<i32>().value(row).to_owned(),
                    delays(&batch, 1, row)?,
                );
            }
        }
        Ok(answer)
    }

    /// Statements with their results, for people.
    pub(crate) async fn shown(&self) -> anyhow::Result<Vec<(String, Grid)>> {
        let mut shown = Vec::new();
        for statement in SHOWN {
            let (schema, batches) = self.rows(statement).await?;
            shown.push((statement.to_owned(), grid_of(&schema, &batches)?));
        }
        Ok(shown)
    }

    async fn rows(&self, statement: &str) -> anyhow::Result<(SchemaRef, Vec<RecordBatch>)> {
        let mut results = self.engine.execute(statement).await.map_err(sql_failure)?;
        match results.pop() {
            Some(StatementResult::Rows { schema, batches }) => Ok((schema, batches)),
            other => bail!("expected rows of {statement}, got {other:?}"),
        }
    }
}

/// Departures at `column` and their mean delay at the next one.
fn delays(batch: &RecordBatch, column: usize, row: usize) -> anyhow::Result<String> {
    let counts = cast(batch.column(column), &DataType::Int64).context("departures are no count")?;
    let means = batch.column(column + 1).as_primitive::<Float64Type>();
    let mean = means.is_valid(row).then(|| means.value(row));
    Ok(delay_value(counts.as_primitive::<Int64Type>().value(row), mean))
}
