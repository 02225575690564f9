//! Records of classic groups in `__consumer_offsets`, in Kafka's format: GroupMetadataKey v2, GroupMetadataValue v0 to v4.
//!
//! Written as value v3, as Kafka does. A null value removes the group.

use bytes::Bytes;

use crate::codec::{CodecError, Reader, Writer};
use crate::types::{GroupId, GroupInstanceId, MemberId, NO_TIMESTAMP, Timestamp};

/// Version of the key of a group's record.
pub const GROUP_METADATA_KEY: i16 = 2;
const VALUE_VERSION: i16 = 3;
const FLEXIBLE_VALUE_VERSION: i16 = 4;

/// What is stored of a classic group: a generation with its assignment, or that it has no members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadata {
    /// `consumer` for consumers.
    pub protocol_type: String,
    /// The generation.
    pub generation: i32,
    /// The chosen protocol.
    pub protocol: Option<String>,
    /// The leader.
    pub leader: Option<MemberId>,
    /// When the group came into its state; -1 if unknown.
    pub state_since: Timestamp,
    /// Its members.
    pub members: Vec<StoredMember>,
}

/// What is stored of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMember {
    /// Its id.
    pub member_id: MemberId,
    /// Of a static member.
    pub instance_id: Option<GroupInstanceId>,
    /// As it named itself.
    pub client_id: String,
    /// Where it connected from.
    pub client_host: String,
    /// How long a rebalance waits for it.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// What it says about itself in the chosen protocol.
    pub subscription: Bytes,
    /// What it was given.
    pub assignment: Bytes,
}

/// The key of a group's record.
pub fn encode_group_key(group: &GroupId) -> Bytes {
    Writer::new()
        .i16(GROUP_METADATA_KEY)
        .string(group.as_str())
        .finish()
}

/// The group of a key after its version.
pub(crate) fn decode_group_key(reader: &mut Reader<'_>) -> Result<GroupId, CodecError> {
    reader.string().map(GroupId::new)
}

/// The value of a group's record.
pub fn encode_group_value(group: &GroupMetadata) -> Bytes {
    let mut writer = Writer::new();
    writer
        .i16(VALUE_VERSION)
        .string(&group.protocol_type)
        .i32(group.generation)
        .nullable_string(group.protocol.as_deref())
        .nullable_string(group.leader.as_ref().map(MemberId::as_str))
        .i64(group.state_since)
        .i32(group.members.len() as i32);
    for member in &group.members {
        writer
            .string(member.member_id.as_str())
            .nullable_string(member.instance_id.as_ref().map(GroupInstanceId::as_str))
            .string(&member.client_id)
            .string(&member.client_host)
            .i32(member.rebalance_timeout_ms)
            .i32(member.session_timeout_ms)
            .bytes(&member.subscription)
            .bytes(&member.assignment);
    }
    writer.finish()
}

/// The group of a value.
pub fn decode_group_value(value: &[u8]) -> Result<GroupMetadata, CodecError> {
    let mut reader = Reader::new(value);
    let version = reader.i16()?;
    if !(0..=FLEXIBLE_VALUE_VERSION).contains(&version) {
        return Err(CodecError::Unexpected {
            what: "version of a group value",
            value: version.into(),
        });
    }
    let flexible = version >= FLEXIBLE_VALUE_VERSION;
    let protocol_type = text(&mut reader, flexible)?.unwrap_or_default().to_owned();
    let generation = reader.i32()?;
    let protocol = text(&mut reader, flexible)?.map(str::to_owned);
    let leader = text(&mut reader, flexible)?.map(MemberId::new);
    let state_since = if version >= 2 { reader.i64()? } else { NO_TIMESTAMP };
    let count = if flexible {
        reader.compact_array_len(12)?
    } else {
        reader.array_len(18)?
    };
    let mut members = Vec::with_capacity(count);
    for _ in 0..count {
        members.push(decode_member(&mut reader, version)?);
    }
    if flexible {
        reader.tagged(|_, _| Ok(()))?;
    }
    Ok(GroupMetadata {
        protocol_type,
        generation,
        protocol,
        leader,
        state_since,
        members,
    })
}

fn decode_member(reader: &mut Reader<'_>, version: i16) -> Result<StoredMember, CodecError> {
    let flexible = version >= FLEXIBLE_VALUE_VERSION;
    let member_id = MemberId::new(text(reader, flexible)?.unwrap_or_default());
    let instance_id = if version >= 3 {
        text(reader, flexible)?.map(GroupInstanceId::new)
    } else {
        None
    };
    let client_id = text(reader, flexible)?.unwrap_or_default().to_owned();
    let client_host = text(reader, flexible)?.unwrap_or_default().to_owned();
    let rebalance_timeout_ms = if version >= 1 { Some(reader.i32()?) } else { None };
    let session_timeout_ms = reader.i32()?;
    let subscription = blob(reader, flexible)?;
    let assignment = blob(reader, flexible)?;
    if flexible {
        reader.tagged(|_, _| Ok(()))?;
    }
    Ok(StoredMember {
        member_id,
        instance_id,
        client_id,
        client_host,
        rebalance_timeout_ms: rebalance_timeout_ms.unwrap_or(session_timeout_ms),
        session_timeout_ms,
        subscription,
        assignment,
    })
}

fn text<'a>(reader: &mut Reader<'a>, flexible: bool) -> Result<Option<&'a str>, CodecError> {
    if flexible {
        reader.compact_nullable_string()
    } else {
        reader.nullable_string()
    }
}

fn blob(reader: &mut Reader<'_>, flexible: bool) -> Result<Bytes, CodecError> {
    let bytes = if flexible {
        reader.compact_bytes()?
    } else {
        reader.bytes()?
    };
    Ok(Bytes::copy_from_slice(bytes))
}
