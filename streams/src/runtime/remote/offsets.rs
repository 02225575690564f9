//! OffsetCommit (8), OffsetFetch (9) and ListOffsets (2).
//!
//! In versions that name topics. The group has no members: whoever runs the application assigns its partitions. Note that Apache Kafka forgets offsets
//! of a group without members `offsets.retention.minutes` after their last commit (7 days by default).

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{
    ListOffsetsRequest, OffsetCommitRequest, OffsetFetchRequest, OffsetFetchResponse,
};
use millpond_log::broker::{OffsetAndMetadata, OffsetSpec};
use millpond_log::types::{GroupId, LeaderEpoch, Offset, TopicPartition};

use super::RemoteLog;
use super::cluster::{Coordinates, text, wire_topic};
use super::code;
use super::grouping::{Answers, by_topic};
use super::transactions::check_offset;
use crate::runtime::log_client::LogError;

const COMMIT_VERSIONS: (i16, i16) = (2, 9);
/// From version 7 on offsets of open transactions are held back (KIP-447).
const FETCH_VERSIONS: (i16, i16) = (7, 9);
/// From version 2 on the last stable offset can be asked for.
const LIST_VERSIONS: (i16, i16) = (2, 9);

/// Whom to ask, for which timestamp, and whether only decided transactions count.
type Question = (i32, i64, bool);

impl RemoteLog {
    pub(super) async fn commit_offsets(
        &self,
        group: GroupId,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    ) -> Result<(), LogError> {
        let request = |_| {
            let topics = by_topic(offsets.iter().map(|(partition, offset)| (partition, offset)));
            let topics = topics.into_iter().map(|(name, partitions)| {
                let partitions = partitions.into_iter().map(|(number, offset)| {
                    OffsetCommitRequestPartition::default()
                        .with_partition_index(number)
                        .with_committed_offset(offset.offset.get())
                        .with_committed_metadata(Some(text(&offset.metadata)))
                });
                OffsetCommitRequestTopic::default()
                    .with_name(wire_topic(name))
                    .with_partitions(partitions.collect())
            });
            OffsetCommitRequest::default()
                .with_group_id(text(group.as_str()).into())
                .with_generation_id_or_member_epoch(-1)
                .with_retention_time_ms(-1)
                .with_group_instance_id(None)
                .with_topics(topics.collect())
        };
        let answer = self
            .cluster
            .ask_coordinator(
                Coordinates::Group,
                group.as_str(),
                COMMIT_VERSIONS,
                request,
                |answer| {
                    let parts = answer.topics.iter().flat_map(|topic| &topic.partitions);
                    code::first_failed(parts.map(|part| part.error_code))
                },
            )
            .await?;
        let what = format!("committing offsets of group {group}");
        for part in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            check_offset(part.error_code, &what)?;
        }
        Ok(())
    }

    pub(super) async fn fetch_offsets(
        &self,
        group: GroupId,
        partitions: Vec<TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, LogError> {
        let answer = self
            .cluster
            .ask_coordinator(
                Coordinates::Group,
                group.as_str(),
                FETCH_VERSIONS,
                |version| offset_fetch_request(version, &group, &partitions),
                group_code,
            )
            .await?;
        let what = format!("reading offsets of group {group}");
        match group_code(&answer) {
            // Nothing was ever committed.
            code::GROUP_ID_NOT_FOUND => return Ok(BTreeMap::new()),
            code => code::check(code, &what, None)?,
        }
        let mut found = committed_of(answer);
        let mut offsets = BTreeMap::new();
        for partition in partitions {
            let Some((error, offset)) = found.take(&partition) else {
                return Err(LogError::Retriable(format!("{what}: {partition} is left out")));
            };
            check_offset(error, &format!("{what}, {partition}"))?;
            if let Some(offset) = offset {
                offsets.insert(partition, offset);
            }
        }
        Ok(offsets)
    }

    pub(super) async fn list_partition_offsets(
        &self,
        asked: Vec<(TopicPartition, OffsetSpec)>,
    ) -> Result<Vec<Offset>, LogError> {
        let partitions: Vec<TopicPartition> = asked.iter().map(|(partition, _)| partition.clone()).collect();
        let mut questions: BTreeMap<Question, Vec<(usize, &TopicPartition)>> = BTreeMap::new();
        let leaders = self.cluster.leaders(&partitions).await;
        for ((index, (partition, spec)), leader) in asked.iter().enumerate().zip(leaders) {
            let (timestamp, stable) = timestamp_of(*spec);
            questions
                .entry((leader?, timestamp, stable))
                .or_default()
                .push((index, partition));
        }
        let answers = questions
            .into_iter()
            .map(|((leader, timestamp, stable), parts)| self.list_from(leader, timestamp, stable, parts));
        let mut offsets = vec![Offset::ZERO; asked.len()];
        for answer in join_all(answers).await {
            for (index, offset) in answer? {
                let (partition, spec) = &asked[index];
                let none = || LogError::Refused(format!("{partition} has no offset for {spec:?}"));
                offsets[index] = offset.ok_or_else(none)?;
            }
        }
        Ok(offsets)
    }

    /// Offsets of one kind from one leader. A partition may stand in several questions, but only once in each.
    async fn list_from(
        &self,
        leader: i32,
        timestamp: i64,
        stable: bool,
        parts: Vec<(usize, &TopicPartition)>,
    ) -> Result<Vec<(usize, Option<Offset>)>, LogError> {
        let partitions = parts.iter().map(|(_, partition)| *partition);
        let request = |_| list_request(partitions, timestamp, stable);
        // The highest timestamp of a partition is a question of version 7 (KIP-734).
        let versions = match timestamp {
            MAX_TIMESTAMP => (7, LIST_VERSIONS.1),
            _ => LIST_VERSIONS,
        };
        let asked = self.cluster.ask_broker(leader, versions, Duration::ZERO, request);
        let answer = asked.await?;
        let mut found = Answers::new(answer.topics.into_iter().flat_map(|topic| {
            let name = topic.name.0;
            topic
                .partitions
                .into_iter()
                .map(move |part| ((name.to_string(), part.partition_index), part))
        }));
        let mut offsets = Vec::with_capacity(parts.len());
        for (index, partition) in parts {
            let Some(part) = found.take(partition) else {
                let text = format!("broker {leader} left {partition} out");
                return Err(LogError::Retriable(text));
            };
            if part.error_code != code::NONE {
                if code::leader_moved(part.error_code) {
                    self.cluster.forget_topic(&partition.topic);
                }
                let what = format!("looking up an offset of {partition}");
                return Err(code::partition_error(part.error_code, &what, None));
            }
            offsets.push((index, (part.offset >= 0).then(|| Offset::new(part.offset))));
        }
        Ok(offsets)
    }
}

