//! Records of `__consumer_offsets` that consumer groups leave, in Kafka's format: keys of type 3 to 8 and 16, values of version 0.
//!
//! Written as Kafka 4.3 writes them, with its tagged additions (KIP-1101 metadata hash, KIP-1251 assignment epochs, KIP-1263 assignment time);
//! unknown tags are skipped. A value that cannot be understood is an error, never skipped: it decides who owns a partition.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::partitions::{OwnedPartitions, PartitionSet, TopicIdPartition};
use super::record::{
    ClassicMemberMetadata, ConsumerGroupRecord, CurrentAssignment, GroupMetadata, MemberMetadata,
    MemberState, ResolvedPattern, TargetMetadata,
};
use crate::codec::{CodecError, Reader, Writer};
use crate::types::{GroupId, MemberId, PartitionId, TopicId};

const METADATA: i16 = 3;
const PARTITION_METADATA: i16 = 4;
const MEMBER: i16 = 5;
const TARGET_METADATA: i16 = 6;
const TARGET: i16 = 7;
const CURRENT: i16 = 8;
const PATTERN: i16 = 16;

const VALUE_VERSION: i16 = 0;

const TAG_METADATA_HASH: u32 = 0;
const TAG_COMPUTED_AT: u32 = 0;
const TAG_CLASSIC_MEMBER: u32 = 0;
const TAG_ASSIGNMENT_EPOCHS: u32 = 0;

/// The key and value of a group's record; no value removes the fact.
pub fn encode(group: &GroupId, record: &ConsumerGroupRecord) -> (Bytes, Option<Bytes>) {
    use ConsumerGroupRecord as R;
    let (kind, of, value) = match record {
        R::Metadata(value) => (METADATA, None, value.as_ref().map(metadata)),
        // Never written with a value; one read from Kafka's log is only taken for there.
        R::PartitionMetadata(_) => (PARTITION_METADATA, None, None),
        R::Member(id, value) => (MEMBER, Some(id.as_str()), value.as_deref().map(member)),
        R::TargetMetadata(value) => (TARGET_METADATA, None, value.as_ref().map(target_metadata)),
        R::Target(id, value) => (TARGET, Some(id.as_str()), value.as_deref().map(target)),
        R::Current(id, value) => (CURRENT, Some(id.as_str()), value.as_deref().map(current)),
        R::Pattern(text, value) => (PATTERN, Some(text.as_str()), value.as_deref().map(pattern)),
    };
    let mut key = Writer::new();
    key.i16(kind).string(group.as_str());
    if let Some(of) = of {
        key.string(of);
    }
    (key.finish(), value)
}

/// The group and the fact of a record; none if its key is of another kind.
pub fn decode(
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<Option<(GroupId, ConsumerGroupRecord)>, CodecError> {
    use ConsumerGroupRecord as R;
    let mut key = Reader::new(key);
    let kind = key.i16()?;
    if !matches!(kind, METADATA..=CURRENT | PATTERN) {
        return Ok(None);
    }
    let group = GroupId::new(key.string()?);
    let mut value = value.map(Reader::new);
    if let Some(value) = &mut value {
        let version = value.i16()?;
        if version != VALUE_VERSION {
            return Err(CodecError::Unexpected {
                what: "version of a consumer group value",
                value: version.into(),
            });
        }
    }
    let value = value.as_mut();
    let record = match kind {
        METADATA => R::Metadata(value.map(read_metadata).transpose()?),
        PARTITION_METADATA => R::PartitionMetadata(value.map(|_| ())),
        TARGET_METADATA => R::TargetMetadata(value.map(read_target_metadata).transpose()?),
        MEMBER => R::Member(MemberId::new(key.string()?), read_shared(value, read_member)?),
        TARGET => R::Target(MemberId::new(key.string()?), read_shared(value, read_target)?),
        CURRENT => R::Current(MemberId::new(key.string()?), read_shared(value, read_current)?),
        _ => R::Pattern(key.string()?.to_owned(), read_shared(value, read_pattern)?),
    };
    Ok(Some((group, record)))
}

fn read_shared<T>(
    value: Option<&mut Reader<'_>>,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, CodecError>,
) -> Result<Option<Arc<T>>, CodecError> {
    Ok(value.map(read).transpose()?.map(Arc::new))
}

fn skip_tags(reader: &mut Reader<'_>) -> Result<(), CodecError> {
    reader.tagged(|_, _| Ok(()))
}

fn metadata(metadata: &GroupMetadata) -> Bytes {
    let mut writer = Writer::new();
    writer.i16(VALUE_VERSION).i32(metadata.epoch);
    let hash = Writer::new().i64(metadata.metadata_hash).finish();
    match metadata.metadata_hash {
        0 => writer.tagged(&[]),
        _ => writer.tagged(&[(TAG_METADATA_HASH, hash)]),
    }
    .finish()
}

fn read_metadata(reader: &mut Reader<'_>) -> Result<GroupMetadata, CodecError> {
    let mut metadata = GroupMetadata {
        epoch: reader.i32()?,
        metadata_hash: 0,
    };
    reader.tagged(|tag, field| {
        if tag == TAG_METADATA_HASH {
            metadata.metadata_hash = field.i64()?;
        }
        Ok(())
    })?;
    Ok(metadata)
}

fn target_metadata(metadata: &TargetMetadata) -> Bytes {
    let computed_at = Writer::new().i64(metadata.computed_at).finish();
    Writer::new()
        .i16(VALUE_VERSION)
        .i32(metadata.epoch)
        .tagged(&[(TAG_COMPUTED_AT, computed_at)])
        .finish()
}

fn read_target_metadata(reader: &mut Reader<'_>) -> Result<TargetMetadata, CodecError> {
    let mut metadata = TargetMetadata {
        epoch: reader.i32()?,
        computed_at: 0,
    };
    reader.tagged(|tag, field| {
        if tag == TAG_COMPUTED_AT {
            metadata.computed_at = field.i64()?;
        }
        Ok(())
    })?;
    Ok(metadata)
}

fn compact_strings<'a>(writer: &mut Writer, texts: impl ExactSizeIterator<Item = &'a String>) {
    writer.uvarint(texts.len() as u32 + 1);
    for text in texts {
        writer.compact_string(text);
    }
}

