//! Which records a topic refuses, and which it leaves to the log.

use std::collections::BTreeMap;

use millpond_log::record::Compression;

use super::{RecordRefused, TopicRules};
use crate::processor::{Headers, OutputIndex, SinkRecord};

const NOW: i64 = 1_000_000;

fn rules(configs: &[(&str, &str)]) -> TopicRules {
    let configs: BTreeMap<String, String> = configs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    TopicRules::from_configs(&configs)
}

fn refusal(rules: &TopicRules, key: Option<&[u8]>, value: &[u8], timestamp: i64) -> Option<RecordRefused> {
    let record = SinkRecord {
        topic: OutputIndex(0),
        partition: None,
        key,
        value: Some(value),
        timestamp,
        headers: &Headers::NONE,
    };
    rules.refusal("out", &record, NOW)
}

#[test]
fn a_topic_without_known_settings_takes_everything() {
    let rules = rules(&[]);
    assert_eq!(rules, TopicRules::default());
    assert_eq!(refusal(&rules, None, &[0; 10_000], i64::MAX), None);
}

#[test]
fn a_record_is_refused_exactly_when_its_batch_is_above_the_limit() {
    let taken = refusal(
        &rules(&[("max.message.bytes", "1000000")]),
        Some(b"key"),
        &[0; 900],
        NOW,
    );
    assert_eq!(taken, None);
    // The smallest batch with this record, by the format: 61 bytes, then length, attributes, two deltas, key, value, headers.
    let size = 61 + 2 + 1 + 1 + 1 + (1 + 3) + (2 + 900) + 1;
    let exact = rules(&[("max.message.bytes", &size.to_string())]);
    assert_eq!(refusal(&exact, Some(b"key"), &[0; 900], NOW), None);
    let below = rules(&[("max.message.bytes", &(size - 1).to_string())]);
    assert_eq!(
        refusal(&below, Some(b"key"), &[0; 900], NOW),
        Some(RecordRefused::TooLarge {
            topic: "out".to_owned(),
            size,
            limit: size - 1
        })
    );
}

#[test]
fn a_record_that_fits_when_packed_is_taken() {
    let mut rules = rules(&[("max.message.bytes", "500")]);
    assert!(refusal(&rules, Some(b"key"), &[7; 5_000], NOW).is_some());
    rules.compression = Compression::Lz4;
    assert_eq!(refusal(&rules, Some(b"key"), &[7; 5_000], NOW), None);
}

#[test]
fn a_compacted_topic_needs_keys() {
    for policy in ["compact", "delete, compact"] {
        let rules = rules(&[("cleanup.policy", policy)]);
        let error = refusal(&rules, None, b"v", NOW).expect("refused");
        assert_eq!(
            error.to_string(),
            "topic out is compacted and does not take a record without a key"
        );
        assert_eq!(refusal(&rules, Some(b""), b"v", NOW), None);
    }
    assert_eq!(
        refusal(&rules(&[("cleanup.policy", "delete")]), None, b"v", NOW),
        None
    );
}

#[test]
fn times_too_far_from_the_wall_clock_are_refused_unless_the_log_stamps_them() {
    let bounds = [
        ("message.timestamp.before.max.ms", "100"),
        ("message.timestamp.after.max.ms", "50"),
    ];
    let rules_of_producer = rules(&bounds);
    for (timestamp, taken) in [
        (NOW - 100, true),
        (NOW - 101, false),
        (NOW + 50, true),
        (NOW + 51, false),
        (-1, true),
    ] {
        let refused = refusal(&rules_of_producer, Some(b"k"), b"v", timestamp);
        assert_eq!(refused.is_none(), taken, "{timestamp}: {refused:?}");
    }
    let stamped = rules(&[bounds[0], bounds[1], ("message.timestamp.type", "LogAppendTime")]);
    assert_eq!(refusal(&stamped, Some(b"k"), b"v", 0), None);
    let unlimited = rules(&[("message.timestamp.before.max.ms", "9223372036854775807")]);
    assert_eq!(refusal(&unlimited, Some(b"k"), b"v", 0), None);
}
