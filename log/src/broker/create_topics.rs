//! CreateTopics (API key 19).
//!
//! A topic exists once its metadata records are durable; its directories follow, and are made at the next start if a crash comes between.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::assignment::check_assignment;
use super::node::{BROKER_ID, TopicSpec, is_internal, new_topic_records};
use super::{Broker, BrokerError, ErrorCode, TopicDescription};
use crate::config::BrokerConfig;
use crate::metadata::{METADATA_TOPIC, MetadataImage, MetadataRecord, limits};
use crate::storage::LogStore;
use crate::types::{Offset, TopicId, TopicName};

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: TopicName,
    /// How many partitions; `-1` asks for the broker's `num.partitions`, or as many as `assignments` has.
    pub partitions: i32,
    /// Settings that differ from the broker's defaults, under Kafka's names.
    pub configs: BTreeMap<String, String>,
    /// How many brokers hold each partition; `-1` asks for the default.
    pub replication_factor: i16,
    /// Brokers of each partition by number, if they are not to be chosen here.
    pub assignments: Vec<(i32, Vec<i32>)>,
}

impl NewTopic {
    /// A topic with default settings.
    pub fn new(name: TopicName, partitions: i32) -> Self {
        Self {
            name,
            partitions,
            configs: BTreeMap::new(),
            replication_factor: -1,
            assignments: Vec::new(),
        }
    }

    /// Adds a setting.
    pub fn config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.insert(key.into(), value.into());
        self
    }
}

impl Broker {
    /// Creates topics; one answer per topic, in order. Errs per topic with `TopicAlreadyExists`, `InvalidTopicException` (also for a name that
    /// differs from another only in `.` for `_`), `InvalidPartitions`, `InvalidReplicationFactor`, `InvalidReplicaAssignment`, `InvalidConfig`
    /// (unknown settings suggest a near name), `InvalidRequest` (named twice) or `PolicyViolation` (a cap). Cancel-safe: a dropped call may or
    /// may not have created them.
    pub fn create_topics(
        &self,
        topics: Vec<NewTopic>,
    ) -> BoxFuture<'_, Vec<Result<TopicDescription, BrokerError>>> {
        async move {
            let count = topics.len();
            let plan = match self.topic_plan(topics) {
                Ok(plan) => plan,
                Err(error) => return vec![Err(error); count],
            };
            let created = self.node().change_metadata_each(move |image| {
                let (batches, answers) = plan.decide(image);
                Ok((batches, answers))
            });
            match created.await {
                Ok((_, answers)) => answers,
                Err(error) => vec![Err(error); count],
            }
        }
        .boxed()
    }

    /// Tells what `create_topics` would answer now, and creates nothing.
    pub fn validate_topics(&self, topics: Vec<NewTopic>) -> Vec<Result<TopicDescription, BrokerError>> {
        let count = topics.len();
        match self.topic_plan(topics) {
            Ok(plan) => plan.decide(&self.node().image()).1,
            Err(error) => vec![Err(error); count],
        }
    }

    fn topic_plan(&self, topics: Vec<NewTopic>) -> Result<TopicPlan, BrokerError> {
        Ok(TopicPlan {
            topics: topics
                .into_iter()
                .map(|topic| (TopicId::random(&**self.rng()), topic))
                .collect(),
            config: self.node().current_config(),
            store: self.node().store()?,
        })
    }
}

/// Topics to create, with all that is needed to decide about them.
struct TopicPlan {
    topics: Vec<(TopicId, NewTopic)>,
    config: Arc<BrokerConfig>,
    store: Arc<LogStore>,
}

/// The records of each topic, a batch each, and the answers.
type Decided = (
    Vec<Vec<MetadataRecord>>,
    Vec<Result<TopicDescription, BrokerError>>,
);

impl TopicPlan {
    /// No batch ever speaks of two topics' partitions.
    fn decide(self, image: &MetadataImage) -> Decided {
        let mut named = BTreeMap::new();
        for (_, topic) in &self.topics {
            *named.entry(topic.name.clone()).or_insert(0) += 1;
        }
        let mut image = image.clone();
        let (mut batches, mut answers, mut partitions) = (Vec::new(), Vec::new(), 0);
        for (id, topic) in self.topics {
            let name = topic.name.clone();
            let decided = match named.get(&name) {
                Some(1) => decide_topic(&image, id, topic, &self.config),
                _ => {
                    let message = format!("topic {name} is named twice in the request; name it once");
                    Err(BrokerError::new(ErrorCode::InvalidRequest, message))
                }
            };
            let applied = decided.and_then(|(records, count)| {
                // The metadata record may use the reserve of a full disk, a new topic may not.
                self.store.check_room(partitions + count)?;
                let (next, _) = image.apply(&records, Offset::ZERO)?;
                Ok((records, count, next))
            });
            answers.push(applied.map(|(records, count, next)| {
                image = next;
                partitions += count;
                batches.push(records);
                let topic = image
                    .topic(&name)
                    .unwrap_or_else(|| panic!("{name} was not applied"));
                TopicDescription::of(topic)
            }));
        }
        (batches, answers)
    }
}

