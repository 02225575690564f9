//! Topics and their settings: made, described, changed, deleted.

use std::collections::BTreeMap;

use millpond_log::broker::{
    AlterConfigs, ConfigChange, ConfigResource, EpochQuery, ErrorCode, ErrorKind, FeatureUpdate,
    NewPartitions, NewTopic, TopicRef,
};
use millpond_log::client::Admin;
use millpond_log::clock::Clock;
use millpond_log::metadata::features::FeatureUpgrade;
use millpond_log::types::{LeaderEpoch, Offset};

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

#[tokio::test]
async fn one_request_makes_and_removes_many_topics_and_judges_each_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "taken", 1).await;
    let code = |answer: &Result<_, millpond_log::broker::BrokerError>| match answer {
        Ok(_) => ErrorCode::None,
        Err(error) => error.code(),
    };
    let copies = |name, factor| NewTopic {
        replication_factor: factor,
        ..NewTopic::new(topic(name), 1)
    };
    let assigned = |name, assignments| NewTopic {
        assignments,
        ..NewTopic::new(topic(name), -1)
    };
    let asked = vec![
        (NewTopic::new(topic("a.b"), 2), ErrorCode::None),
        (NewTopic::new(topic("a_b"), 2), ErrorCode::InvalidTopicException),
        (NewTopic::new(topic("taken"), 2), ErrorCode::TopicAlreadyExists),
        (NewTopic::new(topic("twice"), 1), ErrorCode::InvalidRequest),
        (NewTopic::new(topic("twice"), 1), ErrorCode::InvalidRequest),
        (copies("copies", 2), ErrorCode::InvalidReplicationFactor),
        (copies("none", 0), ErrorCode::InvalidReplicationFactor),
        (copies("one", 1), ErrorCode::None),
        (
            assigned("here", vec![(1, vec![1]), (0, vec![1])]),
            ErrorCode::None,
        ),
        (
            assigned("away", vec![(0, vec![2])]),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            assigned("gap", vec![(1, vec![1])]),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            NewTopic {
                partitions: 1,
                ..assigned("both", vec![(0, vec![1])])
            },
            ErrorCode::InvalidRequest,
        ),
    ];
    let (topics, expected): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
    let told: Vec<_> = broker.validate_topics(topics.clone()).iter().map(code).collect();
    assert_eq!(told, expected);
    assert_eq!(broker.describe_topics(None).await.len(), 1, "nothing was made");
    let answers = broker.create_topics(topics).await;
    assert_eq!(answers.iter().map(code).collect::<Vec<_>>(), expected);
    assert_eq!(broker.partition_count(&topic("here")), Some(2));
    let id = answers[0].as_ref().unwrap().id;
    let gone = vec![
        TopicRef::Id(id),
        TopicRef::Name(topic("a.b")),
        TopicRef::Name(topic("one")),
        TopicRef::Id(millpond_log::types::TopicId::new(uuid_of(9))),
    ];
    let answers: Vec<_> = broker
        .delete_topics(gone)
        .await
        .into_iter()
        .map(|answer| answer.map_or_else(|error| error.code(), |()| ErrorCode::None))
        .collect();
    assert_eq!(
        answers,
        [
            ErrorCode::None,
            ErrorCode::InvalidRequest,
            ErrorCode::None,
            ErrorCode::UnknownTopicId
        ]
    );
    create(&broker, "a_b", 1).await;
}

fn uuid_of(number: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(number)
}

#[tokio::test]
async fn a_topic_gets_more_partitions_but_never_fewer() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "orders", 2).await;
    let grow = |name: &str, count, assignments| NewPartitions {
        topic: topic(name),
        count,
        assignments,
    };
    for (request, expected) in [
        (grow("orders", 2, vec![]), ErrorCode::InvalidPartitions),
        (grow("orders", 1, vec![]), ErrorCode::InvalidPartitions),
        (
            grow("orders", 4, vec![vec![1]]),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            grow("orders", 3, vec![vec![7]]),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (grow("none", 3, vec![]), ErrorCode::UnknownTopicOrPartition),
    ] {
        let refused = broker.create_partitions(vec![request], false).await.remove(0);
        assert_eq!(refused.unwrap_err().code(), expected);
    }
    let request = grow("orders", 4, vec![vec![1], vec![1]]);
    broker
        .create_partitions(vec![request.clone()], true)
        .await
        .remove(0)
        .unwrap();
    assert_eq!(
        broker.partition_count(&topic("orders")),
        Some(2),
        "only validated"
    );
    broker
        .create_partitions(vec![request], false)
        .await
        .remove(0)
        .unwrap();
    assert_eq!(broker.partition_count(&topic("orders")), Some(4));
    produce(
        &broker,
        None,
        &partition("orders", 3),
        crate::support::batch(&["new"], None, false),
    )
    .await
    .unwrap();
    broker.shutdown().await.unwrap();
    let broker = broker_at(dir.path()).await;
    assert_eq!(committed_values(&broker, "orders").await, ["new"]);
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn topics_are_described_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "a", 2).await;
    create(&broker, "b", 3).await;
    let mut cursor = None;
    let mut seen = Vec::new();
    loop {
        let page = broker.describe_topic_partitions(None, cursor, 2);
        let on_page = page.topics.into_iter().map(|(name, described)| {
            let partitions = described.unwrap().partitions;
            (
                name.to_string(),
                partitions
                    .iter()
                    .map(|(index, _)| index.get())
                    .collect::<Vec<_>>(),
            )
        });
        seen.push(on_page.collect::<Vec<_>>());
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let of = |name: &str, partitions: &[i32]| vec![(name.to_owned(), partitions.to_vec())];
    assert_eq!(seen, [of("a", &[0, 1]), of("b", &[0, 1]), of("b", &[2])]);
    let named = broker.describe_topic_partitions(Some(vec![topic("b"), topic("none")]), None, 100);
    assert!(named.topics[0].1.is_ok());
    assert_eq!(
        named.topics[1].1.as_ref().unwrap_err().code(),
        ErrorCode::UnknownTopicOrPartition
    );
}

