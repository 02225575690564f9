//! The handle itself: start, shutdown, and what every API file reaches through it.
//!
//! Order of start: storage recovers, metadata is replayed, partitions are opened, coordinators are replayed, decided transactions are finished;
//! only then is the broker handed out. Background jobs hold it weakly: they end when it is shut down or dropped.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::task::AbortHandle;

use super::node::{BROKER_ID, Listeners, Node, unknown_partition};
use super::{BrokerError, BrokerOptions, ErrorCode};
use crate::clock::Clock;
use crate::config::BrokerConfig;
use crate::coordinator::group::{GroupCoordinator, watch_groups};
use crate::coordinator::producer_ids::ProducerIds;
use crate::coordinator::txn::TxnCoordinator;
use crate::faults::Faults;
use crate::metrics::StorageMetrics;
use crate::rng::Rng;
use crate::storage::{LogStore, LogStoreOptions, PartitionHandle};
use crate::types::{LeaderEpoch, Offset, TopicId, TopicName, TopicPartition};

/// A running broker. Cheap to clone; all clones are the same broker. Dropping the last clone stops it without waiting; what was
/// acknowledged is durable either way, and `shutdown` makes the next start quicker.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use millpond_log::broker::{Broker, BrokerOptions};
///
/// let dir = tempfile::tempdir()?;
/// let broker = Broker::start(BrokerOptions::at(dir.path())).await?;
/// assert!(broker.describe_topics(None).await.is_empty());
/// broker.shutdown().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Broker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    node: Arc<Node>,
    producer_ids: Arc<ProducerIds>,
    transactions: Arc<TxnCoordinator>,
    groups: Arc<GroupCoordinator>,
    jobs: Mutex<Vec<AbortHandle>>,
}

/// A handle that does not keep the broker running.
#[derive(Clone, Debug)]
pub(crate) struct WeakBroker {
    inner: Weak<Inner>,
}

impl WeakBroker {
    /// The broker, if it still runs.
    pub(crate) fn upgrade(&self) -> Option<Broker> {
        self.inner.upgrade().map(|inner| Broker { inner })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for job in self.jobs.get_mut().drain(..) {
            job.abort();
        }
    }
}

