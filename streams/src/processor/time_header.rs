//! The header `mp.time`: how an upstream task tells its stream time through a repartition topic, and which of the records are its own.
//!
//! ```text
//! upstream partition i32 | stream time i64 | flags u8, absent when none      numbers big-endian
//! flags: 1 = this record and those after it in its batch are that task's, until another is named; 2 = that task's time went on while its input was idle
//! ```
//! It rides on the first record of every run of a task's records in a batch ([`STARTS`]; the time is then at least that record's), on the last one per partition of
//! what the task made of a source batch, or on a record of its own with neither key nor value, which the source swallows.
//! A reader takes the timestamps of a run's records for times of its task, too; so how the task's input was cut into batches does not show.

use millpond_log::record::RecordRef;
use millpond_log::types::Timestamp;

/// Name of the header.
pub const TIME_HEADER: &str = "mp.time";

/// Flag: a run of the task's records begins.
pub const STARTS: u8 = 1;
/// Flag: time went on without records, and counts for every operator.
pub const IDLE: u8 = 2;

/// What an upstream task tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamTime {
    /// The task's partition.
    pub partition: i32,
    /// Its stream time, [`NO_TIME`](super::NO_TIME) when it is idle and never had a record.
    pub time: Timestamp,
    /// [`STARTS`], [`IDLE`].
    pub flags: u8,
}

/// The header's value without flags.
pub fn encode(upstream_partition: i32, time: Timestamp) -> [u8; 12] {
    let mut value = [0; 12];
    value[..4].copy_from_slice(&upstream_partition.to_be_bytes());
    value[4..].copy_from_slice(&time.to_be_bytes());
    value
}

impl UpstreamTime {
    /// The header's value.
    pub fn to_bytes(self) -> smallvec::SmallVec<[u8; 16]> {
        let mut value = smallvec::SmallVec::from_slice(&encode(self.partition, self.time));
        if self.flags != 0 {
            value.push(self.flags);
        }
        value
    }
}

/// What the header's value says, or none when it has another length.
pub fn decode(value: &[u8]) -> Option<UpstreamTime> {
    let (partition, rest) = value.split_first_chunk::<4>()?;
    let (time, flags) = rest.split_first_chunk::<8>()?;
    let flags = match flags {
        [] => 0,
        [flags] => *flags,
        _ => return None,
    };
    Some(UpstreamTime {
        partition: i32::from_be_bytes(*partition),
        time: Timestamp::from_be_bytes(*time),
        flags,
    })
}

/// What a record tells, if anything.
pub fn of_record(record: &RecordRef<'_>) -> Option<UpstreamTime> {
    if record.headers.is_empty() {
        return None;
    }
    decode(record.headers.last(TIME_HEADER.as_bytes())?.value?)
}

/// True for a record that is there only for its time.
pub fn is_time_only(record: &RecordRef<'_>) -> bool {
    record.key.is_none() && record.value.is_none() && of_record(record).is_some()
}
