//! What is told of settings, and what a request makes of them.

use super::*;

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn find<'a>(entries: &'a [ConfigEntry], name: &str) -> &'a ConfigEntry {
    entries
        .iter()
        .find(|entry| entry.name == name)
        .unwrap_or_else(|| panic!("{name} is told"))
}

fn synonyms(entry: &ConfigEntry) -> Vec<(&'static str, &str, ConfigSource)> {
    entry
        .synonyms
        .iter()
        .map(|synonym| (synonym.name, synonym.value.as_str(), synonym.source))
        .collect()
}

#[test]
fn a_topics_value_is_the_first_of_all_that_are_set_in_kafkas_order() {
    let mut started_with = BrokerConfig::default();
    started_with.set("log.retention.ms", "4000").unwrap();
    let dynamic = DynamicConfigs {
        all_brokers: map(&[("log.retention.ms", "3000")]),
        this_broker: map(&[("log.retention.ms", "2000")]),
    };
    let layers = BrokerLayers {
        dynamic: &dynamic,
        started_with: &started_with,
    };
    let entries = layers.describe_topic(&map(&[("retention.ms", "1000")]));
    assert_eq!(entries.len(), TOPIC_DEFINITIONS.len(), "every setting is told");
    let retention = find(&entries, "retention.ms");
    assert_eq!(
        (retention.value.as_str(), retention.source),
        ("1000", ConfigSource::Topic)
    );
    assert_eq!(
        synonyms(retention),
        [
            ("retention.ms", "1000", ConfigSource::Topic),
            ("log.retention.ms", "2000", ConfigSource::DynamicBroker),
            ("log.retention.ms", "3000", ConfigSource::DynamicDefaultBroker),
            ("log.retention.ms", "4000", ConfigSource::StaticBroker),
            ("log.retention.ms", "604800000", ConfigSource::Default),
        ]
    );
    let without = layers.describe_topic(&BTreeMap::new());
    let retention = find(&without, "retention.ms");
    assert_eq!(
        (retention.value.as_str(), retention.source),
        ("2000", ConfigSource::DynamicBroker)
    );
}

#[test]
fn a_setting_without_a_broker_default_is_told_with_the_built_in_one() {
    let (dynamic, started_with) = (DynamicConfigs::default(), BrokerConfig::default());
    let layers = BrokerLayers {
        dynamic: &dynamic,
        started_with: &started_with,
    };
    let entries = layers.describe_topic(&BTreeMap::new());
    let remote = find(&entries, "remote.storage.enable");
    assert_eq!(
        (remote.value.as_str(), remote.source),
        ("false", ConfigSource::Default)
    );
    assert_eq!(synonyms(remote), []);
    assert_eq!(remote.kind, ConfigKind::Boolean);
    assert!(entries.iter().all(|entry| !entry.documentation.is_empty()));
}

#[test]
fn a_broker_tells_every_setting_and_all_brokers_only_what_they_were_told() {
    let dynamic = DynamicConfigs {
        all_brokers: map(&[("message.max.bytes", "2000")]),
        this_broker: BTreeMap::new(),
    };
    let started_with = BrokerConfig::default();
    let layers = BrokerLayers {
        dynamic: &dynamic,
        started_with: &started_with,
    };
    let entries = layers.describe_broker();
    assert_eq!(entries.len(), BROKER_DEFINITIONS.len());
    let limit = find(&entries, "message.max.bytes");
    assert_eq!(
        (limit.value.as_str(), limit.source, limit.read_only),
        ("2000", ConfigSource::DynamicDefaultBroker, false)
    );
    assert!(find(&entries, "num.partitions").read_only);
    let all: Vec<_> = layers
        .describe_all_brokers()
        .into_iter()
        .map(|entry| (entry.name, entry.value))
        .collect();
    assert_eq!(all, [("message.max.bytes", "2000".to_owned())]);
}

#[test]
fn a_groups_default_is_the_brokers() {
    let (dynamic, started_with) = (DynamicConfigs::default(), BrokerConfig::default());
    let layers = BrokerLayers {
        dynamic: &dynamic,
        started_with: &started_with,
    };
    let entries = layers.describe_group(&map(&[("consumer.session.timeout.ms", "46000")]));
    let session = find(&entries, "consumer.session.timeout.ms");
    assert_eq!(
        (session.value.as_str(), session.source),
        ("46000", ConfigSource::Group)
    );
    let heartbeat = find(&entries, "consumer.heartbeat.interval.ms");
    assert_eq!(
        synonyms(heartbeat),
        [(
            "group.consumer.heartbeat.interval.ms",
            "5000",
            ConfigSource::Default
        )]
    );
}

#[test]
fn lists_grow_and_shrink_from_what_holds_and_nothing_else_does() {
    let defaults = TopicSettings::default();
    let change = |operation| ConfigChange {
        name: "cleanup.policy".to_owned(),
        operation,
    };
    let append = change(ConfigOperation::Append("compact,delete".to_owned()));
    let both = changed_topic(&BTreeMap::new(), &[append], &defaults).unwrap();
    assert_eq!(both, map(&[("cleanup.policy", "delete,compact")]));
    let subtract = change(ConfigOperation::Subtract("delete".to_owned()));
    let compact = changed_topic(&both, &[subtract], &defaults).unwrap();
    assert_eq!(compact, map(&[("cleanup.policy", "compact")]));
    let number = ConfigChange {
        name: "retention.ms".to_owned(),
        operation: ConfigOperation::Append("1".to_owned()),
    };
    let refused = changed_topic(&both, &[number], &defaults).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "setting \"retention.ms\" is no list: APPEND cannot be used on it; use SET"
    );
}

#[test]
fn a_request_that_names_a_setting_twice_or_wrongly_changes_nothing() {
    let defaults = TopicSettings::default();
    let twice = [
        ConfigChange::set("retention.ms", "1"),
        ConfigChange::delete("retention.ms"),
    ];
    let refused = changed_topic(&BTreeMap::new(), &twice, &defaults).unwrap_err();
    assert!(matches!(refused, ConfigError::Twice { .. }), "{refused}");
    let unknown = changed_topic(
        &BTreeMap::new(),
        &[ConfigChange::delete("retention.sm")],
        &defaults,
    );
    assert!(unknown.unwrap_err().to_string().contains("did you mean"));
    let fixed = changed_broker(
        &BTreeMap::new(),
        &[ConfigChange::set("num.partitions", "3")],
        &BrokerConfig::default(),
    );
    assert!(matches!(fixed, Err(ConfigError::ReadOnly { .. })), "{fixed:?}");
}
