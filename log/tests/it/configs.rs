//! Settings of topics, brokers, groups and subscriptions: described with their sources, changed while the broker runs, kept over a restart.

use std::collections::BTreeMap;

use millpond_log::broker::{
    AlterConfigs, Broker, BrokerError, ConfigChange, ConfigEntry, ConfigOperation, ConfigResource,
    ConfigSource, ErrorCode, NewTopic,
};

use crate::support::{Machine, batch, create, create_with, partition, produce, simulate, topic};

async fn alter(
    broker: &Broker,
    resource: ConfigResource,
    changes: Vec<ConfigChange>,
) -> Result<(), BrokerError> {
    let alteration = AlterConfigs::new(resource, changes);
    broker.alter_configs(vec![alteration]).await.remove(0)
}

async fn describe(broker: &Broker, resource: ConfigResource) -> Vec<ConfigEntry> {
    broker.describe_configs(vec![resource]).await.remove(0).unwrap()
}

async fn entry(broker: &Broker, resource: ConfigResource, name: &str) -> ConfigEntry {
    let entries = describe(broker, resource).await;
    entries
        .into_iter()
        .find(|entry| entry.name == name)
        .unwrap_or_else(|| panic!("{name} is described"))
}

fn orders() -> ConfigResource {
    ConfigResource::Topic(topic("orders"))
}

/// What the log of a partition goes by now.
fn retention(broker: &Broker) -> i64 {
    let log = broker.partition_log(&partition("orders", 0)).unwrap();
    log.config().retention_ms
}

#[test]
fn a_broker_setting_reaches_topics_at_once_and_after_a_restart_unless_they_say_otherwise() {
    simulate(async {
        let mut machine = Machine::new(51);
        let broker = machine.start().await;
        create(&broker, "orders", 1).await;
        let all = |value| vec![ConfigChange::set("log.retention.ms", value)];
        alter(&broker, ConfigResource::AllBrokers, all("1000"))
            .await
            .unwrap();
        assert_eq!(retention(&broker), 1_000);
        alter(&broker, ConfigResource::Broker, all("2000")).await.unwrap();
        assert_eq!(retention(&broker), 2_000, "one broker's wins over all brokers'");
        broker.shutdown().await.unwrap();
        let broker = machine.start().await;
        assert_eq!(retention(&broker), 2_000);
        let told = entry(&broker, orders(), "retention.ms").await;
        let sources: Vec<_> = told.synonyms.iter().map(|synonym| synonym.source).collect();
        assert_eq!(
            sources,
            [
                ConfigSource::DynamicBroker,
                ConfigSource::DynamicDefaultBroker,
                ConfigSource::Default
            ]
        );
        alter(&broker, orders(), vec![ConfigChange::set("retention.ms", "3000")])
            .await
            .unwrap();
        assert_eq!(retention(&broker), 3_000);
        alter(&broker, orders(), vec![ConfigChange::delete("retention.ms")])
            .await
            .unwrap();
        let nothing = vec![ConfigChange::delete("log.retention.ms")];
        alter(&broker, ConfigResource::Broker, nothing.clone())
            .await
            .unwrap();
        alter(&broker, ConfigResource::AllBrokers, nothing).await.unwrap();
        assert_eq!(retention(&broker), 604_800_000);
    });
}

#[test]
fn refused_changes_say_why_and_change_nothing() {
    simulate(async {
        let mut machine = Machine::new(52);
        let broker = machine.start().await;
        create(&broker, "orders", 1).await;
        let set = |name: &str, value: &str| vec![ConfigChange::set(name, value)];
        let refused = alter(&broker, orders(), set("retention.sm", "1"))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidConfig);
        assert!(
            refused.message().contains("did you mean \"retention.ms\"?"),
            "{refused}"
        );
        let unknown = alter(
            &broker,
            ConfigResource::Topic(topic("none")),
            set("retention.ms", "1"),
        )
        .await;
        assert_eq!(unknown.unwrap_err().code(), ErrorCode::UnknownTopicOrPartition);
        let fixed = alter(&broker, ConfigResource::Broker, set("num.partitions", "3"))
            .await
            .unwrap_err();
        assert_eq!(fixed.code(), ErrorCode::InvalidRequest);
        assert!(fixed.message().contains("while the broker runs"), "{fixed}");
        let twice = AlterConfigs::new(orders(), set("retention.ms", "5"));
        for answer in broker.alter_configs(vec![twice.clone(), twice]).await {
            assert_eq!(answer.unwrap_err().code(), ErrorCode::InvalidRequest);
        }
        let only_told = AlterConfigs {
            validate_only: true,
            ..AlterConfigs::new(orders(), set("retention.ms", "5"))
        };
        broker.alter_configs(vec![only_told]).await.remove(0).unwrap();
        assert_eq!(retention(&broker), 604_800_000);
        assert!(entry(&broker, orders(), "retention.ms").await.is_default());
    });
}

