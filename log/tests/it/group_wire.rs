//! Classic groups over a socket, spoken by hand: every version of every group API, and a group's whole life.

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use millpond_log::broker::ErrorCode;
use millpond_log::config::BrokerConfig;

use crate::support::create;
use crate::wire::{Served, Wire, text};

fn topic() -> TopicName {
    text("orders").into()
}

async fn serve() -> Served {
    let mut config = BrokerConfig::default();
    config.set("group.initial.rebalance.delay.ms", "0").unwrap();
    let at = Served::with(config).await;
    create(&at.broker, "orders", 1).await;
    at
}

/// Joins a group at a version, coming back with the id it is given where the version wants that.
async fn join(client: &mut Wire, group: &str, version: i16) -> JoinGroupResponse {
    let mut request = JoinGroupRequest::default()
        .with_group_id(text(group).into())
        .with_session_timeout_ms(10_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![
            JoinGroupRequestProtocol::default()
                .with_name(text("range"))
                .with_metadata(Bytes::from_static(
                    b"\x00\x00\x00\x00\x00\x01\x00\x06orders\x00\x00\x00\x00",
                )),
        ]);
    if version >= 1 {
        request = request.with_rebalance_timeout_ms(60_000);
    }
    let answer = client.ask(version, request.clone()).await;
    if version < 4 {
        return answer;
    }
    assert_eq!(answer.error_code, ErrorCode::MemberIdRequired.code());
    assert!(answer.member_id.starts_with("test-"), "{:?}", answer.member_id);
    client
        .ask(version, request.with_member_id(answer.member_id))
        .await
}

async fn sync(client: &mut Wire, group: &str, joined: &JoinGroupResponse, version: i16) -> SyncGroupResponse {
    let mut request = SyncGroupRequest::default()
        .with_group_id(text(group).into())
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_assignments(vec![
            SyncGroupRequestAssignment::default()
                .with_member_id(joined.member_id.clone())
                .with_assignment(Bytes::from_static(b"everything")),
        ]);
    if version >= 5 {
        request = request
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(Some(text("range")));
    }
    client.ask(version, request).await
}

async fn leave(client: &mut Wire, group: &str, member: &StrBytes, version: i16) -> LeaveGroupResponse {
    let request = LeaveGroupRequest::default().with_group_id(text(group).into());
    let request = match version {
        3.. => request.with_members(vec![MemberIdentity::default().with_member_id(member.clone())]),
        _ => request.with_member_id(member.clone()),
    };
    client.ask(version, request).await
}

#[tokio::test]
async fn every_version_of_joining_and_leaving_works() {
    let at = serve().await;
    let mut client = at.connect().await;
    for version in 0..=9 {
        let group = format!("group-{version}");
        for find in 0..=6 {
            let request = match find {
                4.. => FindCoordinatorRequest::default().with_coordinator_keys(vec![text(&group)]),
                _ => FindCoordinatorRequest::default().with_key(text(&group)),
            };
            let answer = client.ask(find, request).await;
            let (node, port, code) = match answer.coordinators.first() {
                Some(found) => (found.node_id, found.port, found.error_code),
                None => (answer.node_id, answer.port, answer.error_code),
            };
            assert_eq!(code, 0);
            assert_eq!(node, at.broker.node_id());
            assert_eq!(port, i32::from(at.server.local_addr().port()));
        }
        let joined = join(&mut client, &group, version).await;
        assert_eq!(
            (joined.error_code, joined.generation_id),
            (0, 1),
            "join {version}"
        );
        assert_eq!(joined.leader, joined.member_id);
        assert_eq!(joined.protocol_name, Some(text("range")));
        assert_eq!(joined.members.len(), 1);
        let synced = sync(&mut client, &group, &joined, version.min(5)).await;
        assert_eq!(
            (synced.error_code, &synced.assignment[..]),
            (0, &b"everything"[..])
        );
        let beat = HeartbeatRequest::default()
            .with_group_id(text(&group).into())
            .with_generation_id(1)
            .with_member_id(joined.member_id.clone());
        assert_eq!(client.ask(version.min(4), beat).await.error_code, 0);
        let leaving = version.min(5);
        let left = leave(&mut client, &group, &joined.member_id, leaving).await;
        assert_eq!(left.error_code, 0);
        assert_eq!(left.members.len(), usize::from(leaving >= 3));
        let again = leave(&mut client, &group, &joined.member_id, leaving).await;
        let unknown = ErrorCode::UnknownMemberId.code();
        match again.members.first() {
            Some(member) => assert_eq!((again.error_code, member.error_code), (0, unknown)),
            None => assert_eq!(again.error_code, unknown),
        }
    }
    at.stop().await;
}

