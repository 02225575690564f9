//! The segments of a partition, in order. Replaced as a whole, never changed, so readers keep a consistent list.

use std::sync::Arc;

use super::segment::Segment;
use crate::types::Offset;

/// At least one segment; the last is the active one. Base offsets ascend.
#[derive(Clone, Debug)]
pub(super) struct SegmentSet {
    segments: Vec<Arc<Segment>>,
}

impl SegmentSet {
    /// # Panics
    /// If `segments` is empty or out of order: the loader has checked both.
    pub(super) fn new(segments: Vec<Arc<Segment>>) -> Self {
        assert!(!segments.is_empty(), "a log without a segment");
        assert!(
            segments
                .windows(2)
                .all(|w| w[0].base_offset() < w[1].base_offset()),
            "segments out of order: {segments:?}"
        );
        Self { segments }
    }

    pub(super) fn active(&self) -> &Arc<Segment> {
        &self.segments[self.segments.len() - 1]
    }

    /// Base offset of the oldest segment.
    pub(super) fn first_base(&self) -> Offset {
        self.segments[0].base_offset()
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Segment>> + ExactSizeIterator {
        self.segments.iter()
    }

    /// From the segment that may hold `offset` on.
    pub(super) fn from(&self, offset: Offset) -> &[Arc<Segment>] {
        let after = self.segments.partition_point(|s| s.base_offset() <= offset);
        &self.segments[after.saturating_sub(1)..]
    }

    /// The segments without the active one.
    pub(super) fn closed(&self) -> &[Arc<Segment>] {
        &self.segments[..self.segments.len() - 1]
    }

    pub(super) fn with_active(&self, active: Arc<Segment>) -> Self {
        let mut segments = self.segments.clone();
        segments.push(active);
        Self::new(segments)
    }

    /// Without the oldest `count`.
    pub(super) fn without_oldest(&self, count: usize) -> Self {
        Self::new(self.segments[count..].to_vec())
    }

    /// With `old` (a run of neighbours) replaced by `new`.
    pub(super) fn with_replaced(&self, old: &[Arc<Segment>], new: Option<Arc<Segment>>) -> Self {
        let mut segments: Vec<_> = self
            .segments
            .iter()
            .filter(|s| !old.iter().any(|o| Arc::ptr_eq(o, s)))
            .cloned()
            .collect();
        segments.extend(new);
        segments.sort_by_key(|s| s.base_offset());
        Self::new(segments)
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.size_bytes()).sum()
    }
}
