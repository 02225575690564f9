//! A log whose `end_txn` is in the hands of a test, and which a test can hold up; everything else goes to the log behind it as it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use millpond_log::broker::{
    Broker, FetchRequest, FetchResponse, NewTopic, OffsetAndMetadata, OffsetSpec, ProduceAck, ProduceRequest,
    ProducerIdentity, TopicDescription, TxnOffsetCommit, TxnResult,
};
use millpond_log::types::{GroupId, Offset, TopicName, TopicPartition, TransactionalId};
use millpond_streams::runtime::{EmbeddedLog, LogClient, LogError};

/// Decides what becomes of the end of a transaction, and how long other steps take.
#[async_trait]
pub(crate) trait EndTxn: Send + Sync + std::fmt::Debug {
    async fn end_txn(
        &self,
        log: &Arc<dyn LogClient>,
        id: TransactionalId,
        identity: ProducerIdentity,
        result: TxnResult,
    ) -> Result<ProducerIdentity, LogError>;

    /// Awaited after batches were taken, before that is answered.
    async fn after_produce(&self) {}

    /// Awaited before offsets are handed to the coordinator.
    async fn before_offsets(&self) {}
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct HookedLog<H> {
    log: Arc<dyn LogClient>,
    hook: H,
}

impl<H: EndTxn> HookedLog<H> {
    pub(crate) fn new(broker: &Broker, hook: H) -> Self {
        Self::over(Arc::new(EmbeddedLog::new(broker.clone())), hook)
    }

    pub(crate) fn over(log: Arc<dyn LogClient>, hook: H) -> Self {
        HookedLog { log, hook }
    }
}

#[async_trait]
impl<H: EndTxn> LogClient for HookedLog<H> {
    async fn end_txn(
        &self,
        id: TransactionalId,
        identity: ProducerIdentity,
        result: TxnResult,
    ) -> Result<ProducerIdentity, LogError> {
        self.hook.end_txn(&self.log, id, identity, result).await
    }

    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, LogError> {
        self.log.fetch(request).await
    }
    async fn produce(&self, request: ProduceRequest) -> Vec<Result<ProduceAck, LogError>> {
        let answers = self.log.produce(request).await;
        self.hook.after_produce().await;
        answers
    }
    async fn init_producer_id(
        &self,
        id: Option<TransactionalId>,
        timeout: Duration,
        own: Option<ProducerIdentity>,
    ) -> Result<ProducerIdentity, LogError> {
        self.log.init_producer_id(id, timeout, own).await
    }
    async fn txn_offset_commit(&self, commit: TxnOffsetCommit) -> Result<(), LogError> {
        self.hook.before_offsets().await;
        self.log.txn_offset_commit(commit).await
    }
    async fn offset_commit(
        &self,
        group: GroupId,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    ) -> Result<(), LogError> {
        self.log.offset_commit(group, offsets).await
    }
    async fn offset_fetch(
        &self,
        group: GroupId,
        partitions: Vec<TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, LogError> {
        self.log.offset_fetch(group, partitions).await
    }
    async fn list_offsets(&self, asked: Vec<(TopicPartition, OffsetSpec)>) -> Result<Vec<Offset>, LogError> {
        self.log.list_offsets(asked).await
    }
    async fn describe_topics(&self, names: Vec<TopicName>) -> Result<Vec<TopicDescription>, LogError> {
        self.log.describe_topics(names).await
    }
    async fn create_topics(&self, topics: Vec<NewTopic>) -> Result<(), LogError> {
        self.log.create_topics(topics).await
    }
    async fn delete_records(&self, below: Vec<(TopicPartition, Offset)>) -> Result<(), LogError> {
        self.log.delete_records(below).await
    }
    async fn knows_transactional_id(&self, id: TransactionalId) -> Result<bool, LogError> {
        self.log.knows_transactional_id(id).await
    }
}
