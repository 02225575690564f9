//! Topics and their settings: made, described, changed, deleted.

use std::collections::BTreeMap;

use millpond_log::broker::{AlterConfigs, ConfigChange, ConfigResource, ErrorCode, ErrorKind, NewTopic};
use millpond_log::client::Admin;
use millpond_log::clock::Clock;

use crate::support::{
    Machine, broker_at, committed_values, create, create_with, partition, produce, simulate, topic,
};

#[tokio::test]
async fn a_topic_has_an_id_that_changes_when_it_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    let admin = Admin::new(&broker);
    let first = admin.create_topic("orders", 3).await.unwrap();
    produce(
        &broker,
        None,
        &partition("orders", 0),
        crate::support::batch(&["old"], None, false),
    )
    .await
    .unwrap();
    admin.delete_topic(&first.name).await.unwrap();
    assert_eq!(broker.describe_topics(None).await.len(), 0);
    let second = admin.create_topic("orders", 1).await.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(committed_values(&broker, "orders").await, Vec::<String>::new());
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn refusals_say_what_is_wrong_and_create_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "orders", 1).await;
    let refused = |new| async { broker.create_topics(vec![new]).await.pop().unwrap().unwrap_err() };
    assert_eq!(
        refused(NewTopic::new(topic("orders"), 1)).await.code(),
        ErrorCode::TopicAlreadyExists
    );
    assert_eq!(
        refused(NewTopic::new(topic("none"), 0)).await.code(),
        ErrorCode::InvalidPartitions
    );
    let unknown = refused(NewTopic::new(topic("other"), 1).config("retention.sm", "1")).await;
    assert_eq!(
        (unknown.code(), unknown.kind()),
        (ErrorCode::InvalidConfig, ErrorKind::Usage)
    );
    assert!(
        unknown.to_string().contains("did you mean \"retention.ms\"?"),
        "{unknown}"
    );
    assert_eq!(
        refused(NewTopic::new(topic("__consumer_offsets"), 1))
            .await
            .code(),
        ErrorCode::InvalidTopicException
    );
    assert_eq!(
        refused(NewTopic::new(topic("__cluster_metadata"), 1))
            .await
            .code(),
        ErrorCode::InvalidTopicException
    );
    assert_eq!(broker.describe_topics(None).await.len(), 1);
    let gone = broker
        .delete_topics(vec![topic("nothing")])
        .await
        .pop()
        .unwrap()
        .unwrap_err();
    assert_eq!(gone.code(), ErrorCode::UnknownTopicOrPartition);
}

#[tokio::test]
async fn settings_can_be_changed_all_or_none_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create_with(
        &broker,
        NewTopic::new(topic("orders"), 1).config("retention.ms", "5000"),
    )
    .await;
    create(&broker, "invoices", 1).await;
    let change = |name: &str, value: Option<&str>| match value {
        Some(value) => ConfigChange::set(name, value),
        None => ConfigChange::delete(name),
    };
    let alter = |name: &str, changes| AlterConfigs::new(ConfigResource::Topic(topic(name)), changes);
    let bad = alter(
        "invoices",
        vec![
            change("segment.ms", Some("1000")),
            change("segment.bytes", Some("many")),
        ],
    );
    let good = alter(
        "orders",
        vec![
            change("retention.ms", None),
            change("cleanup.policy", Some("compact")),
        ],
    );
    let answers = broker.alter_configs(vec![bad, good]).await;
    assert_eq!(answers[0].as_ref().unwrap_err().code(), ErrorCode::InvalidConfig);
    assert!(answers[1].is_ok());
    broker.shutdown().await.unwrap();

    let broker = broker_at(dir.path()).await;
    let described = broker
        .describe_topics(Some(vec![topic("orders")]))
        .await
        .pop()
        .unwrap()
        .unwrap();
    assert_eq!(
        described.configs,
        BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())])
    );
    let entries = broker
        .describe_configs(vec![ConfigResource::Topic(topic("orders"))])
        .await
        .pop()
        .unwrap()
        .unwrap();
    let entry = |name| entries.iter().find(|entry| entry.name == name).unwrap();
    assert_eq!(
        (
            entry("cleanup.policy").value.as_str(),
            entry("cleanup.policy").is_default()
        ),
        ("compact", false)
    );
    assert_eq!(
        (
            entry("retention.ms").value.as_str(),
            entry("retention.ms").is_default()
        ),
        ("604800000", true)
    );
    broker.shutdown().await.unwrap();
}

#[test]
fn a_topic_that_was_answered_survives_power_loss() {
    simulate(async {
        let mut machine = Machine::new(11);
        let broker = machine.start().await;
        create(&broker, "orders", 3).await;
        let before = broker.describe_topics(None).await;
        machine
            .disk
            .crash(millpond_log::storage::disk_sim::CrashMode::LoseUnsynced);
        drop(broker);
        let broker = machine.start().await;
        assert_eq!(
            format!("{:?}", broker.describe_topics(None).await),
            format!("{before:?}")
        );
    });
}

#[test]
fn the_logs_own_topics_are_durable_whatever_the_default_is() {
    simulate(async {
        let mut machine = Machine::new(12);
        machine
            .config
            .topic_defaults
            .set("durability", "page-cache")
            .unwrap();
        let broker = machine.start().await;
        create(&broker, "orders", 1).await;
        let id = millpond_log::types::TransactionalId::new("job");
        broker
            .init_producer_id(Some(id), std::time::Duration::from_secs(1), None)
            .await
            .unwrap();
        let durability = |name: &str| {
            broker
                .partition_log(&partition(name, 0))
                .unwrap()
                .config()
                .durability
        };
        use millpond_log::storage::Durability;
        assert_eq!(durability("orders"), Durability::PageCache);
        assert_eq!(durability("__transaction_state"), Durability::Fsync);
    });
}

#[test]
fn a_broker_whose_own_log_is_damaged_does_not_start_with_half_of_it() {
    simulate(async {
        let mut machine = Machine::new(13);
        let broker = machine.start().await;
        create(&broker, "orders", 1).await;
        create(&broker, "invoices", 1).await;
        machine.clock.sleep(std::time::Duration::from_secs(5)).await;
        machine
            .disk
            .crash(millpond_log::storage::disk_sim::CrashMode::KeepAll);
        drop(broker);
        let log = std::path::Path::new("/data/__cluster_metadata-0/00000000000000000000.log");
        machine.disk.flip_bit(log, 200, 1).unwrap();
        let refused = machine.try_start().await.unwrap_err();
        assert!(refused.to_string().contains("__cluster_metadata"), "{refused}");
    });
}
