//! The shell of committed offsets: requests → records of `__consumer_offsets`, replay at start, markers.
//!
//! Always true: an offset is answered only after its record is durable; a marker is reported as written only after the state took it on, so
//! whoever commits a transaction and then asks for its offsets sees them (KAFKA-17507).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::broker::{BrokerError, ErrorCode, ErrorKind, Node, OFFSETS_TOPIC, OffsetAndMetadata, run_to_end};
use crate::coordinator::log_io;
use crate::coordinator::runtime::InternalTopic;
use crate::metadata::limits;
use crate::record::{ControlRecord, RecordBatch};
use crate::storage::{AppendAck, PartitionHandle};
use crate::types::{GroupId, PartitionId, ProducerEpoch, ProducerId, TopicName, TopicPartition};

use super::log_format;
use super::offsets::OffsetsState;

type Offsets = Vec<(TopicPartition, OffsetAndMetadata)>;

/// Committed offsets of all groups.
#[derive(Debug)]
pub(crate) struct OffsetsCoordinator {
    node: Arc<Node>,
    topic: InternalTopic,
    shards: Mutex<BTreeMap<PartitionId, OffsetsState>>,
}

impl OffsetsCoordinator {
    /// Replays the offsets topic, if there is one.
    pub(crate) fn load(node: Arc<Node>) -> Result<Self, BrokerError> {
        let partitions = node.config.offsets_topic_num_partitions;
        let topic = InternalTopic::new(node.clone(), OFFSETS_TOPIC, partitions)?;
        let coordinator = Self {
            topic,
            node,
            shards: Mutex::default(),
        };
        for log in coordinator.topic.existing()? {
            let mut state = OffsetsState::default();
            log_io::replay(&log, |batch| replay_batch(&mut state, batch))?;
            coordinator
                .shards
                .lock()
                .insert(log.topic_partition().partition, state);
        }
        Ok(coordinator)
    }

    /// The partition that holds a group's offsets; makes the topic if there is none.
    pub(crate) async fn partition_of(&self, group: &GroupId) -> Result<TopicPartition, BrokerError> {
        check_group(group)?;
        self.topic.name_of(group.as_str()).await
    }

    /// Commits offsets. In a transaction they stay pending, and the caller has added the group's partition to it. Runs to its end once begun.
    pub(crate) async fn commit(
        self: &Arc<Self>,
        group: &GroupId,
        producer: Option<(ProducerId, ProducerEpoch)>,
        offsets: Offsets,
    ) -> Result<(), BrokerError> {
        self.check(group, &offsets)?;
        if offsets.is_empty() {
            return Ok(());
        }
        let (coordinator, group) = (self.clone(), group.clone());
        run_to_end(async move {
            let log = coordinator.topic.partition_of(group.as_str()).await?;
            let now = coordinator.node.clock.now_ms();
            let records = offsets.iter().map(|(partition, offset)| {
                (
                    Some(log_format::encode_key(&group, partition)),
                    Some(log_format::encode_value(offset, now)),
                )
            });
            let batch = log_io::build_batch(now, producer, records)?;
            let ack = log_io::append(&log, batch, true).await?;
            coordinator.node.faults.point("K15");
            let taken = offsets
                .into_iter()
                .map(|(partition, offset)| (group.clone(), partition, Some(offset)));
            coordinator.take_on(&log, ack, producer, taken);
            Ok(())
        })
        .await
    }

    /// Refuses what could not be stored.
    pub(crate) fn check(&self, group: &GroupId, offsets: &Offsets) -> Result<(), BrokerError> {
        check_group(group)?;
        let limit = self.node.config.offset_metadata_max_bytes;
        if let Some((partition, offset)) = offsets.iter().find(|(_, offset)| offset.metadata.len() > limit) {
            let found = offset.metadata.len();
            let message =
                format!("offset metadata of {partition} has {found} bytes, at most {limit} are allowed");
            return Err(BrokerError::new(ErrorCode::OffsetMetadataTooLarge, message));
        }
        let Some(partition) = self.topic.existing_name_of(group.as_str()) else {
            return Ok(());
        };
        let known = self
            .shards
            .lock()
            .get(&partition.partition)
            .map_or(0, |state| state.offsets_of(group));
        if known + offsets.len() > limits::OFFSETS_PER_GROUP {
            let limit = limits::OFFSETS_PER_GROUP;
            let message = format!("group {group} would have offsets for more than {limit} partitions");
            return Err(BrokerError::new(ErrorCode::PolicyViolation, message));
        }
        Ok(())
    }

