//! How a task's time goes on: what upstream tasks told in a batch, what idle input says, and what tasks downstream are told.
//!
//! Always true: what a header says holds for the records behind it, never for those before; an idle advance is written to the time topic in the transaction
//! of what comes of it, so that a replay tells the same. The times are `TaskClock`'s, the headers `time_header`'s; `graph_executor.rs` calls this.

use std::collections::BTreeMap;

use millpond_log::types::{Offset, Timestamp};

use super::graph_executor::{Call, TaskGraph};
use super::{
    Headers, NO_TIME, OutputCollector, Outputs, ProcessError, RawBatch, SinkRecord, TimeMark, time_header,
};
use crate::state::TaskState;

/// See [`TaskGraph::time_to_tell`].
pub(super) type TimeToTell<'a> = ((i32, Timestamp), &'a mut BTreeMap<(usize, usize), Timestamp>);

/// Records of a repartition topic up to one that says that a task upstream is idle.
pub(super) struct Marked {
    pub(super) raw: RawBatch,
    /// All operators go on to there behind them.
    pub(super) idle_time: Option<Timestamp>,
    pub(super) rest: Option<RawBatch>,
}

impl TaskGraph {
    /// Stream time goes on to `mark.time` without a record. A mark that is `new` is written to the time topic; one that was read there is not.
    /// # Errors
    /// As `process`.
    pub fn advance_idle(
        &mut self,
        mark: &TimeMark,
        new: bool,
        now_ms: Timestamp,
        state: &mut TaskState,
        outputs: &mut Outputs,
    ) -> Result<(), ProcessError> {
        let before = self.clock.time();
        self.track.start(before);
        self.clock.advance_idle(mark.number, mark.time);
        if let Some(topic) = self.time_topic.filter(|_| new) {
            outputs.send(&SinkRecord {
                topic,
                partition: Some(self.task.partition),
                key: None,
                value: Some(&mark.encode()),
                timestamp: now_ms,
                headers: &Headers::NONE,
            });
        }
        if self.clock.time() == before {
            // Only that the task is idle is new.
            self.mark_outputs(outputs);
            return Ok(());
        }
        self.tell_idle(mark.time.min(self.clock.time()), now_ms, state, outputs)
    }

    /// Time went on to `time` without a record: nodes act on it, and tasks downstream hear of it at once, lest it depends on commits where among the records
    /// they do.
    pub(super) fn tell_idle(
        &mut self,
        time: Timestamp,
        now_ms: Timestamp,
        state: &mut TaskState,
        outputs: &mut Outputs,
    ) -> Result<(), ProcessError> {
        let mut call = Call {
            state,
            outputs,
            origin: None,
            idle_time: Some(time),
            now_ms,
            time: self.clock.time(),
        };
        self.tell_time(true, &mut call)?;
        self.mark_outputs(outputs);
        if self.writes_repartition {
            outputs.add_time_records((self.task.partition.get(), time), true, |_, _| true);
        }
        Ok(())
    }

    /// Lets records to repartition topics carry the time.
    pub(super) fn mark_outputs(&mut self, outputs: &mut Outputs) {
        if let Some((mark, announced)) = self.time_to_tell() {
            outputs.mark_time(mark, |topic, partition| {
                announced.insert((topic, partition), mark.1);
            });
        }
    }

    /// What downstream tasks are told, (this task, its stream time), and what each was told last. `None` when there are none, or nothing is
    /// known yet.
    pub(super) fn time_to_tell(&mut self) -> Option<TimeToTell<'_>> {
        let time = self.clock.time();
        // A task that is idle and never had a record says so, lest everybody downstream waits for its time.
        let tells = self.writes_repartition && (time != NO_TIME || self.clock.idle_advances() > 0);
        tells.then(|| ((self.task.partition.get(), time), &mut self.announced))
    }

    /// Reads the times upstream tasks told in this batch. What a header says at offset o holds for the records after the one that carried it; a timestamp
    /// holds for its record, too.
    pub(super) fn mark_times(&mut self, source: &str, raw: RawBatch) -> Result<Marked, ProcessError> {
        let mut marks = vec![(raw.from(), self.clock.time())];
        let (from, until) = (raw.from(), raw.until());
        for batch in raw.batches() {
            if batch.header().last_offset() < from {
                continue;
            }
            // Whose records these are; not known of batches that were written before tasks told it.
            let mut writer = None;
            for record in batch.iter() {
                let record = record?;
                if record.offset >= until {
                    break;
                }
                let told = time_header::of_record(&record);
                if let Some(told) = told {
                    let starts = told.flags & time_header::STARTS != 0;
                    writer = Some(told.partition).filter(|told| starts || writer == Some(*told));
                }
                if record.offset < from {
                    continue;
                }
                let is_time_only = told.is_some() && record.key.is_none() && record.value.is_none();
                if let Some(upstream) = writer.filter(|_| !is_time_only) {
                    self.hear(
                        source,
                        upstream,
                        record.timestamp,
                        record.offset,
                        record.offset,
                        &mut marks,
                    );
                }
                let Some(told) = told else { continue };
                let next = record.offset.next();
                self.hear(source, told.partition, told.time, record.offset, next, &mut marks);
                if told.flags & time_header::IDLE != 0 && told.time != NO_TIME {
                    return Ok(Marked {
                        idle_time: Some(told.time.min(self.clock.time())),
                        rest: (next < until).then(|| raw.range(next, until)),
                        raw: raw.range(from, next).with_time_marks(marks),
                    });
                }
            }
        }
        Ok(Marked {
            raw: raw.with_time_marks(marks),
            idle_time: None,
            rest: None,
        })
    }

    /// The record at `at` told a time of an upstream task. Where that takes stream time on, it does so for the records from `holds_from` on.
    fn hear(
        &mut self,
        source: &str,
        upstream: i32,
        time: Timestamp,
        at: Offset,
        holds_from: Offset,
        marks: &mut Vec<(Offset, Timestamp)>,
    ) {
        let before = self.clock.time();
        let after = self.clock.observe_upstream(source, upstream, time);
        if after > before {
            marks.push((holds_from, after));
            self.track.push(at, after);
        }
    }
}
