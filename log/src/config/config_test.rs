//! Settings: read back as set, refused by name, suggested when mistyped.

use crate::storage::Durability;

use super::*;

#[test]
fn every_topic_setting_reads_back_as_text_that_can_be_set_again() {
    let original = TopicSettings::default();
    let mut copy = original.clone();
    for definition in TOPIC_DEFINITIONS {
        let key = definition.name;
        let text = original.get(key).unwrap_or_else(|| panic!("{key} has no value"));
        copy.set(key, &text)
            .unwrap_or_else(|error| panic!("{key}: {error}"));
        assert_eq!(copy.get(key), Some(text), "{key}");
    }
}

#[test]
fn every_broker_setting_reads_back_as_text_that_can_be_set_again_unless_it_is_fixed() {
    let original = BrokerConfig::default();
    let mut copy = original.clone();
    let mut fixed = Vec::new();
    for definition in BROKER_DEFINITIONS {
        let key = definition.name;
        let text = original.get(key).unwrap_or_else(|| panic!("{key} has no value"));
        match copy.set(key, &text) {
            Ok(()) => assert_eq!(copy.get(key), Some(text), "{key}"),
            Err(error) => {
                assert!(error.to_string().contains("how this node was started"), "{error}");
                fixed.push(key);
            }
        }
    }
    let expected = [
        "advertised.listeners",
        "authorizer.class.name",
        "broker.id",
        "listeners",
        "log.cleaner.enable",
        "log.dir",
        "log.dirs",
        "node.id",
        "process.roles",
        "remote.log.storage.system.enable",
    ];
    assert_eq!(fixed, expected);
}

#[test]
fn settings_are_listed_in_order_so_that_they_are_found_and_output_is_stable() {
    assert!(TOPIC_DEFINITIONS.is_sorted_by_key(|definition| definition.name));
    assert!(BROKER_DEFINITIONS.is_sorted_by_key(|definition| definition.name));
    assert!(GROUP_DEFINITIONS.is_sorted_by_key(|definition| definition.name));
    assert!(CLIENT_METRICS_DEFINITIONS.is_sorted_by_key(|definition| definition.name));
}

