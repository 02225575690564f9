//! The client itself: [`LogClient`] over a cluster.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use millpond_log::broker::{
    FetchRequest, FetchResponse, NewTopic, OffsetAndMetadata, OffsetSpec, ProduceAck, ProduceRequest,
    ProducerIdentity, TopicDescription, TxnOffsetCommit, TxnResult,
};
use millpond_log::types::{GroupId, Offset, TopicName, TopicPartition, TransactionalId};

use super::address::Address;
use super::cluster::Cluster;
use super::options::RemoteOptions;
use super::pool::Pool;
use super::producers::Producers;
use crate::processor::TopicRules;
use crate::runtime::error::RuntimeError;
use crate::runtime::log_client::{LogClient, LogError};
use crate::runtime::thread::IoThread;

const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// A [`LogClient`] over a cluster. One serves all workers of an application; connections end when it is dropped.
#[derive(Debug)]
pub struct RemoteLog {
    pub(super) cluster: Cluster,
    pub(super) producers: Producers,
}

impl RemoteLog {
    /// A client of this cluster. Nothing is connected before the first request.
    ///
    /// Errs when the addresses cannot be used ([`RuntimeError::Config`]; also when they ask for TLS or SASL), or without a thread for sockets.
    ///
    /// ```
    /// use millpond_streams::runtime::{RemoteLog, RemoteOptions};
    ///
    /// let log = RemoteLog::new(RemoteOptions::new("kafka-1:9092,kafka-2:9092"))?;
    /// let refused = RemoteLog::new(RemoteOptions::new("SASL_SSL://kafka:9093")).expect_err("not spoken yet");
    /// assert!(refused.to_string().contains("plaintext"));
    /// # Ok::<(), millpond_streams::runtime::RuntimeError>(())
    /// ```
    pub fn new(options: RemoteOptions) -> Result<RemoteLog, RuntimeError> {
        let bootstrap = Address::parse_list(&options.bootstrap).map_err(|error| RuntimeError::Config {
            setting: "bootstrap",
            message: error.to_string(),
        })?;
        let io = IoThread::spawn(&format!("{}-io", options.client_id))?;
        Ok(RemoteLog {
            cluster: Cluster::new(Pool::new(io, options), bootstrap),
            producers: Producers::default(),
        })
    }

    pub(super) fn options(&self) -> &RemoteOptions {
        self.cluster.pool().options()
    }

    /// Repeats what can be repeated, for as long as one request may take.
    async fn patiently<T, Fut: Future<Output = Result<T, LogError>>>(
        &self,
        what: &str,
        mut request: impl FnMut() -> Fut,
    ) -> Result<T, LogError> {
        let clock = &self.options().clock;
        let started = clock.monotonic();
        let mut pause = BACKOFF_MIN;
        loop {
            let error = match request().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let spent = clock.monotonic().saturating_sub(started);
            if !error.may_repeat() || spent + pause >= self.options().request_timeout {
                return Err(error);
            }
            tracing::debug!(what, %error, "repeating a request");
            clock.sleep(pause).await;
            pause = (pause * 2).min(BACKOFF_MAX);
        }
    }
}

#[async_trait]
impl LogClient for RemoteLog {
    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, LogError> {
        Ok(self.fetch_from_leaders(request).await)
    }

    async fn produce(&self, request: ProduceRequest) -> Vec<Result<ProduceAck, LogError>> {
        self.produce_to_leaders(request).await
    }

    async fn init_producer_id(
        &self,
        id: Option<TransactionalId>,
        timeout: Duration,
        own: Option<ProducerIdentity>,
    ) -> Result<ProducerIdentity, LogError> {
        match (id, own) {
            (Some(id), Some(own)) => self.claim(&id, timeout, own).await,
            (id, own) => self.init(id, timeout, own).await,
        }
    }

    async fn txn_offset_commit(&self, commit: TxnOffsetCommit) -> Result<(), LogError> {
        self.commit_offsets_in_transaction(commit).await
    }

    async fn end_txn(
        &self,
        id: TransactionalId,
        identity: ProducerIdentity,
        result: TxnResult,
    ) -> Result<ProducerIdentity, LogError> {
        self.end(&id, identity, result).await
    }

    async fn offset_commit(
        &self,
        group: GroupId,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    ) -> Result<(), LogError> {
        self.commit_offsets(group, offsets).await
    }

    async fn offset_fetch(
        &self,
        group: GroupId,
        partitions: Vec<TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, LogError> {
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.fetch_offsets(group, partitions).await
    }

    async fn list_offsets(&self, asked: Vec<(TopicPartition, OffsetSpec)>) -> Result<Vec<Offset>, LogError> {
        self.list_partition_offsets(asked).await
    }

    async fn describe_topics(&self, names: Vec<TopicName>) -> Result<Vec<TopicDescription>, LogError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        self.patiently("describing topics", || self.describe(&names))
            .await
    }

    async fn topic_rules(&self, names: Vec<TopicName>) -> Result<BTreeMap<TopicName, TopicRules>, LogError> {
        self.patiently("reading the settings of topics", || self.rules(&names))
            .await
    }

    async fn create_topics(&self, topics: Vec<NewTopic>) -> Result<(), LogError> {
        // After a lost answer the topic may be there; the next attempt says so, and the caller looks at what there is.
        self.patiently("creating topics", || self.create(&topics)).await?;
        let names: Vec<TopicName> = topics.into_iter().map(|topic| topic.name).collect();
        self.patiently("waiting for new topics", || self.check_leaders(&names))
            .await
    }

    async fn delete_records(&self, below: Vec<(TopicPartition, Offset)>) -> Result<(), LogError> {
        self.delete_below(below).await
    }

    async fn knows_transactional_id(&self, id: TransactionalId) -> Result<bool, LogError> {
        let described = self.patiently("describing a transactional id", || self.describe_transaction(&id));
        Ok(described.await?.is_some())
    }
}
