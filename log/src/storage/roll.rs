//! When the active segment is closed. Pure.

use super::settings::TopicConfig;
use crate::types::{Offset, Timestamp};

/// What is known about the active segment.
#[derive(Clone, Copy, Debug)]
pub struct ActiveSegment {
    /// Its first offset.
    pub base_offset: Offset,
    /// Bytes in it.
    pub size_bytes: u64,
    /// When its first batch was appended; `None` while empty.
    pub first_append: Option<Timestamp>,
    /// Bytes of its offset index.
    pub index_bytes: u64,
}

/// Why a segment is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollReason {
    /// `segment.bytes`.
    Size,
    /// `segment.ms`.
    Time,
    /// `segment.index.bytes`.
    IndexFull,
    /// Index entries keep offsets relative to the base in 32 bits.
    OffsetOverflow,
}

/// Decides before `batch_bytes` ending at `last_offset` are appended; an empty segment is never closed.
pub fn should_roll(
    active: &ActiveSegment,
    batch_bytes: u64,
    last_offset: Offset,
    now: Timestamp,
    config: &TopicConfig,
) -> Option<RollReason> {
    // Even an empty segment: a relative offset that does not fit cannot be written at all.
    if last_offset.get() - active.base_offset.get() > i64::from(i32::MAX) && active.size_bytes > 0 {
        return Some(RollReason::OffsetOverflow);
    }
    let first_append = active.first_append?;
    if active.size_bytes == 0 {
        return None;
    }
    if active.size_bytes + batch_bytes > config.segment_bytes {
        return Some(RollReason::Size);
    }
    if now.saturating_sub(first_append) >= config.segment_ms {
        return Some(RollReason::Time);
    }
    // One more entry of eight bytes must fit.
    if active.index_bytes + 8 > config.segment_index_bytes {
        return Some(RollReason::IndexFull);
    }
    None
}
