//! What makes a partition begin a new segment.

use super::roll::{ActiveSegment, RollReason, should_roll};
use super::settings::TopicConfig;
use crate::types::Offset;

fn active() -> ActiveSegment {
    ActiveSegment {
        base_offset: Offset::new(100),
        size_bytes: 900,
        first_append: Some(1000),
        index_bytes: 16,
    }
}

fn config() -> TopicConfig {
    TopicConfig {
        segment_bytes: 1000,
        segment_ms: 500,
        segment_index_bytes: 32,
        ..TopicConfig::default()
    }
}

#[test]
fn rolls_by_size_time_index_and_offset_overflow() {
    let at = |a: &ActiveSegment, bytes, last, now| should_roll(a, bytes, Offset::new(last), now, &config());
    assert_eq!(at(&active(), 100, 200, 1200), None);
    assert_eq!(at(&active(), 101, 200, 1200), Some(RollReason::Size));
    assert_eq!(at(&active(), 10, 200, 1500), Some(RollReason::Time));
    assert_eq!(
        at(
            &ActiveSegment {
                index_bytes: 32,
                ..active()
            },
            10,
            200,
            1200
        ),
        Some(RollReason::IndexFull)
    );
    assert_eq!(at(&active(), 10, 100 + i64::from(i32::MAX), 1200), None);
    assert_eq!(
        at(&active(), 10, 101 + i64::from(i32::MAX), 1200),
        Some(RollReason::OffsetOverflow)
    );
}

#[test]
fn an_empty_segment_takes_any_batch() {
    let empty = ActiveSegment {
        size_bytes: 0,
        first_append: None,
        index_bytes: 0,
        ..active()
    };
    assert_eq!(
        should_roll(&empty, 5000, Offset::new(150), 1_000_000, &config()),
        None
    );
}
