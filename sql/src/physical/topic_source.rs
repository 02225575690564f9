//! The first operator of a job: decodes a topic's values, follows event time, and runs the steps that keep no state.
//!
//! Always true: a value that is not a row, has no event time, or cannot be computed goes to the dead-letter topic with its reason and
//! costs its neighbours nothing; event time advances on every decoded row, also on those a filter drops. Whether a row is late is
//! judged here, row by row, against the event times before it in its own partition: so it depends on the topic alone, not on
//! batching, restarts or other partitions.

use datafusion::arrow::array::{Array, AsArray, BooleanArray, Int64Array, RecordBatch};
use datafusion::arrow::compute::{concat, concat_batches, filter_record_batch};
use datafusion::arrow::datatypes::TimestampMicrosecondType;
use millpond_streams::processor::{
    Batch, NO_TIME, ProcessContext, ProcessError, Processor, RawBatch, RawRecordRef,
};

use super::calc::run_steps;
use super::column_batch::ColumnBatch;
use crate::error::{Result, SqlError};
use crate::format::RowDecoder;
use crate::logical::{EventTime, Step};

/// Decodes, follows time, filters and projects.
pub struct TopicSource {
    decoder: RowDecoder,
    event_time: Option<EventTime>,
    steps: Vec<Step>,
    keep_timestamps: bool,
}

/// Rows with the index of the record each came from.
struct Rows {
    batch: RecordBatch,
    records: Option<Vec<u32>>,
}

impl Rows {
    fn record_of(&self, row: usize) -> usize {
        self.records.as_ref().map_or(row, |records| records[row] as usize)
    }
}

impl TopicSource {
    /// An operator for one task. `keep_timestamps` when each row is written on by itself.
    pub fn new(
        decoder: RowDecoder,
        event_time: Option<EventTime>,
        steps: Vec<Step>,
        keep_timestamps: bool,
    ) -> TopicSource {
        TopicSource {
            decoder,
            event_time,
            steps,
            keep_timestamps,
        }
    }

    fn run(&mut self, raw: &RawBatch, context: &mut ProcessContext<'_>) -> Result<Option<ColumnBatch>> {
        let records = raw
            .records()
            .collect::<std::result::Result<Vec<RawRecordRef<'_>>, _>>()
            .map_err(|e| SqlError::runtime("reading a record batch", e))?;
        let values: Vec<Option<&[u8]>> = records.iter().map(|r| r.record.value).collect();
        let nulls = values.iter().filter(|value| value.is_none()).count();
        if nulls > 0 {
            context.skipped(nulls as u64);
        }
        let decoded = self.decoder.decode(&values)?;
        let dead = |record: usize, reason: &str, context: &mut ProcessContext<'_>| {
            context.dead_letter(&records[record].to_raw_record(raw.partition()), reason);
        };
        for bad in &decoded.bad {
            dead(bad.index, &bad.reason, context);
        }
        let mut rows = Rows {
            batch: decoded.batch,
            records: decoded.row_to_value,
        };
        let mut watermarks = None;
        match &self.event_time {
            Some(event_time) => {
                drop_timeless(event_time, &mut rows, |record| {
                    let reason = format!("the event-time column \"{}\" is NULL", event_time.column);
                    dead(record, &reason, context);
                })?;
                watermarks = follow_time(event_time, &rows.batch, context)?;
            }
            None => {
                for record in &records {
                    context.observe_time(record.record.timestamp);
                }
            }
        }
        if rows.batch.num_rows() == 0 {
            return Ok(None);
        }
        let timestamps = self.keep_timestamps.then(|| {
            let time_of = |row| records[rows.record_of(row)].record.timestamp;
            Int64Array::from_iter_values((0..rows.batch.num_rows()).map(time_of))
        });
        let input = ColumnBatch {
            batch: rows.batch.clone(),
            watermarks,
            timestamps,
            weights: None,
            port: 0,
        };
        let mut late = 0;
        let output = match run_steps(&self.steps, input.clone(), &mut late) {
            Ok(output) => output,
            Err(_) => {
                late = 0;
                self.one_by_one(&rows, &input, &mut late, |record, reason| {
                    dead(record, reason, context)
                })?
            }
        };
        if late > 0 {
            context.late(late);
        }
        Ok(Some(output).filter(|output| output.batch.num_rows() > 0))
    }

    /// Finds the rows that cannot be computed, and keeps the others.
    fn one_by_one(
        &self,
        rows: &Rows,
        input: &ColumnBatch,
        late: &mut u64,
        mut dead: impl FnMut(usize, &str),
    ) -> Result<ColumnBatch> {
        let mut outputs = Vec::new();
        for row in 0..input.batch.num_rows() {
            let one = ColumnBatch {
                batch: input.batch.slice(row, 1),
                watermarks: input.watermarks.as_ref().map(|w| w.slice(row, 1)),
                timestamps: input.timestamps.as_ref().map(|t| t.slice(row, 1)),
                weights: None,
                port: 0,
            };
            match run_steps(&self.steps, one, late) {
                Ok(output) => outputs.push(output),
                Err(e) => dead(rows.record_of(row), &e.message),
            }
        }
        let Some(first) = outputs.first() else {
            return run_steps(&self.steps, ColumnBatch::plain(input.batch.slice(0, 0)), late);
        };
        let failed = |e| SqlError::runtime("joining rows", e);
        let batch =
            concat_batches(&first.batch.schema(), outputs.iter().map(|o| &o.batch)).map_err(failed)?;
        let timestamps = if self.keep_timestamps {
            let parts: Vec<&dyn Array> = outputs
                .iter()
                .filter_map(|o| o.timestamps.as_ref())
                .map(|t| t as &dyn Array)
                .collect();
            Some(concat(&parts).map_err(failed)?.as_primitive().clone())
        } else {
            None
        };
        Ok(ColumnBatch {
            timestamps,
            ..ColumnBatch::plain(batch)
        })
    }
}

