//! Topics and their settings, by one call each.

use std::collections::BTreeMap;

use crate::broker::{
    AlterConfigs, Broker, BrokerError, ConfigResource, ErrorCode, Isolation, NewTopic, OffsetSpec,
    TopicDescription,
};
use crate::config::{ConfigChange, ConfigEntry};
use crate::types::{Offset, TopicName, TopicPartition};

/// Manages topics. Cheap to make; every call is cancel-safe as the `Broker` call it stands for.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # use millpond_log::broker::{Broker, BrokerOptions};
/// # use millpond_log::client::Admin;
/// # let dir = tempfile::tempdir()?;
/// # let broker = Broker::start(BrokerOptions::at(dir.path())).await?;
/// let admin = Admin::new(&broker);
/// admin.create_topic_with("prices", 4, [("cleanup.policy", "compact")]).await?;
/// let refused = admin.create_topic_with("other", 1, [("cleanup.polcy", "compact")]).await.unwrap_err();
/// assert!(refused.to_string().contains("did you mean \"cleanup.policy\"?"));
/// assert_eq!(admin.list_topics().await?.len(), 1);
/// # broker.shutdown().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Admin {
    broker: Broker,
}

impl Admin {
    /// An admin client of a broker.
    pub fn new(broker: &Broker) -> Self {
        Self {
            broker: broker.clone(),
        }
    }

    /// Creates a topic with default settings. Errs with `TopicAlreadyExists`, `InvalidTopicException`, `InvalidPartitions`.
    pub async fn create_topic(&self, name: &str, partitions: i32) -> Result<TopicDescription, BrokerError> {
        self.create_topic_with::<[(&str, &str); 0], _, _>(name, partitions, [])
            .await
    }

    /// Creates a topic with settings under Kafka's names. Errs also with `InvalidConfig`.
    pub async fn create_topic_with<I, K, V>(
        &self,
        name: &str,
        partitions: i32,
        configs: I,
    ) -> Result<TopicDescription, BrokerError>
    where
        I: IntoIterator<Item = (K, V)>,
        K: Into<String>,
        V: Into<String>,
    {
        let configs = configs
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect::<BTreeMap<_, _>>();
        let topic = NewTopic {
            configs,
            ..NewTopic::new(topic_name(name)?, partitions)
        };
        only(self.broker.create_topics(vec![topic]).await)
    }

    /// Deletes a topic with all its records. Errs with `UnknownTopicOrPartition`.
    pub async fn delete_topic(&self, topic: &TopicName) -> Result<(), BrokerError> {
        only(self.broker.delete_topics(vec![topic.clone()]).await)
    }

    /// All topics but the broker's own, by name.
    pub async fn list_topics(&self) -> Result<Vec<TopicDescription>, BrokerError> {
        let topics: Result<Vec<_>, _> = self.broker.describe_topics(None).await.into_iter().collect();
        topics.map(|topics| topics.into_iter().filter(|topic| !topic.internal).collect())
    }

    /// One topic. Errs with `UnknownTopicOrPartition`.
    pub async fn describe_topic(&self, topic: &TopicName) -> Result<TopicDescription, BrokerError> {
        only(self.broker.describe_topics(Some(vec![topic.clone()])).await)
    }

    /// Every setting of a topic with the value in force.
    pub async fn topic_config(&self, topic: &TopicName) -> Result<Vec<ConfigEntry>, BrokerError> {
        only(
            self.broker
                .describe_configs(vec![ConfigResource::Topic(topic.clone())])
                .await,
        )
    }

    /// Sets one setting of a topic, or with none takes it back to the broker's default.
    pub async fn set_topic_config(
        &self,
        topic: &TopicName,
        name: &str,
        value: Option<&str>,
    ) -> Result<(), BrokerError> {
        let change = match value {
            Some(value) => ConfigChange::set(name, value),
            None => ConfigChange::delete(name),
        };
        let alteration = AlterConfigs::new(ConfigResource::Topic(topic.clone()), vec![change]);
        only(self.broker.alter_configs(vec![alteration]).await)
    }

    /// First readable offset and end (exclusive) of each partition of a topic, as a reader of committed data sees them.
    pub async fn offsets(
        &self,
        topic: &TopicName,
    ) -> Result<Vec<(TopicPartition, Offset, Offset)>, BrokerError> {
        let partitions = self.describe_topic(topic).await?.partitions;
        let asked = |spec| {
            (0..partitions)
                .map(|partition| (TopicPartition::new(topic.clone(), partition), spec))
                .collect()
        };
        let first = self
            .broker
            .list_offsets(asked(OffsetSpec::Earliest), Isolation::ReadCommitted)
            .await;
        let end = self
            .broker
            .list_offsets(asked(OffsetSpec::Latest), Isolation::ReadCommitted)
            .await;
        let mut offsets = Vec::with_capacity(first.len());
        for (partition, (first, end)) in first.into_iter().zip(end).enumerate() {
            let partition = TopicPartition::new(topic.clone(), partition as i32);
            offsets.push((
                partition,
                first?.offset.unwrap_or(Offset::ZERO),
                end?.offset.unwrap_or(Offset::ZERO),
            ));
        }
        Ok(offsets)
    }

    /// Deletes the records of a partition before an offset; answers the new first offset.
    pub async fn delete_records(
        &self,
        partition: &TopicPartition,
        before: Offset,
    ) -> Result<Offset, BrokerError> {
        only(
            self.broker
                .delete_records(vec![(partition.clone(), Some(before))])
                .await,
        )
    }
}

fn topic_name(name: &str) -> Result<TopicName, BrokerError> {
    TopicName::new(name)
        .map_err(|error| BrokerError::new(ErrorCode::InvalidTopicException, error.to_string()))
}

fn only<T>(mut answers: Vec<Result<T, BrokerError>>) -> Result<T, BrokerError> {
    let missing = || BrokerError::new(ErrorCode::UnknownServerError, "broker gave no answer");
    answers.pop().unwrap_or_else(|| Err(missing()))
}