#[test]
fn replacing_settings_takes_the_others_back() {
    simulate(async {
        let mut machine = Machine::new(53);
        let broker = machine.start().await;
        let new = NewTopic::new(topic("orders"), 1)
            .config("retention.ms", "5000")
            .config("segment.bytes", "100000");
        create_with(&broker, new).await;
        let replace = AlterConfigs {
            replace: true,
            ..AlterConfigs::new(orders(), vec![ConfigChange::set("segment.bytes", "200000")])
        };
        broker.alter_configs(vec![replace]).await.remove(0).unwrap();
        let described = broker
            .describe_topics(Some(vec![topic("orders")]))
            .await
            .remove(0)
            .unwrap();
        assert_eq!(
            described.configs,
            BTreeMap::from([("segment.bytes".to_owned(), "200000".to_owned())])
        );
        let append = ConfigChange {
            name: "cleanup.policy".to_owned(),
            operation: ConfigOperation::Append("compact".to_owned()),
        };
        alter(&broker, orders(), vec![append]).await.unwrap();
        let policy = entry(&broker, orders(), "cleanup.policy").await;
        assert_eq!(
            (policy.value.as_str(), policy.source),
            ("delete,compact", ConfigSource::Topic)
        );
    });
}

#[test]
fn groups_and_subscriptions_keep_their_settings_and_are_listed() {
    simulate(async {
        let mut machine = Machine::new(54);
        let broker = machine.start().await;
        create(&broker, "orders", 1).await;
        let group = ConfigResource::Group("billing".to_owned());
        let metrics = ConfigResource::ClientMetrics("basic".to_owned());
        let session = vec![ConfigChange::set("consumer.session.timeout.ms", "50000")];
        alter(&broker, group.clone(), session).await.unwrap();
        alter(
            &broker,
            metrics.clone(),
            vec![ConfigChange::set("interval.ms", "1000")],
        )
        .await
        .unwrap();
        let short = vec![ConfigChange::set("consumer.session.timeout.ms", "50")];
        let refused = alter(&broker, group.clone(), short).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidConfig);
        broker.shutdown().await.unwrap();
        let broker = machine.start().await;
        assert_eq!(
            broker.group_settings("billing").consumer_session_timeout_ms,
            Some(50_000)
        );
        assert_eq!(broker.group_settings("other").consumer_session_timeout_ms, None);
        assert_eq!(
            broker.list_config_resources(),
            [orders(), ConfigResource::Broker, group, metrics.clone()]
        );
        let interval = entry(&broker, metrics, "interval.ms").await;
        assert_eq!(
            (interval.value.as_str(), interval.source),
            ("1000", ConfigSource::ClientMetrics)
        );
    });
}

#[test]
fn every_setting_of_a_topic_can_be_set_when_it_is_made() {
    simulate(async {
        let mut machine = Machine::new(55);
        let broker = machine.start().await;
        create(&broker, "orders", 1).await;
        let mut new = NewTopic::new(topic("copy"), 1);
        for entry in describe(&broker, orders()).await {
            new = new.config(entry.name, entry.value);
        }
        let count = new.configs.len();
        create_with(&broker, new).await;
        let copy = describe(&broker, ConfigResource::Topic(topic("copy"))).await;
        assert_eq!(
            copy.iter()
                .filter(|entry| entry.source == ConfigSource::Topic)
                .count(),
            count
        );
    });
}

#[test]
fn a_record_from_too_far_away_in_time_is_refused() {
    simulate(async {
        let mut machine = Machine::new(56);
        let broker = machine.start().await;
        let new = NewTopic::new(topic("orders"), 1).config("message.timestamp.before.max.ms", "1000");
        create_with(&broker, new).await;
        produce(
            &broker,
            None,
            &partition("orders", 0),
            batch(&["now"], None, false),
        )
        .await
        .unwrap();
        machine.clock.jump_wall(5_000);
        let late = produce(
            &broker,
            None,
            &partition("orders", 0),
            batch(&["late"], None, false),
        )
        .await;
        let refused = late.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidTimestamp);
        assert!(
            refused.message().contains("message.timestamp.before.max.ms"),
            "{refused}"
        );
    });
}
