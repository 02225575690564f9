//! Which old segments may go. Pure: facts in, a count out.
//!
//! Always: segments go from the oldest on, never past the high watermark, never past a lease, and the active one only after it was closed.

use super::settings::TopicConfig;
use crate::types::{Offset, Timestamp};

/// What retention needs to know about a segment.
#[derive(Clone, Copy, Debug)]
pub struct SegmentFacts {
    /// First offset.
    pub base_offset: Offset,
    /// One beyond the last offset, which is the next segment's base.
    pub next_offset: Offset,
    /// Bytes of its log file.
    pub size_bytes: u64,
    /// Largest timestamp in it; `None` if it holds no record.
    pub max_timestamp: Option<Timestamp>,
}

/// Counts the segments to delete, oldest first. `segments` is ascending and includes the active one; if the count takes in
/// the active one, the caller closes it first.
pub fn expired_segments(
    segments: &[SegmentFacts],
    log_start: Offset,
    high_watermark: Offset,
    lease: Option<Offset>,
    now: Timestamp,
    config: &TopicConfig,
) -> usize {
    let bound = lease.map_or(high_watermark, |l| l.min(high_watermark));
    let mut excess = match (
        config.cleanup_policy.delete,
        u64::try_from(config.retention_bytes),
    ) {
        (true, Ok(limit)) => segments
            .iter()
            .map(|s| s.size_bytes)
            .sum::<u64>()
            .saturating_sub(limit),
        _ => 0,
    };
    let mut count = 0;
    for (i, segment) in segments.iter().enumerate() {
        let is_active = i + 1 == segments.len();
        if segment.next_offset > bound || (is_active && segment.size_bytes == 0) {
            break;
        }
        let below_start = !is_active && segment.next_offset <= log_start;
        let too_old = config.cleanup_policy.delete
            && config.retention_ms >= 0
            && segment
                .max_timestamp
                .is_some_and(|t| now.saturating_sub(t) > config.retention_ms);
        // As Kafka: by size only while what remains is still at least the limit, so the limit is a floor.
        let too_much = !is_active && excess >= segment.size_bytes && excess > 0;
        if !(below_start || too_old || too_much) {
            break;
        }
        excess = excess.saturating_sub(segment.size_bytes);
        count += 1;
    }
    count
}
