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

use crate::processor::{Outputs, TIME_HEADER, time_header};

/// More than a record needs beside its key, value and headers.
const RECORD_OVERHEAD: usize = 32;
/// More than a header needs beside its name and value.
const HEADER_OVERHEAD: usize = 10;
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
    headers: Vec<Header>,
}

#[derive(Debug, Default)]
struct PartitionBatches {
    /// As [`CollectorOptions::batch_bytes`], for this topic.
    batch_bytes: usize,
    full: VecDeque<BatchBuilder>,
    open: Option<BatchBuilder>,
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
            headers: Vec::new(),
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
            for record in records {
                self.headers.clear();
                self.headers.extend(record.headers.iter().map(|header| Header {
                    key: header.key.clone(),
                    value: header.value.clone(),
                }));
                if let Some((upstream, time)) = record.time {
                    self.headers.push(Header {
                        key: Bytes::from_static(TIME_HEADER.as_bytes()),
                        value: Some(Bytes::copy_from_slice(&time_header::encode(upstream, time))),
                    });
                }
                let headers = std::mem::take(&mut self.headers);
                self.append(&target, record.timestamp, record.key, record.value, &headers)?;
                self.headers = headers;
            }
        }
        outputs.clear();
        Ok(())
    }

    /// Adds one record.
    pub(crate) fn append(
        &mut self,
        partition: &TopicPartition,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> Result<(), BatchError> {
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
        let batches = self.partitions.get_mut(partition).expect("inserted just above");
        let header = |header: &Header| {
            header.key.len() + header.value.as_ref().map_or(0, Bytes::len) + HEADER_OVERHEAD
        };
        let size = key.map_or(0, <[u8]>::len)
            + value.map_or(0, <[u8]>::len)
            + headers.iter().map(header).sum::<usize>()
            + RECORD_OVERHEAD;
        if batches
            .open
            .as_ref()
            .is_some_and(|open| open.estimated_size_bytes() + size > batches.batch_bytes)
        {
            batches.full.extend(batches.open.take());
            self.full += 1;
        }
        let open = batches.open.get_or_insert_with(|| {
            self.bytes += EMPTY_BATCH_BYTES;
            BatchBuilder::new(BatchOptions {
                compression: self.options.compression,
                transactional: self.options.transactional,
                ..BatchOptions::default()
            })
        });
        let before = open.estimated_size_bytes();
        open.append(timestamp, key, value, headers)?;
        self.bytes += open.estimated_size_bytes() - before;
        Ok(())
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
                    Some(builder) => builder,
                    None => continue,
                },
            };
            let count = builder.len();
            self.bytes -= builder.estimated_size_bytes().min(self.bytes);
            let sequence = sequences.take(partition, count);
            builder.set_producer(identity.producer_id, identity.producer_epoch, sequence);
            round.partitions.push(ProducePartition {
                partition: partition.clone(),
                batches: builder.build().into(),
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
