//! Describing topics (Metadata, API key 3, and DescribeTopicPartitions, 75).

use std::collections::BTreeMap;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::node::{is_internal, unknown_topic};
use super::{Broker, BrokerError};
use crate::metadata::TopicImage;
use crate::types::{TopicId, TopicName};

/// What is known about a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: TopicName,
    /// Its id; changes when a topic is deleted and made again.
    pub id: TopicId,
    /// How many partitions it has, numbered from 0.
    pub partitions: i32,
    /// Settings that differ from the broker's defaults.
    pub configs: BTreeMap<String, String>,
    /// True for the log's own topics (`__consumer_offsets`, `__transaction_state`).
    pub internal: bool,
}

impl TopicDescription {
    pub(super) fn of(topic: &TopicImage) -> Self {
        Self {
            name: topic.name.clone(),
            id: topic.id,
            partitions: topic.partition_count(),
            configs: topic.overrides(),
            internal: is_internal(&topic.name),
        }
    }
}

impl Broker {
    /// Describes the asked topics in order, or all of them by name. Errs per topic with `UnknownTopicOrPartition`. Cancel-safe.
    pub fn describe_topics(
        &self,
        topics: Option<Vec<TopicName>>,
    ) -> BoxFuture<'_, Vec<Result<TopicDescription, BrokerError>>> {
        async move {
            let image = self.node().image();
            match topics {
                Some(names) => {
                    let describe = |name: &TopicName| {
                        image
                            .topic(name)
                            .map(TopicDescription::of)
                            .ok_or_else(|| unknown_topic(name))
                    };
                    names.iter().map(describe).collect()
                }
                None => image
                    .topics()
                    .map(|topic| Ok(TopicDescription::of(topic)))
                    .collect(),
            }
        }
        .boxed()
    }
}
