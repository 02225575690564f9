//! What all APIs and coordinators stand on: the log store, the metadata, and the rule that keeps the two alike.
//!
//! Always true: a topic is decided in the metadata first; its directories follow, and are made or removed at the next start if a crash comes
//! between. A directory is removed only if the metadata log says that its topic was: never because the metadata does not know it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

use super::{BrokerError, ErrorCode};
use crate::clock::Clock;
use crate::config::{BrokerConfig, TopicSettings};
use crate::faults::Faults;
use crate::metadata::{
    ConfigOwner, MetadataDelta, MetadataImage, MetadataManager, MetadataRecord, PartitionRecord, TopicImage,
    limits,
};
use crate::record::Compression;
use crate::rng::Rng;
use crate::storage::{LogStore, NewPartition, PartitionHandle};
use crate::types::{LeaderEpoch, Offset, PartitionId, TopicId, TopicName, TopicPartition};

/// Name of the topic that holds committed offsets.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// Name of the topic that holds the transaction coordinator's log.
pub const TRANSACTIONS_TOPIC: &str = "__transaction_state";

/// The id of the only node there is, until there are more.
pub(crate) const BROKER_ID: i32 = 1;

/// True for settings that hold on this broker.
fn is_of_this_broker(owner: &ConfigOwner) -> bool {
    matches!(owner, ConfigOwner::AllBrokers | ConfigOwner::Broker(BROKER_ID))
}

/// True for the log's own topics, which clients may read but not write.
pub(crate) fn is_internal(topic: &TopicName) -> bool {
    matches!(topic.as_str(), OFFSETS_TOPIC | TRANSACTIONS_TOPIC)
}

/// A topic about to be created.
#[derive(Clone, Debug)]
pub(crate) struct TopicSpec {
    pub(crate) name: TopicName,
    pub(crate) partitions: i32,
    pub(crate) configs: BTreeMap<String, String>,
}

/// Addresses in Kafka's form, `PLAINTEXT://host:port`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listeners {
    pub(crate) listening: String,
    pub(crate) advertised: String,
}

#[derive(Debug)]
pub(crate) struct Node {
    store: RwLock<Option<Arc<LogStore>>>,
    metadata: MetadataManager,
    /// Keeps opening and closing of partitions in the order of the metadata's decisions.
    reconciling: tokio::sync::Mutex<()>,
    /// What the broker was started with.
    pub(crate) config: BrokerConfig,
    /// What is in force: with what it was told since.
    current: RwLock<Arc<BrokerConfig>>,
    /// Where servers listen for this node and what they tell clients; empty while none does.
    pub(crate) listeners: RwLock<Listeners>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) faults: Faults,
}

impl Node {
    /// Replays the metadata and opens every partition it names.
    pub(crate) async fn open(
        store: LogStore,
        config: BrokerConfig,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        faults: Faults,
    ) -> Result<Self, BrokerError> {
        let (metadata, history) = MetadataManager::open(&store, clock.clone(), &*rng).await?;
        let store = RwLock::new(Some(Arc::new(store)));
        let reconciling = tokio::sync::Mutex::new(());
        let current = RwLock::new(Arc::new(config.clone()));
        let node = Self {
            store,
            metadata,
            reconciling,
            config,
            current,
            listeners: RwLock::default(),
            clock,
            rng,
            faults,
        };
        let image = node.metadata.image();
        node.settle_config(&image)?;
        node.close_partitions(history.removed).await?;
        node.open_topics(image.topics()).await?;
        node.warn_of_strangers(&image)?;
        Ok(node)
    }

    /// The store, unless the broker was shut down.
    pub(crate) fn store(&self) -> Result<Arc<LogStore>, BrokerError> {
        self.store
            .read()
            .clone()
            .ok_or_else(|| BrokerError::from(crate::storage::StorageError::ShuttingDown))
    }

    /// The newest metadata.
    pub(crate) fn image(&self) -> MetadataImage {
        self.metadata.image()
    }

    /// Changes whenever the metadata does.
    pub(crate) fn metadata_version(&self) -> Offset {
        self.metadata.version()
    }

    /// A partition that the metadata knows, for reading.
    pub(crate) fn partition(&self, partition: &TopicPartition) -> Result<PartitionHandle, BrokerError> {
        self.store()?
            .partition(partition)
            .filter(|_| partition.topic.as_str() != crate::metadata::METADATA_TOPIC)
            .ok_or_else(|| unknown_partition(partition))
    }

    /// A partition that clients may write to.
    pub(crate) fn writable_partition(
        &self,
        partition: &TopicPartition,
    ) -> Result<PartitionHandle, BrokerError> {
        if is_internal(&partition.topic) {
            let message = format!(
                "topic {} belongs to the broker; clients may not write to it",
                partition.topic
            );
            return Err(BrokerError::new(ErrorCode::InvalidTopicException, message));
        }
        self.partition(partition)
    }

