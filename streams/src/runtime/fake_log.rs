//! A log in memory with Kafka's transactional semantics, for tests of the worker without a broker: open transactions hold the last stable offset,
//! fencing aborts, `end_txn` bumps the epoch. Answers can be lost on purpose.
//!
//! Always true: what a call changes, it changes at once, under one lock. What the log holds and what a transaction does to it is `fake_partitions.rs`.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::select;
use millpond_log::broker::{
    FetchRequest, FetchResponse, FetchedData, NewTopic, OffsetAndMetadata, OffsetSpec, ProduceAck,
    ProduceRequest, ProducerIdentity, TopicDescription, TxnOffsetCommit, TxnResult,
};
use millpond_log::clock::Clock;
use millpond_log::record::{BatchBuilder, BatchOptions, RecordBatch};
use millpond_log::types::{GroupId, Offset, TopicId, TopicName, TopicPartition, TransactionalId};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::fake_offsets::FakeOffsets;
use super::fake_partitions::Inner;
pub(crate) use super::fake_partitions::partition_of;
use super::input_queue::InputQueue;
use super::log_client::{LogClient, LogError};

/// What happens to the next `end_txn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndTxnLuck {
    Answered,
    /// It happens, the answer is lost.
    LostAfter,
    /// It never happens, and nobody says so.
    LostBefore,
}

/// The log. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct FakeLog {
    inner: Arc<Mutex<Inner>>,
    appended: Arc<Notify>,
    clock: Arc<dyn Clock>,
}

impl FakeLog {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let appended = Arc::new(Notify::new());
        let inner = Inner {
            offsets: FakeOffsets::new(clock.clone()),
            appended: appended.clone(),
            ..Inner::default()
        };
        FakeLog {
            inner: Arc::new(Mutex::new(inner)),
            appended,
            clock,
        }
    }

    /// From now on committed offsets are forgotten this long after their commit, each by itself.
    pub(crate) fn forget_offsets_after(&self, retention: Duration) {
        self.inner.lock().offsets.forget_after(retention);
    }

    pub(crate) fn add_topic(&self, name: &str, partitions: i32) {
        let name = TopicName::new(name).expect("a valid name");
        self.inner.lock().add_topic(name, partitions, BTreeMap::new());
    }

    /// The next answers to `describe_topics` are lost.
    pub(crate) fn lose_describes(&self, answers: u32) {
        self.inner.lock().lose_describes = answers;
    }

    /// Fetches from this topic are never answered again.
    pub(crate) fn silence(&self, topic: &str) {
        self.inner.lock().silent_topic = Some(TopicName::new(topic).expect("a valid name"));
    }

    /// Limits the batches of a topic.
    pub(crate) fn set_max_message_bytes(&self, topic: &str, bytes: usize) {
        let mut inner = self.inner.lock();
        let topic = inner.topics.get_mut(topic).expect("the topic exists");
        topic.1.insert("max.message.bytes".to_owned(), bytes.to_string());
    }

    /// Whether a transaction is open on any partition: it would hold back readers of committed data.
    pub(crate) fn holds_readers_back(&self) -> bool {
        self.inner
            .lock()
            .partitions
            .values()
            .any(|log| !log.open.is_empty())
    }

    /// Appends plain records.
    pub(crate) fn send(&self, topic: &str, partition: i32, records: &[(&str, &str, i64)]) {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        for (key, value, time) in records {
            builder
                .append(*time, Some(key.as_bytes()), Some(value.as_bytes()), &[])
                .expect("a small record");
        }
        let batch = builder.build();
        self.inner.lock().append(&partition_of(topic, partition), &batch);
    }

    /// The whole log of a topic as `other` has it, offset by offset.
    pub(crate) fn copy_topic(&self, other: &FakeLog, topic: &str) {
        let topic = TopicName::new(topic).expect("a valid name");
        let (count, partitions) = {
            let from = other.inner.lock();
            let partitions = from.partitions.iter();
            let partitions = partitions.filter(|(name, _)| name.topic == topic);
            let partitions: Vec<_> = partitions
                .map(|(name, log)| (name.clone(), log.clone()))
                .collect();
            (partitions.len() as i32, partitions)
        };
        let mut inner = self.inner.lock();
        inner.add_topic(topic, count, BTreeMap::new());
        inner.partitions.extend(partitions);
    }

    /// Committed records of a topic as (key, value) texts, partition by partition.
    pub(crate) fn committed(&self, topic: &str) -> Vec<(String, Option<String>)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let inner = self.inner.lock();
        let mut found = Vec::new();
        for (name, log) in inner
            .partitions
            .iter()
            .filter(|(name, _)| name.topic.as_str() == topic)
        {
            let mut queue = InputQueue::new(name.clone(), Offset::ZERO);
            let (batches, aborted) = log.stable_from(Offset::ZERO);
            let aborted = aborted
                .into_iter()
                .map(|txn| (txn.producer_id, txn.first_offset))
                .collect();
            queue
                .push(Offset::ZERO, batches, aborted, Offset::new(log.stable()))
                .expect("sound batches");
            let Some(run) = queue.take(usize::MAX, None).expect("sound batches") else {
                continue;
            };
            for record in run.batch.records() {
                let record = record.expect("a sound record").record;
                found.push((text(record.key.unwrap_or_default()), record.value.map(text)));
            }
        }
        found
    }

    /// What happens to the coming `end_txn`s, in their order; afterwards all are answered.
    pub(crate) fn set_luck(&self, mut luck: Vec<EndTxnLuck>) {
        luck.reverse();
        self.inner.lock().luck = luck;
    }

    /// The coordinator's timeout: aborts what is open under every transactional id and bumps the epochs.
    pub(crate) fn expire_transactions(&self) {
        let mut inner = self.inner.lock();
        let open = inner
            .producers
            .iter()
            .filter(|(_, producer)| !producer.partitions.is_empty() || !producer.offsets.is_empty());
        for id in open.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            inner.finish(&id, TxnResult::Abort);
        }
    }

    /// The next answer to `init_producer_id` is lost after it happened.
    pub(crate) fn lose_next_init(&self) {
        self.lose_next_init_after(Duration::ZERO);
    }

    /// The same, and nobody knows before `patience` is over.
    pub(crate) fn lose_next_init_after(&self, patience: Duration) {
        self.inner.lock().lose_next_init = Some(patience);
    }

    /// The lease on a partition.
    pub(crate) fn lease(&self, topic: &str, partition: i32) -> Option<Offset> {
        self.inner
            .lock()
            .leases
            .get(&partition_of(topic, partition))
            .copied()
    }

    /// Compaction removed tombstones below this offset.
    pub(crate) fn set_tombstone_horizon(&self, topic: &str, partition: i32, offset: i64) {
        let mut inner = self.inner.lock();
        inner
            .horizons
            .insert(partition_of(topic, partition), Offset::new(offset));
    }

    /// Compaction removes tombstones below this offset as soon as somebody reads that partition.
    pub(crate) fn compact_at_next_fetch(&self, topic: &str, partition: i32, offset: i64) {
        self.inner.lock().compacts_at_fetch = Some((partition_of(topic, partition), Offset::new(offset)));
    }

    pub(crate) fn end_txns(&self) -> u64 {
        self.inner.lock().end_txns
    }
}

