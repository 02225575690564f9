//! Settings: read back as set, refused by name, suggested when mistyped.

use std::collections::BTreeMap;

use crate::storage::Durability;

use super::{BROKER_SETTINGS, BrokerConfig, TOPIC_SETTINGS, TopicSettings, nearest};

#[test]
fn every_topic_setting_reads_back_as_text_that_can_be_set_again() {
    let original = TopicSettings::default();
    let mut copy = original.clone();
    for key in TOPIC_SETTINGS {
        let text = original.get(key).unwrap_or_else(|| panic!("{key} has no value"));
        copy.set(key, &text)
            .unwrap_or_else(|error| panic!("{key}: {error}"));
    }
    assert_eq!(copy, original);
}

#[test]
fn every_broker_setting_reads_back_as_text_that_can_be_set_again() {
    let original = BrokerConfig::default();
    let mut copy = original.clone();
    for key in BROKER_SETTINGS {
        let text = original.get(key).unwrap_or_else(|| panic!("{key} has no value"));
        copy.set(key, &text)
            .unwrap_or_else(|error| panic!("{key}: {error}"));
        assert_eq!(copy.get(key), Some(text), "{key}");
    }
}

#[test]
fn settings_are_listed_in_order_so_that_output_is_stable() {
    assert!(TOPIC_SETTINGS.is_sorted());
    assert!(BROKER_SETTINGS.is_sorted());
}

#[test]
fn an_unknown_topic_setting_suggests_the_near_name() {
    let error = TopicSettings::default().set("retention_sm", "1").unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown topic setting \"retention_sm\"; did you mean \"retention.ms\"?"
    );
}

#[test]
fn nonsense_gets_no_suggestion() {
    assert_eq!(nearest("zzzzqqqq", TOPIC_SETTINGS.iter().copied()), None);
}

#[test]
fn a_value_out_of_range_names_the_range_and_changes_nothing() {
    let mut config = TopicSettings::default();
    let error = config.set("min.cleanable.dirty.ratio", "1.5").unwrap_err();
    assert_eq!(
        error.to_string(),
        "setting \"min.cleanable.dirty.ratio\" cannot be \"1.5\": expected a number from 0 to 1"
    );
    assert_eq!(config, TopicSettings::default());
}

#[test]
fn overrides_sit_on_top_of_the_defaults() {
    let overrides = BTreeMap::from([
        ("cleanup.policy".to_owned(), "compact,delete".to_owned()),
        ("durability".to_owned(), "page-cache".to_owned()),
        ("retention.ms".to_owned(), "-1".to_owned()),
    ]);
    let config = TopicSettings::default().with_overrides(&overrides).unwrap();
    assert!(config.log.cleanup_policy.compact && config.log.cleanup_policy.delete);
    assert_eq!(config.log.durability, Durability::PageCache);
    assert_eq!(config.log.retention_ms, -1);
    assert_eq!(
        config.log.segment_bytes,
        TopicSettings::default().log.segment_bytes
    );
}
