//! Records of `__consumer_offsets`, in Kafka's format: OffsetCommitKey v0 and v1, OffsetCommitValue v0 to v4.
//!
//! Written as key v1 and value v3, or v1 if the committer named an expiry, as Kafka does; a null value removes the offset. An offset that never expires
//! is a value v4 with a tagged field of ours, which Kafka skips. Keys of later versions belong to groups: `groups.rs` takes them on.

use bytes::Bytes;

use crate::broker::OffsetAndMetadata;
use crate::codec::{CodecError, Reader, Writer};
use crate::types::{GroupId, LeaderEpoch, NO_TIMESTAMP, Offset, PartitionId, TopicName, TopicPartition};

use super::offsets::{CommittedOffset, NEVER};

const KEY_VERSION: i16 = 1;
/// The only version that says when the offset expires; it has no leader epoch.
const EXPIRING_VALUE_VERSION: i16 = 1;
const VALUE_VERSION: i16 = 3;
const FIRST_FLEXIBLE_VALUE_VERSION: i16 = 4;
/// Ours, far from Kafka's.
const NEVER_EXPIRES_TAG: u32 = 10_000;

/// The key of a committed offset.
pub fn encode_key(group: &GroupId, partition: &TopicPartition) -> Bytes {
    Writer::new()
        .i16(KEY_VERSION)
        .string(group.as_str())
        .string(partition.topic.as_str())
        .i32(partition.partition.get())
        .finish()
}

/// The group and partition of a record; none if the key is of another kind.
pub fn decode_key(key: &[u8]) -> Result<Option<(GroupId, TopicPartition)>, CodecError> {
    let mut reader = Reader::new(key);
    if !(0..=KEY_VERSION).contains(&reader.i16()?) {
        return Ok(None);
    }
    let group = GroupId::new(reader.string()?);
    let topic = reader.string()?;
    let what = "topic name of length";
    let topic = TopicName::new(topic).map_err(|_| CodecError::Unexpected {
        what,
        value: topic.len() as i64,
    })?;
    Ok(Some((
        group,
        TopicPartition::new(topic, PartitionId::new(reader.i32()?)),
    )))
}

/// The value of a committed offset.
pub fn encode_value(committed: &CommittedOffset) -> Bytes {
    let offset = &committed.offset;
    let mut writer = Writer::new();
    match committed.expires_at {
        Some(NEVER) => writer
            .i16(FIRST_FLEXIBLE_VALUE_VERSION)
            .i64(offset.offset.get())
            .i32(offset.leader_epoch.unwrap_or(LeaderEpoch::NONE).get())
            .compact_string(&offset.metadata)
            .i64(committed.committed_at)
            .tagged(&[(NEVER_EXPIRES_TAG, Bytes::new())]),
        Some(expires_at) => writer
            .i16(EXPIRING_VALUE_VERSION)
            .i64(offset.offset.get())
            .string(&offset.metadata)
            .i64(committed.committed_at)
            .i64(expires_at),
        None => writer
            .i16(VALUE_VERSION)
            .i64(offset.offset.get())
            .i32(offset.leader_epoch.unwrap_or(LeaderEpoch::NONE).get())
            .string(&offset.metadata)
            .i64(committed.committed_at),
    };
    writer.finish()
}

/// The offset of a value.
pub fn decode_value(value: &[u8]) -> Result<CommittedOffset, CodecError> {
    let mut reader = Reader::new(value);
    let version = reader.i16()?;
    if !(0..=FIRST_FLEXIBLE_VALUE_VERSION).contains(&version) {
        return Err(CodecError::Unexpected {
            what: "version of an offset value",
            value: version.into(),
        });
    }
    let offset = Offset::new(reader.i64()?);
    let leader_epoch = if version >= 3 {
        LeaderEpoch::new(reader.i32()?)
    } else {
        LeaderEpoch::NONE
    };
    let flexible = version >= FIRST_FLEXIBLE_VALUE_VERSION;
    let metadata = if flexible {
        reader.compact_string()?
    } else {
        reader.string()?
    }
    .to_owned();
    let committed_at = reader.i64()?;
    let mut expires_at = None;
    if version == EXPIRING_VALUE_VERSION {
        expires_at = Some(reader.i64()?).filter(|at| *at != NO_TIMESTAMP);
    }
    if flexible {
        reader.tagged(|tag, _| {
            if tag == NEVER_EXPIRES_TAG {
                expires_at = Some(NEVER);
            }
            Ok(())
        })?;
    }
    let leader_epoch = Some(leader_epoch).filter(|epoch| epoch.get() >= 0);
    Ok(CommittedOffset {
        offset: OffsetAndMetadata {
            offset,
            leader_epoch,
            metadata,
        },
        committed_at,
        expires_at,
    })
}
