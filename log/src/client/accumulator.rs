//! Records on their way: one filling batch per partition, full ones behind it, at most one request in flight.
//!
//! A plain data structure behind the producer's lock: no I/O, no clock. Always true: records of a partition leave in the order they came; a
//! sequence is given to a batch when it leaves, and taken back only if the broker surely did not write it, so the broker never sees a gap.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::channel::oneshot;
use hashbrown::HashMap;

use crate::broker::{BrokerError, ErrorCode, ProducerIdentity};
use crate::record::{BatchBuilder, BatchOptions, Compression};
use crate::types::{Offset, PartitionId, Sequence, Timestamp, TopicName, TopicPartition};

use super::delivery::{Completion, Delivery};
use super::partitioner::partition_for_key;
use super::producer_record::ProducerRecord;

type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// A batch being filled or waiting.
#[derive(Debug)]
pub(super) struct PendingBatch {
    builder: BatchBuilder,
    /// Bytes of the producer's budget it holds.
    reserved: usize,
    opened_at: Duration,
    done: oneshot::Sender<Result<Offset, BrokerError>>,
    completion: Completion,
}

/// What is left of a batch once its bytes are built: whom to tell.
#[derive(Debug)]
pub(super) struct SealedBatch {
    pub(super) reserved: usize,
    pub(super) records: i64,
    done: oneshot::Sender<Result<Offset, BrokerError>>,
}

impl PendingBatch {
    pub(super) fn seal(self) -> (Bytes, SealedBatch) {
        let records = self.builder.len() as i64;
        (
            self.builder.build(),
            SealedBatch {
                reserved: self.reserved,
                records,
                done: self.done,
            },
        )
    }
}

impl SealedBatch {
    /// Tells every record of the batch where it starts.
    pub(super) fn finish(self, base_offset: Result<Offset, BrokerError>) {
        // Nobody may be waiting.
        self.done.send(base_offset).ok();
    }
}

#[derive(Debug)]
struct Queue {
    partition: TopicPartition,
    filling: Option<PendingBatch>,
    full: VecDeque<PendingBatch>,
    in_flight: bool,
    next_sequence: Sequence,
}

#[derive(Debug, Default)]
struct Topic {
    queues: Vec<Queue>,
    /// Where records without key go until its batch leaves.
    sticky: Option<usize>,
}

/// Batches of one partition that leave together.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) partition: TopicPartition,
    pub(super) batches: Vec<PendingBatch>,
    pub(super) first_sequence: Sequence,
}

/// What goes with a record that arrives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) timestamp: Timestamp,
    /// Bytes of the budget it holds.
    pub(super) reserved: usize,
    pub(super) now: Duration,
}

/// The broker's topics at this moment.
pub(super) struct TopicsNow<'a> {
    /// Changes whenever one of them does.
    pub(super) version: Offset,
    pub(super) partition_count: &'a dyn Fn(&TopicName) -> Option<i32>,
}

/// All records not yet acknowledged.
#[derive(Debug)]
pub(super) struct Accumulator {
    topics: Map<TopicName, Topic>,
    metadata_version: Offset,
    /// Partitions with something to send and nothing in flight.
    waiting: BTreeSet<TopicPartition>,
    pub(super) identity: Option<ProducerIdentity>,
    transactional: bool,
    compression: Compression,
    batch_bytes: usize,
    /// Batches not done: filling, full or in flight.
    outstanding: Map<u64, Completion>,
    next_batch: u64,
    departed: bool,
    /// How many callers want everything to leave now, whatever the linger.
    pub(super) flushing: usize,
    pub(super) closed: bool,
}

impl Accumulator {
    pub(super) fn new(transactional: bool, compression: Compression, batch_bytes: usize) -> Self {
        Self {
            topics: Map::default(),
            metadata_version: Offset::new(-1),
            waiting: BTreeSet::new(),
            identity: None,
            transactional,
            compression,
            batch_bytes,
            outstanding: Map::default(),
            next_batch: 0,
            departed: false,
            flushing: 0,
            closed: false,
        }
    }