/// Who asks is no replica. Apache Kafka tells a replica the end of the log whatever isolation it asks for, and the codec's default is broker 0.
const CLIENT: i32 = -1;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const LATEST_TIERED: i64 = -5;

/// The timestamp that asks for it, and whether only decided transactions count.
fn timestamp_of(spec: OffsetSpec) -> (i64, bool) {
    match spec {
        OffsetSpec::Earliest => (EARLIEST, false),
        OffsetSpec::Latest => (LATEST, false),
        OffsetSpec::LastStable => (LATEST, true),
        OffsetSpec::MaxTimestamp => (MAX_TIMESTAMP, false),
        OffsetSpec::LatestTiered => (LATEST_TIERED, false),
        OffsetSpec::Timestamp(timestamp) => (timestamp.max(0), false),
    }
}

fn list_request<'a>(
    partitions: impl Iterator<Item = &'a TopicPartition>,
    timestamp: i64,
    stable: bool,
) -> ListOffsetsRequest {
    let topics = by_topic(partitions.map(|partition| (partition, ())));
    let topics = topics.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(number, ())| {
            ListOffsetsPartition::default()
                .with_partition_index(number)
                .with_current_leader_epoch(-1)
                .with_timestamp(timestamp)
        });
        ListOffsetsTopic::default()
            .with_name(wire_topic(name))
            .with_partitions(partitions.collect())
    });
    ListOffsetsRequest::default()
        .with_replica_id(CLIENT.into())
        .with_isolation_level(i8::from(stable))
        .with_topics(topics.collect())
}

fn offset_fetch_request(version: i16, group: &GroupId, partitions: &[TopicPartition]) -> OffsetFetchRequest {
    let topics = by_topic(partitions.iter().map(|partition| (partition, ())));
    let topics = topics.into_iter().map(|(name, partitions)| {
        let numbers: Vec<i32> = partitions.into_iter().map(|(number, ())| number).collect();
        (wire_topic(name), numbers)
    });
    let request = OffsetFetchRequest::default().with_require_stable(true);
    let group = text(group.as_str()).into();
    // From version 8 on several groups can be asked for at once.
    if version < 8 {
        let topics = topics.map(|(name, numbers)| {
            OffsetFetchRequestTopic::default()
                .with_name(name)
                .with_partition_indexes(numbers)
        });
        return request.with_group_id(group).with_topics(Some(topics.collect()));
    }
    let topics = topics.map(|(name, numbers)| {
        OffsetFetchRequestTopics::default()
            .with_name(name)
            .with_partition_indexes(numbers)
    });
    let asked = OffsetFetchRequestGroup::default()
        .with_group_id(group)
        .with_member_id(None)
        .with_member_epoch(-1)
        .with_topics(Some(topics.collect()));
    request.with_groups(vec![asked])
}

fn group_code(answer: &OffsetFetchResponse) -> i16 {
    let groups = answer.groups.iter().map(|group| group.error_code);
    code::first_failed([answer.error_code].into_iter().chain(groups))
}

/// Code and offset of each partition of the answer, from whichever place its version has them in.
fn committed_of(answer: OffsetFetchResponse) -> Answers<(i16, Option<OffsetAndMetadata>)> {
    let offset = |offset: i64, epoch: i32, metadata: Option<kafka_protocol::protocol::StrBytes>| {
        (offset >= 0).then(|| OffsetAndMetadata {
            offset: Offset::new(offset),
            leader_epoch: (epoch >= 0).then(|| LeaderEpoch::new(epoch)),
            metadata: metadata.unwrap_or_default().to_string(),
        })
    };
    let single = answer.topics.into_iter().flat_map(move |topic| {
        let name = topic.name.0;
        topic.partitions.into_iter().map(move |part| {
            let found = offset(part.committed_offset, part.committed_leader_epoch, part.metadata);
            ((name.to_string(), part.partition_index), (part.error_code, found))
        })
    });
    let grouped = answer.groups.into_iter().flat_map(|group| group.topics);
    let grouped = grouped.flat_map(move |topic| {
        let name = topic.name.0;
        topic.partitions.into_iter().map(move |part| {
            let found = offset(part.committed_offset, part.committed_leader_epoch, part.metadata);
            ((name.to_string(), part.partition_index), (part.error_code, found))
        })
    });
    Answers::new(single.chain(grouped))
}

#[cfg(test)]
#[path = "offsets_test.rs"]
mod offsets_test;