/// Takes out the rows without event time; `dead` gets the index of their records.
fn drop_timeless(event_time: &EventTime, rows: &mut Rows, mut dead: impl FnMut(usize)) -> Result<()> {
    let times = rows.batch.column(event_time.index).clone();
    if times.null_count() == 0 {
        return Ok(());
    }
    let mut kept = Vec::with_capacity(times.len());
    for row in 0..times.len() {
        if times.is_null(row) {
            dead(rows.record_of(row));
        } else {
            kept.push(rows.record_of(row) as u32);
        }
    }
    let mask: BooleanArray = (0..times.len()).map(|row| Some(times.is_valid(row))).collect();
    rows.batch =
        filter_record_batch(&rows.batch, &mask).map_err(|e| SqlError::runtime("dropping rows", e))?;
    rows.records = Some(kept);
    Ok(())
}

/// The watermark at an event time of the clock, in microseconds.
pub(super) fn watermark_at(clock_ms: i64, delay_micros: i64) -> i64 {
    if clock_ms == NO_TIME {
        i64::MIN
    } else {
        clock_ms.saturating_mul(1_000).saturating_sub(delay_micros)
    }
}

/// Advances the task's time, and gives the watermark before each row if some row may be late.
fn follow_time(
    event_time: &EventTime,
    batch: &RecordBatch,
    context: &mut ProcessContext<'_>,
) -> Result<Option<Int64Array>> {
    let times = batch
        .column(event_time.index)
        .as_primitive_opt::<TimestampMicrosecondType>()
        .ok_or_else(|| SqlError::invalid("the event-time column is not a TIMESTAMP"))?;
    let (Some(lowest), Some(highest)) = (times.values().iter().min(), times.values().iter().max()) else {
        return Ok(None);
    };
    let before = context.stream_time();
    let after = context.observe_time(highest.div_euclid(1_000));
    let Some(delay) = event_time.delay_micros else {
        return Ok(None);
    };
    // A window ends behind the time of each of its rows: above the last watermark nothing is late.
    if *lowest >= watermark_at(after, delay) {
        return Ok(None);
    }
    let mut clock = before;
    let watermarks = times.values().iter().map(|time| {
        let watermark = watermark_at(clock, delay);
        clock = clock.max(time.div_euclid(1_000));
        watermark
    });
    Ok(Some(Int64Array::from_iter_values(watermarks)))
}

impl Processor for TopicSource {
    fn process(
        &mut self,
        batch: Batch,
        context: &mut ProcessContext<'_>,
    ) -> std::result::Result<(), ProcessError> {
        let Batch::Raw(raw) = batch else {
            return Err(ProcessError::UnexpectedBatch {
                node: context.node().to_owned(),
                expected: "raw records",
                actual: batch.shape(),
            });
        };
        match self.run(&raw, context) {
            Ok(Some(output)) => {
                context.forward(Batch::Columns(Box::new(output)));
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(e) => Err(ProcessError::node(context.node(), e)),
        }
    }
}