    /// The settings in force: those the broker was started with, and what it was told since on top.
    pub(crate) fn current_config(&self) -> Arc<BrokerConfig> {
        self.current.read().clone()
    }

    fn settle_config(&self, image: &MetadataImage) -> Result<(), BrokerError> {
        *self.current.write() = Arc::new(image.effective_config(&self.config, BROKER_ID)?);
        Ok(())
    }

    /// The settings of a topic with the broker's defaults filled in.
    pub(crate) fn settings_of(&self, topic: &TopicImage) -> Result<TopicSettings, BrokerError> {
        let defaults = &self.current_config().topic_defaults;
        Ok(defaults.with_overrides(&topic.overrides())?)
    }

    /// The codec a topic's batches are stored with, if not as they came.
    pub(crate) fn stored_compression(&self, topic: &TopicName) -> Option<Compression> {
        let image = self.image();
        match image.topic(topic)?.configs.get("compression.type") {
            Some(_) => self.settings_of(image.topic(topic)?).ok()?.compression,
            None => self.current_config().topic_defaults.compression,
        }
    }

    /// Decides records, makes them durable, and opens or closes partitions accordingly. Runs to its end once begun.
    pub(crate) async fn change_metadata(
        self: &Arc<Self>,
        decide: impl FnOnce(&MetadataImage) -> Result<Vec<MetadataRecord>, BrokerError> + Send + 'static,
    ) -> Result<MetadataImage, BrokerError> {
        let (image, ()) = self
            .change_metadata_each(|image| Ok((vec![decide(image)?], ())))
            .await?;
        Ok(image)
    }

    /// The same for many changes, each the records of a batch of its own, at the cost of one; gives back what else the decision came to.
    pub(crate) async fn change_metadata_each<T: Send + 'static>(
        self: &Arc<Self>,
        decide: impl FnOnce(&MetadataImage) -> Result<(Vec<Vec<MetadataRecord>>, T), BrokerError> + Send + 'static,
    ) -> Result<(MetadataImage, T), BrokerError> {
        let node = self.clone();
        run_to_end(async move {
            let _order = node.reconciling.lock().await;
            let (image, delta, decided) = node.metadata.commit(decide).await?;
            node.reconcile(&image, delta).await?;
            Ok((image, decided))
        })
        .await
    }

    /// Creates a topic unless it exists; returns when its partitions are open. The metadata names a topic a moment before that, so a second
    /// caller who finds the name but not the partitions waits for the first one's work.
    pub(crate) async fn ensure_topic(
        self: &Arc<Self>,
        spec: TopicSpec,
    ) -> Result<MetadataImage, BrokerError> {
        let image = self.image();
        let is_open = |topic: &TopicImage| topic.topic_partitions().all(|open| self.partition(&open).is_ok());
        if image.topic(&spec.name).is_some_and(is_open) {
            return Ok(image);
        }
        let id = TopicId::random(&*self.rng);
        self.change_metadata(move |image| match image.topic(&spec.name) {
            Some(_) => Ok(Vec::new()),
            None => new_topic_records(image, id, &spec),
        })
        .await
    }

    async fn reconcile(&self, image: &MetadataImage, delta: MetadataDelta) -> Result<(), BrokerError> {
        self.close_partitions(delta.removed).await?;
        self.open_topics(delta.created.iter().filter_map(|id| image.topic_by_id(id)))
            .await?;
        let reconfigured = delta.reconfigured.iter().filter_map(|id| image.topic_by_id(id));
        self.update_settings(reconfigured).await?;
        if delta.configured.iter().any(is_of_this_broker) {
            // The defaults of every topic may have moved.
            self.settle_config(image)?;
            self.update_settings(image.topics()).await?;
        }
        Ok(())
    }

    async fn update_settings(&self, topics: impl Iterator<Item = &TopicImage>) -> Result<(), BrokerError> {
        let store = self.store()?;
        for topic in topics {
            let settings = self.settings_of(topic)?;
            for partition in topic.topic_partitions() {
                store.update_config(&partition, settings.log.clone()).await?;
            }
        }
        Ok(())
    }

    /// Opens what is missing of these topics, all together, and gives what is there its settings: a recovered partition has none yet.
    async fn open_topics(&self, topics: impl Iterator<Item = &TopicImage>) -> Result<(), BrokerError> {
        let mut wanted = Vec::new();
        for topic in topics {
            let settings = self.settings_of(topic)?;
            wanted.extend(topic.topic_partitions().map(|partition| NewPartition {
                partition,
                topic_id: topic.id,
                config: settings.log.clone(),
            }));
        }
        Ok(self.store()?.create_partitions(wanted).await?)
    }

    /// Removes the directories of these partitions, as far as they still are those topics': a name may have been given to a new one.
    async fn close_partitions(
        &self,
        removed: BTreeSet<(TopicPartition, TopicId)>,
    ) -> Result<(), BrokerError> {
        let store = self.store()?;
        let is_still = |(partition, id): &(TopicPartition, TopicId)| {
            store
                .partition(partition)
                .is_some_and(|handle| handle.topic_id() == *id)
        };
        let doomed: Vec<_> = removed
            .into_iter()
            .filter(is_still)
            .map(|(partition, _)| partition)
            .collect();
        if doomed.is_empty() {
            return Ok(());
        }
        Ok(store.delete_partitions(&doomed).await?)
    }

    fn warn_of_strangers(&self, image: &MetadataImage) -> Result<(), BrokerError> {
        for handle in self.store()?.partitions() {
            let partition = handle.topic_partition();
            if !image.contains(partition) && partition.topic.as_str() != crate::metadata::METADATA_TOPIC {
                tracing::warn!(%partition, "directory of a partition that the metadata does not know; left alone");
            }
        }
        Ok(())
    }

    /// Closes the store. Returns false if that was done before.
    pub(crate) async fn close_store(&self) -> Result<bool, BrokerError> {
        let Some(mut store) = self.store.write().take() else {
            return Ok(false);
        };
        loop {
            match Arc::try_unwrap(store) {
                Ok(store) => {
                    store.shutdown().await?;
                    return Ok(true);
                }
                Err(shared) => {
                    // A call that opens or closes a partition holds it for a moment.
                    store = shared;
                    self.clock.sleep(Duration::from_millis(1)).await;
                }
            }
        }
    }
}