#[async_trait]
impl LogClient for FakeLog {
    fn hold_leases(&self, _name: &str, from: &[(TopicPartition, Offset)]) {
        self.inner.lock().leases.extend(from.iter().cloned());
    }

    fn tombstone_horizon(&self, partition: &TopicPartition) -> Option<Offset> {
        self.inner.lock().horizons.get(partition).copied()
    }

    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, LogError> {
        self.inner.lock().compact_if_asked(&request);
        let silent = self.inner.lock().silent_topic.clone();
        let asks = |topic| {
            request
                .partitions
                .iter()
                .any(|asked| asked.partition.topic == topic)
        };
        if silent.is_some_and(asks) {
            std::future::pending::<()>().await;
        }
        let deadline = self.clock.monotonic() + request.max_wait;
        loop {
            // Nothing can come in between: tests run on one thread.
            let appended = self.appended.notified();
            let mut partitions = Vec::new();
            let mut bytes = 0;
            for asked in &request.partitions {
                let inner = self.inner.lock();
                let log = inner
                    .partitions
                    .get(&asked.partition)
                    .ok_or_else(|| LogError::UnknownTopic(asked.partition.to_string()))?;
                let (batches, aborted) = log.stable_from(asked.fetch_offset);
                bytes += batches.iter().map(Bytes::len).sum::<usize>();
                let data = FetchedData {
                    high_watermark: Offset::new(log.end),
                    last_stable_offset: Offset::new(log.stable()),
                    log_start_offset: Offset::new(log.start),
                    aborted,
                    batches,
                };
                partitions.push((asked.partition.clone(), Ok(data)));
            }
            let left = deadline.saturating_sub(self.clock.monotonic());
            if bytes >= request.min_bytes || left.is_zero() {
                return Ok(FetchResponse { partitions });
            }
            select(pin!(appended), self.clock.sleep(left)).await;
        }
    }

    async fn produce(&self, request: ProduceRequest) -> Vec<Result<ProduceAck, LogError>> {
        self.clock.sleep(Duration::from_millis(1)).await;
        let mut inner = self.inner.lock();
        let mut answers = Vec::new();
        for partition in &request.partitions {
            let bytes = partition.batches.clone().into_shared();
            let batch = RecordBatch::parse(bytes.clone()).expect("a sound batch");
            let allowed = match &request.transactional_id {
                Some(id) => inner
                    .current(id, batch.producer_id(), batch.producer_epoch())
                    .map(|producer| {
                        producer.partitions.insert(partition.partition.clone());
                    }),
                None => Ok(()),
            };
            let size = bytes.len();
            let limit = inner
                .topics
                .get(&partition.partition.topic)
                .and_then(|(_, configs)| {
                    configs
                        .get("max.message.bytes")
                        .and_then(|bytes| bytes.parse().ok())
                });
            let allowed = match limit.filter(|limit| size > *limit) {
                Some(limit) => Err(LogError::TooLarge(format!(
                    "{size} bytes are above the limit of {limit}"
                ))),
                None => allowed,
            };
            answers.push(match allowed {
                Ok(()) => match inner.append(&partition.partition, &bytes) {
                    Some(base) => Ok(ProduceAck {
                        base_offset: Offset::new(base),
                        log_append_time: None,
                        log_start_offset: Offset::ZERO,
                    }),
                    None => Err(LogError::UnknownTopic(partition.partition.to_string())),
                },
                Err(error) => Err(error),
            });
        }
        answers
    }

