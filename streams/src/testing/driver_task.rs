//! A task and a topic as the driver keeps them.
//!
//! Always true: a topic holds committed records only; a task that was aborted stands where its last commit left it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use millpond_log::record::{BatchBuilder, BatchOptions, Header, RecordBatch};
use millpond_log::types::{Offset, Timestamp, TopicName, TopicPartition};

use super::DriverError;
use crate::processor::{NO_TIME, Outputs, RawBatch, RawRecord, TIME_HEADER, TaskGraph, TimeMark};
use crate::runtime::idle::IdleWatch;
use crate::state::{CommitPosition, KeyRange, StoreIndex, TaskId, TaskState};

pub(super) struct DriverTask {
    pub(super) id: TaskId,
    pub(super) graph: TaskGraph,
    pub(super) state: TaskState,
    pub(super) outputs: Outputs,
    /// Next offset to read per source partition, and where it stood at the last commit.
    pub(super) positions: BTreeMap<TopicPartition, (Offset, Offset)>,
    pub(super) committed_clock: String,
    /// Set where time goes on while input is idle.
    pub(super) idle: Option<IdleWatch>,
}

/// A topic as the driver keeps it: committed records in the order they came.
#[derive(Default)]
pub(super) struct DriverTopic {
    pub(super) partitions: BTreeMap<i32, Vec<RawRecord>>,
    /// (partition, index in it) in the order of arrival.
    pub(super) arrivals: Vec<(i32, usize)>,
    /// Arrivals before this one were read by the test.
    pub(super) read: usize,
}

impl DriverTopic {
    pub(super) fn push(&mut self, partition: i32, record: RawRecord) {
        let records = self.partitions.entry(partition).or_default();
        self.arrivals.push((partition, records.len()));
        records.push(record);
    }
}

impl DriverTask {
    pub(super) fn process(
        &mut self,
        partition: &TopicPartition,
        records: &[RawRecord],
        now_ms: Timestamp,
    ) -> Result<(), DriverError> {
        let (next, _) = self.positions[partition];
        let unread = &records[(next.get() as usize).min(records.len())..];
        if unread.is_empty() {
            return Ok(());
        }
        let mut builder = BatchBuilder::new(BatchOptions {
            base_offset: next,
            ..BatchOptions::default()
        });
        for record in unread {
            let headers: Vec<Header> = record.headers.iter().cloned().collect();
            builder.append(
                record.timestamp,
                record.key.as_deref(),
                record.value.as_deref(),
                &headers,
            )?;
        }
        let batch = RecordBatch::parse(builder.build())?.decode()?;
        let until = next.plus(unread.len() as i64);
        let raw = RawBatch::new(partition.clone(), vec![batch], next, until);
        self.graph
            .process(raw, now_ms, &mut self.state, &mut self.outputs)?;
        if let Some((next, _)) = self.positions.get_mut(partition) {
            *next = until;
        }
        if let Some(idle) = &mut self.idle {
            idle.worked();
        }
        Ok(())
    }

    /// Lets stream time go on when input was idle for long enough.
    pub(super) fn advance_idle(&mut self, now_ms: Timestamp) -> Result<(), DriverError> {
        let Some(idle) = &mut self.idle else { return Ok(()) };
        let clock = self.graph.clock();
        let Some(time) = idle.look(now_ms, Some(now_ms), clock.time()) else {
            return Ok(());
        };
        if time == NO_TIME && clock.idle_advances() > 0 {
            // Said before.
            return Ok(());
        }
        let positions = self.positions.iter();
        let mark = TimeMark {
            number: clock.idle_advances() + 1,
            time,
            positions: positions
                .map(|(partition, (next, _))| (partition.topic.clone(), *next))
                .collect(),
        };
        self.graph
            .advance_idle(&mark, true, now_ms, &mut self.state, &mut self.outputs)?;
        Ok(())
    }

    /// Ends the open transaction: its outputs are added to `topics`, its state and positions are the committed ones.
    pub(super) fn commit(
        &mut self,
        now_ms: Timestamp,
        topics: &mut BTreeMap<TopicName, DriverTopic>,
    ) -> Result<(), DriverError> {
        if let Err(error) = self
            .graph
            .prepare_commit(now_ms, &mut self.state, &mut self.outputs)
        {
            self.abort()?;
            return Err(error.into());
        }
        for (topic, partition, records) in self.outputs.partitions() {
            let mut starts_run = self.outputs.writer_to(topic);
            let topic = topics.entry(topic.clone()).or_default();
            for record in records {
                let mut headers = record.headers.clone();
                let starts = if record.cannot_tell() {
                    None
                } else {
                    starts_run.take()
                };
                if let Some(told) = record.upstream_time(starts) {
                    let value = Bytes::copy_from_slice(&told.to_bytes());
                    headers = headers.with(TIME_HEADER, value);
                }
                topic.push(
                    partition.get(),
                    RawRecord {
                        origin: None,
                        key: record.key.map(Bytes::copy_from_slice),
                        value: record.value.map(Bytes::copy_from_slice),
                        timestamp: record.timestamp,
                        headers,
                    },
                );
            }
        }
        self.outputs.clear();
        drop(self.state.freeze());
        self.committed_clock = self.graph.clock().encode();
        let mut inputs = Vec::new();
        for (partition, (next, committed)) in &mut self.positions {
            *committed = *next;
            inputs.push((partition.clone(), *next));
        }
        self.state.commit_frozen(CommitPosition {
            inputs,
            stream_time: self.graph.clock().time(),
            extra: Bytes::from(self.committed_clock.clone()),
            ..CommitPosition::default()
        });
        self.state
            .maybe_apply(Duration::from_millis(u64::try_from(now_ms).unwrap_or(0)))?;
        Ok(())
    }

    pub(super) fn abort(&mut self) -> Result<(), DriverError> {
        self.graph.abort();
        self.state.abort_all();
        self.outputs.clear();
        self.graph.restore_clock(&self.committed_clock)?;
        for (next, committed) in self.positions.values_mut() {
            *next = *committed;
        }
        Ok(())
    }

    pub(super) fn entries(&mut self, index: StoreIndex) -> Result<Vec<(Bytes, Bytes)>, DriverError> {
        let mut entries = Vec::new();
        let mut store = self.state.store(index);
        let mut scan = store.scan(&KeyRange::prefix(&[]))?;
        while let Some((key, value)) = scan.next_entry()? {
            entries.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
        }
        Ok(entries)
    }
}