    /// Adds a record. The flag tells whether the sender has something new to do.
    pub(super) fn append(
        &mut self,
        record: &ProducerRecord,
        arrival: Arrival,
        topics: &TopicsNow<'_>,
        random: impl FnOnce() -> u64,
    ) -> Result<(Delivery, bool), BrokerError> {
        let Arrival {
            timestamp,
            reserved,
            now,
        } = arrival;
        if self.metadata_version != topics.version {
            self.forget_idle_topics(topics);
        }
        if !self.topics.contains_key(&record.topic) {
            self.open_topic(&record.topic, topics)?;
        }
        let options = BatchOptions {
            compression: self.compression,
            transactional: self.transactional,
            ..BatchOptions::default()
        };
        let unknown = || {
            BrokerError::new(
                ErrorCode::UnknownTopicOrPartition,
                format!("unknown topic {}", record.topic),
            )
        };
        let topic = self.topics.get_mut(&record.topic).ok_or_else(unknown)?;
        let index = topic.choose(record, random)?;
        let queue = &mut topic.queues[index];
        let mut news = false;
        if queue
            .filling
            .as_ref()
            .is_some_and(|batch| batch.builder.estimated_size_bytes() + reserved > self.batch_bytes)
        {
            queue.full.extend(queue.filling.take());
            news = true;
        }
        let batch = match &mut queue.filling {
            Some(batch) => batch,
            None => {
                news = true;
                let (done, receiver) = oneshot::channel();
                let completion = receiver.shared();
                self.outstanding.insert(self.next_batch, completion.clone());
                self.next_batch += 1;
                let builder = BatchBuilder::with_capacity(options, self.batch_bytes.min(16 << 10));
                queue.filling.insert(PendingBatch {
                    builder,
                    reserved: 0,
                    opened_at: now,
                    done,
                    completion,
                })
            }
        };
        batch.builder.append(
            timestamp,
            record.key.as_deref(),
            record.value.as_deref(),
            &record.headers,
        )?;
        batch.reserved += reserved;
        let index = batch.builder.len() as i64 - 1;
        let delivery = Delivery {
            completion: batch.completion.clone(),
            partition: queue.partition.clone(),
            index,
        };
        if !queue.in_flight && news {
            self.waiting.insert(queue.partition.clone());
        }
        Ok((delivery, news && !queue.in_flight))
    }

    fn open_topic(&mut self, topic: &TopicName, topics: &TopicsNow<'_>) -> Result<(), BrokerError> {
        let Some(count) = (topics.partition_count)(topic) else {
            return Err(BrokerError::new(
                ErrorCode::UnknownTopicOrPartition,
                format!("unknown topic {topic}"),
            ));
        };
        let queue = |partition| Queue {
            partition: TopicPartition::new(topic.clone(), PartitionId::new(partition)),
            filling: None,
            full: VecDeque::new(),
            in_flight: false,
            next_sequence: Sequence::ZERO,
        };
        self.topics.insert(
            topic.clone(),
            Topic {
                queues: (0..count).map(queue).collect(),
                sticky: None,
            },
        );
        Ok(())
    }

    /// Metadata changed: a topic may have been deleted and made again with other partitions.
    fn forget_idle_topics(&mut self, topics: &TopicsNow<'_>) {
        self.metadata_version = topics.version;
        self.topics.retain(|name, topic| {
            let busy = |queue: &Queue| queue.in_flight || queue.filling.is_some() || !queue.full.is_empty();
            topic.queues.iter().any(busy) || (topics.partition_count)(name) == Some(topic.queues.len() as i32)
        });
    }

