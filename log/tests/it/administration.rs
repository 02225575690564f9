//! What administrators ask for besides settings: many topics at once, more partitions, features, and what a single node answers about others.

use millpond_log::broker::{
    BrokerError, EpochQuery, ErrorCode, FeatureUpdate, NewPartitions, NewTopic, TopicRef,
};
use millpond_log::metadata::features::FeatureUpgrade;
use millpond_log::types::{LeaderEpoch, Offset, TopicId};

use crate::support::{batch, broker_at, committed_values, create, create_with, partition, produce, topic};

#[tokio::test]
async fn one_request_makes_and_removes_many_topics_and_judges_each_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "taken", 1).await;
    let code = |answer: &Result<_, BrokerError>| match answer {
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
        TopicRef::Id(TopicId::new(uuid_of(9))),
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
        batch(&["new"], None, false),
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
    let code = |answer: Result<(), BrokerError>| answer.unwrap_err().code();
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
        let records = batch(&[value], None, false);
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

#[tokio::test]
async fn topics_stay_where_deleting_is_switched_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = millpond_log::config::BrokerConfig::default();
    config.set("delete.topic.enable", "false").unwrap();
    let options = millpond_log::broker::BrokerOptions::at(dir.path()).with_config(config);
    let broker = millpond_log::broker::Broker::start(options).await.unwrap();
    create(&broker, "orders", 1).await;
    let refused = broker.delete_topics(vec![topic("orders")]).await.remove(0);
    assert_eq!(refused.unwrap_err().code(), ErrorCode::TopicDeletionDisabled);
    assert_eq!(broker.partition_count(&topic("orders")), Some(1));
}

#[tokio::test]
async fn a_topic_that_is_made_by_asking_for_it_may_not_collide_either() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "a.b", 1).await;
    let refused = broker.topic_metadata_or_create(&topic("a_b"), true).await;
    assert_eq!(refused.unwrap_err().code(), ErrorCode::InvalidTopicException);
}
