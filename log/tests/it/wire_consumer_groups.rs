//! Consumer groups (KIP-848) over a socket: ConsumerGroupHeartbeat and ConsumerGroupDescribe at each version.

use std::collections::BTreeSet;

use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    GroupId as WireGroupId, JoinGroupRequest, OffsetCommitRequest, OffsetFetchRequest,
    TopicName as WireTopicName,
};
use millpond_log::broker::ErrorCode;
use millpond_log::config::BrokerConfig;

use crate::support::create;
use crate::wire::{Served, feature, text};

fn joining(member: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(WireGroupId(text("readers")))
        .with_member_id(text(member))
        .with_member_epoch(0)
        .with_rebalance_timeout_ms(60_000)
        .with_subscribed_topic_names(Some(vec![WireTopicName(text("orders"))]))
        .with_topic_partitions(Some(Vec::new()))
}

fn living(member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(WireGroupId(text("readers")))
        .with_member_id(text(member))
        .with_member_epoch(epoch)
        .with_rebalance_timeout_ms(-1)
        .with_subscribed_topic_names(None)
        .with_topic_partitions(None)
}

fn numbers(answer: &ConsumerGroupHeartbeatResponse) -> BTreeSet<i32> {
    let topics = answer
        .assignment
        .iter()
        .flat_map(|assignment| &assignment.topic_partitions);
    topics
        .flat_map(|topic| topic.partitions.iter().copied())
        .collect()
}

#[tokio::test]
async fn members_share_a_topic_over_the_wire_at_each_version() {
    let at = Served::topic("orders", 4).await;
    let mut wire = at.connect().await;

    // Version 0: the broker makes the member id. Version 1: the client does (KIP-1082).
    let first = wire.ask(0, joining("")).await;
    assert_eq!(first.error_code, 0);
    let id = first.member_id.clone().expect("a member id").to_string();
    assert_eq!(id.len(), 22);
    assert_eq!((first.member_epoch, first.heartbeat_interval_ms), (1, 5_000));
    assert_eq!(numbers(&first), BTreeSet::from([0, 1, 2, 3]));
    let nameless = wire.ask(1, joining("")).await;
    assert_eq!(nameless.error_code, ErrorCode::InvalidRequest.code());
    assert!(
        nameless
            .error_message
            .is_some_and(|message| message.contains("member id"))
    );

    let second = wire.ask(1, joining("second")).await;
    assert_eq!((second.member_epoch, numbers(&second)), (2, BTreeSet::new()));
    let told = wire.ask(1, living(&id, 1)).await;
    let keeps = told.assignment.clone().expect("less");
    assert_eq!(told.member_epoch, 1);
    let owned = keeps.topic_partitions.iter().map(|topic| {
        TopicPartitions::default()
            .with_topic_id(topic.topic_id)
            .with_partitions(topic.partitions.clone())
    });
    let given_up = living(&id, 1).with_topic_partitions(Some(owned.collect()));
    let told = wire.ask(1, given_up).await;
    assert_eq!(
        (told.member_epoch, told.assignment),
        (2, None),
        "only what changed is told"
    );
    let second = wire.ask(1, living("second", 2)).await;
    assert_eq!(numbers(&second).len(), 2);

    let pattern = joining("third")
        .with_subscribed_topic_names(None)
        .with_subscribed_topic_regex(Some(text("ord[")));
    let refused = wire.ask(1, pattern).await;
    assert_eq!(refused.error_code, ErrorCode::InvalidRegularExpression.code());

    for version in [0, 1] {
        let asked = vec![WireGroupId(text("readers")), WireGroupId(text("nobody"))];
        let answer = wire
            .ask(
                version,
                ConsumerGroupDescribeRequest::default().with_group_ids(asked),
            )
            .await;
        let group = &answer.groups[0];
        assert_eq!(
            (group.error_code, &*group.group_state, &*group.assignor_name),
            (0, "Stable", "uniform")
        );
        assert_eq!((group.group_epoch, group.assignment_epoch), (2, 2));
        assert_eq!(group.members.len(), 2);
        for member in &group.members {
            assert_eq!(member.member_type, if version == 0 { -1 } else { 1 });
            assert_eq!((&*member.client_id, &*member.client_host), ("test", "/127.0.0.1"));
            let assigned = &member.assignment.topic_partitions;
            assert_eq!(
                (&*assigned[0].topic_name.0, assigned[0].partitions.len()),
                ("orders", 2)
            );
            assert_eq!(member.assignment, member.target_assignment);
        }
        assert_eq!(answer.groups[1].error_code, ErrorCode::GroupIdNotFound.code());
    }

    let gone = wire.ask(1, living(&id, -1)).await;
    assert_eq!((gone.error_code, gone.member_epoch), (0, -1));
    let zombie = wire.ask(1, living(&id, 2)).await;
    assert_eq!(zombie.error_code, ErrorCode::UnknownMemberId.code());
    at.stop().await;
}

