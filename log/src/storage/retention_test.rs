//! Which segments retention lets go, and what holds them.

use super::retention::{SegmentFacts, expired_segments};
use super::settings::{CleanupPolicy, TopicConfig};
use crate::types::Offset;

fn segments(n: i64) -> Vec<SegmentFacts> {
    (0..n)
        .map(|i| SegmentFacts {
            base_offset: Offset::new(i * 10),
            next_offset: Offset::new(i * 10 + 10),
            size_bytes: 100,
            max_timestamp: Some(i * 1000),
        })
        .collect()
}

fn keep_for_ever() -> TopicConfig {
    TopicConfig {
        retention_ms: -1,
        retention_bytes: -1,
        ..TopicConfig::default()
    }
}

fn count(config: &TopicConfig, lease: Option<i64>, start: i64, now: i64) -> usize {
    expired_segments(
        &segments(5),
        Offset::new(start),
        Offset::new(50),
        lease.map(Offset::new),
        now,
        config,
    )
}

#[test]
fn old_segments_go_and_the_active_one_too_once_all_of_it_is_old() {
    let config = TopicConfig {
        retention_ms: 1500,
        ..keep_for_ever()
    };
    assert_eq!(count(&config, None, 0, 3600), 3);
    assert_eq!(count(&config, None, 0, 9000), 5);
}

#[test]
fn retention_by_size_is_a_floor() {
    assert_eq!(
        count(
            &TopicConfig {
                retention_bytes: 250,
                ..keep_for_ever()
            },
            None,
            0,
            0
        ),
        2
    );
    assert_eq!(
        count(
            &TopicConfig {
                retention_bytes: 0,
                ..keep_for_ever()
            },
            None,
            0,
            0
        ),
        4,
        "the active one stays"
    );
    assert_eq!(
        count(
            &TopicConfig {
                retention_bytes: 500,
                ..keep_for_ever()
            },
            None,
            0,
            0
        ),
        0
    );
}

#[test]
fn segments_below_the_log_start_go_whatever_the_policy() {
    let compact = TopicConfig {
        cleanup_policy: CleanupPolicy {
            delete: false,
            compact: true,
        },
        ..keep_for_ever()
    };
    assert_eq!(count(&compact, None, 25, 0), 2);
}

#[test]
fn a_lease_holds_segments_back() {
    let config = TopicConfig {
        retention_ms: 0,
        ..keep_for_ever()
    };
    assert_eq!(count(&config, Some(20), 0, 1_000_000), 2);
    assert_eq!(count(&config, Some(19), 0, 1_000_000), 1);
}

#[test]
fn a_compacted_topic_is_not_deleted_by_age_or_size() {
    let compact = TopicConfig {
        cleanup_policy: CleanupPolicy {
            delete: false,
            compact: true,
        },
        retention_ms: 0,
        retention_bytes: 0,
        ..keep_for_ever()
    };
    assert_eq!(count(&compact, None, 0, 1_000_000), 0);
}
