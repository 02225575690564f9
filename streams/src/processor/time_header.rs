//! The header `mp.time`: how an upstream task tells its stream time through a repartition topic.
//!
//! Value: upstream partition (i32, big endian) then stream time (i64, big endian). It rides on the last record per partition of each batch, or on a record of its own
//! with neither key nor value, which the source swallows.

use millpond_log::record::RecordRef;
use millpond_log::types::Timestamp;

/// Name of the header.
pub const TIME_HEADER: &str = "mp.time";

/// The header's value.
pub fn encode(upstream_partition: i32, time: Timestamp) -> [u8; 12] {
    let mut value = [0; 12];
    value[..4].copy_from_slice(&upstream_partition.to_be_bytes());
    value[4..].copy_from_slice(&time.to_be_bytes());
    value
}

/// (upstream partition, its stream time), or none when the value has another length.
pub fn decode(value: &[u8]) -> Option<(i32, Timestamp)> {
    let (partition, time) = value.split_at_checked(4)?;
    Some((
        i32::from_be_bytes(partition.try_into().ok()?),
        Timestamp::from_be_bytes(time.try_into().ok()?),
    ))
}

/// The time a record carries, if any.
pub fn of_record(record: &RecordRef<'_>) -> Option<(i32, Timestamp)> {
    if record.headers.is_empty() {
        return None;
    }
    decode(record.headers.last(TIME_HEADER.as_bytes())?.value?)
}

/// True for a record that is there only for its time.
pub fn is_time_only(record: &RecordRef<'_>) -> bool {
    record.key.is_none() && record.value.is_none() && of_record(record).is_some()
}