#[tokio::test]
async fn group_version_0_switches_the_consumer_protocol_off_and_1_on_again() {
    let mut config = BrokerConfig::default();
    config.set("group.initial.rebalance.delay.ms", "0").expect("set");
    let at = Served::with(config).await;
    create(&at.broker, "orders", 2).await;
    let mut wire = at.connect().await;
    assert_eq!(wire.finalized("group.version").await, Some(1));
    assert_eq!(wire.ask(1, joining("a")).await.member_epoch, 1);

    assert_eq!(wire.ask(1, feature("group.version", 0)).await.error_code, 0);
    assert_eq!(wire.finalized("group.version").await, None);
    let describe =
        || ConsumerGroupDescribeRequest::default().with_group_ids(vec![WireGroupId(text("readers"))]);
    for version in [0, 1] {
        for refused in [living("a", 1), joining("b")] {
            let answer = wire.ask(version, refused).await;
            assert_eq!(answer.error_code, ErrorCode::UnsupportedVersion.code());
            assert!(
                answer
                    .error_message
                    .is_some_and(|why| why.contains("group.version"))
            );
        }
        let answer = wire.ask(version, describe()).await;
        assert_eq!(answer.groups[0].error_code, ErrorCode::UnsupportedVersion.code());
    }
    // The classic protocol goes on.
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range"));
    let classic = JoinGroupRequest::default()
        .with_group_id(WireGroupId(text("others")))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    assert_eq!(wire.ask(3, classic).await.error_code, 0);

    assert_eq!(wire.ask(1, feature("group.version", 1)).await.error_code, 0);
    assert_eq!(
        wire.ask(1, living("a", 1)).await.error_code,
        0,
        "the group is still there"
    );
    assert_eq!(wire.ask(1, describe()).await.groups[0].members.len(), 1);
}

#[tokio::test]
async fn members_commit_at_version_9_or_above_and_everybody_may_fetch() {
    let at = Served::topic("orders", 1).await;
    let mut wire = at.connect().await;
    assert_eq!(wire.ask(1, joining("a")).await.member_epoch, 1);
    let commit = |offset| {
        let partition = OffsetCommitRequestPartition::default().with_committed_offset(offset);
        let topic = OffsetCommitRequestTopic::default()
            .with_name(WireTopicName(text("orders")))
            .with_partitions(vec![partition]);
        OffsetCommitRequest::default()
            .with_group_id(WireGroupId(text("readers")))
            .with_member_id(text("a"))
            .with_generation_id_or_member_epoch(1)
            .with_topics(vec![topic])
    };
    let committed = wire.ask(9, commit(9)).await;
    assert_eq!(committed.topics[0].partitions[0].error_code, 0);
    for version in 2..9 {
        let refused = wire.ask(version, commit(i64::from(version))).await;
        let code = refused.topics[0].partitions[0].error_code;
        assert_eq!(code, ErrorCode::UnsupportedVersion.code(), "version {version}");
    }
    // Below version 9 a fetch says nothing of a member, so there is nothing to refuse.
    let topic = OffsetFetchRequestTopics::default()
        .with_name(WireTopicName(text("orders")))
        .with_partition_indexes(vec![0]);
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(WireGroupId(text("readers")))
        .with_topics(Some(vec![topic]));
    for version in [8, 9] {
        let group = match version {
            9 => group.clone().with_member_id(Some(text("a"))).with_member_epoch(1),
            _ => group.clone(),
        };
        let request = OffsetFetchRequest::default().with_groups(vec![group]);
        let answer = wire.ask(version, request).await;
        let group = &answer.groups[0];
        assert_eq!(
            (group.error_code, group.topics[0].partitions[0].committed_offset),
            (0, 9)
        );
    }
}
