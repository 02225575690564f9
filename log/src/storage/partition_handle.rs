//! The handle through which everything outside storage uses one partition.
//!
//! Writes go to the owner loop and come back as acknowledgements; reads go round it. A handle stays valid after the partition was
//! deleted: every call then answers `UnknownPartition`.

use std::future::Future;

use super::append::{AppendAck, AppendRequest};
use super::log_offsets::{Isolation, LogOffsets, ReadResult};
use super::storage_error::StorageError;
use crate::record::ControlRecord;
use crate::types::{Offset, ProducerEpoch, ProducerId, Timestamp, TopicId, TopicPartition};

/// One partition; cheap to clone.
#[derive(Clone, Debug)]
pub struct PartitionHandle {}

impl PartitionHandle {
    /// Name of the partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        unimplemented!()
    }

    /// Id of the topic.
    pub fn topic_id(&self) -> TopicId {
        unimplemented!()
    }

    /// Appends whole batches, all or none, and waits as `acks_durable` and the topic's durability say.
    pub async fn append(&self, _request: AppendRequest) -> Result<AppendAck, StorageError> {
        unimplemented!()
    }

    /// Appends a transaction marker and waits until it is durable.
    pub async fn append_control(
        &self,
        _producer_id: ProducerId,
        _producer_epoch: ProducerEpoch,
        _record: ControlRecord,
    ) -> Result<AppendAck, StorageError> {
        unimplemented!()
    }

    /// Reads whole batches from `from` on; the first one even if it is larger than `max_bytes`.
    pub fn read(
        &self,
        _from: Offset,
        _max_bytes: usize,
        _isolation: Isolation,
    ) -> Result<ReadResult, StorageError> {
        unimplemented!()
    }

    /// The offsets now, as one consistent snapshot.
    pub fn offsets(&self) -> LogOffsets {
        unimplemented!()
    }

    /// Resolves once the read limit of `isolation` is above `offset`, or the partition is gone.
    pub fn wait_beyond(
        &self,
        _offset: Offset,
        _isolation: Isolation,
    ) -> impl Future<Output = ()> + Send + 'static {
        async { unimplemented!() }
    }

    /// First record at or after `timestamp` below the high watermark: its offset and time.
    pub async fn offset_for_timestamp(
        &self,
        _timestamp: Timestamp,
    ) -> Result<Option<(Offset, Timestamp)>, StorageError> {
        unimplemented!()
    }

    /// The newest timestamp of the log and the first offset that carries it.
    pub async fn max_timestamp_offset(&self) -> Result<Option<(Offset, Timestamp)>, StorageError> {
        unimplemented!()
    }

    /// Moves the log start to `before` (the high watermark if `None`); returns the new log start offset.
    pub async fn delete_records(&self, _before: Option<Offset>) -> Result<Offset, StorageError> {
        unimplemented!()
    }

    /// Highest offset below which compaction has removed tombstones.
    pub fn tombstone_horizon(&self) -> Offset {
        unimplemented!()
    }

    /// Keeps everything at or above `offset` from retention and its tombstones from compaction; a later call with the same name moves it.
    pub fn set_retention_lease(&self, _name: &str, _offset: Offset) {
        unimplemented!()
    }

    /// Drops a lease; no-op if there is none of that name.
    pub fn remove_retention_lease(&self, _name: &str) {
        unimplemented!()
    }

    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        unimplemented!()
    }
}
