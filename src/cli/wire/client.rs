//! The cluster: which broker answers what, and asking it until it does or the time is over.
//!
//! What is always true: an answer that names a transient error (a leader that moved, a coordinator that loads) is asked again after fresh metadata, until
//! `request.timeout.ms` is over; then the answer is handed on as it is. Nothing else is retried: the verbs decide what an error means.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{FindCoordinatorRequest, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::Request;
use millpond::log::clock::{Clock, SystemClock};

use super::connection::Connection;
use super::error::is_transient;
use super::peer::{Peer, Source};
use super::{kafka_failure, text};
use crate::cli::failure::Failure;
use crate::cli::settings::{ClusterArgs, Settings};

/// Pause before asking again.
const BACKOFF: Duration = Duration::from_millis(100);
/// No broker has this id: the connection that was made first.
const FIRST: i32 = i32::MIN;

/// Whom to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To<'a> {
    /// Any broker.
    Any,
    /// The broker that brokers take for the controller.
    Controller,
    /// This one.
    Node(i32),
    /// The coordinator of a group.
    Group(&'a str),
    /// The coordinator of a transactional id.
    Transaction(&'a str),
}

/// A broker as the cluster tells it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) id: i32,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) rack: Option<String>,
}

/// A partition as the cluster tells it.
#[derive(Clone, Debug)]
pub(crate) struct PartitionInfo {
    pub(crate) id: i32,
    pub(crate) error: i16,
    pub(crate) leader: Option<i32>,
    pub(crate) leader_epoch: Option<i32>,
    pub(crate) replicas: Vec<i32>,
    pub(crate) isr: Vec<i32>,
    pub(crate) offline: Vec<i32>,
}

/// A topic as the cluster tells it; partitions in order.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) id: Option<String>,
    pub(crate) internal: bool,
    pub(crate) error: i16,
    pub(crate) partitions: Vec<PartitionInfo>,
}

/// A client of a cluster.
#[derive(Debug)]
pub(crate) struct Client {
    settings: Settings,
    clock: Arc<dyn Clock>,
    connections: BTreeMap<i32, Connection>,
    pub(crate) nodes: BTreeMap<i32, Node>,
    pub(crate) controller: Option<i32>,
    pub(crate) cluster_id: Option<String>,
}

impl Client {
    /// Connects to the first broker that answers and asks it for the others.
    pub(crate) async fn connect(args: &ClusterArgs) -> anyhow::Result<Client> {
        Client::with(Settings::resolve(args)?).await
    }

