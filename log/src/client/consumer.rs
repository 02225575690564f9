//! The consumer: a stream of records of assigned partitions.
//!
//! Always true: `position` is the offset of the next record the application will get, so committing positions after handling a record never skips one;
//! at most `fetch_bytes` of batches are held; records of a partition come in offset order. A seek drops what was fetched for the old
//! place, also what is still on its way. Next: `consumer_fetch.rs` asks the broker and takes its answers apart.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::Stream;
use futures::future::FutureExt;

use crate::broker::{Broker, BrokerError, ErrorCode, OffsetAndMetadata, OffsetSpec};
use crate::record::Record;
use crate::types::{GroupId, Offset, TopicName, TopicPartition};

use super::consumer_fetch::Fetching;
use super::consumer_options::{ConsumerOptions, OffsetReset};

/// A record and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerRecord {
    /// Its partition.
    pub partition: TopicPartition,
    /// Offset, timestamp, key, value, headers. The bytes are shared with the batch they came in, not copied.
    pub record: Record,
}

/// Something waiting to be taken.
#[derive(Debug)]
pub(super) enum Buffered {
    Record(ConsumerRecord),
    /// Nothing to deliver up to here: markers, aborted records, gaps of compaction.
    SkipTo(TopicPartition, Offset),
    Failed(BrokerError),
}

/// Where the consumer is in a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The next record the application gets.
    position: Offset,
    /// The next offset to fetch.
    pub(super) fetch_from: Offset,
}

/// Reads records. Assign partitions, then take records from it as a stream, which has no end.
///
/// Dropping it never blocks. One consumer serves one task; make as many as needed.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # use millpond_log::broker::{Broker, BrokerOptions};
/// # use millpond_log::client::{Admin, Consumer, ConsumerOptions, Producer, ProducerOptions, ProducerRecord};
/// # let dir = tempfile::tempdir()?;
/// # let broker = Broker::start(BrokerOptions::at(dir.path())).await?;
/// # let topic = Admin::new(&broker).create_topic("orders", 1).await?.name;
/// # let producer = Producer::new(&broker, ProducerOptions::default()).await?;
/// # for number in 0..3 { let _ = producer.send(ProducerRecord::new(&topic).value(format!("{number}"))).await?; }
/// let mut consumer = Consumer::new(&broker, ConsumerOptions::group("billing"));
/// consumer.assign_topic(&topic).await?;
/// for _ in 0..3 {
///     let record = consumer.recv().await?;
///     println!("{} {}", record.record.offset, String::from_utf8_lossy(record.record.value.as_deref().unwrap_or_default()));
/// }
/// consumer.commit().await?; // the next consumer of this group starts here
/// # broker.shutdown().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub struct Consumer {
    pub(super) broker: Broker,
    pub(super) options: ConsumerOptions,
    pub(super) places: BTreeMap<TopicPartition, Place>,
    pub(super) buffered: VecDeque<Buffered>,
    /// The partition asked first in the next fetch, so that a busy one does not starve the others.
    pub(super) turn: usize,
    fetching: Option<Fetching>,
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer")
            .field("places", &self.places)
            .field("buffered", &self.buffered.len())
            .finish_non_exhaustive()
    }
}

impl Consumer {
    /// A consumer with nothing assigned.
    pub fn new(broker: &Broker, options: ConsumerOptions) -> Self {
        Self {
            broker: broker.clone(),
            options,
            places: BTreeMap::new(),
            buffered: VecDeque::new(),
            turn: 0,
            fetching: None,
        }
    }

