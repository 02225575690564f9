//! Who is who in the cluster: brokers, leaders of partitions, coordinators. Learnt when asked for, forgotten when a broker proves it wrong.
//!
//! Always true: what is remembered only says where to ask; an answer is judged by whoever asked. Only fresh metadata may say that a topic does not
//! exist. Nothing here waits for a leader or coordinator to appear: that is the caller's repetition.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{FindCoordinatorRequest, MetadataRequest};
use kafka_protocol::protocol::{Request, StrBytes};
use millpond_log::types::{TopicName, TopicPartition};
use parking_lot::Mutex;

use super::address::Address;
use super::code;
use super::pool::Pool;
use super::versions::Versions;
use crate::runtime::log_client::LogError;

/// What a coordinator coordinates. The numbers are the protocol's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Coordinates {
    Group = 0,
    Transaction = 1,
}

/// Everything up to the newest version.
pub(super) const ANY_VERSION: (i16, i16) = (0, i16::MAX);
/// The first version of Metadata by which a client can ask without creating topics.
const METADATA_VERSIONS: (i16, i16) = (4, i16::MAX);

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Cluster {
    pool: Arc<Pool>,
    bootstrap: Vec<Address>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    brokers: BTreeMap<i32, Address>,
    /// Leader of each partition of a topic, by number; `None` while there is none.
    leaders: BTreeMap<TopicName, Vec<Option<i32>>>,
    coordinators: BTreeMap<(Coordinates, String), i32>,
    /// The broker that answered a general question last.
    favourite: Option<Address>,
}

