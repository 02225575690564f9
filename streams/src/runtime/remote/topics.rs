//! Metadata (3) with DescribeConfigs (32), CreateTopics (19) and DeleteRecords (21).
//!
//! Always true: a topic that was created has leaders when the answer comes, as far as the broker that was asked knows, so it can be used at once.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{CreateTopicsRequest, DeleteRecordsRequest, DescribeConfigsRequest};
use millpond_log::broker::{NewTopic, TopicDescription};
use millpond_log::types::{Offset, TopicId, TopicName, TopicPartition};

use super::RemoteLog;
use super::cluster::{ANY_VERSION, text, wire_topic};
use super::code;
use super::grouping::by_topic;
use crate::processor::TopicRules;
use crate::runtime::log_client::LogError;

/// From version 4 on the broker's default number of replicas can be asked for.
const CREATE_VERSIONS: (i16, i16) = (4, i16::MAX);
/// Kafka's number of a topic among the resources that have settings.
const TOPIC: i8 = 2;
/// What a topic refuses is told by these settings of it.
const RULES: [&str; 6] = [
    "max.message.bytes",
    "cleanup.policy",
    "message.timestamp.type",
    TIME_RULES[0],
    TIME_RULES[1],
    OLD_TIME_RULE,
];
const TIME_RULES: [&str; 2] = [
    "message.timestamp.before.max.ms",
    "message.timestamp.after.max.ms",
];
const OLD_TIME_RULE: &str = "message.timestamp.difference.max.ms";
/// Where a setting comes from: it was given to this topic.
const OF_THE_TOPIC: i8 = 1;