    /// Takes what is ready to leave: full batches, and filling ones whose linger is over. Also tells when the next filling one is due.
    pub(super) fn depart(
        &mut self,
        now: Duration,
        linger: Duration,
        most_bytes: usize,
    ) -> (Vec<Departure>, Option<Duration>) {
        let mut departures = Vec::new();
        let mut next_due: Option<Duration> = None;
        let mut left = most_bytes;
        let flushing = self.flushing > 0 || self.closed;
        for partition in std::mem::take(&mut self.waiting) {
            let Some(topic) = self.topics.get_mut(&partition.topic) else {
                continue;
            };
            let Some(queue) = topic.queues.get_mut(partition.partition.get() as usize) else {
                continue;
            };
            let due = queue.filling.as_ref().map(|batch| batch.opened_at + linger);
            if due.is_some_and(|due| flushing || due <= now || !queue.full.is_empty()) {
                queue.full.extend(queue.filling.take());
                topic.sticky = topic
                    .sticky
                    .filter(|sticky| *sticky != partition.partition.get() as usize);
            } else if let Some(due) = due {
                next_due = Some(next_due.map_or(due, |earlier| earlier.min(due)));
            }
            if queue.full.is_empty() || left == 0 {
                self.waiting.insert(partition);
                continue;
            }
            let first_sequence = queue.next_sequence;
            let mut batches = Vec::new();
            while left > 0
                && let Some(mut batch) = queue.full.pop_front()
            {
                left = left.saturating_sub(batch.builder.estimated_size_bytes());
                if let Some(identity) = self.identity {
                    batch.builder.set_producer(
                        identity.producer_id,
                        identity.producer_epoch,
                        queue.next_sequence,
                    );
                }
                queue.next_sequence = queue.next_sequence.plus(batch.builder.len() as i32);
                batches.push(batch);
            }
            queue.in_flight = true;
            self.departed = true;
            departures.push(Departure {
                partition,
                batches,
                first_sequence,
            });
        }
        (departures, next_due)
    }

    /// A partition's request is over. If it surely did nothing, its sequences are given to the next one.
    pub(super) fn arrived(&mut self, partition: &TopicPartition, first_sequence: Sequence, written: bool) {
        let Some(topic) = self.topics.get_mut(&partition.topic) else {
            return;
        };
        let Some(queue) = topic.queues.get_mut(partition.partition.get() as usize) else {
            return;
        };
        queue.in_flight = false;
        if !written {
            queue.next_sequence = first_sequence;
        }
        if queue.filling.is_some() || !queue.full.is_empty() {
            self.waiting.insert(partition.clone());
        }
    }

    /// Completions of everything not yet done.
    pub(super) fn unfinished(&mut self) -> Vec<Completion> {
        self.outstanding
            .retain(|_, completion| completion.peek().is_none());
        let mut unfinished: Vec<_> = self.outstanding.iter().collect();
        unfinished.sort_by_key(|(number, _)| **number);
        unfinished
            .into_iter()
            .map(|(_, completion)| completion.clone())
            .collect()
    }

    /// Forgets completions of batches that are done, now and then.
    pub(super) fn tidy(&mut self) {
        if self.outstanding.len() > 64 {
            self.outstanding
                .retain(|_, completion| completion.peek().is_none());
        }
    }

    /// Takes every batch that did not leave yet.
    pub(super) fn discard(&mut self) -> Vec<PendingBatch> {
        let mut discarded = Vec::new();
        for topic in self.topics.values_mut() {
            for queue in &mut topic.queues {
                discarded.extend(queue.full.drain(..));
                discarded.extend(queue.filling.take());
            }
        }
        self.waiting.clear();
        discarded
    }

    /// A new epoch: sequences start again at zero.
    pub(super) fn adopt(&mut self, identity: ProducerIdentity) {
        self.identity = Some(identity);
        self.departed = false;
        for queue in self.topics.values_mut().flat_map(|topic| &mut topic.queues) {
            queue.next_sequence = Sequence::ZERO;
        }
    }

    /// True if a batch left since the last new identity, so that the broker may know of the transaction.
    pub(super) fn sent_in_transaction(&self) -> bool {
        self.departed
    }

    /// True if nothing waits to leave.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Topic {
    fn choose(
        &mut self,
        record: &ProducerRecord,
        random: impl FnOnce() -> u64,
    ) -> Result<usize, BrokerError> {
        let count = self.queues.len();
        if let Some(partition) = record.partition {
            let index = usize::try_from(partition.get())
                .ok()
                .filter(|index| *index < count);
            return index.ok_or_else(|| {
                let message = format!(
                    "topic {} has partitions 0 to {}, not {partition}",
                    record.topic,
                    count as i64 - 1
                );
                BrokerError::new(ErrorCode::UnknownTopicOrPartition, message)
            });
        }
        match &record.key {
            Some(key) => Ok(partition_for_key(key, count as i32).get() as usize),
            None => Ok(*self
                .sticky
                .get_or_insert_with(|| (random() % count.max(1) as u64) as usize)),
        }
    }
}