/// The records of a new topic, in one batch: they take effect together.
pub(crate) fn new_topic_records(
    image: &MetadataImage,
    id: TopicId,
    spec: &TopicSpec,
) -> Result<Vec<MetadataRecord>, BrokerError> {
    let refused = |message: String| Err(BrokerError::new(ErrorCode::PolicyViolation, message));
    if spec.partitions < 1 || spec.partitions > limits::PARTITIONS_PER_TOPIC {
        let (name, partitions, limit) = (&spec.name, spec.partitions, limits::PARTITIONS_PER_TOPIC);
        let message = format!("topic {name} cannot have {partitions} partitions: expected 1 to {limit}");
        return Err(BrokerError::new(ErrorCode::InvalidPartitions, message));
    }
    if image.topic_count() >= limits::TOPICS {
        return refused(format!("cluster has {} topics, the most allowed", limits::TOPICS));
    }
    if image.partition_count() + spec.partitions as usize > limits::PARTITIONS {
        return refused(format!(
            "cluster may not have more than {} partitions",
            limits::PARTITIONS
        ));
    }
    let topic = MetadataRecord::Topic {
        name: spec.name.clone(),
        id,
    };
    let partitions = (0..spec.partitions).map(|partition| new_partition_record(id, partition));
    let configs = spec
        .configs
        .iter()
        .map(|(name, value)| MetadataRecord::TopicConfig {
            topic: id,
            name: name.clone(),
            value: Some(value.clone()),
        });
    Ok(std::iter::once(topic).chain(partitions).chain(configs).collect())
}

/// The record of a new partition of a topic.
pub(crate) fn new_partition_record(topic: TopicId, partition: i32) -> MetadataRecord {
    MetadataRecord::Partition(PartitionRecord {
        topic,
        partition: PartitionId::new(partition),
        replicas: vec![BROKER_ID],
        isr: vec![BROKER_ID],
        leader: BROKER_ID,
        leader_epoch: LeaderEpoch::ZERO,
    })
}

pub(crate) fn unknown_partition(partition: &TopicPartition) -> BrokerError {
    BrokerError::new(
        ErrorCode::UnknownTopicOrPartition,
        format!("unknown partition {partition}"),
    )
}

pub(crate) fn unknown_topic(topic: &TopicName) -> BrokerError {
    BrokerError::new(
        ErrorCode::UnknownTopicOrPartition,
        format!("unknown topic {topic}"),
    )
}

/// Runs a change on a task of its own, so that a caller who loses interest halfway leaves nothing half done.
pub(crate) async fn run_to_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, BrokerError>> + Send + 'static,
) -> Result<T, BrokerError> {
    tokio::spawn(change).await.unwrap_or_else(|stopped| {
        let message = format!("request was not finished: {stopped}");
        Err(BrokerError::new(ErrorCode::UnknownServerError, message).maybe_done())
    })
}