impl Cluster {
    pub(super) fn new(pool: Arc<Pool>, bootstrap: Vec<Address>) -> Cluster {
        Cluster {
            pool,
            bootstrap,
            known: Mutex::default(),
        }
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Asks the first broker that can be reached, whichever it is.
    pub(super) async fn ask_any<R: Request>(
        &self,
        wanted: (i16, i16),
        request: impl Fn(i16) -> R,
    ) -> Result<R::Response, LogError> {
        let mut failed = None;
        for address in self.somebody() {
            match self.pool.ask(&address, wanted, Duration::ZERO, &request).await {
                Ok(answer) => {
                    self.known.lock().favourite = Some(address);
                    return Ok(answer);
                }
                // Nothing was sent: the next one may be there.
                Err(error @ LogError::Retriable(_)) => failed = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(failed.unwrap_or_else(|| LogError::Retriable("no broker is known".to_owned())))
    }

    /// Whom to ask first, and whom next.
    fn somebody(&self) -> Vec<Address> {
        let known = self.known.lock();
        let all = known
            .favourite
            .iter()
            .chain(known.brokers.values())
            .chain(&self.bootstrap);
        let mut once = BTreeSet::new();
        all.filter(|address| once.insert((*address).clone()))
            .cloned()
            .collect()
    }

    /// Asks the broker of this number, `longer` than usual.
    pub(super) async fn ask_broker<R: Request>(
        &self,
        broker: i32,
        wanted: (i16, i16),
        longer: Duration,
        request: impl FnOnce(i16) -> R,
    ) -> Result<R::Response, LogError> {
        let answer = match self.address(broker) {
            Ok(address) => self.pool.ask(&address, wanted, longer, request).await,
            Err(error) => Err(error),
        };
        if matches!(answer, Err(LogError::Retriable(_) | LogError::Unknown(_))) {
            self.forget_broker(broker);
        }
        answer
    }

    /// What the broker of this number speaks.
    pub(super) async fn versions(&self, broker: i32) -> Result<Arc<Versions>, LogError> {
        let versions = match self.address(broker) {
            Ok(address) => self.pool.versions(&address).await,
            Err(error) => Err(error),
        };
        if versions.is_err() {
            self.forget_broker(broker);
        }
        versions
    }

    fn address(&self, broker: i32) -> Result<Address, LogError> {
        let known = self.known.lock().brokers.get(&broker).cloned();
        known.ok_or_else(|| LogError::Retriable(format!("broker {broker} is not known (yet)")))
    }

    /// Leader of each partition, in the order asked. Metadata is read when one is not known.
    ///
    /// What was read is judged as it came: others may forget meanwhile what this has put into memory, and a topic that was forgotten is not one that
    /// does not exist.
    pub(super) async fn leaders(&self, partitions: &[TopicPartition]) -> Vec<Result<i32, LogError>> {
        let remembered: Vec<Option<i32>> = {
            let known = self.known.lock();
            partitions
                .iter()
                .map(|partition| leader_in(known.leaders.get(&partition.topic)?, partition)?)
                .collect()
        };
        let unknown: BTreeSet<&TopicName> = partitions
            .iter()
            .zip(&remembered)
            .filter(|(_, leader)| leader.is_none())
            .map(|(partition, _)| &partition.topic)
            .collect();
        let mut fresh = BTreeMap::new();
        if !unknown.is_empty() {
            let names: Vec<TopicName> = unknown.into_iter().cloned().collect();
            fresh = self.fresh_leaders(&names).await;
        }
        let leader = |(partition, remembered): (&TopicPartition, Option<i32>)| {
            if let Some(leader) = remembered {
                return Ok(leader);
            }
            let leaders = match fresh.get(&partition.topic) {
                Some(Ok(leaders)) => leaders,
                Some(Err(error)) => return Err(error.clone()),
                None => {
                    let text = format!("metadata left topic {} out", partition.topic);
                    return Err(LogError::Retriable(text));
                }
            };
            match leader_in(leaders, partition) {
                Some(Some(leader)) => Ok(leader),
                Some(None) => Err(LogError::Retriable(format!("{partition} has no leader now"))),
                None => Err(LogError::UnknownTopic(format!("{partition} does not exist"))),
            }
        };
        partitions.iter().zip(remembered).map(leader).collect()
    }

    async fn fresh_leaders(
        &self,
        names: &[TopicName],
    ) -> BTreeMap<TopicName, Result<Vec<Option<i32>>, LogError>> {
        let topics = match self.topics(names).await {
            Ok(topics) => topics,
            Err(error) => {
                let error = before_it_was_asked(error);
                return names
                    .iter()
                    .map(|name| (name.clone(), Err(error.clone())))
                    .collect();
            }
        };
        let leaders = |topic: &MetadataResponseTopic| {
            let name = name_of(topic)?;
            let checked = code::check(topic.error_code, &format!("looking for topic {name}"), None);
            Some((name, checked.map(|()| leaders_of(topic))))
        };
        topics.iter().filter_map(leaders).collect()
    }

    /// Metadata of topics as it is now, also of those that do not exist (with their error). Leaders are remembered.
    pub(super) async fn topics(&self, names: &[TopicName]) -> Result<Vec<MetadataResponseTopic>, LogError> {
        let topics: Vec<_> = names
            .iter()
            .map(|name| MetadataRequestTopic::default().with_name(Some(wire_topic(name))))
            .collect();
        let request = |_| {
            MetadataRequest::default()
                .with_topics(Some(topics.clone()))
                .with_allow_auto_topic_creation(false)
        };
        let answer = self.ask_any(METADATA_VERSIONS, request).await?;
        code::check(answer.error_code, "asking for metadata", None)?;
        let mut known = self.known.lock();
        known.brokers = answer
            .brokers
            .iter()
            .filter_map(|broker| Some((broker.node_id.0, address_of(&broker.host, broker.port)?)))
            .collect();
        for name in names {
            known.leaders.remove(name);
        }
        for topic in &answer.topics {
            if topic.error_code == code::NONE
                && let Some(name) = name_of(topic)
            {
                known.leaders.insert(name, leaders_of(topic));
            }
        }
        Ok(answer.topics)
    }

    /// The next question about this topic reads metadata again.
    pub(super) fn forget_topic(&self, topic: &TopicName) {
        self.known.lock().leaders.remove(topic);
    }

    /// Number of the broker that coordinates `key`.
    pub(super) async fn coordinator(&self, what: Coordinates, key: &str) -> Result<i32, LogError> {
        let remembered = self
            .known
            .lock()
            .coordinators
            .get(&(what, key.to_owned()))
            .copied();
        if let Some(broker) = remembered {
            return Ok(broker);
        }
        let request = |version| {
            let request = FindCoordinatorRequest::default();
            let request = match version {
                0 => request,
                _ => request.with_key_type(what as i8),
            };
            match version {
                4.. => request.with_coordinator_keys(vec![text(key)]),
                _ => request.with_key(text(key)),
            }
        };
        let asked = self.ask_any(ANY_VERSION, request).await;
        let answer = asked.map_err(before_it_was_asked)?;
        let found = match answer.coordinators.first() {
            Some(found) => (found.error_code, found.node_id.0, &found.host, found.port),
            None => (answer.error_code, answer.node_id.0, &answer.host, answer.port),
        };
        let (error, broker, host, port) = found;
        let subject = match what {
            Coordinates::Group => "group",
            Coordinates::Transaction => "transactional id",
        };
        let what_failed = format!("looking for the coordinator of {subject} {key}");
        code::check(error, &what_failed, None).map_err(before_it_was_asked)?;
        let address = address_of(host, port)
            .ok_or_else(|| LogError::Retriable(format!("{what_failed}: it has no address")))?;
        let mut known = self.known.lock();
        known.brokers.insert(broker, address);
        known.coordinators.insert((what, key.to_owned()), broker);
        Ok(broker)
    }

    /// Asks the coordinator of `key`. `failed` finds the code of an answer that may tell that it is another one.
    pub(super) async fn ask_coordinator<R: Request>(
        &self,
        what: Coordinates,
        key: &str,
        wanted: (i16, i16),
        request: impl FnOnce(i16) -> R,
        failed: impl FnOnce(&R::Response) -> i16,
    ) -> Result<R::Response, LogError> {
        let broker = self.coordinator(what, key).await?;
        let answer = self.ask_broker(broker, wanted, Duration::ZERO, request).await?;
        if code::coordinator_moved(failed(&answer)) {
            self.forget_coordinator(what, key);
        }
        Ok(answer)
    }

    pub(super) fn forget_coordinator(&self, what: Coordinates, key: &str) {
        self.known.lock().coordinators.remove(&(what, key.to_owned()));
    }

    /// A broker that does not answer may be gone for good, and others took over what it did.
    fn forget_broker(&self, broker: i32) {
        let mut known = self.known.lock();
        known
            .leaders
            .retain(|_, leaders| !leaders.contains(&Some(broker)));
        known.coordinators.retain(|_, coordinator| *coordinator != broker);
    }
}

/// `None`: there is no such partition; `Some(None)`: it has no leader now.
fn leader_in(leaders: &[Option<i32>], partition: &TopicPartition) -> Option<Option<i32>> {
    let index = usize::try_from(partition.partition.get()).ok()?;
    leaders.get(index).copied()
}

fn leaders_of(topic: &MetadataResponseTopic) -> Vec<Option<i32>> {
    let mut leaders = vec![None; topic.partitions.len()];
    for partition in &topic.partitions {
        let index = usize::try_from(partition.partition_index).ok();
        if let Some(slot) = index.and_then(|index| leaders.get_mut(index)) {
            *slot = Some(partition.leader_id.0).filter(|id| *id >= 0);
        }
    }
    leaders
}

fn name_of(topic: &MetadataResponseTopic) -> Option<TopicName> {
    TopicName::new(&topic.name.as_ref()?.0).ok()
}

/// An error of a question that comes before the request proper: of that, nothing was sent.
fn before_it_was_asked(error: LogError) -> LogError {
    match error {
        LogError::Unknown(text) => LogError::Retriable(text),
        error => error,
    }
}

fn address_of(host: &str, port: i32) -> Option<Address> {
    let port = u16::try_from(port).ok().filter(|port| *port != 0)?;
    (!host.is_empty()).then(|| Address {
        host: host.to_owned(),
        port,
    })
}

/// Text as requests carry it.
pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(super) fn wire_topic(name: &TopicName) -> kafka_protocol::messages::TopicName {
    text(name.as_str()).into()
}
