//! What consumers of the classic protocol tell and are told: `ConsumerProtocolSubscription` and `ConsumerProtocolAssignment`, versions 0 to 3.
//!
//! Each version only appends fields, so a later one is read as version 3. These bytes come from clients: lengths are
//! checked against what is left, and the whole against the memory it may take.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::partitions::{PartitionSet, TopicIdPartition, by_topic};
use super::topics::Topics;
use crate::codec::{CodecError, Reader, Writer};
use crate::protocol::guard;

/// The newest version we write.
const NEWEST: i16 = 3;

/// What a consumer tells its group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::coordinator::group) struct Subscription {
    pub(super) version: i16,
    pub(super) topics: BTreeSet<String>,
    /// Partitions it keeps, by topic name (version 1, cooperative assignors).
    pub(super) owned: BTreeMap<String, Vec<i32>>,
    /// Where it runs (version 3).
    pub(super) rack_id: Option<String>,
}

pub(in crate::coordinator::group) fn read_subscription(bytes: &[u8]) -> Result<Subscription, CodecError> {
    let mut reader = Reader::new(bytes);
    let version = read_version(&mut reader)?;
    guard::check_consumer_subscription(version, &bytes[2..])?;
    let mut subscription = Subscription {
        version: version.min(NEWEST),
        ..Subscription::default()
    };
    for _ in 0..reader.array_len(2)? {
        subscription.topics.insert(reader.string()?.to_owned());
    }
    reader.bytes()?;
    if version >= 1 {
        subscription.owned = read_partitions(&mut reader)?;
    }
    if version >= 2 {
        reader.i32()?;
    }
    if version >= 3 {
        subscription.rack_id = reader.nullable_string()?.map(str::to_owned);
    }
    Ok(subscription)
}

/// The partitions of an assignment, by topic name. No bytes at all are an empty assignment: a member that was given none yet.
pub(in crate::coordinator::group) fn read_assignment(
    bytes: &[u8],
) -> Result<BTreeMap<String, Vec<i32>>, CodecError> {
    if bytes.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut reader = Reader::new(bytes);
    let version = read_version(&mut reader)?;
    guard::check_consumer_assignment(version, &bytes[2..])?;
    read_partitions(&mut reader)
}

/// An assignment in the version of the member's subscription. Partitions of deleted topics are left out.
pub(super) fn write_assignment<'a>(
    version: i16,
    partitions: impl IntoIterator<Item = &'a TopicIdPartition>,
    topics: &dyn Topics,
) -> Bytes {
    let named = by_topic(partitions)
        .into_iter()
        .filter_map(|(id, numbers)| Some((topics.name_of(&id)?, numbers)));
    let named: Vec<_> = named.collect();
    let mut writer = Writer::new();
    writer.i16(version).i32(named.len() as i32);
    for (name, numbers) in named {
        writer.string(name.as_str()).i32(numbers.len() as i32);
        for number in numbers {
            writer.i32(number.get());
        }
    }
    // No user data.
    writer.i32(-1).finish()
}

/// The same partitions by topic id; topics that do not exist are left out.
pub(super) fn by_id(named: &BTreeMap<String, Vec<i32>>, topics: &dyn Topics) -> PartitionSet {
    let mut partitions = PartitionSet::new();
    for (name, numbers) in named {
        if let Some(id) = topics.id_of(name) {
            partitions.extend(numbers.iter().map(|number| TopicIdPartition::new(id, *number)));
        }
    }
    partitions
}

fn read_version(reader: &mut Reader<'_>) -> Result<i16, CodecError> {
    match reader.i16()? {
        version @ 0.. => Ok(version),
        version => Err(CodecError::Unexpected {
            what: "version of the consumer protocol",
            value: version.into(),
        }),
    }
}

fn read_partitions(reader: &mut Reader<'_>) -> Result<BTreeMap<String, Vec<i32>>, CodecError> {
    let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for _ in 0..reader.array_len(6)? {
        let numbers = topics.entry(reader.string()?.to_owned()).or_default();
        let count = reader.array_len(4)?;
        numbers.reserve(count);
        for _ in 0..count {
            numbers.push(reader.i32()?);
        }
    }
    Ok(topics)
}
