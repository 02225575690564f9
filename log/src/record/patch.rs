//! Changes a batch in place, as the broker does at append.
//!
//! Base offset and leader epoch lie outside the checksum, so that a leader may assign them without touching what the
//! producer signed; the append time lies inside it, so that change computes the checksum anew.
//!
//! All functions take bytes that start with a batch whose header was parsed before.

use super::error::BatchError;
use super::header::{
    AT_ATTRIBUTES, AT_CRC, AT_LEADER_EPOCH, AT_MAX_TIMESTAMP, BATCH_HEADER_SIZE, BatchHeader,
    LOG_APPEND_TIME_FLAG, TimestampType, get,
};
use crate::types::{LeaderEpoch, Offset, Timestamp};

/// Writes the base offset. The checksum stays valid.
///
/// # Panics
/// If `batch` is shorter than a batch header.
pub fn set_base_offset(batch: &mut [u8], offset: Offset) {
    assert!(
        batch.len() >= BATCH_HEADER_SIZE,
        "{} bytes are no batch",
        batch.len()
    );
    batch[..8].copy_from_slice(&offset.get().to_be_bytes());
}

/// Writes the leader epoch. The checksum stays valid.
///
/// # Panics
/// If `batch` is shorter than a batch header.
pub fn set_leader_epoch(batch: &mut [u8], epoch: LeaderEpoch) {
    assert!(
        batch.len() >= BATCH_HEADER_SIZE,
        "{} bytes are no batch",
        batch.len()
    );
    batch[AT_LEADER_EPOCH..AT_LEADER_EPOCH + 4].copy_from_slice(&epoch.get().to_be_bytes());
}

/// Gives the batch, and so each of its records, the broker's time, and computes the checksum anew. The caller has
/// checked the old one: otherwise damage would get a valid checksum here.
pub fn set_log_append_time(batch: &mut [u8], time: Timestamp) -> Result<(), BatchError> {
    set_max_timestamp(batch, TimestampType::LogAppendTime, time)
}

/// Makes the largest timestamp of the batch this one and says that it is the producers', and computes the checksum anew. The caller has checked the old one, and
/// found the records' latest to be `latest`.
pub fn set_create_time(batch: &mut [u8], latest: Timestamp) -> Result<(), BatchError> {
    set_max_timestamp(batch, TimestampType::CreateTime, latest)
}

fn set_max_timestamp(batch: &mut [u8], kind: TimestampType, time: Timestamp) -> Result<(), BatchError> {
    let size = BatchHeader::parse(batch)?.size_bytes();
    if batch.len() < size {
        return Err(BatchError::Truncated {
            needed: size,
            available: batch.len(),
        });
    }
    let batch = &mut batch[..size];
    let attributes = i16::from_be_bytes(get(batch, AT_ATTRIBUTES));
    let attributes = match kind {
        TimestampType::LogAppendTime => attributes | LOG_APPEND_TIME_FLAG,
        TimestampType::CreateTime => attributes & !LOG_APPEND_TIME_FLAG,
    };
    batch[AT_ATTRIBUTES..AT_ATTRIBUTES + 2].copy_from_slice(&attributes.to_be_bytes());
    batch[AT_MAX_TIMESTAMP..AT_MAX_TIMESTAMP + 8].copy_from_slice(&time.to_be_bytes());
    let crc = crc32c::crc32c(&batch[AT_ATTRIBUTES..]);
    batch[AT_CRC..AT_CRC + 4].copy_from_slice(&crc.to_be_bytes());
    Ok(())
}

/// Numbers a run of batches from `first` on and stamps the leader epoch; returns the offset after the last record.
/// Nothing is changed if any batch of the run is malformed or the offsets would overflow.
pub fn assign_offsets(run: &mut [u8], first: Offset, epoch: LeaderEpoch) -> Result<Offset, BatchError> {
    let walk = |run: &[u8], visit: &mut dyn FnMut(usize, Offset)| {
        let (mut at, mut next) = (0, first);
        while at < run.len() {
            let header = BatchHeader::parse(&run[at..])?;
            let size = header.size_bytes();
            if run.len() - at < size {
                return Err(BatchError::Truncated {
                    needed: size,
                    available: run.len() - at,
                });
            }
            visit(at, next);
            let after = next.plus(i64::from(header.last_offset_delta()) + 1);
            if after == Offset::MAX {
                return Err(BatchError::InvalidHeader {
                    field: "baseOffset",
                    value: next.get(),
                });
            }
            (at, next) = (at + size, after);
        }
        Ok(next)
    };
    let mut batches: smallvec::SmallVec<[(usize, Offset); 16]> = smallvec::SmallVec::new();
    let next = walk(run, &mut |at, offset| batches.push((at, offset)))?;
    for (at, offset) in batches {
        set_base_offset(&mut run[at..], offset);
        set_leader_epoch(&mut run[at..], epoch);
    }
    Ok(next)
}