    fn take_on(
        &self,
        log: &PartitionHandle,
        ack: AppendAck,
        producer: Option<(ProducerId, ProducerEpoch)>,
        records: impl Iterator<Item = (GroupId, TopicPartition, Option<OffsetAndMetadata>)>,
    ) {
        let mut shards = self.shards.lock();
        let state = shards.entry(log.topic_partition().partition).or_default();
        let mut logged_at = ack.base_offset;
        for (group, partition, offset) in records {
            state.on_record(group, partition, offset, logged_at, producer.map(|(id, _)| id));
            logged_at = logged_at.next();
        }
    }

    /// Takes on a marker that is durable in a partition of the offsets topic. No-op for other topics.
    pub(crate) fn on_marker(&self, partition: &TopicPartition, producer: ProducerId, committed: bool) {
        if partition.topic.as_str() == OFFSETS_TOPIC {
            self.shards
                .lock()
                .entry(partition.partition)
                .or_default()
                .on_marker(producer, committed);
        }
    }

    /// The committed offsets of a group.
    pub(crate) fn fetch(
        &self,
        group: &GroupId,
        partitions: Option<&[TopicPartition]>,
        require_stable: bool,
    ) -> Result<Offsets, BrokerError> {
        check_group(group)?;
        let Some(shard) = self.topic.existing_name_of(group.as_str()) else {
            return Ok(Vec::new());
        };
        let shards = self.shards.lock();
        let Some(state) = shards.get(&shard.partition) else {
            return Ok(Vec::new());
        };
        state.fetch(group, partitions, require_stable).map_err(|unstable| {
            let (partition, producer) = (&unstable.partition, unstable.producer_id);
            let message =
                format!("offset of {partition} in group {group} is pending in an open transaction of producer {producer}");
            BrokerError::new(ErrorCode::UnstableOffsetCommit, message)
        })
    }

    /// Removes the offsets of topics that the metadata does not know: a crash came between their deletion and `forget_topic`. Offsets of unknown
    /// topics are refused, so these can only be of deleted ones. On a full disk they stay until the next start, with a warning.
    pub(crate) async fn forget_unknown_topics(&self) -> Result<(), BrokerError> {
        let image = self.node.image();
        let topics: BTreeSet<TopicName> = self
            .shards
            .lock()
            .values()
            .flat_map(OffsetsState::topics)
            .collect();
        for topic in topics.iter().filter(|topic| image.topic(topic).is_none()) {
            match self.forget_topic(topic).await {
                Err(error) if error.kind() == ErrorKind::Retriable => {
                    tracing::warn!(%topic, %error, "committed offsets of a deleted topic are still there; the next start removes them");
                }
                forgotten => forgotten?,
            }
        }
        Ok(())
    }

    /// Removes the committed offsets of a deleted topic: one made again under the same name starts afresh.
    pub(crate) async fn forget_topic(&self, topic: &TopicName) -> Result<(), BrokerError> {
        for log in self.topic.existing()? {
            let shard = log.topic_partition().partition;
            let doomed = self
                .shards
                .lock()
                .get(&shard)
                .map(|state| state.offsets_on(topic))
                .unwrap_or_default();
            if doomed.is_empty() {
                continue;
            }
            let records = doomed
                .iter()
                .map(|(group, partition)| (Some(log_format::encode_key(group, partition)), None));
            let batch = log_io::build_batch(self.node.clock.now_ms(), None, records)?;
            let ack = log_io::append(&log, batch, true).await?;
            self.take_on(
                &log,
                ack,
                None,
                doomed
                    .into_iter()
                    .map(|(group, partition)| (group, partition, None)),
            );
        }
        Ok(())
    }
}

fn check_group(group: &GroupId) -> Result<(), BrokerError> {
    match group.as_str().len() {
        1..=limits::ID_BYTES => Ok(()),
        0 => Err(BrokerError::new(ErrorCode::InvalidGroupId, "group id is empty")),
        length => {
            let message = format!(
                "group id has {length} bytes, at most {} are allowed",
                limits::ID_BYTES
            );
            Err(BrokerError::new(ErrorCode::InvalidGroupId, message))
        }
    }
}

/// Folds one batch of the offsets topic into the state.
pub(super) fn replay_batch(state: &mut OffsetsState, batch: &RecordBatch) -> Result<(), BrokerError> {
    for record in batch.decode()?.iter() {
        let record = record?;
        if batch.is_control() {
            if let Some(marker) = ControlRecord::parse(record.key, record.value)? {
                state.on_marker(batch.producer_id(), marker.is_commit());
            }
            continue;
        }
        let Some((group, partition)) = log_format::decode_key(record.key.unwrap_or_default())? else {
            continue;
        };
        let offset = record
            .value
            .map(log_format::decode_value)
            .transpose()?
            .map(|(offset, _)| offset);
        let producer = batch.is_transactional().then(|| batch.producer_id());
        state.on_record(group, partition, offset, record.offset, producer);
    }
    Ok(())
}