#[test]
fn the_topic_settings_are_those_of_kafka_4_3_and_durability() {
    let names: Vec<_> = TOPIC_DEFINITIONS
        .iter()
        .map(|definition| definition.name)
        .filter(|name| *name != "durability")
        .collect();
    let kafka = "cleanup.policy compression.gzip.level compression.lz4.level compression.type compression.zstd.level \
         delete.retention.ms file.delete.delay.ms flush.messages flush.ms follower.replication.throttled.replicas \
         index.interval.bytes leader.replication.throttled.replicas local.retention.bytes local.retention.ms \
         max.compaction.lag.ms max.message.bytes message.timestamp.after.max.ms message.timestamp.before.max.ms \
         message.timestamp.type min.cleanable.dirty.ratio min.compaction.lag.ms min.insync.replicas preallocate \
         remote.log.copy.disable remote.log.delete.on.disable remote.storage.enable retention.bytes retention.ms \
         segment.bytes segment.index.bytes segment.jitter.ms segment.ms unclean.leader.election.enable";
    assert_eq!(names, kafka.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn every_default_of_a_topic_has_a_broker_setting_of_the_same_value() {
    let (topic, broker) = (TopicSettings::default(), BrokerConfig::default());
    for definition in TOPIC_DEFINITIONS {
        if let Some(name) = definition.broker_name {
            assert_eq!(broker.get(name), topic.get(definition.name), "{name}");
        }
    }
}

#[test]
fn settings_without_effect_are_checked_and_kept_all_the_same() {
    let mut config = TopicSettings::default();
    for (key, value) in [
        ("min.insync.replicas", "0"),
        ("preallocate", "maybe"),
        ("remote.storage.enable", "true"),
        ("compression.gzip.level", "10"),
        ("compression.zstd.level", "23"),
        ("leader.replication.throttled.replicas", "0-1"),
        ("flush.messages", "0"),
        ("local.retention.ms", "-3"),
    ] {
        let error = config.set(key, value).unwrap_err();
        assert!(matches!(error, ConfigError::InvalidValue { .. }), "{error}");
        assert_eq!(config, TopicSettings::default(), "{key}");
    }
    config.set("min.insync.replicas", "2").unwrap();
    config
        .set("follower.replication.throttled.replicas", "0:1,1:1")
        .unwrap();
    config.set("compression.gzip.level", "-1").unwrap();
    assert_eq!(config.get("min.insync.replicas").as_deref(), Some("2"));
}

#[test]
fn two_settings_that_contradict_each_other_are_refused_together() {
    let overrides = BTreeMap::from([
        ("max.compaction.lag.ms".to_owned(), "10".to_owned()),
        ("min.compaction.lag.ms".to_owned(), "11".to_owned()),
    ]);
    let error = TopicSettings::default().with_overrides(&overrides).unwrap_err();
    assert_eq!(
        error.to_string(),
        "setting \"min.compaction.lag.ms\" cannot be \"11\": expected at most max.compaction.lag.ms, which is 10"
    );
}

#[test]
fn hours_and_minutes_are_other_names_of_milliseconds() {
    let mut config = BrokerConfig::default();
    config.set("log.retention.hours", "2").unwrap();
    assert_eq!(config.get("log.retention.ms").as_deref(), Some("7200000"));
    assert_eq!(config.get("log.retention.minutes").as_deref(), Some("120"));
    config.set("log.retention.minutes", "-1").unwrap();
    assert_eq!(config.get("log.retention.hours").as_deref(), Some("-1"));
    config.set("log.roll.hours", "1").unwrap();
    assert_eq!(config.topic_defaults.log.segment_ms, 3_600_000);
    let error = config.set("log.roll.hours", "0").unwrap_err();
    assert!(
        error.to_string().starts_with("setting \"log.roll.hours\""),
        "{error}"
    );
}

#[test]
fn only_dynamic_settings_change_while_the_broker_runs() {
    let mut config = BrokerConfig::default();
    config.set_dynamic("log.retention.ms", "5").unwrap();
    let error = config.set_dynamic("num.partitions", "5").unwrap_err();
    assert_eq!(
        error.to_string(),
        "setting \"num.partitions\" cannot be changed while the broker runs; set it in the broker's file and restart it"
    );
    let error = config.set_dynamic("log.retention.sm", "5").unwrap_err();
    assert!(
        error.to_string().contains("did you mean \"log.retention.ms\"?"),
        "{error}"
    );
}

#[test]
fn groups_and_client_metrics_have_their_own_rules() {
    let of = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let session = GroupSettings::from_overrides(&of("consumer.session.timeout.ms", "50000")).unwrap();
    assert_eq!(session.consumer_session_timeout_ms, Some(50_000));
    assert!(GroupSettings::from_overrides(&of("consumer.session.timeout.ms", "10")).is_err());
    let unknown = GroupSettings::from_overrides(&of("consumer.session.timeout", "10")).unwrap_err();
    assert!(unknown.to_string().contains("did you mean"), "{unknown}");
    assert!(check_client_metrics(&of("interval.ms", "99")).is_err());
    assert!(check_client_metrics(&of("match", "client_id=app-.*,client_software_name=librdkafka")).is_ok());
    assert!(check_client_metrics(&of("match", "client_id=(")).is_err());
    assert!(check_client_metrics(&of("match", "host=a")).is_err());
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
    let known = TOPIC_DEFINITIONS.iter().map(|definition| definition.name);
    assert_eq!(nearest("zzzzqqqq", known), None);
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

#[test]
fn no_cleanup_policy_keeps_everything() {
    let mut config = TopicSettings::default();
    config.set("cleanup.policy", "").unwrap();
    assert!(!config.log.cleanup_policy.delete && !config.log.cleanup_policy.compact);
    assert_eq!(config.get("cleanup.policy").as_deref(), Some(""));
}
