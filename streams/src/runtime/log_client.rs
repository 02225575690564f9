//! The log as the runtime sees it. Where it is, is hidden here: in this process ([`super::embedded_log::EmbeddedLog`]) or in a cluster
//! ([`super::remote::RemoteLog`]).
//!
//! Requests and responses are the broker's own types. Errors are reduced to the one question the commit protocol asks: did it happen?

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use millpond_log::broker::{
    FetchRequest, FetchResponse, NewTopic, OffsetAndMetadata, OffsetSpec, ProduceAck, ProduceRequest,
    ProducerIdentity, TopicDescription, TxnOffsetCommit, TxnResult,
};
use millpond_log::types::{GroupId, Offset, TopicName, TopicPartition, TransactionalId};

use super::commit::Failure;
use crate::processor::TopicRules;

/// Why a request did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// Surely not done, and worth repeating as it is.
    #[error("{0}")]
    Retriable(String),
    /// Perhaps done: no answer came. Idempotent requests may be repeated; the end of a transaction may not.
    #[error("{0} (outcome unknown)")]
    Unknown(String),
    /// The producer's epoch is not the newest: a newer producer owns the transactional id, or the coordinator aborted its transaction.
    #[error("{0}")]
    Fenced(String),
    /// Surely not done, and repeating does not help.
    #[error("{0}")]
    Refused(String),
    /// Surely not done, and the same records will never be taken: they are not what the topic allows.
    #[error("{0}")]
    Rejected(String),
    /// As [`Rejected`](Self::Rejected): the batch is above the topic's `max.message.bytes`.
    #[error("{0}")]
    TooLarge(String),
    /// The asked offset is outside the partition.
    #[error("{0}")]
    OffsetOutOfRange(String),
    /// The topic or partition does not exist.
    #[error("{0}")]
    UnknownTopic(String),
}

impl LogError {
    /// The same, as the commit protocol sees it.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        match self {
            LogError::Fenced(text) => Failure::Fenced(text),
            LogError::Unknown(text) => Failure::Unknown(text),
            LogError::Rejected(text) | LogError::TooLarge(text) => Failure::Rejected(text),
            LogError::Retriable(text)
            | LogError::Refused(text)
            | LogError::OffsetOutOfRange(text)
            | LogError::UnknownTopic(text) => Failure::NotDone(text),
        }
    }

    /// True when an idempotent request may be sent again.
    #[must_use]
    pub fn may_repeat(&self) -> bool {
        matches!(self, LogError::Retriable(_) | LogError::Unknown(_))
    }
}

/// One method per request the runtime makes. Dropping a returned future gives up waiting for the answer, not the request: what it asked for
/// may still happen, except for reads.
#[async_trait]
pub trait LogClient: Send + Sync + std::fmt::Debug {
    /// Reads batches; parks up to `max_wait` when there is nothing. Errors of single partitions are in the response.
    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, LogError>;

    /// Appends batches; one result per partition, in request order. Repeating it with the same sequences is safe.
    async fn produce(&self, request: ProduceRequest) -> Vec<Result<ProduceAck, LogError>>;

    /// Takes a producer id. With a transactional id it fences older holders and aborts what they left open. With `own` it asks for a new
    /// epoch of that identity, and is [`LogError::Fenced`] when somebody else took the transactional id since (KIP-360).
    async fn init_producer_id(
        &self,
        id: Option<TransactionalId>,
        timeout: Duration,
        own: Option<ProducerIdentity>,
    ) -> Result<ProducerIdentity, LogError>;

    /// Puts offsets into the open transaction.
    async fn txn_offset_commit(&self, commit: TxnOffsetCommit) -> Result<(), LogError>;

    /// Ends the transaction; the answer holds the identity to use next.
    async fn end_txn(
        &self,
        id: TransactionalId,
        identity: ProducerIdentity,
        result: TxnResult,
    ) -> Result<ProducerIdentity, LogError>;

    /// Commits offsets without a transaction.
    async fn offset_commit(
        &self,
        group: GroupId,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    ) -> Result<(), LogError>;

    /// Committed offsets of the asked partitions, stable ones only: an open transaction with offsets of one of them makes it
    /// [`LogError::Retriable`]. Partitions without a committed offset are left out.
    async fn offset_fetch(
        &self,
        group: GroupId,
        partitions: Vec<TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, LogError>;

    /// Offsets of partitions, in request order.
    async fn list_offsets(&self, asked: Vec<(TopicPartition, OffsetSpec)>) -> Result<Vec<Offset>, LogError>;

    /// Descriptions of those of the asked topics that exist.
    async fn describe_topics(&self, names: Vec<TopicName>) -> Result<Vec<TopicDescription>, LogError>;

    /// Creates topics. A topic that exists already is an error ([`LogError::Refused`]).
    async fn create_topics(&self, topics: Vec<NewTopic>) -> Result<(), LogError>;

    /// Removes the records below each offset. What is below the log start already is a no-op.
    async fn delete_records(&self, below: Vec<(TopicPartition, Offset)>) -> Result<(), LogError>;

    /// What those of the asked topics that exist refuse, as far as can be told. This default knows what the descriptions tell.
    async fn topic_rules(&self, names: Vec<TopicName>) -> Result<BTreeMap<TopicName, TopicRules>, LogError> {
        let found = self.describe_topics(names).await?;
        let rules = found
            .into_iter()
            .map(|topic| (topic.name, TopicRules::from_configs(&topic.configs)));
        Ok(rules.collect())
    }

    /// Keeps these partitions from their offsets on from retention, and their tombstones from compaction; a later call with the same name moves the leases. At best an
    /// effort: a log that knows no leases (Apache Kafka) does nothing.
    fn hold_leases(&self, name: &str, from: &[(TopicPartition, Offset)]) {
        let _ = (name, from);
    }

    /// Highest offset below which compaction has removed tombstones: whoever has read the partition only up to a smaller one cannot know which keys were deleted. `None` from
    /// a log that does not tell (Apache Kafka), or when there is none.
    fn tombstone_horizon(&self, partition: &TopicPartition) -> Option<Offset> {
        let _ = partition;
        None
    }

    /// Whether the coordinator knows this transactional id.
    async fn knows_transactional_id(&self, id: TransactionalId) -> Result<bool, LogError>;
}
