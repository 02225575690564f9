//! The log in this process: every request is a call of the broker's handle, no socket between.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use millpond_log::broker::{
    Broker, BrokerError, ConfigResource, ErrorCode, ErrorKind, FetchRequest, FetchResponse, Isolation,
    NewTopic, OffsetAndMetadata, OffsetSpec, ProduceAck, ProduceRequest, ProducerIdentity, TopicDescription,
    TxnOffsetCommit, TxnResult,
};
use millpond_log::types::{GroupId, Offset, TopicName, TopicPartition, TransactionalId};

use super::log_client::{LogClient, LogError};
use crate::processor::TopicRules;

/// A [`LogClient`] over a [`Broker`].
#[derive(Debug, Clone)]
pub struct EmbeddedLog {
    broker: Broker,
}

impl EmbeddedLog {
    /// A client of this broker; the broker lives on when the client is dropped.
    #[must_use]
    pub fn new(broker: Broker) -> Self {
        EmbeddedLog { broker }
    }
}

impl From<BrokerError> for LogError {
    fn from(error: BrokerError) -> Self {
        let text = error.to_string();
        if error.outcome_unknown() {
            return LogError::Unknown(text);
        }
        match error.code() {
            ErrorCode::OffsetOutOfRange => return LogError::OffsetOutOfRange(text),
            ErrorCode::UnknownTopicOrPartition => return LogError::UnknownTopic(text),
            ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => return LogError::TooLarge(text),
            ErrorCode::InvalidRecord | ErrorCode::InvalidTimestamp | ErrorCode::OffsetMetadataTooLarge => {
                return LogError::Rejected(text);
            }
            _ => {}
        }
        match error.kind() {
            ErrorKind::Retriable => LogError::Retriable(text),
            ErrorKind::Fenced => LogError::Fenced(text),
            _ => LogError::Refused(text),
        }
    }
}

#[async_trait]
impl LogClient for EmbeddedLog {
    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, LogError> {
        Ok(self.broker.fetch(request).await)
    }

    async fn produce(&self, request: ProduceRequest) -> Vec<Result<ProduceAck, LogError>> {
        self.broker
            .produce(request)
            .await
            .into_iter()
            .map(|answer| answer.map_err(LogError::from))
            .collect()
    }

    async fn init_producer_id(
        &self,
        id: Option<TransactionalId>,
        timeout: Duration,
        own: Option<ProducerIdentity>,
    ) -> Result<ProducerIdentity, LogError> {
        let expected = own.map(|own| (own.producer_id, own.producer_epoch));
        Ok(self.broker.init_producer_id(id, timeout, expected).await?)
    }

    async fn txn_offset_commit(&self, commit: TxnOffsetCommit) -> Result<(), LogError> {
        Ok(self.broker.txn_offset_commit(commit).await?)
    }

    async fn end_txn(
        &self,
        id: TransactionalId,
        identity: ProducerIdentity,
        result: TxnResult,
    ) -> Result<ProducerIdentity, LogError> {
        Ok(self
            .broker
            .end_txn(&id, identity.producer_id, identity.producer_epoch, result)
            .await?)
    }

    async fn offset_commit(
        &self,
        group: GroupId,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    ) -> Result<(), LogError> {
        Ok(self.broker.offset_commit(&group, offsets).await?)
    }

    async fn offset_fetch(
        &self,
        group: GroupId,
        partitions: Vec<TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, LogError> {
        Ok(self
            .broker
            .offset_fetch(&group, Some(partitions))
            .await?
            .into_iter()
            .collect())
    }

    async fn list_offsets(&self, asked: Vec<(TopicPartition, OffsetSpec)>) -> Result<Vec<Offset>, LogError> {
        let answers = self
            .broker
            .list_offsets(asked.clone(), Isolation::ReadUncommitted)
            .await;
        let mut offsets = Vec::with_capacity(answers.len());
        for ((partition, spec), answer) in asked.iter().zip(answers) {
            let none = || LogError::Refused(format!("{partition} has no offset for {spec:?}"));
            offsets.push(answer?.offset.ok_or_else(none)?);
        }
        Ok(offsets)
    }

    async fn describe_topics(&self, names: Vec<TopicName>) -> Result<Vec<TopicDescription>, LogError> {
        let mut found = Vec::new();
        for answer in self.broker.describe_topics(Some(names)).await {
            match answer {
                Ok(description) => found.push(description),
                Err(error) if error.code() == ErrorCode::UnknownTopicOrPartition => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found)
    }

    /// Descriptions tell only what differs from the broker's defaults, and the defaults are rules as well.
    async fn topic_rules(&self, names: Vec<TopicName>) -> Result<BTreeMap<TopicName, TopicRules>, LogError> {
        let asked = names.iter().cloned().map(ConfigResource::Topic).collect();
        let mut rules = BTreeMap::new();
        for (name, answer) in names.into_iter().zip(self.broker.describe_configs(asked).await) {
            match answer {
                Ok(entries) => {
                    let configs = entries
                        .into_iter()
                        .map(|entry| (entry.name.to_owned(), entry.value));
                    rules.insert(name, TopicRules::from_configs(&configs.collect()));
                }
                Err(error) if error.code() == ErrorCode::UnknownTopicOrPartition => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(rules)
    }

    async fn create_topics(&self, topics: Vec<NewTopic>) -> Result<(), LogError> {
        for answer in self.broker.create_topics(topics).await {
            answer?;
        }
        Ok(())
    }

    async fn delete_records(&self, below: Vec<(TopicPartition, Offset)>) -> Result<(), LogError> {
        let below = below
            .into_iter()
            .map(|(partition, offset)| (partition, Some(offset)))
            .collect();
        for answer in self.broker.delete_records(below).await {
            answer?;
        }
        Ok(())
    }

    fn hold_leases(&self, name: &str, from: &[(TopicPartition, Offset)]) {
        for (partition, offset) in from {
            match self.broker.partition_log(partition) {
                Ok(log) => log.set_retention_lease(name, *offset),
                Err(error) => tracing::debug!(%partition, %error, "no lease on a changelog"),
            }
        }
    }

    fn tombstone_horizon(&self, partition: &TopicPartition) -> Option<Offset> {
        let log = self.broker.partition_log(partition).ok()?;
        Some(log.tombstone_horizon())
    }

    async fn knows_transactional_id(&self, id: TransactionalId) -> Result<bool, LogError> {
        match self.broker.describe_transaction(&id).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == ErrorCode::TransactionalIdNotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