fn read_compact_strings(reader: &mut Reader<'_>) -> Result<BTreeSet<String>, CodecError> {
    let length = reader.compact_array_len(1)?;
    (0..length)
        .map(|_| reader.compact_string().map(str::to_owned))
        .collect()
}

fn member(member: &MemberMetadata) -> Bytes {
    let mut writer = Writer::new();
    writer
        .i16(VALUE_VERSION)
        .compact_nullable_string(member.instance_id.as_deref())
        .compact_nullable_string(member.rack_id.as_deref())
        .compact_string(&member.client_id)
        .compact_string(&member.client_host);
    compact_strings(&mut writer, member.subscribed_names.iter());
    writer
        .compact_nullable_string(member.subscribed_pattern.as_deref())
        .i32(member.rebalance_timeout_ms)
        .compact_nullable_string(member.server_assignor.as_deref());
    let tags: Vec<_> = member
        .classic
        .iter()
        .map(|classic| (TAG_CLASSIC_MEMBER, classic_member(classic)))
        .collect();
    writer.tagged(&tags).finish()
}

fn read_member(reader: &mut Reader<'_>) -> Result<MemberMetadata, CodecError> {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let mut member = MemberMetadata {
        instance_id: owned(reader.compact_nullable_string()?),
        rack_id: owned(reader.compact_nullable_string()?),
        client_id: reader.compact_string()?.to_owned(),
        client_host: reader.compact_string()?.to_owned(),
        subscribed_names: read_compact_strings(reader)?,
        subscribed_pattern: owned(reader.compact_nullable_string()?).filter(|pattern| !pattern.is_empty()),
        rebalance_timeout_ms: reader.i32()?,
        server_assignor: owned(reader.compact_nullable_string()?),
        classic: None,
    };
    reader.tagged(|tag, field| {
        if tag == TAG_CLASSIC_MEMBER {
            member.classic = read_classic_member(field)?;
        }
        Ok(())
    })?;
    Ok(member)
}

/// A nullable structure: one byte says that it is there.
fn classic_member(classic: &ClassicMemberMetadata) -> Bytes {
    let mut writer = Writer::new();
    writer
        .i8(1)
        .i32(classic.session_timeout_ms)
        .uvarint(classic.protocols.len() as u32 + 1);
    for (name, metadata) in &classic.protocols {
        writer.compact_string(name).compact_bytes(metadata).tagged(&[]);
    }
    writer.tagged(&[]).finish()
}

fn read_classic_member(reader: &mut Reader<'_>) -> Result<Option<ClassicMemberMetadata>, CodecError> {
    if reader.i8()? < 0 {
        return Ok(None);
    }
    let mut classic = ClassicMemberMetadata {
        session_timeout_ms: reader.i32()?,
        protocols: Vec::new(),
    };
    for _ in 0..reader.compact_array_len(3)? {
        let name = reader.compact_string()?.to_owned();
        let metadata = Bytes::copy_from_slice(reader.compact_bytes()?);
        skip_tags(reader)?;
        classic.protocols.push((name, metadata));
    }
    skip_tags(reader)?;
    Ok(Some(classic))
}