/// The records of a topic, and how many partitions it has.
fn decide_topic(
    image: &MetadataImage,
    id: TopicId,
    topic: NewTopic,
    config: &BrokerConfig,
) -> Result<(Vec<MetadataRecord>, u64), BrokerError> {
    let refused = |code, message: String| Err(BrokerError::new(code, message));
    let name = &topic.name;
    if name.as_str() == METADATA_TOPIC || is_internal(name) {
        return refused(
            ErrorCode::InvalidTopicException,
            format!("topic name {name} belongs to the broker; choose another"),
        );
    }
    if image.topic(name).is_some() {
        return refused(
            ErrorCode::TopicAlreadyExists,
            format!("topic {name} already exists"),
        );
    }
    check_collision(image, name)?;
    let partitions = partitions_of(&topic, config)?;
    config.topic_defaults.with_overrides(&topic.configs)?;
    check_config_sizes(&topic.configs)?;
    let spec = TopicSpec {
        name: topic.name,
        partitions,
        configs: topic.configs,
    };
    let records = new_topic_records(image, id, &spec)?;
    Ok((records, u64::from(partitions.unsigned_abs())))
}

/// Kafka refuses names that metrics could not tell apart.
pub(super) fn check_collision(image: &MetadataImage, name: &TopicName) -> Result<(), BrokerError> {
    match image.colliding_topic(name) {
        None => Ok(()),
        Some(other) => {
            let message = format!(
                "topic {name} collides with existing topic {other}: metrics cannot tell . and _ apart; choose another name"
            );
            Err(BrokerError::new(ErrorCode::InvalidTopicException, message))
        }
    }
}

/// How many partitions the topic gets, if there can be as many copies of them as asked for.
fn partitions_of(topic: &NewTopic, config: &BrokerConfig) -> Result<i32, BrokerError> {
    let refused = |code, message: String| Err(BrokerError::new(code, message));
    let (name, factor) = (&topic.name, topic.replication_factor);
    if !topic.assignments.is_empty() {
        if topic.partitions != -1 || factor != -1 {
            let message = format!(
                "topic {name} names its replicas; leave the number of partitions and the replication factor at -1"
            );
            return refused(ErrorCode::InvalidRequest, message);
        }
        return check_assignments(&topic.assignments);
    }
    match factor {
        -1 | 1 => {}
        2.. => {
            let message = format!(
                "replication factor {factor} of topic {name} cannot be reached: there is 1 broker; use 1, or -1 for the default"
            );
            return refused(ErrorCode::InvalidReplicationFactor, message);
        }
        _ => {
            let message = format!("replication factor {factor} is not allowed: use 1, or -1 for the default");
            return refused(ErrorCode::InvalidReplicationFactor, message);
        }
    }
    Ok(match topic.partitions {
        -1 => config.num_partitions,
        partitions => partitions,
    })
}

/// Partitions must be numbered from 0 without gaps, each with replicas that exist.
fn check_assignments(assignments: &[(i32, Vec<i32>)]) -> Result<i32, BrokerError> {
    let refused = |message: String| Err(BrokerError::new(ErrorCode::InvalidReplicaAssignment, message));
    let mut seen = std::collections::BTreeSet::new();
    for (partition, replicas) in assignments {
        if !seen.insert(*partition) {
            return refused(format!("partition {partition} is assigned twice; assign it once"));
        }
        check_assignment(replicas, BROKER_ID)?;
    }
    let count = assignments.len() as i32;
    if !seen.iter().copied().eq(0..count) {
        return refused(format!(
            "assigned partitions must be numbered 0 to {} without gaps",
            count - 1
        ));
    }
    Ok(count)
}

/// Caps on what metadata stores per topic.
pub(super) fn check_config_sizes(configs: &BTreeMap<String, String>) -> Result<(), BrokerError> {
    if configs.len() > limits::CONFIGS_PER_TOPIC {
        let message = format!(
            "topic would have {} settings, at most {} are allowed",
            configs.len(),
            limits::CONFIGS_PER_TOPIC
        );
        return Err(BrokerError::new(ErrorCode::PolicyViolation, message));
    }
    match configs
        .iter()
        .find(|(_, value)| value.len() > limits::CONFIG_VALUE_BYTES)
    {
        Some((key, value)) => {
            let message = format!(
                "setting {key} has {} bytes, at most {} are allowed",
                value.len(),
                limits::CONFIG_VALUE_BYTES
            );
            Err(BrokerError::new(ErrorCode::PolicyViolation, message))
        }
        None => Ok(()),
    }
}
