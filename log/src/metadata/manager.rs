//! The metadata log and the image it leads to.
//!
//! Records are decided on the newest image, appended to `__cluster_metadata`, and applied once they are durable. Always true: the published
//! image equals the replay of the log up to its `applied_to`; one change at a time; after a write whose outcome is unknown nothing more is
//! decided (the image might be behind the log). Under a quorum, `commit` becomes the proposal and the apply loop stays.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::broker::{BrokerError, ErrorCode};
use crate::clock::Clock;
use crate::coordinator::log_io;
use crate::rng::Rng;
use crate::storage::{CleanupPolicy, LogStore, PartitionHandle, TopicConfig};
use crate::types::{Offset, PartitionId, TopicId, TopicName, TopicPartition};

use super::delta::MetadataDelta;
use super::features;
use super::image::MetadataImage;
use super::record::MetadataRecord;

/// Name of the metadata log.
pub const METADATA_TOPIC: &str = "__cluster_metadata";

/// Kafka's fixed id of the metadata topic.
const METADATA_TOPIC_ID: TopicId = TopicId::new(uuid::Uuid::from_u128(1));

/// Owner of the image.
#[derive(Debug)]
pub(crate) struct MetadataManager {
    log: PartitionHandle,
    clock: Arc<dyn Clock>,
    image: RwLock<MetadataImage>,
    /// One change at a time. False once a write may or may not have happened.
    writer: tokio::sync::Mutex<bool>,
}

impl MetadataManager {
    /// Opens the log and replays it; founds the cluster in an empty one. Tells also what the log removed over all its time.
    pub(crate) async fn open(
        store: &LogStore,
        clock: Arc<dyn Clock>,
        rng: &dyn Rng,
    ) -> Result<(Self, MetadataDelta), BrokerError> {
        let topic = TopicName::new(METADATA_TOPIC)
            .map_err(|error| BrokerError::new(ErrorCode::InvalidTopicException, error.to_string()))?;
        let config = TopicConfig {
            // One change is one batch, and a topic of ten thousand partitions is one change.
            max_message_bytes: 16 << 20,
            retention_ms: -1,
            retention_bytes: -1,
            cleanup_policy: CleanupPolicy {
                delete: true,
                compact: false,
            },
            ..TopicConfig::default()
        };
        let partition = TopicPartition::new(topic, PartitionId::new(0));
        let log = store
            .create_partition(partition, METADATA_TOPIC_ID, config)
            .await?;
        let mut image = MetadataImage::default();
        let mut history = MetadataDelta::default();
        log_io::replay(&log, |batch| {
            let mut records = Vec::new();
            for record in batch.decode()?.iter() {
                records.push(MetadataRecord::decode(record?.value.unwrap_or_default())?);
            }
            let (next, delta) = image.apply(&records, batch.next_offset())?;
            image = next;
            history.merge(delta);
            Ok(())
        })?;
        let manager = Self {
            log,
            clock,
            image: RwLock::new(image),
            writer: tokio::sync::Mutex::new(true),
        };
        if manager.image().cluster_id().is_none() {
            let cluster_id = rng.uuid();
            manager
                .commit(|_| Ok((vec![vec![MetadataRecord::Cluster { cluster_id }]], ())))
                .await?;
        }
        if manager.image().features.is_empty() {
            // A new cluster, or one from before there were features: it has been at this level all along.
            manager
                .commit(|_| Ok((vec![features::founding_records().collect()], ())))
                .await?;
        }
        Ok((manager, history))
    }

    /// The newest image.
    pub(crate) fn image(&self) -> MetadataImage {
        self.image.read().clone()
    }

    /// First offset not in the newest image.
    pub(crate) fn version(&self) -> Offset {
        self.image.read().applied_to()
    }

    /// Decides changes on the newest image, each the records of one batch, makes them durable together and applies them in order; gives back what
    /// else the decision came to. No records: no-op. Must run to its end (the callers spawn it): dropped halfway, it refuses everything after.
    pub(crate) async fn commit<T>(
        &self,
        decide: impl FnOnce(&MetadataImage) -> Result<(Vec<Vec<MetadataRecord>>, T), BrokerError>,
    ) -> Result<(MetadataImage, MetadataDelta, T), BrokerError> {
        let mut sound = self.writer.lock().await;
        if !*sound {
            return Err(BrokerError::new(
                ErrorCode::KafkaStorageError,
                "metadata log stopped after a failed write; restart the broker",
            ));
        }
        let mut image = self.image();
        let (mut changes, decided) = decide(&image)?;
        changes.retain(|records| !records.is_empty());
        let mut delta = MetadataDelta::default();
        if changes.is_empty() {
            return Ok((image, delta, decided));
        }
        // Judged on a copy first: nothing enters the log that replay would refuse.
        let mut end = image.applied_to();
        let mut batches = Vec::new();
        for records in &changes {
            end = end.plus(records.len() as i64);
            let (next, change) = image.apply(records, end)?;
            image = next;
            delta.merge(change);
            let entries = records.iter().map(|record| (None, Some(record.encode())));
            batches.extend_from_slice(&log_io::build_batch(self.clock.now_ms(), None, entries)?);
        }
        *sound = false;
        let appended = log_io::append(&self.log, batches.into(), true).await;
        *sound = appended
            .as_ref()
            .map_or_else(|error| !error.outcome_unknown(), |_| true);
        image.applied_to = appended?.last_offset.next();
        *self.image.write() = image.clone();
        Ok((image, delta, decided))
    }
}