impl RemoteLog {
    pub(super) async fn describe(&self, names: &[TopicName]) -> Result<Vec<TopicDescription>, LogError> {
        let mut found = Vec::new();
        for topic in self.cluster.topics(names).await? {
            let name = topic.name.as_ref().map_or("", |name| name.0.as_str());
            match code::check(topic.error_code, &format!("describing topic {name}"), None) {
                Ok(()) => found.push(described(&topic)?),
                Err(LogError::UnknownTopic(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.add_settings(&mut found).await?;
        Ok(found)
    }

    async fn add_settings(&self, topics: &mut [TopicDescription]) -> Result<(), LogError> {
        let names: Vec<TopicName> = topics.iter().map(|topic| topic.name.clone()).collect();
        let mut settings = self
            .settings(&names, None, |source| source == OF_THE_TOPIC)
            .await?;
        for topic in topics {
            // Deleted between the two questions: the caller is told as if it had been gone before.
            let gone = || LogError::UnknownTopic(format!("topic {} was deleted", topic.name));
            topic.configs = settings.remove(topic.name.as_str()).ok_or_else(gone)?;
        }
        Ok(())
    }

    /// What those of the topics that exist refuse; what is not set for a topic is the broker's default, and as much a rule.
    pub(super) async fn rules(
        &self,
        names: &[TopicName],
    ) -> Result<BTreeMap<TopicName, TopicRules>, LogError> {
        let mut settings = self.settings(names, Some(&RULES), |_| true).await?;
        let mut rules = BTreeMap::new();
        for name in names {
            let Some(mut configs) = settings.remove(name.as_str()) else {
                continue;
            };
            // Brokers before 3.6 have one setting for both.
            if let Some(both) = configs.get(OLD_TIME_RULE).cloned() {
                for rule in TIME_RULES {
                    configs.entry(rule.to_owned()).or_insert_with(|| both.clone());
                }
            }
            rules.insert(name.clone(), TopicRules::from_configs(&configs));
        }
        Ok(rules)
    }

    /// Settings of those of the topics that exist, those of `sources` only; all of them, or those of `keys`.
    async fn settings(
        &self,
        topics: &[TopicName],
        keys: Option<&[&str]>,
        sources: impl Fn(i8) -> bool,
    ) -> Result<BTreeMap<String, BTreeMap<String, String>>, LogError> {
        let mut settings = BTreeMap::new();
        if topics.is_empty() {
            return Ok(settings);
        }
        let keys = keys.map(|keys| keys.iter().map(|key| text(key)).collect());
        let resources: Vec<_> = topics
            .iter()
            .map(|topic| {
                DescribeConfigsResource::default()
                    .with_resource_type(TOPIC)
                    .with_resource_name(text(topic.as_str()))
                    .with_configuration_keys(Clone::clone(&keys))
            })
            .collect();
        let request = |_| DescribeConfigsRequest::default().with_resources(resources.clone());
        let answer = self.cluster.ask_any(ANY_VERSION, request).await?;
        for result in answer.results {
            let name = result.resource_name.to_string();
            let said = result.error_message.as_ref().map(|said| said.as_str());
            let what = format!("reading the settings of topic {name}");
            match code::check(result.error_code, &what, said) {
                Err(LogError::UnknownTopic(_)) => continue,
                checked => checked?,
            }
            let wanted = result
                .configs
                .into_iter()
                .filter(|config| sources(config.config_source));
            let wanted =
                wanted.filter_map(|config| Some((config.name.to_string(), config.value?.to_string())));
            settings.insert(name, wanted.collect());
        }
        Ok(settings)
    }

    pub(super) async fn create(&self, topics: &[NewTopic]) -> Result<(), LogError> {
        let timeout = self.options().request_timeout;
        let request = |_| {
            CreateTopicsRequest::default()
                .with_topics(topics.iter().map(creatable).collect())
                .with_timeout_ms(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX))
        };
        let answer = self.cluster.ask_any(CREATE_VERSIONS, request).await?;
        for result in &answer.topics {
            let said = result.error_message.as_ref().map(|said| said.as_str());
            let what = format!("creating topic {}", result.name.0);
            code::check(result.error_code, &what, said)?;
        }
        Ok(())
    }

    /// Errs with `Retriable` while one of the topics is not known everywhere or has a partition without a leader.
    pub(super) async fn check_leaders(&self, names: &[TopicName]) -> Result<(), LogError> {
        for topic in self.cluster.topics(names).await? {
            let name = topic.name.as_ref().map_or("", |name| name.0.as_str());
            let what = format!("waiting for topic {name}");
            code::check(topic.error_code, &what, None).map_err(|error| match error {
                LogError::UnknownTopic(text) => LogError::Retriable(text),
                error => error,
            })?;
            let without = topic.partitions.iter().find(|part| part.leader_id.0 < 0);
            if let Some(without) = without {
                let text = format!("{what}: partition {} has no leader", without.partition_index);
                return Err(LogError::Retriable(text));
            }
        }
        Ok(())
    }

    pub(super) async fn delete_below(&self, below: Vec<(TopicPartition, Offset)>) -> Result<(), LogError> {
        let partitions: Vec<TopicPartition> = below.iter().map(|(partition, _)| partition.clone()).collect();
        let mut leaders: BTreeMap<i32, Vec<(TopicPartition, Offset)>> = BTreeMap::new();
        for (below, leader) in below.into_iter().zip(self.cluster.leaders(&partitions).await) {
            leaders.entry(leader?).or_default().push(below);
        }
        let requests = leaders.into_iter().map(|(leader, below)| async move {
            let timeout = self.options().request_timeout;
            let request = |_| delete_request(&below, timeout);
            let asked = self
                .cluster
                .ask_broker(leader, ANY_VERSION, Duration::ZERO, request);
            let answer = asked.await?;
            for topic in &answer.topics {
                for part in &topic.partitions {
                    if code::leader_moved(part.error_code)
                        && let Ok(name) = TopicName::new(&topic.name.0)
                    {
                        self.cluster.forget_topic(&name);
                    }
                    let what = format!("deleting records of {}-{}", topic.name.0, part.partition_index);
                    if part.error_code != code::NONE {
                        return Err(code::partition_error(part.error_code, &what, None));
                    }
                }
            }
            Ok(())
        });
        join_all(requests).await.into_iter().collect()
    }
}

fn described(topic: &MetadataResponseTopic) -> Result<TopicDescription, LogError> {
    let name = topic.name.as_ref().map_or("", |name| name.0.as_str());
    Ok(TopicDescription {
        name: TopicName::new(name).map_err(|error| LogError::Refused(error.to_string()))?,
        id: TopicId::new(topic.topic_id),
        partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
        configs: BTreeMap::new(),
        internal: topic.is_internal,
    })
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let configs = topic.configs.iter().map(|(name, value)| {
        CreatableTopicConfig::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
    });
    let assignments = topic.assignments.iter().map(|(partition, brokers)| {
        CreatableReplicaAssignment::default()
            .with_partition_index(*partition)
            .with_broker_ids(brokers.iter().map(|id| (*id).into()).collect())
    });
    CreatableTopic::default()
        .with_name(wire_topic(&topic.name))
        .with_num_partitions(topic.partitions)
        .with_replication_factor(topic.replication_factor)
        .with_configs(configs.collect())
        .with_assignments(assignments.collect())
}

fn delete_request(below: &[(TopicPartition, Offset)], timeout: Duration) -> DeleteRecordsRequest {
    let topics = by_topic(below.iter().map(|(partition, offset)| (partition, *offset)));
    let topics = topics.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(number, offset)| {
            DeleteRecordsPartition::default()
                .with_partition_index(number)
                .with_offset(offset.get())
        });
        DeleteRecordsTopic::default()
            .with_name(wire_topic(name))
            .with_partitions(partitions.collect())
    });
    DeleteRecordsRequest::default()
        .with_topics(topics.collect())
        .with_timeout_ms(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX))
}
