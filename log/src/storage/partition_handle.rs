//! The handle through which everything outside storage uses one partition.
//!
//! Writes go to the owner loop and come back as acknowledgements; reads go round it. A handle stays valid after the partition was
//! deleted: every call then answers `UnknownPartition`.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::append::{AppendAck, AppendRequest};
use super::disk::DiskExt;
use super::leases::RetentionLease;
use super::log_offsets::{Isolation, LogOffsets, ReadResult};
use super::owner::Command;
use super::partition::Partition;
use super::partition_log::Appended;
use super::prepared_append::PreparedAppend;
use super::producer_state::ProducerDescription;
use super::settings::TopicConfig;
use super::storage_error::StorageError;
use super::waiters::Mark;
use crate::record::ControlRecord;
use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp, TopicId, TopicPartition};

/// An append in its partition's queue.
#[derive(Debug)]
pub struct QueuedAppend {
    handle: PartitionHandle,
    answer: oneshot::Receiver<Result<Appended, StorageError>>,
}

impl QueuedAppend {
    /// Waits until it is written and, if its request asked for that, durable. Dropping the future does not take the append back.
    pub async fn acknowledged(self) -> Result<AppendAck, StorageError> {
        let appended = self.handle.answered(self.answer).await??;
        self.handle.acknowledge(appended).await
    }
}

/// One partition; cheap to clone.
#[derive(Clone, Debug)]
pub struct PartitionHandle {
    shared: Arc<Partition>,
    owner: mpsc::Sender<Command>,
}

impl PartitionHandle {
    pub(super) fn new(shared: Arc<Partition>, owner: mpsc::Sender<Command>) -> Self {
        Self { shared, owner }
    }

    pub(super) fn shared(&self) -> &Arc<Partition> {
        &self.shared
    }

