//! Requests of committed offsets at the versions that the codec crate does not read: OffsetCommit 0, 1 and 10, OffsetFetch 10.
//!
//! 0 and 1 are what old tools still send: 0 has no members, 1 a time of commit that Kafka has ignored since 0.9. 10 names topics by id (KIP-848). Decoded
//! into the codec's own structs, with what a version lacks at its default.

use bytes::BytesMut;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::{GroupId, OffsetCommitRequest, OffsetFetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::wire_reader::{Malformed, WireReader};

/// The version that names topics by id.
pub const TOPIC_IDS: i16 = 10;

/// True if the codec reads OffsetCommit at this version.
pub fn codec_reads_commit(version: i16) -> bool {
    (2..TOPIC_IDS).contains(&version)
}

/// Reads the body of an OffsetCommit request of version 0, 1 or 10.
pub fn decode_commit(body: BytesMut, version: i16) -> Result<OffsetCommitRequest, Malformed> {
    let flexible = version >= TOPIC_IDS;
    let mut reader = WireReader::new(body, flexible);
    let mut request = OffsetCommitRequest::default().with_group_id(GroupId(text(reader.string("group id")?)));
    if version >= 1 {
        request.generation_id_or_member_epoch = reader.i32("generation")?;
        request.member_id = text(reader.string("member id")?);
    }
    if flexible {
        request.group_instance_id = reader.nullable_string("group instance id")?.map(text);
    }
    let (topic_bytes, partition_bytes) = if flexible { (18, 18) } else { (6, 14) };
    let count = reader.count("topics", topic_bytes)?;
    request.topics.reserve(count);
    for _ in 0..count {
        let mut topic = OffsetCommitRequestTopic::default();
        if flexible {
            topic.topic_id = reader.uuid("topic id")?;
        } else {
            topic.name = TopicName(text(reader.string("topic name")?));
        }
        let count = reader.count("partitions", partition_bytes)?;
        topic.partitions.reserve(count);
        for _ in 0..count {
            topic.partitions.push(partition(&mut reader, version)?);
        }
        reader.skip_tagged_fields()?;
        request.topics.push(topic);
    }
    reader.skip_tagged_fields()?;
    Ok(request)
}

fn partition(reader: &mut WireReader, version: i16) -> Result<OffsetCommitRequestPartition, Malformed> {
    let mut partition = OffsetCommitRequestPartition::default()
        .with_partition_index(reader.i32("partition")?)
        .with_committed_offset(reader.i64("offset")?);
    match version {
        0 => {}
        1 => drop(reader.i64("time of commit")?),
        _ => partition.committed_leader_epoch = reader.i32("leader epoch")?,
    }
    partition.committed_metadata = reader.nullable_string("metadata")?.map(text);
    reader.skip_tagged_fields()?;
    Ok(partition)
}

/// Reads the body of an OffsetFetch request of version 10.
pub fn decode_fetch(body: BytesMut) -> Result<OffsetFetchRequest, Malformed> {
    let mut reader = WireReader::new(body, true);
    let count = reader.count("groups", 8)?;
    let mut groups = Vec::with_capacity(count);
    for _ in 0..count {
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text(reader.string("group id")?)))
            .with_member_id(reader.nullable_string("member id")?.map(text))
            .with_member_epoch(reader.i32("member epoch")?)
            .with_topics(topics(&mut reader)?);
        reader.skip_tagged_fields()?;
        groups.push(group);
    }
    let require_stable = reader.bool("require stable")?;
    reader.skip_tagged_fields()?;
    Ok(OffsetFetchRequest::default()
        .with_groups(groups)
        .with_require_stable(require_stable))
}

fn topics(reader: &mut WireReader) -> Result<Option<Vec<OffsetFetchRequestTopics>>, Malformed> {
    let Some(count) = reader.nullable_count("topics", 18)? else {
        return Ok(None);
    };
    let mut topics = Vec::with_capacity(count);
    for _ in 0..count {
        let id = reader.uuid("topic id")?;
        let count = reader.count("partitions", 4)?;
        let partitions: Result<Vec<i32>, Malformed> = (0..count).map(|_| reader.i32("partition")).collect();
        reader.skip_tagged_fields()?;
        topics.push(
            OffsetFetchRequestTopics::default()
                .with_topic_id(id)
                .with_partition_indexes(partitions?),
        );
    }
    Ok(Some(topics))
}

fn text(text: String) -> StrBytes {
    StrBytes::from_string(text)
}