#[tokio::test]
async fn every_version_of_committing_and_fetching_works() {
    let at = serve().await;
    let mut client = at.connect().await;
    for version in 2..=9 {
        let partition = OffsetCommitRequestPartition::default()
            .with_committed_offset(i64::from(version))
            .with_committed_metadata(Some(text("note")));
        let unknown = OffsetCommitRequestTopic::default()
            .with_name(text("unheard").into())
            .with_partitions(vec![OffsetCommitRequestPartition::default()]);
        let known = OffsetCommitRequestTopic::default()
            .with_name(topic())
            .with_partitions(vec![partition]);
        let request = OffsetCommitRequest::default()
            .with_group_id(text("readers").into())
            .with_topics(vec![unknown, known]);
        let answer = client.ask(version, request.clone()).await;
        let codes: Vec<i16> = answer
            .topics
            .iter()
            .map(|topic| topic.partitions[0].error_code)
            .collect();
        assert_eq!(codes, [ErrorCode::UnknownTopicOrPartition.code(), 0], "{version}");
        // A member of no group: what the version can say.
        let stranger = request.with_generation_id_or_member_epoch(3);
        let stranger = stranger.with_group_id(text("strangers").into());
        let answer = client.ask(version, stranger).await;
        let expected = match version {
            9.. => ErrorCode::GroupIdNotFound,
            _ => ErrorCode::IllegalGeneration,
        };
        assert_eq!(answer.topics[0].partitions[0].error_code, expected.code());
    }
    for version in 1..=9i16 {
        let (asked, all) = fetch_requests(version);
        for (request, expected) in [(asked, vec![(0, 9), (7, -1)]), (all, vec![(0, 9)])] {
            if version < 2 && expected.len() == 1 {
                continue;
            }
            let answer = client.ask(version, request).await;
            assert_eq!(offsets(version, &answer), expected, "{version}");
        }
    }
    at.stop().await;
}

/// Two partitions of a topic, and all there are.
fn fetch_requests(version: i16) -> (OffsetFetchRequest, OffsetFetchRequest) {
    let group: GroupId = text("readers").into();
    if version >= 8 {
        let topics = OffsetFetchRequestTopics::default()
            .with_name(topic())
            .with_partition_indexes(vec![0, 7]);
        let of = |topics| {
            let group = OffsetFetchRequestGroup::default()
                .with_group_id(group.clone())
                .with_topics(topics);
            OffsetFetchRequest::default()
                .with_groups(vec![group])
                .with_topics(Some(Vec::new()))
                .with_require_stable(true)
        };
        return (of(Some(vec![topics])), of(None));
    }
    let topics = OffsetFetchRequestTopic::default()
        .with_name(topic())
        .with_partition_indexes(vec![0, 7]);
    let of = |topics| {
        OffsetFetchRequest::default()
            .with_group_id(group.clone())
            .with_topics(topics)
    };
    (of(Some(vec![topics])), of(None))
}

fn offsets(version: i16, answer: &OffsetFetchResponse) -> Vec<(i32, i64)> {
    assert_eq!(answer.error_code, 0);
    if version >= 8 {
        let group = &answer.groups[0];
        assert_eq!(group.error_code, 0);
        let partitions = group.topics.iter().flat_map(|topic| &topic.partitions);
        return partitions
            .map(|found| {
                let note = if found.committed_offset < 0 { "" } else { "note" };
                assert_eq!((found.error_code, &found.metadata), (0, &Some(text(note))));
                (found.partition_index, found.committed_offset)
            })
            .collect();
    }
    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    partitions
        .map(|found| {
            let note = if found.committed_offset < 0 { "" } else { "note" };
            assert_eq!((found.error_code, &found.metadata), (0, &Some(text(note))));
            (found.partition_index, found.committed_offset)
        })
        .collect()
}

#[tokio::test]
async fn every_version_of_describing_listing_and_deleting_works() {
    let at = serve().await;
    let mut client = at.connect().await;
    let joined = join(&mut client, "readers", 9).await;
    sync(&mut client, "readers", &joined, 5).await;
    for version in 0..=6 {
        let request = DescribeGroupsRequest::default()
            .with_groups(vec![text("readers").into(), text("unheard").into()]);
        let answer = client.ask(version, request).await;
        let (readers, unheard) = (&answer.groups[0], &answer.groups[1]);
        assert_eq!(
            (&*readers.group_state, &*readers.protocol_data),
            ("Stable", "range")
        );
        assert_eq!(&*readers.members[0].client_id, "test");
        assert_eq!(&*readers.members[0].client_host, "/127.0.0.1");
        assert_eq!(&readers.members[0].member_assignment[..], b"everything");
        let code = match version {
            6.. => ErrorCode::GroupIdNotFound.code(),
            _ => 0,
        };
        assert_eq!((&*unheard.group_state, unheard.error_code), ("Dead", code));
        assert_eq!(unheard.error_message.is_some(), version >= 6);
    }
    for version in 0..=5 {
        let mut request = ListGroupsRequest::default();
        if version >= 4 {
            request = request.with_states_filter(vec![text("Stable")]);
        }
        if version >= 5 {
            request = request.with_types_filter(vec![text("Classic")]);
        }
        let answer = client.ask(version, request.clone()).await;
        assert_eq!(answer.groups.len(), 1);
        assert_eq!(&**answer.groups[0].group_id, "readers");
        if version >= 5 {
            assert_eq!(&*answer.groups[0].group_type, "classic");
            let shares = request.with_types_filter(vec![text("share")]);
            assert!(client.ask(version, shares).await.groups.is_empty());
        }
    }
    let partition = OffsetDeleteRequestPartition::default();
    let topics = OffsetDeleteRequestTopic::default()
        .with_name(topic())
        .with_partitions(vec![partition]);
    let request = OffsetDeleteRequest::default()
        .with_group_id(text("readers").into())
        .with_topics(vec![topics]);
    let answer = client.ask(0, request).await;
    let code = answer.topics[0].partitions[0].error_code;
    assert_eq!(
        (answer.error_code, code),
        (0, ErrorCode::GroupSubscribedToTopic.code())
    );
    for version in 0..=2 {
        let request = DeleteGroupsRequest::default()
            .with_groups_names(vec![text("readers").into(), text("unheard").into()]);
        let answer = client.ask(version, request).await;
        let codes: Vec<i16> = answer.results.iter().map(|result| result.error_code).collect();
        assert_eq!(
            codes,
            [ErrorCode::NonEmptyGroup.code(), ErrorCode::GroupIdNotFound.code()]
        );
    }
    at.stop().await;
}

