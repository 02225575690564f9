//! Outputs and changelog records of one transaction, per partition, packed into batches.
//!
//! A batch is encoded as records arrive and gets its producer id, epoch and sequence only when it is sent: the transaction before it may still
//! be committing, and its end hands out the epoch of this one (KIP-890). One collector per transaction: the worker takes the whole collector
//! when it freezes the transaction and starts an empty one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use millpond_log::broker::{ProducePartition, ProducerIdentity};
use millpond_log::record::{BatchBuilder, BatchError, BatchOptions, Compression, Header};
use millpond_log::types::{Sequence, Timestamp, TopicName, TopicPartition};

use crate::processor::{Headers, OutputRecord, Outputs, TIME_HEADER};

/// More than a record needs beside its key, value and headers.
const RECORD_OVERHEAD: usize = 32;
/// More than a header needs beside its name and value.
const HEADER_OVERHEAD: usize = 10;
/// A header `mp.time` at most.
const MARK_SIZE_MAX: usize = TIME_HEADER.len() + 13 + HEADER_OVERHEAD;
/// What a batch has before its first record.
const EMPTY_BATCH_BYTES: usize = 61;

/// How batches are packed.
#[derive(Debug, Clone)]
pub(crate) struct CollectorOptions {
    pub(crate) compression: Compression,
    /// A batch is full at this size before compression; only a single larger record makes a larger batch.
    pub(crate) batch_bytes: usize,
    /// Batches belong to a transaction.
    pub(crate) transactional: bool,
    /// Topics that take smaller batches only, with their largest size in bytes.
    pub(crate) smaller: Arc<BTreeMap<TopicName, usize>>,
}

/// The records of one transaction.
#[derive(Debug)]
pub(crate) struct RecordCollector {
    options: CollectorOptions,
    partitions: BTreeMap<TopicPartition, PartitionBatches>,
    bytes: usize,
    full: usize,
}

#[derive(Debug, Default)]
struct PartitionBatches {
    /// As [`CollectorOptions::batch_bytes`], for this topic.
    batch_bytes: usize,
    full: VecDeque<BatchBuilder>,
    open: Option<BatchBuilder>,
    /// The upstream task whose records the open batch ends with, where its records say so.
    writer: Option<i32>,
}

/// Where the records of one partition go, looked up once for all of them.
pub(crate) struct PartitionCollector<'a> {
    batches: &'a mut PartitionBatches,
    options: &'a CollectorOptions,
    bytes: &'a mut usize,
    full: &'a mut usize,
}

/// Next sequence per partition for one (producer id, epoch).
#[derive(Debug, Default, Clone)]
pub(crate) struct Sequences {
    next: BTreeMap<TopicPartition, Sequence>,
}

/// One request's worth of sealed batches: at most one per partition, so that order within a partition is the order of requests.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) partitions: Vec<ProducePartition>,
    /// Records per batch, in the order of `partitions`.
    pub(crate) record_counts: Vec<usize>,
}

impl RecordCollector {
    pub(crate) fn new(options: CollectorOptions) -> Self {
        RecordCollector {
            options,
            partitions: BTreeMap::new(),
            bytes: 0,
            full: 0,
        }
    }

    pub(crate) fn options(&self) -> &CollectorOptions {
        &self.options
    }

    /// From the next transaction on these topics take smaller batches only. The collector must be empty, or be taken before it counts.
    pub(crate) fn set_smaller(&mut self, smaller: Arc<BTreeMap<TopicName, usize>>) {
        self.options.smaller = smaller;
    }

    /// An empty collector in its place; this one's content is returned.
    pub(crate) fn take(&mut self) -> RecordCollector {
        let options = self.options.clone();
        std::mem::replace(self, RecordCollector::new(options))
    }

    /// Bytes collected and not yet sent, before compression.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether full batches wait that may be sent before the commit.
    pub(crate) fn has_full_batches(&self) -> bool {
        self.full > 0
    }

    /// Takes over everything a task wants written and clears it there.
    pub(crate) fn collect(&mut self, outputs: &mut Outputs) -> Result<(), BatchError> {
        if outputs.is_empty() {
            return Ok(());
        }
        for (topic, partition, records) in outputs.partitions() {
            let target = TopicPartition {
                topic: topic.clone(),
                partition,
            };
            let writer = outputs.writer_to(topic);
            let mut target = self.partition(&target);
            for record in records {
                if writer.is_some() && record.cannot_tell() {
                    let told = OutputRecord {
                        time: writer.map(|writer| (writer, record.timestamp)),
                        headers: &Headers::NONE,
                        ..record.clone()
                    };
                    target.append_output(writer, &told)?;
                }
                target.append_output(writer, &record)?;
            }
        }
        outputs.clear();
        Ok(())
    }

