//! Ends of partitions, and offsets at times, by ListOffsets: one request a broker for all its partitions.

use std::collections::BTreeMap;

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, ListOffsetsRequest, TopicName};

use super::client::{Client, To, Topic};
use super::text;

/// What to ask a partition for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OffsetAt {
    /// The first record there is.
    Start,
    /// The high watermark.
    End,
    /// The last stable offset: where a reader of committed records stops.
    StableEnd,
    /// The first record not older than this time.
    Time(i64),
}

/// An answer; `offset` is `None` where no record fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) offset: Option<i64>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) error: i16,
}

/// Topic and partition.
pub(crate) type Key = (String, i32);

/// Kafka's code for a partition without a leader.
const LEADER_NOT_AVAILABLE: i16 = 5;

impl Client {
    /// Asks the leaders of all partitions of `topics` that `wanted` chooses.
    pub(crate) async fn offsets(
        &mut self,
        topics: &[Topic],
        at: OffsetAt,
        wanted: impl Fn(&str, i32) -> bool,
    ) -> anyhow::Result<BTreeMap<Key, Spot>> {
        self.offsets_of(topics, |topic, partition| wanted(topic, partition).then_some(at))
            .await
    }

    /// The same with a question of its own for each partition.
    pub(crate) async fn offsets_of(
        &mut self,
        topics: &[Topic],
        question: impl Fn(&str, i32) -> Option<OffsetAt>,
    ) -> anyhow::Result<BTreeMap<Key, Spot>> {
        let mut by_leader: BTreeMap<(i32, bool), BTreeMap<String, Vec<ListOffsetsPartition>>> =
            BTreeMap::new();
        let mut found = BTreeMap::new();
        for topic in topics {
            for partition in &topic.partitions {
                let Some(at) = question(&topic.name, partition.id) else {
                    continue;
                };
                let Some(leader) = partition.leader else {
                    let error = if partition.error == 0 {
                        LEADER_NOT_AVAILABLE
                    } else {
                        partition.error
                    };
                    let spot = Spot {
                        offset: None,
                        timestamp: None,
                        error,
                    };
                    found.insert((topic.name.clone(), partition.id), spot);
                    continue;
                };
                let timestamp = match at {
                    OffsetAt::Start => -2,
                    OffsetAt::End | OffsetAt::StableEnd => -1,
                    OffsetAt::Time(at) => at,
                };
                by_leader
                    .entry((leader, at == OffsetAt::StableEnd))
                    .or_default()
                    .entry(topic.name.clone())
                    .or_default()
                    .push(
                        ListOffsetsPartition::default()
                            .with_partition_index(partition.id)
                            .with_current_leader_epoch(-1)
                            .with_timestamp(timestamp),
                    );
            }
        }
        for ((leader, committed), asked) in by_leader {
            let answer = self
                .ask(
                    To::Node(leader),
                    |version| {
                        let mut request = ListOffsetsRequest::default()
                            .with_replica_id(BrokerId(-1))
                            .with_topics(
                                asked
                                    .iter()
                                    .map(|(topic, partitions)| {
                                        ListOffsetsTopic::default()
                                            .with_name(TopicName(text(topic.clone())))
                                            .with_partitions(partitions.clone())
                                    })
                                    .collect(),
                            );
                        if version >= 2 {
                            request.isolation_level = i8::from(committed);
                        }
                        request
                    },
                    |answer| {
                        answer
                            .topics
                            .iter()
                            .flat_map(|topic| &topic.partitions)
                            .map(|partition| partition.error_code)
                            .find(|code| super::error::is_transient(*code))
                            .unwrap_or_default()
                    },
                )
                .await?;
            for topic in answer.topics {
                for partition in topic.partitions {
                    let spot = Spot {
                        offset: Some(partition.offset)
                            .filter(|offset| *offset >= 0 && partition.error_code == 0),
                        timestamp: Some(partition.timestamp).filter(|at| *at >= 0),
                        error: partition.error_code,
                    };
                    found.insert((topic.name.0.to_string(), partition.partition_index), spot);
                }
            }
        }
        Ok(found)
    }
}