#[tokio::test]
async fn share_coordinators_are_refused() {
    let at = serve().await;
    let mut client = at.connect().await;
    let request = FindCoordinatorRequest::default()
        .with_key_type(2)
        .with_coordinator_keys(vec![text("readers")]);
    let answer = client.ask(6, request).await;
    let found = &answer.coordinators[0];
    assert_eq!(found.error_code, ErrorCode::InvalidRequest.code());
    assert_eq!((found.node_id.0, found.port), (-1, -1));
    at.stop().await;
}

#[tokio::test]
async fn old_commits_are_still_taken() {
    let at = serve().await;
    let mut client = at.connect().await;
    // Version 0: no member. Version 1: generation, member and a time of commit.
    let commits: [&[&[u8]]; 2] = [
        &[
            b"\0\x03old\0\0\0\x01\0\x06orders\0\0\0\x01",
            b"\0\0\0\0\0\0\0\0\0\0\0\x05\0\x01n",
        ],
        &[
            b"\0\x03old\xff\xff\xff\xff\0\0\0\0\0\x01\0\x06orders\0\0\0\x01",
            b"\0\0\0\0\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0\0\xff\xff",
        ],
    ];
    for (version, body) in commits.iter().enumerate() {
        let version = version as i16;
        let answer = client
            .ask_body::<OffsetCommitRequest>(version, 2, &body.concat())
            .await;
        assert_eq!(&**answer.topics[0].name, "orders");
        assert_eq!(answer.topics[0].partitions[0].error_code, 0);
        let committed = at.broker.offset_fetch(&"old".into(), None).await.unwrap();
        assert_eq!(committed[0].1.offset.get(), 5 + i64::from(version));
    }
    at.stop().await;
}

#[tokio::test]
async fn offsets_can_be_named_by_topic_id() {
    let at = serve().await;
    let mut client = at.connect().await;
    let id = at
        .broker
        .topic_id_of(&crate::support::topic("orders"))
        .expect("a topic")
        .get();
    let commit = |id: uuid::Uuid| {
        let mut body = b"\x04new\xff\xff\xff\xff\x01\0\x02".to_vec();
        body.extend_from_slice(id.as_bytes());
        body.extend_from_slice(b"\x02\0\0\0\0\0\0\0\0\0\0\0\x07\xff\xff\xff\xff\x02n\0\0\0");
        body
    };
    let gone = uuid::Uuid::from_u128(7);
    for (id, code) in [(id, 0), (gone, ErrorCode::UnknownTopicId.code())] {
        let answer = client.ask_body::<OffsetCommitRequest>(10, 10, &commit(id)).await;
        let topic = &answer.topics[0];
        assert_eq!((topic.topic_id, topic.partitions[0].error_code), (id, code));
    }
    let mut asked = b"\x02\x04new\0\xff\xff\xff\xff\x03".to_vec();
    for id in [gone, id] {
        asked.extend_from_slice(id.as_bytes());
        asked.extend_from_slice(b"\x02\0\0\0\0\0");
    }
    asked.extend_from_slice(b"\0\x01\0");
    let answer = client.ask_body::<OffsetFetchRequest>(10, 10, &asked).await;
    let told: Vec<_> = answer.groups[0]
        .topics
        .iter()
        .map(|topic| {
            let partition = &topic.partitions[0];
            (topic.topic_id, partition.committed_offset, partition.error_code)
        })
        .collect();
    let unknown = ErrorCode::UnknownTopicId.code();
    assert_eq!(told, [(gone, -1, unknown), (id, 7, 0)]);

    let all = client
        .ask_body::<OffsetFetchRequest>(10, 10, b"\x02\x04new\0\xff\xff\xff\xff\0\0\x01\0")
        .await;
    let topics = &all.groups[0].topics;
    assert_eq!((topics.len(), topics[0].topic_id), (1, id));
    at.stop().await;
}