    /// The batches of one partition, for a run of records.
    pub(crate) fn partition(&mut self, partition: &TopicPartition) -> PartitionCollector<'_> {
        if !self.partitions.contains_key(partition) {
            let smaller = self.options.smaller.get(&partition.topic);
            let batches = PartitionBatches {
                batch_bytes: smaller.map_or(self.options.batch_bytes, |most| {
                    self.options.batch_bytes.min(*most)
                }),
                ..PartitionBatches::default()
            };
            self.partitions.insert(partition.clone(), batches);
        }
        PartitionCollector {
            batches: self.partitions.get_mut(partition).expect("inserted just above"),
            options: &self.options,
            bytes: &mut self.bytes,
            full: &mut self.full,
        }
    }

    /// Seals the next batch of every partition that has one; `full_only` leaves batches that may still grow. `None` when there is none.
    pub(crate) fn seal_round(
        &mut self,
        identity: ProducerIdentity,
        sequences: &mut Sequences,
        full_only: bool,
    ) -> Option<Round> {
        let mut round = Round {
            partitions: Vec::new(),
            record_counts: Vec::new(),
        };
        for (partition, batches) in &mut self.partitions {
            let mut builder = match batches.full.pop_front() {
                Some(builder) => {
                    self.full -= 1;
                    builder
                }
                None if full_only => continue,
                None => match batches.open.take() {
                    Some(builder) => {
                        batches.writer = None;
                        builder
                    }
                    None => continue,
                },
            };
            let count = builder.len();
            self.bytes -= builder.estimated_size_bytes().min(self.bytes);
            let sequence = sequences.take(partition, count);
            builder.set_producer(identity.producer_id, identity.producer_epoch, sequence);
            round.partitions.push(ProducePartition {
                partition: partition.clone(),
                batches: builder.build_known().into(),
            });
            round.record_counts.push(count);
        }
        (!round.partitions.is_empty()).then_some(round)
    }
}

impl RecordCollector {
    /// Everything as plain batches of no producer and no transaction: only planted bugs do that.
    pub(crate) fn seal_untied(self) -> Vec<Round> {
        let mut rounds = Vec::new();
        for (partition, batches) in self.partitions {
            for builder in batches.full.into_iter().chain(batches.open) {
                let record_counts = vec![builder.len()];
                let partitions = vec![ProducePartition {
                    partition: partition.clone(),
                    batches: builder.build().into(),
                }];
                rounds.push(Round {
                    partitions,
                    record_counts,
                });
            }
        }
        rounds
    }
}

impl PartitionCollector<'_> {
    /// Adds one record.
    #[inline]
    pub(crate) fn append(
        &mut self,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> Result<(), BatchError> {
        self.make_room(record_size(key, value, headers));
        self.push(timestamp, key, value, headers)
    }

    /// Adds a record of a task. `writer`: the task's partition, where readers must know whose records they read.
    #[inline]
    fn append_output(&mut self, writer: Option<i32>, record: &OutputRecord<'_>) -> Result<(), BatchError> {
        let (timestamp, key, value) = (record.timestamp, record.key, record.value);
        let headers = record.headers.as_slice();
        if writer.is_none() && record.time.is_none() {
            return self.append(timestamp, key, value, headers);
        }
        let mark_size = if writer.is_some() { MARK_SIZE_MAX } else { 0 };
        self.make_room(record_size(key, value, headers) + mark_size);
        let starts_run =
            writer.filter(|writer| self.batches.writer != Some(*writer) && !record.cannot_tell());
        self.batches.writer = starts_run.or(self.batches.writer);
        match record.upstream_time(starts_run) {
            None => self.push(timestamp, key, value, headers),
            Some(told) => {
                let told = Bytes::copy_from_slice(&told.to_bytes());
                let headers = record.headers.with(TIME_HEADER, told);
                self.push(timestamp, key, value, headers.as_slice())
            }
        }
    }

    /// Sees to it that there is an open batch, and closes the one there was when it has no room for `size` bytes more.
    #[inline]
    fn make_room(&mut self, size: usize) {
        match &self.batches.open {
            Some(open) if open.estimated_size_bytes() + size <= self.batches.batch_bytes => {}
            _ => self.begin_batch(),
        }
    }

    #[cold]
    fn begin_batch(&mut self) {
        let mut capacity = 0;
        if let Some(full) = self.batches.open.take() {
            // Where one batch was filled the next one will be.
            capacity = full.estimated_size_bytes();
            self.batches.full.push_back(full);
            self.batches.writer = None;
            *self.full += 1;
        }
        *self.bytes += EMPTY_BATCH_BYTES;
        let options = BatchOptions {
            compression: self.options.compression,
            transactional: self.options.transactional,
            ..BatchOptions::default()
        };
        self.batches.open = Some(BatchBuilder::with_capacity(options, capacity));
    }

    #[inline]
    fn push(
        &mut self,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> Result<(), BatchError> {
        let open = self.batches.open.as_mut().expect("room was made for it");
        let before = open.estimated_size_bytes();
        open.append(timestamp, key, value, headers)?;
        *self.bytes += open.estimated_size_bytes() - before;
        Ok(())
    }
}

/// More than a record takes in a batch.
#[inline]
fn record_size(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header]) -> usize {
    let header =
        |header: &Header| header.key.len() + header.value.as_ref().map_or(0, Bytes::len) + HEADER_OVERHEAD;
    let lengths = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
    lengths + headers.iter().map(header).sum::<usize>() + RECORD_OVERHEAD
}

impl Sequences {
    fn take(&mut self, partition: &TopicPartition, count: usize) -> Sequence {
        let count = i32::try_from(count).expect("a batch holds fewer than 2^31 records");
        match self.next.get_mut(partition) {
            Some(next) => {
                let sequence = *next;
                *next = sequence.plus(count);
                sequence
            }
            None => {
                self.next.insert(partition.clone(), Sequence::new(0).plus(count));
                Sequence::new(0)
            }
        }
    }
}

#[cfg(test)]
#[path = "record_collector_test.rs"]
mod record_collector_test;