    /// The same with settings that are resolved already.
    pub(crate) async fn with(settings: Settings) -> anyhow::Result<Client> {
        let clock = SystemClock::shared();
        let mut first = None;
        let mut failed: Option<anyhow::Error> = None;
        for peer in Peer::bootstrap(&settings)? {
            match Connection::open(&peer, &settings, &clock).await {
                Ok(connection) => {
                    first = Some(connection);
                    break;
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        let Some(first) = first else {
            return Err(failed.unwrap_or_else(|| Failure::connect("no broker to connect to").into()));
        };
        let mut client = Client {
            settings,
            clock,
            connections: BTreeMap::from([(FIRST, first)]),
            nodes: BTreeMap::new(),
            controller: None,
            cluster_id: None,
        };
        client.metadata(Some(Vec::new())).await?;
        Ok(client)
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Finalised features of the cluster, with their level.
    pub(crate) fn features(&self) -> &[(String, i16)] {
        self.connections.get(&FIRST).map_or(&[], Connection::features)
    }

    /// Time limit that requests carry for the broker's own work.
    pub(crate) fn timeout_ms(&self) -> i32 {
        i32::try_from(self.settings.request_timeout().as_millis()).unwrap_or(i32::MAX)
    }

    /// Asks for topics by name (none: only for the cluster; `None`: for all).
    async fn metadata(&mut self, names: Option<Vec<String>>) -> anyhow::Result<MetadataResponse> {
        let limit = self.settings.request_timeout();
        let connection = self.first().await?;
        let version = connection.version_of::<MetadataRequest>(i16::MAX)?;
        let mut request = MetadataRequest::default().with_topics(names.map(|names| {
            names
                .into_iter()
                .map(|name| MetadataRequestTopic::default().with_name(Some(TopicName(text(name)))))
                .collect()
        }));
        if version >= 4 {
            request.allow_auto_topic_creation = false;
        } else {
            request.allow_auto_topic_creation = true;
            if request.topics.is_none() && version == 0 {
                request.topics = Some(Vec::new());
            }
        }
        let answer = connection.call(version, &request, limit).await?;
        let told_by = connection.peer().address();
        if answer.error_code != 0 {
            return Err(kafka_failure("cannot ask for the brokers", answer.error_code, None).into());
        }
        self.nodes = answer
            .brokers
            .iter()
            .map(|broker| {
                let node = Node {
                    id: broker.node_id.0,
                    host: broker.host.to_string(),
                    port: u16::try_from(broker.port).unwrap_or_default(),
                    rack: broker.rack.as_ref().map(ToString::to_string),
                };
                (node.id, node)
            })
            .collect();
        self.controller = Some(answer.controller_id.0).filter(|id| *id >= 0);
        self.cluster_id = answer.cluster_id.as_ref().map(ToString::to_string);
        tracing::debug!(brokers = self.nodes.len(), told_by, "metadata");
        Ok(answer)
    }

    /// All topics, or those named, in order of name; a topic that is missing has its error.
    pub(crate) async fn topics(&mut self, names: Option<&[String]>) -> anyhow::Result<Vec<Topic>> {
        if names.is_some_and(<[String]>::is_empty) {
            return Ok(Vec::new());
        }
        let deadline = self.deadline();
        loop {
            let answer = self.metadata(names.map(<[String]>::to_vec)).await?;
            let mut topics: Vec<Topic> = answer.topics.iter().map(topic_of).collect();
            topics.sort_by(|a, b| a.name.cmp(&b.name));
            // A topic that was created a moment ago has no leader for a moment; one that stays without is shown as it is.
            let early =
                self.clock.monotonic() + self.settings.request_timeout() < deadline + Duration::from_secs(2);
            if early && topics.iter().any(|topic| is_transient(topic.error)) {
                self.clock.sleep(BACKOFF).await;
                continue;
            }
            return Ok(topics);
        }
    }

    /// Waits until topics that were created a moment ago are known and have leaders, `limit` at most; says whether they do.
    pub(crate) async fn wait_for_topics(
        &mut self,
        names: &[String],
        limit: Duration,
    ) -> anyhow::Result<bool> {
        let deadline = self.clock.monotonic() + limit;
        loop {
            let topics = self.topics(Some(names)).await?;
            let ready = |topic: &Topic| {
                topic.error == 0
                    && topic
                        .partitions
                        .iter()
                        .all(|partition| partition.leader.is_some())
            };
            if topics.iter().all(ready) {
                return Ok(true);
            }
            if self.clock.monotonic() > deadline {
                return Ok(false);
            }
            self.clock.sleep(BACKOFF / 2).await;
        }
    }

    /// Names of all topics, for hints.
    pub(crate) async fn topic_names(&mut self) -> anyhow::Result<Vec<String>> {
        let topics = self.topics(None).await?;
        Ok(topics.into_iter().map(|topic| topic.name).collect())
    }

    /// Asks `to` with the request that `make` builds for the version agreed on; `code` finds the error that decides about asking again.
    pub(crate) async fn ask<R: Request>(
        &mut self,
        to: To<'_>,
        make: impl Fn(i16) -> R,
        code: impl Fn(&R::Response) -> i16,
    ) -> anyhow::Result<R::Response> {
        self.ask_below(to, i16::MAX, make, code).await
    }

    /// The same with a version of `cap` at most.
    pub(crate) async fn ask_below<R: Request>(
        &mut self,
        to: To<'_>,
        cap: i16,
        make: impl Fn(i16) -> R,
        code: impl Fn(&R::Response) -> i16,
    ) -> anyhow::Result<R::Response> {
        let deadline = self.deadline();
        loop {
            let limit = deadline
                .saturating_sub(self.clock.monotonic())
                .max(Duration::from_millis(1));
            let node = self.find(to, deadline).await?;
            let connection = self.connection(node).await?;
            let version = connection.version_of::<R>(cap)?;
            let answer = match connection.call(version, &make(version), limit).await {
                Ok(answer) => answer,
                Err(error) => {
                    self.connections.remove(&node);
                    return Err(error);
                }
            };
            if !is_transient(code(&answer)) || self.clock.monotonic() + BACKOFF >= deadline {
                return Ok(answer);
            }
            self.clock.sleep(BACKOFF).await;
            self.metadata(Some(Vec::new())).await?;
        }
    }

    /// Id of the broker that coordinates a group or a transactional id.
    pub(crate) async fn coordinator_of(&mut self, to: To<'_>) -> anyhow::Result<i32> {
        let deadline = self.deadline();
        self.find(to, deadline).await
    }

    fn deadline(&self) -> Duration {
        self.clock.monotonic() + self.settings.request_timeout()
    }

    async fn find(&mut self, to: To<'_>, deadline: Duration) -> anyhow::Result<i32> {
        match to {
            To::Any => Ok(FIRST),
            To::Node(node) => Ok(node),
            // Kafka without ZooKeeper names any broker here, and each passes the request on.
            To::Controller => Ok(self
                .controller
                .filter(|id| self.nodes.contains_key(id))
                .unwrap_or(FIRST)),
            To::Group(key) => self.coordinator(key, 0, deadline).await,
            To::Transaction(key) => self.coordinator(key, 1, deadline).await,
        }
    }

    async fn coordinator(&mut self, key: &str, kind: i8, deadline: Duration) -> anyhow::Result<i32> {
        let what = if kind == 0 { "group" } else { "transactional id" };
        loop {
            let limit = self.settings.request_timeout();
            let connection = self.first().await?;
            let version = connection.version_of::<FindCoordinatorRequest>(i16::MAX)?;
            let mut request = FindCoordinatorRequest::default();
            if version >= 1 {
                request.key_type = kind;
            }
            if version >= 4 {
                request.coordinator_keys = vec![text(key)];
            } else {
                request.key = text(key);
            }
            let answer = connection.call(version, &request, limit).await?;
            let told_by = connection.peer().address();
            let (error, node, host, port) = match answer.coordinators.first() {
                Some(found) => (
                    found.error_code,
                    found.node_id.0,
                    found.host.to_string(),
                    found.port,
                ),
                None => (
                    answer.error_code,
                    answer.node_id.0,
                    answer.host.to_string(),
                    answer.port,
                ),
            };
            if error == 0 {
                let port = u16::try_from(port).unwrap_or_default();
                self.nodes.entry(node).or_insert(Node {
                    id: node,
                    host,
                    port,
                    rack: None,
                });
                return Ok(node);
            }
            tracing::debug!(key, error, told_by, "no coordinator yet");
            if !is_transient(error) || self.clock.monotonic() + BACKOFF >= deadline {
                return Err(kafka_failure(&format!("no coordinator for {what} {key}"), error, None).into());
            }
            self.clock.sleep(BACKOFF).await;
        }
    }

    /// The connection that was made first; made again if it was lost.
    async fn first(&mut self) -> anyhow::Result<&mut Connection> {
        self.connection(FIRST).await
    }

    async fn connection(&mut self, node: i32) -> anyhow::Result<&mut Connection> {
        if !self.connections.contains_key(&node) {
            let opened = if node == FIRST {
                let mut opened = Err(Failure::connect("no broker to connect to").into());
                for peer in Peer::bootstrap(&self.settings)? {
                    opened = Connection::open(&peer, &self.settings, &self.clock).await;
                    if opened.is_ok() {
                        break;
                    }
                }
                opened?
            } else {
                let peer = self.peer(node)?;
                Connection::open(&peer, &self.settings, &self.clock).await?
            };
            self.connections.insert(node, opened);
        }
        Ok(self
            .connections
            .get_mut(&node)
            .expect("inserted above if it was missing"))
    }

    fn peer(&self, node: i32) -> Result<Peer, Failure> {
        let known = self.nodes.get(&node).ok_or_else(|| {
            let ids: Vec<String> = self.nodes.keys().map(ToString::to_string).collect();
            Failure::failed(format!("no broker {node} in the cluster"))
                .hint(format!("there are {}", ids.join(", ")))
        })?;
        let told_by = self
            .connections
            .get(&FIRST)
            .map_or_else(|| "the cluster".to_owned(), |first| first.peer().address());
        Ok(Peer {
            host: known.host.clone(),
            port: known.port,
            source: Source::Advertised { node, told_by },
        })
    }

    /// Forgets a connection after a failure, so that the next request makes a new one.
    fn forget(&mut self, node: i32) {
        self.connections.remove(&node);
    }
}

/// Whether a broker answers, on a connection of its own or the one there is.
pub(crate) async fn reach(client: &mut Client, node: i32) -> anyhow::Result<()> {
    let limit = client.settings.connect_timeout();
    let outcome = async {
        let connection = client.connection(node).await?;
        let version = connection.version_of::<MetadataRequest>(i16::MAX)?;
        let request = MetadataRequest::default()
            .with_topics(Some(Vec::new()))
            .with_allow_auto_topic_creation(true);
        connection.call(version, &request, limit).await
    }
    .await;
    if outcome.is_err() {
        client.forget(node);
    }
    outcome.map(|_| ())
}

fn topic_of(topic: &kafka_protocol::messages::metadata_response::MetadataResponseTopic) -> Topic {
    let mut partitions: Vec<PartitionInfo> = topic
        .partitions
        .iter()
        .map(|partition| PartitionInfo {
            id: partition.partition_index,
            error: partition.error_code,
            leader: Some(partition.leader_id.0).filter(|id| *id >= 0),
            leader_epoch: Some(partition.leader_epoch).filter(|epoch| *epoch >= 0),
            replicas: partition.replica_nodes.iter().map(|id| id.0).collect(),
            isr: partition.isr_nodes.iter().map(|id| id.0).collect(),
            offline: partition.offline_replicas.iter().map(|id| id.0).collect(),
        })
        .collect();
    partitions.sort_by_key(|partition| partition.id);
    Topic {
        name: topic
            .name
            .as_ref()
            .map(|name| name.0.to_string())
            .unwrap_or_default(),
        id: (!topic.topic_id.is_nil()).then(|| url_safe_id(topic.topic_id.as_bytes())),
        internal: topic.is_internal,
        error: topic.error_code,
        partitions,
    }
}

/// Kafka writes ids of topics and clusters in URL-safe base64 without padding.
fn url_safe_id(id: &[u8; 16]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id)
}