#[tokio::test]
async fn features_go_up_and_down_and_stay_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    let before = broker.features();
    assert!(
        before.finalized.contains(&("transaction.version", 2)),
        "{before:?}"
    );
    let update = |level, upgrade| {
        vec![FeatureUpdate {
            name: "transaction.version".to_owned(),
            level,
            upgrade,
        }]
    };
    let refused = broker
        .update_features(update(1, FeatureUpgrade::Upgrade), false)
        .await;
    assert_eq!(refused.unwrap_err().code(), ErrorCode::InvalidUpdateVersion);
    broker
        .update_features(update(1, FeatureUpgrade::SafeDowngrade), true)
        .await
        .unwrap();
    assert_eq!(broker.features(), before, "only validated");
    broker
        .update_features(update(1, FeatureUpgrade::SafeDowngrade), false)
        .await
        .unwrap();
    broker.shutdown().await.unwrap();
    let broker = broker_at(dir.path()).await;
    let after = broker.features();
    assert!(after.finalized.contains(&("transaction.version", 1)));
    assert!(after.epoch > before.epoch);
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_needs_other_brokers_is_answered_as_a_single_node_of_kafka_does() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "orders", 1).await;
    let (here, nowhere) = (partition("orders", 0), partition("orders", 1));
    let code = |answer: Result<(), millpond_log::broker::BrokerError>| answer.unwrap_err().code();
    assert_eq!(code(broker.elect_leader(&here)), ErrorCode::ElectionNotNeeded);
    assert_eq!(
        code(broker.elect_leader(&nowhere)),
        ErrorCode::UnknownTopicOrPartition
    );
    broker.reassign_partition(&here, Some(&[1])).unwrap();
    assert_eq!(
        code(broker.reassign_partition(&here, Some(&[2]))),
        ErrorCode::InvalidReplicaAssignment
    );
    assert_eq!(
        code(broker.reassign_partition(&here, None)),
        ErrorCode::NoReassignmentInProgress
    );
    assert_eq!(
        code(broker.unregister_broker(2)),
        ErrorCode::BrokerIdNotRegistered
    );
    assert_eq!(
        code(broker.add_raft_voter(Some("other"), 2)),
        ErrorCode::InconsistentClusterId
    );
    assert_eq!(code(broker.add_raft_voter(None, 1)), ErrorCode::DuplicateVoter);
    let directory = broker.describe_log_dirs(None).unwrap();
    assert!(directory.total_bytes >= directory.usable_bytes && directory.usable_bytes > 0);
    assert_eq!(directory.topics.keys().collect::<Vec<_>>(), [&topic("orders")]);
    broker.alter_replica_log_dir(&directory.path, &here).unwrap();
    assert_eq!(
        code(broker.alter_replica_log_dir("/elsewhere", &here)),
        ErrorCode::LogDirNotFound
    );
}

#[tokio::test]
async fn the_end_of_a_leaders_term_is_never_below_what_a_consumer_could_read() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "orders", 1).await;
    for value in ["a", "b"] {
        let records = crate::support::batch(&[value], None, false);
        produce(&broker, None, &partition("orders", 0), records)
            .await
            .unwrap();
    }
    let query = |current, asked| EpochQuery {
        partition: partition("orders", 0),
        current_leader_epoch: LeaderEpoch::new(current),
        leader_epoch: LeaderEpoch::new(asked),
    };
    let queries = vec![query(-1, 0), query(0, 0), query(0, 1), query(1, 0)];
    let mut answers = broker.offsets_for_leader_epochs(queries).await;
    assert_eq!(
        answers.pop().unwrap().unwrap_err().code(),
        ErrorCode::UnknownLeaderEpoch
    );
    let found: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    let end = Some((LeaderEpoch::ZERO, Offset::new(2)));
    assert_eq!(found, [end, end, None]);
}

#[tokio::test]
async fn records_of_topics_that_are_only_compacted_cannot_be_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create_with(
        &broker,
        NewTopic::new(topic("table"), 1).config("cleanup.policy", "compact"),
    )
    .await;
    let refused = broker
        .delete_records(vec![(partition("table", 0), None)])
        .await
        .remove(0);
    assert_eq!(refused.unwrap_err().code(), ErrorCode::PolicyViolation);
}