    async fn init_producer_id(
        &self,
        id: Option<TransactionalId>,
        _timeout: Duration,
        own: Option<ProducerIdentity>,
    ) -> Result<ProducerIdentity, LogError> {
        let lost = {
            let mut inner = self.inner.lock();
            let identity = inner.init_producer_id(id, own)?;
            match own.and_then(|_| inner.lose_next_init.take()) {
                None => return Ok(identity),
                Some(patience) => patience,
            }
        };
        self.clock.sleep(lost).await;
        Err(LogError::Unknown("the answer was lost".into()))
    }

    async fn txn_offset_commit(&self, commit: TxnOffsetCommit) -> Result<(), LogError> {
        let mut inner = self.inner.lock();
        let producer = inner.current(
            &commit.transactional_id,
            commit.producer_id,
            commit.producer_epoch,
        )?;
        for (partition, offset) in commit.offsets {
            producer.offsets.push((commit.group.clone(), partition, offset));
        }
        Ok(())
    }

    async fn end_txn(
        &self,
        id: TransactionalId,
        identity: ProducerIdentity,
        result: TxnResult,
    ) -> Result<ProducerIdentity, LogError> {
        self.clock.sleep(Duration::from_millis(1)).await;
        let mut inner = self.inner.lock();
        inner.current(&id, identity.producer_id, identity.producer_epoch)?;
        inner.end_txns += 1;
        let lost = || Err(LogError::Unknown("the answer was lost".into()));
        match inner.luck.pop().unwrap_or(EndTxnLuck::Answered) {
            EndTxnLuck::Answered => Ok(inner.finish(&id, result)),
            EndTxnLuck::LostAfter => {
                inner.finish(&id, result);
                lost()
            }
            EndTxnLuck::LostBefore => lost(),
        }
    }

    async fn offset_commit(
        &self,
        group: GroupId,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    ) -> Result<(), LogError> {
        let mut inner = self.inner.lock();
        for (partition, offset) in offsets {
            inner.offsets.commit(group.clone(), partition, offset);
        }
        Ok(())
    }

    async fn offset_fetch(
        &self,
        group: GroupId,
        partitions: Vec<TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, LogError> {
        let inner = self.inner.lock();
        let found = partitions.into_iter().filter_map(|partition| {
            let offset = inner.offsets.fetch(&group, &partition)?;
            Some((partition, offset))
        });
        Ok(found.collect())
    }

    async fn list_offsets(&self, asked: Vec<(TopicPartition, OffsetSpec)>) -> Result<Vec<Offset>, LogError> {
        let inner = self.inner.lock();
        asked
            .iter()
            .map(|(partition, spec)| {
                let log = inner
                    .partitions
                    .get(partition)
                    .ok_or_else(|| LogError::UnknownTopic(partition.to_string()))?;
                Ok(Offset::new(match spec {
                    OffsetSpec::Earliest => log.start,
                    OffsetSpec::LastStable => log.stable(),
                    _ => log.end,
                }))
            })
            .collect()
    }

    async fn describe_topics(&self, names: Vec<TopicName>) -> Result<Vec<TopicDescription>, LogError> {
        let mut inner = self.inner.lock();
        if let Some(left) = inner.lose_describes.checked_sub(1) {
            inner.lose_describes = left;
            return Err(LogError::Unknown("no answer about topics".to_owned()));
        }
        let found = names.into_iter().filter_map(|name| {
            let (partitions, configs) = inner.topics.get(&name)?.clone();
            Some(TopicDescription {
                name,
                id: TopicId::ZERO,
                partitions,
                configs,
                internal: false,
            })
        });
        Ok(found.collect())
    }

    async fn create_topics(&self, topics: Vec<NewTopic>) -> Result<(), LogError> {
        let mut inner = self.inner.lock();
        for topic in topics {
            if inner.topics.contains_key(&topic.name) {
                return Err(LogError::Refused(format!("topic {} exists", topic.name)));
            }
            inner.add_topic(topic.name, topic.partitions, topic.configs);
        }
        Ok(())
    }

    async fn delete_records(&self, _below: Vec<(TopicPartition, Offset)>) -> Result<(), LogError> {
        Ok(())
    }

    async fn knows_transactional_id(&self, id: TransactionalId) -> Result<bool, LogError> {
        Ok(self.inner.lock().producers.contains_key(&id))
    }
}