    /// Reads these partitions from now on, and no others: from the group's committed offsets, else where `offset_reset` says.
    /// Errs with `UnknownTopicOrPartition`; the assignment stays as it was then. Cancel-safe.
    pub async fn assign(
        &mut self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<(), BrokerError> {
        let partitions: Vec<_> = partitions.into_iter().collect();
        let mut places = BTreeMap::new();
        if let Some(group) = &self.options.group {
            for (partition, committed) in self.committed(group, &partitions).await? {
                places.insert(
                    partition,
                    Place {
                        position: committed.offset,
                        fetch_from: committed.offset,
                    },
                );
            }
        }
        let fresh: Vec<_> = partitions
            .into_iter()
            .filter(|partition| !places.contains_key(partition))
            .collect();
        for (partition, start) in self.reset_offsets(fresh).await? {
            places.insert(
                partition,
                Place {
                    position: start,
                    fetch_from: start,
                },
            );
        }
        self.places = places;
        self.buffered.clear();
        self.fetching = None;
        Ok(())
    }

    /// Reads all partitions of a topic. Errs and cancels as `assign`.
    pub async fn assign_topic(&mut self, topic: &TopicName) -> Result<(), BrokerError> {
        let count = self.broker.partition_count(topic).ok_or_else(|| {
            BrokerError::new(
                ErrorCode::UnknownTopicOrPartition,
                format!("unknown topic {topic}"),
            )
        })?;
        self.assign((0..count).map(|partition| TopicPartition::new(topic.clone(), partition)))
            .await
    }

    /// The group's committed offsets; waits while a transaction holds them open.
    async fn committed(
        &self,
        group: &GroupId,
        partitions: &[TopicPartition],
    ) -> Result<Vec<(TopicPartition, OffsetAndMetadata)>, BrokerError> {
        loop {
            match self.broker.offset_fetch(group, Some(partitions.to_vec())).await {
                Err(error) if error.is_retriable() => {
                    self.broker.clock().sleep(Duration::from_millis(10)).await;
                }
                answer => return answer,
            }
        }
    }

    async fn reset_offsets(
        &self,
        partitions: Vec<TopicPartition>,
    ) -> Result<Vec<(TopicPartition, Offset)>, BrokerError> {
        let spec = match self.options.offset_reset {
            OffsetReset::Earliest => OffsetSpec::Earliest,
            OffsetReset::Latest => OffsetSpec::Latest,
            OffsetReset::Error => match partitions.first() {
                Some(partition) => {
                    let message = format!("no committed offset for {partition}, and offset_reset is Error");
                    return Err(BrokerError::new(ErrorCode::OffsetOutOfRange, message));
                }
                None => return Ok(Vec::new()),
            },
        };
        self.offsets_of(partitions, spec).await
    }

    pub(super) async fn offsets_of(
        &self,
        partitions: Vec<TopicPartition>,
        spec: OffsetSpec,
    ) -> Result<Vec<(TopicPartition, Offset)>, BrokerError> {
        let asked = partitions
            .iter()
            .map(|partition| (partition.clone(), spec))
            .collect();
        let listed = self.broker.list_offsets(asked, self.options.isolation).await;
        let pairs = partitions.into_iter().zip(listed);
        pairs
            .map(|(partition, offset)| Ok((partition, offset?.offset.unwrap_or(Offset::ZERO))))
            .collect()
    }

    /// The assigned partitions, in order.
    pub fn assignment(&self) -> impl Iterator<Item = &TopicPartition> {
        self.places.keys()
    }

    /// Offset of the next record the application will get from a partition; none if it is not assigned.
    pub fn position(&self, partition: &TopicPartition) -> Option<Offset> {
        self.places.get(partition).map(|place| place.position)
    }

    /// Goes on at this offset. Errs with `UnknownTopicOrPartition` if the partition is not assigned.
    pub fn seek(&mut self, partition: &TopicPartition, offset: Offset) -> Result<(), BrokerError> {
        let Some(place) = self.places.get_mut(partition) else {
            let message = format!("partition {partition} is not assigned");
            return Err(BrokerError::new(ErrorCode::UnknownTopicOrPartition, message));
        };
        *place = Place {
            position: offset,
            fetch_from: offset,
        };
        self.buffered.retain(|buffered| match buffered {
            Buffered::Record(record) => record.partition != *partition,
            Buffered::SkipTo(of, _) => of != partition,
            Buffered::Failed(_) => true,
        });
        self.fetching = None;
        Ok(())
    }

    /// Goes on at the first readable record of every assigned partition. Cancel-safe.
    pub async fn seek_to_beginning(&mut self) -> Result<(), BrokerError> {
        self.seek_all(OffsetSpec::Earliest).await
    }

    /// Goes on at the end of every assigned partition. Cancel-safe.
    pub async fn seek_to_end(&mut self) -> Result<(), BrokerError> {
        self.seek_all(OffsetSpec::Latest).await
    }

    async fn seek_all(&mut self, spec: OffsetSpec) -> Result<(), BrokerError> {
        let offsets = self
            .offsets_of(self.places.keys().cloned().collect(), spec)
            .await?;
        offsets
            .into_iter()
            .try_for_each(|(partition, offset)| self.seek(&partition, offset))
    }

    /// The next record. Cancel-safe: a record is taken only when it is returned.
    pub async fn recv(&mut self) -> Result<ConsumerRecord, BrokerError> {
        std::future::poll_fn(|context| self.poll_record(context)).await
    }

    /// Commits the positions of all assigned partitions for the group. Errs with `InvalidGroupId` without one. Cancel-safe: a dropped call
    /// may or may not have committed.
    pub async fn commit(&self) -> Result<(), BrokerError> {
        let group = self.options.group.as_ref();
        let group = group.ok_or_else(|| {
            BrokerError::new(ErrorCode::InvalidGroupId, "consumer has no group to commit for")
        })?;
        self.broker.offset_commit(group, self.positions()).await
    }

    /// The positions of all assigned partitions, as `commit` and a transactional producer's `send_offsets` take them.
    pub fn positions(&self) -> Vec<(TopicPartition, OffsetAndMetadata)> {
        let position = |(partition, place): (&TopicPartition, &Place)| {
            (partition.clone(), OffsetAndMetadata::new(place.position))
        };
        self.places.iter().map(position).collect()
    }

    fn poll_record(&mut self, context: &mut Context<'_>) -> Poll<Result<ConsumerRecord, BrokerError>> {
        loop {
            if let Some(taken) = self.take_buffered() {
                return Poll::Ready(taken);
            }
            let mut fetching = match self.fetching.take() {
                Some(fetching) => fetching,
                None => self.start_fetch(),
            };
            match fetching.response.poll_unpin(context) {
                Poll::Pending => {
                    self.fetching = Some(fetching);
                    return Poll::Pending;
                }
                Poll::Ready(fetched) => self.take_response(fetching.asked, fetched),
            }
        }
    }

    fn take_buffered(&mut self) -> Option<Result<ConsumerRecord, BrokerError>> {
        let taken = loop {
            match self.buffered.pop_front()? {
                Buffered::SkipTo(partition, offset) => self.advance(&partition, offset),
                Buffered::Failed(error) => break Err(error),
                Buffered::Record(record) => {
                    self.advance(&record.partition, record.record.offset.next());
                    break Ok(record);
                }
            }
        };
        // What follows without a record belongs to the position too: a commit after the last record covers its marker.
        while let Some(Buffered::SkipTo(..)) = self.buffered.front() {
            if let Some(Buffered::SkipTo(partition, offset)) = self.buffered.pop_front() {
                self.advance(&partition, offset);
            }
        }
        Some(taken)
    }

    fn advance(&mut self, partition: &TopicPartition, offset: Offset) {
        if let Some(place) = self.places.get_mut(partition) {
            place.position = offset;
        }
    }
}

impl Stream for Consumer {
    type Item = Result<ConsumerRecord, BrokerError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let record = ready!(self.poll_record(context));
        Poll::Ready(Some(record))
    }
}