fn topic_partitions<'a>(
    writer: &mut Writer,
    partitions: impl Iterator<Item = (&'a TopicIdPartition, Option<i32>)>,
) {
    let mut topics: Vec<(TopicId, Vec<i32>, Vec<i32>)> = Vec::new();
    for (partition, epoch) in partitions {
        if topics.last().is_none_or(|(topic, ..)| *topic != partition.topic) {
            topics.push((partition.topic, Vec::new(), Vec::new()));
        }
        if let Some((_, numbers, epochs)) = topics.last_mut() {
            numbers.push(partition.partition.get());
            epochs.extend(epoch);
        }
    }
    writer.uvarint(topics.len() as u32 + 1);
    for (topic, numbers, epochs) in topics {
        writer.uuid(topic.get()).compact_i32s(&numbers);
        let tagged = Writer::new().compact_i32s(&epochs).finish();
        match epochs.is_empty() {
            true => writer.tagged(&[]),
            false => writer.tagged(&[(TAG_ASSIGNMENT_EPOCHS, tagged)]),
        };
    }
}

/// Partitions with their epochs, or with `default` where none were written.
fn read_topic_partitions(reader: &mut Reader<'_>, default: i32) -> Result<OwnedPartitions, CodecError> {
    let mut partitions = OwnedPartitions::new();
    for _ in 0..reader.compact_array_len(18)? {
        let topic = TopicId::new(reader.uuid()?);
        let numbers = reader.compact_i32s()?;
        let mut epochs = Vec::new();
        reader.tagged(|tag, field| {
            if tag == TAG_ASSIGNMENT_EPOCHS {
                epochs = field.compact_i32s()?;
            }
            Ok(())
        })?;
        for (at, number) in numbers.into_iter().enumerate() {
            let epoch = epochs.get(at).copied().unwrap_or(default);
            partitions.insert(TopicIdPartition::new(topic, PartitionId::new(number)), epoch);
        }
    }
    Ok(partitions)
}

fn target(target: &PartitionSet) -> Bytes {
    let mut writer = Writer::new();
    writer.i16(VALUE_VERSION);
    topic_partitions(&mut writer, target.iter().map(|partition| (partition, None)));
    writer.tagged(&[]).finish()
}

fn read_target(reader: &mut Reader<'_>) -> Result<PartitionSet, CodecError> {
    let partitions = read_topic_partitions(reader, 0)?;
    skip_tags(reader)?;
    Ok(partitions.into_keys().collect())
}

fn current(current: &CurrentAssignment) -> Bytes {
    let mut writer = Writer::new();
    writer
        .i16(VALUE_VERSION)
        .i32(current.epoch)
        .i32(current.previous_epoch)
        .i8(current.state as i8);
    for owned in [&current.assigned, &current.revoking] {
        topic_partitions(
            &mut writer,
            owned.iter().map(|(partition, epoch)| (partition, Some(*epoch))),
        );
    }
    writer.tagged(&[]).finish()
}

fn read_current(reader: &mut Reader<'_>) -> Result<CurrentAssignment, CodecError> {
    let epoch = reader.i32()?;
    let current = CurrentAssignment {
        epoch,
        previous_epoch: reader.i32()?,
        state: match reader.i8()? {
            0 => MemberState::Stable,
            1 => MemberState::UnrevokedPartitions,
            2 => MemberState::UnreleasedPartitions,
            _ => MemberState::Unknown,
        },
        // Without epochs of their own they count as got with the member's: older commits are refused, as before KIP-1251.
        assigned: read_topic_partitions(reader, epoch)?,
        revoking: read_topic_partitions(reader, epoch)?,
    };
    skip_tags(reader)?;
    Ok(current)
}

fn pattern(resolved: &ResolvedPattern) -> Bytes {
    let mut writer = Writer::new();
    writer.i16(VALUE_VERSION);
    compact_strings(&mut writer, resolved.topics.iter());
    writer
        .i64(resolved.version)
        .i64(resolved.resolved_at)
        .tagged(&[])
        .finish()
}

fn read_pattern(reader: &mut Reader<'_>) -> Result<ResolvedPattern, CodecError> {
    let resolved = ResolvedPattern {
        topics: read_compact_strings(reader)?,
        version: reader.i64()?,
        resolved_at: reader.i64()?,
    };
    skip_tags(reader)?;
    Ok(resolved)
}