impl Broker {
    /// Opens the directory (recovering whatever a crash left), replays metadata and coordinators, finishes transactions that were
    /// being ended, and starts the background jobs on the current tokio runtime.
    ///
    /// Errs when another process holds the directory or its files are damaged. Not cancel-safe: a dropped call may leave the directory
    /// locked until the runtime is gone.
    #[inline(never)] // else every crate that calls it compiles the whole future again
    pub fn start(options: BrokerOptions) -> BoxFuture<'static, Result<Broker, BrokerError>> {
        async move {
            let BrokerOptions {
                data_dir,
                disk,
                clock,
                rng,
                faults,
                config,
            } = options;
            let store = LogStore::open(LogStoreOptions {
                data_dir,
                disk,
                clock: clock.clone(),
                rng: rng.clone(),
                faults: faults.clone(),
                config: config.storage.clone(),
            })
            .await?;
            let node = Arc::new(Node::open(store, config, clock, rng, faults).await?);
            let producer_ids = Arc::new(ProducerIds::new(node.clone()));
            let groups = Arc::new(GroupCoordinator::load(node.clone())?);
            groups.forget_unknown_topics().await?;
            let transactions = Arc::new(TxnCoordinator::load(
                node.clone(),
                producer_ids.clone(),
                groups.clone(),
            )?);
            transactions.resume().await;
            let check_every = Duration::from_millis(node.config.transaction_timeout_check_ms);
            let job = tokio::spawn(watch_transactions(
                Arc::downgrade(&transactions),
                node.clock.clone(),
                check_every,
            ));
            let expire_every = Duration::from_millis(node.config.transactional_id_check_ms);
            let expiry = tokio::spawn(watch_transactional_ids(
                Arc::downgrade(&transactions),
                node.clock.clone(),
                expire_every,
            ));
            let group_job = tokio::spawn(watch_groups(Arc::downgrade(&groups)));
            let jobs = [job, expiry, group_job].map(|job| job.abort_handle());
            let jobs = Mutex::new(Vec::from(jobs));
            Ok(Broker {
                inner: Arc::new(Inner {
                    node,
                    producer_ids,
                    transactions,
                    groups,
                    jobs,
                }),
            })
        }
        .boxed()
    }

    /// Stops the background jobs, makes everything durable and unlocks the directory. Calls made afterwards err. Calling it again is a
    /// no-op. Not cancel-safe: a dropped call may leave the directory locked until the process ends.
    pub fn shutdown(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        async move {
            for job in self.inner.jobs.lock().drain(..) {
                job.abort();
            }
            self.inner.groups.close();
            self.inner.node.close_store().await.map(drop)
        }
        .boxed()
    }

    /// The settings the broker was started with.
    pub fn config(&self) -> &BrokerConfig {
        &self.inner.node.config
    }

    /// The clock the broker was started with.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.node.clock
    }

    /// The random source the broker was started with.
    pub fn rng(&self) -> &Arc<dyn Rng> {
        &self.inner.node.rng
    }

    /// The kill points and planted bugs the broker was started with.
    pub fn faults(&self) -> &Faults {
        &self.inner.node.faults
    }

    /// The log of a partition, for what no Kafka API offers: retention leases and the tombstone horizon. Errs with `UnknownTopicOrPartition`.
    pub fn partition_log(&self, partition: &TopicPartition) -> Result<PartitionHandle, BrokerError> {
        self.inner.node.partition(partition)
    }

    /// How many partitions a topic has, if it exists. Answered from memory.
    pub fn partition_count(&self, topic: &TopicName) -> Option<i32> {
        self.inner
            .node
            .image()
            .topic(topic)
            .map(|topic| topic.partition_count())
    }

    /// The id of this node in the cluster.
    pub fn node_id(&self) -> i32 {
        BROKER_ID
    }

    /// A server listens for this node: told to those who ask for the broker's settings, in Kafka's form.
    pub(crate) fn on_listening(&self, listening: String, advertised: String) {
        *self.inner.node.listeners.write() = Listeners {
            listening,
            advertised,
        };
    }

    /// The id of the cluster, as Kafka prints it: 22 characters.
    pub fn cluster_id(&self) -> String {
        self.inner
            .node
            .image()
            .cluster_id()
            .map_or_else(String::new, |id| TopicId::new(id).to_string())
    }

    /// The id of the topic with this name. Answered from memory.
    pub fn topic_id_of(&self, name: &TopicName) -> Option<TopicId> {
        self.inner.node.image().topic(name).map(|topic| topic.id)
    }

    /// The name of the topic with this id, if there is one. Answered from memory.
    pub fn topic_name_of(&self, id: TopicId) -> Option<TopicName> {
        self.inner
            .node
            .image()
            .topic_by_id(&id)
            .map(|topic| topic.name.clone())
    }

    /// The current term of a partition's leader. Errs with `UnknownTopicOrPartition`.
    pub fn leader_epoch(&self, partition: &TopicPartition) -> Result<LeaderEpoch, BrokerError> {
        let image = self.inner.node.image();
        image
            .topic(&partition.topic)
            .and_then(|topic| topic.partitions.get(&partition.partition))
            .map(|found| found.leader_epoch)
            .ok_or_else(|| unknown_partition(partition))
    }

    /// Compares the term a client knows with the current one: -1 is not known and passes (KIP-320). Errs with `FencedLeaderEpoch` if the
    /// client's is older, `UnknownLeaderEpoch` if it is newer, `UnknownTopicOrPartition`.
    pub fn check_leader_epoch(
        &self,
        partition: &TopicPartition,
        known: LeaderEpoch,
    ) -> Result<(), BrokerError> {
        let current = self.leader_epoch(partition)?;
        if known.get() < 0 || known == current {
            return Ok(());
        }
        let code = if known < current {
            ErrorCode::FencedLeaderEpoch
        } else {
            ErrorCode::UnknownLeaderEpoch
        };
        let message = format!("leader epoch of {partition} is {current}, not {known}");
        Err(BrokerError::new(code, message))
    }

    /// A handle that does not keep the broker running.
    pub(crate) fn downgrade(&self) -> WeakBroker {
        WeakBroker {
            inner: Arc::downgrade(&self.inner),
        }
    }

    /// What storage counts; none once the broker was shut down.
    pub(crate) fn storage_metrics(&self) -> Option<StorageMetrics> {
        Some(self.inner.node.store().ok()?.metrics())
    }

    /// Changes whenever metadata does: what was looked up before may be out of date.
    pub(crate) fn metadata_version(&self) -> Offset {
        self.inner.node.metadata_version()
    }

    pub(super) fn node(&self) -> &Arc<Node> {
        &self.inner.node
    }

    pub(super) fn producer_ids(&self) -> &ProducerIds {
        &self.inner.producer_ids
    }

    pub(super) fn transactions(&self) -> &Arc<TxnCoordinator> {
        &self.inner.transactions
    }

    pub(super) fn groups(&self) -> &Arc<GroupCoordinator> {
        &self.inner.groups
    }
}

/// Forgets transactional ids that nobody used for long.
async fn watch_transactional_ids(
    transactions: Weak<TxnCoordinator>,
    clock: Arc<dyn Clock>,
    check_every: Duration,
) {
    loop {
        clock.sleep(check_every).await;
        let Some(transactions) = transactions.upgrade() else {
            return;
        };
        transactions.expire_ids().await;
    }
}

/// Aborts transactions that are open for too long and carries out decisions that could not be carried out at once.
async fn watch_transactions(
    transactions: Weak<TxnCoordinator>,
    clock: Arc<dyn Clock>,
    check_every: Duration,
) {
    loop {
        clock.sleep(check_every).await;
        let Some(transactions) = transactions.upgrade() else {
            return;
        };
        transactions.abort_expired().await;
        if transactions.has_unfinished() {
            transactions.resume().await;
        }
    }
}