    /// Name of the partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.shared.id
    }

    /// Id of the topic.
    pub fn topic_id(&self) -> TopicId {
        self.shared.topic_id
    }

    /// Appends whole batches, all or none, and waits as `acks_durable` and the topic's durability say.
    ///
    /// The order of two appends is that of their first polls. Dropping the future after its first poll does not take the append back.
    pub async fn append(&self, request: AppendRequest) -> Result<AppendAck, StorageError> {
        self.enqueue(request).await?.acknowledged().await
    }

    /// The first half of `append`: checks the batches and puts them into the partition's queue. Appends enter the log in the order in which
    /// their `enqueue` returned; dropping what it returned does not take the append back.
    pub async fn enqueue(&self, request: AppendRequest) -> Result<QueuedAppend, StorageError> {
        // What is wrong with the partition comes before what is wrong with the batches.
        if self.shared.is_gone() {
            return Err(self.shared.unknown());
        }
        self.shared.check_open()?;
        let now = self.shared.dir.clock.now_ms();
        let append = PreparedAppend::new(&self.shared.id, &self.shared.config(), request, now)
            .inspect_err(|refused| self.shared.dir.metrics.on_refused(refused))?;
        let answer = self
            .send(|reply| Command::Append {
                key: self.shared.key,
                append,
                reply,
            })
            .await?;
        Ok(QueuedAppend {
            handle: self.clone(),
            answer,
        })
    }

    /// Appends a transaction marker and waits until it is durable.
    pub async fn append_control(
        &self,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        record: ControlRecord,
    ) -> Result<AppendAck, StorageError> {
        let command = |reply| Command::AppendControl {
            key: self.shared.key,
            producer_id,
            producer_epoch,
            record,
            reply,
        };
        let appended = self.ask(command).await??;
        self.acknowledge(appended).await
    }

    async fn acknowledge(&self, appended: Appended) -> Result<AppendAck, StorageError> {
        if let Some(above) = appended.durable_above {
            while self.shared.marks().durable <= above {
                if let Some(failure) = self.shared.dir.failure(true) {
                    return Err(failure);
                }
                if self.shared.is_gone() {
                    return Err(self.shared.unknown());
                }
                self.shared.wait_beyond(Mark::Durable, above).await;
            }
        }
        self.shared.dir.faults.point("K3");
        Ok(appended.ack)
    }

    /// Sends a command to the owner and waits for its answer.
    pub(super) async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, StorageError> {
        let answer = self.send(command).await?;
        self.answered(answer).await
    }

    async fn send<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<oneshot::Receiver<T>, StorageError> {
        let (reply, answer) = oneshot::channel();
        if self.shared.is_gone() {
            return Err(self.shared.unknown());
        }
        // A full inbox holds the sender back here.
        self.owner
            .send(command(reply))
            .await
            .map_err(|_| StorageError::ShuttingDown)?;
        Ok(answer)
    }

    async fn answered<T>(&self, answer: oneshot::Receiver<T>) -> Result<T, StorageError> {
        answer.await.map_err(|_| {
            // A loop that lives on but has let go of the partition: it is being deleted. That must not look like the end of the store.
            if self.shared.is_gone() || !self.owner.is_closed() {
                self.shared.unknown()
            } else {
                StorageError::ShuttingDown
            }
        })
    }

    /// Reads whole batches from `from` on; the first one even if it is larger than `max_bytes`.
    ///
    /// `from` = log end is an empty answer; outside the log it is `OffsetOutOfRange`. Reads the tail from memory, the rest from files (blocking
    /// for the time of a page-cache or disk read).
    pub fn read(
        &self,
        from: Offset,
        max_bytes: usize,
        isolation: Isolation,
    ) -> Result<ReadResult, StorageError> {
        self.shared.read(from, max_bytes, isolation)
    }

    /// The same for callers that must not block: what lies in memory is read at once, the rest by a thread that may wait for the disk.
    pub async fn read_unblocked(
        &self,
        from: Offset,
        max_bytes: usize,
        isolation: Isolation,
    ) -> Result<ReadResult, StorageError> {
        if let Some(read) = self.shared.read_in_memory(from, max_bytes, isolation)? {
            return Ok(read);
        }
        let shared = Arc::clone(&self.shared);
        self.shared
            .dir
            .disk
            .blocking(move || shared.read(from, max_bytes, isolation))
            .await
    }

    /// The offsets now, as one consistent snapshot.
    pub fn offsets(&self) -> LogOffsets {
        self.shared.offsets()
    }

    /// Resolves once the read limit of `isolation` is above `offset`, or the partition is gone. Cancelled by dropping it.
    pub fn wait_beyond(
        &self,
        offset: Offset,
        isolation: Isolation,
    ) -> impl Future<Output = ()> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        let mark = match isolation {
            Isolation::ReadUncommitted => Mark::HighWatermark,
            Isolation::ReadCommitted => Mark::LastStable,
        };
        async move { shared.wait_beyond(mark, offset).await }
    }

    /// First record at or after `timestamp` below the high watermark: its offset and time.
    pub async fn offset_for_timestamp(
        &self,
        timestamp: Timestamp,
    ) -> Result<Option<(Offset, Timestamp)>, StorageError> {
        let shared = Arc::clone(&self.shared);
        self.shared
            .dir
            .disk
            .blocking(move || shared.offset_for_timestamp(timestamp))
            .await
    }

    /// The newest timestamp of the log and the first offset that carries it.
    pub async fn max_timestamp_offset(&self) -> Result<Option<(Offset, Timestamp)>, StorageError> {
        let shared = Arc::clone(&self.shared);
        self.shared
            .dir
            .disk
            .blocking(move || shared.max_timestamp_offset())
            .await
    }

    /// Moves the log start to `before` (the high watermark if `None`), durably; returns the new log start offset. Below the current start
    /// it is a no-op, above the high watermark `OffsetOutOfRange`.
    pub async fn delete_records(&self, before: Option<Offset>) -> Result<Offset, StorageError> {
        self.ask(|reply| Command::DeleteRecords {
            key: self.shared.key,
            before,
            reply,
        })
        .await?
    }

    /// The producers this partition knows, by id, as of the appends before this call.
    pub async fn describe_producers(&self) -> Result<Vec<ProducerDescription>, StorageError> {
        self.ask(|reply| Command::DescribeProducers {
            key: self.shared.key,
            reply,
        })
        .await
    }

    /// The largest leader epoch at or below `epoch` that wrote records here, and the offset where it ended (exclusive); the current one ends where
    /// the log does. `None` if `epoch` is newer than all known ones.
    pub async fn end_of_epoch(
        &self,
        epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, StorageError> {
        self.ask(|reply| Command::EndOfEpoch {
            key: self.shared.key,
            epoch,
            reply,
        })
        .await
    }

    pub(super) async fn update_config(&self, config: TopicConfig) -> Result<(), StorageError> {
        self.ask(|reply| Command::UpdateConfig {
            key: self.shared.key,
            config,
            reply,
        })
        .await
    }

    /// Settings in force.
    pub fn config(&self) -> Arc<TopicConfig> {
        self.shared.config()
    }

    /// Highest offset below which compaction has removed tombstones.
    pub fn tombstone_horizon(&self) -> Offset {
        self.shared.tombstone_horizon()
    }

    /// Keeps everything at or above `offset` from retention and its tombstones from compaction; a later call with the same name moves it.
    /// A lease outlives restarts of the node (a crash within a quarter of a minute of its first setting apart), and counts until it was not set again for
    /// `log.retention.lease.ms`.
    ///
    /// # Panics
    /// If `name` is empty or has white space in it.
    pub fn set_retention_lease(&self, name: &str, offset: Offset) {
        self.shared.set_lease(name, offset);
    }

    /// Drops a lease; no-op if there is none of that name.
    pub fn remove_retention_lease(&self, name: &str) {
        self.shared.remove_lease(name);
    }

    /// Who needs this log from where on, by name; expired ones are there until retention's next round.
    pub fn retention_leases(&self) -> BTreeMap<String, RetentionLease> {
        self.shared.leases().all().clone()
    }

    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        self.shared.segments().size_bytes()
    }

    /// The damage recovery found below the durable mark, if any: reads stop there, appends are refused.
    pub fn damage(&self) -> Option<StorageError> {
        self.shared.damage().cloned()
    }
}
