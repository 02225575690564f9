//! DescribeTopicPartitions (API key 75, KIP-966): partitions of many topics, a page at a time.

use std::collections::BTreeSet;

use super::node::unknown_topic;
use super::topic_metadata::TopicMetadata;
use super::{Broker, BrokerError};
use crate::types::{PartitionId, TopicName};

/// Most partitions of one page, whatever is asked for (`max.request.partition.size.limit`).
pub const PAGE_PARTITIONS: usize = 2_000;

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicCursor {
    /// Topics before this one, by name, are left out.
    pub topic: TopicName,
    /// Its partitions before this one too.
    pub partition: PartitionId,
}

/// A page.
#[derive(Clone, Debug)]
pub struct TopicPartitionsPage {
    /// Topics by name, each with those of its partitions that are on this page; one that was asked for by name may be unknown.
    pub topics: Vec<(TopicName, Result<TopicMetadata, BrokerError>)>,
    /// Where the next page begins; none after the last.
    pub next: Option<TopicCursor>,
}

impl Broker {
    /// Describes partitions of the named topics, or of all, by name from `cursor` on; at most `limit` partitions, and never more than
    /// [`PAGE_PARTITIONS`]. Answered from memory.
    pub fn describe_topic_partitions(
        &self,
        names: Option<Vec<TopicName>>,
        cursor: Option<TopicCursor>,
        limit: usize,
    ) -> TopicPartitionsPage {
        let image = self.node().image();
        let is_due = |name: &TopicName| cursor.as_ref().is_none_or(|cursor| *name >= cursor.topic);
        let names: BTreeSet<TopicName> = match names {
            Some(names) => names.into_iter().filter(is_due).collect(),
            None => image
                .topics()
                .map(|topic| topic.name.clone())
                .filter(is_due)
                .collect(),
        };
        let mut left = limit.clamp(1, PAGE_PARTITIONS);
        let mut page = TopicPartitionsPage {
            topics: Vec::new(),
            next: None,
        };
        for name in names {
            let Some(topic) = image.topic(&name) else {
                let error = unknown_topic(&name);
                page.topics.push((name, Err(error)));
                continue;
            };
            let first = match &cursor {
                Some(cursor) if cursor.topic == name => cursor.partition,
                _ => PartitionId::new(0),
            };
            if left == 0 {
                page.next = Some(TopicCursor {
                    topic: name,
                    partition: first,
                });
                break;
            }
            let mut metadata = TopicMetadata::of(topic);
            metadata.partitions.retain(|(partition, _)| *partition >= first);
            let cut = metadata.partitions.split_off(left.min(metadata.partitions.len()));
            left -= metadata.partitions.len();
            page.topics.push((name.clone(), Ok(metadata)));
            if let Some((partition, _)) = cut.first() {
                page.next = Some(TopicCursor {
                    topic: name,
                    partition: *partition,
                });
                break;
            }
        }
        page
    }
}
