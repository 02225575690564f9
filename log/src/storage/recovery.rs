//! What to do with a log after an unclean stop. Pure: facts in, a verdict out; `loader.rs` gathers the facts and carries it out.
//!
//! Always: what lies below the recovery point was made durable and acknowledged; if it is bad, that is bit rot or a lying disk, and nothing is
//! cut, for a copy or an operator may still save it. What lies above is at most a torn tail and goes, as in Kafka. A log that ends below its
//! recovery point has lost acknowledged records: damage too.

use crate::types::Offset;

/// One segment as the scan found it. Segments are given in order, from the one that holds the recovery point on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannedSegment {
    /// Its name.
    pub base_offset: Offset,
    /// Bytes up to the end of the last sound batch.
    pub valid_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// One beyond the last sound batch; `base_offset` if there is none.
    pub next_offset: Offset,
    /// What is wrong after `valid_bytes`; `None` if the file ends there.
    pub bad: Option<String>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecoveryVerdict {
    /// Nothing is wrong.
    Sound {
        /// Offset the next record gets.
        log_end: Offset,
    },
    /// The tail is torn: cut one segment, remove those after it.
    CutTail {
        /// Base offset of the segment to cut.
        segment: Offset,
        /// Bytes it keeps.
        keep_bytes: u64,
        /// Base offsets of the segments to remove.
        remove: Vec<Offset>,
        /// Offset the next record gets.
        log_end: Offset,
        /// What was wrong.
        reason: String,
    },
    /// Acknowledged bytes are bad or missing: touch nothing, serve what lies below.
    Damaged {
        /// Base offset of the segment.
        segment: Offset,
        /// First offset that cannot be served.
        offset: Offset,
        /// What is wrong.
        reason: String,
    },
}

/// Decides. Segments given here were never compacted (only what lies wholly below the stored recovery point is), so each must begin where the
/// one before ends: a gap is a torn tail whose later part reached the medium first.
///
/// # Panics
/// If `segments` is empty: a partition has at least one.
pub fn decide(recovery_point: Offset, segments: &[ScannedSegment]) -> RecoveryVerdict {
    assert!(!segments.is_empty(), "no segment to recover");
    for (i, segment) in segments.iter().enumerate() {
        let after = segments.get(i + 1);
        let overlap = after.filter(|next| next.base_offset < segment.next_offset);
        let reason = match (&segment.bad, after) {
            (Some(reason), _) => reason.clone(),
            (None, Some(next)) if next.base_offset == segment.next_offset => continue,
            // A name may outlive a power cut that its bytes, or those of the segment before it, did not.
            (None, Some(next)) => format!(
                "the next segment begins at {}, not at the end {} of this one",
                next.base_offset, segment.next_offset
            ),
            (None, None) => continue,
        };
        if segment.next_offset < recovery_point || overlap.is_some() {
            return RecoveryVerdict::Damaged {
                segment: segment.base_offset,
                offset: segment.next_offset,
                reason,
            };
        }
        return RecoveryVerdict::CutTail {
            segment: segment.base_offset,
            keep_bytes: segment.valid_bytes,
            remove: segments[i + 1..].iter().map(|s| s.base_offset).collect(),
            log_end: segment.next_offset,
            reason,
        };
    }
    let last = &segments[segments.len() - 1];
    if last.next_offset < recovery_point {
        return RecoveryVerdict::Damaged {
            segment: last.base_offset,
            offset: last.next_offset,
            reason: format!(
                "the log ends at {}, below its recovery point {recovery_point}",
                last.next_offset
            ),
        };
    }
    RecoveryVerdict::Sound {
        log_end: last.next_offset,
    }
}
