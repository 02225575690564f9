//! What is learned from batches that were refused, and when there is nothing to learn.

use std::collections::BTreeMap;

use millpond_log::record::Compression;
use millpond_log::types::TopicName;

use super::OutputRules;
use crate::processor::TopicRules;
use crate::runtime::log_calls::TooLargeBatch;

fn topic() -> TopicName {
    TopicName::new("out").expect("a valid name")
}

fn batch(size: usize, records: usize) -> TooLargeBatch {
    TooLargeBatch {
        topic: topic(),
        size,
        records,
    }
}

#[test]
fn a_single_record_that_was_refused_is_refused_at_its_sink_from_then_on() {
    let mut rules = OutputRules::default();
    assert!(rules.learn(&batch(1_000, 1)));
    assert_eq!(rules.rules()[&topic()].max_message_bytes, Some(999));
    assert_eq!(rules.batch_bytes()[&topic()], 999);
    assert!(!rules.learn(&batch(1_000, 1)), "no sink could leave it out");
}

#[test]
fn several_records_are_spread_over_smaller_and_smaller_batches() {
    let mut rules = OutputRules::default();
    assert!(rules.learn(&batch(1_000, 10)));
    assert_eq!(rules.batch_bytes()[&topic()], 500);
    assert!(rules.rules().is_empty(), "each of them may be small enough");
    assert!(rules.learn(&batch(480, 3)));
    assert_eq!(rules.batch_bytes()[&topic()], 240);
}

#[test]
fn known_limits_bind_batches_too() {
    let known = TopicRules {
        max_message_bytes: Some(700),
        ..TopicRules::default()
    };
    let mut rules = OutputRules::new(BTreeMap::from([(topic(), known)]), Compression::Lz4);
    assert_eq!(rules.batch_bytes()[&topic()], 700);
    assert_eq!(rules.rules()[&topic()].compression, Compression::Lz4);
    // Lowered while the application runs.
    assert!(rules.learn(&batch(600, 1)));
    assert_eq!(rules.rules()[&topic()].max_message_bytes, Some(599));
}

#[test]
fn a_single_record_is_learned_from_also_when_smaller_batches_were_tried_before() {
    let mut rules = OutputRules::default();
    assert!(rules.learn(&batch(130, 4)));
    assert!(rules.learn(&batch(109, 1)));
    assert_eq!(rules.rules()[&topic()].max_message_bytes, Some(108));
    assert_eq!(rules.batch_bytes()[&topic()], 65, "batches stay small");
}
