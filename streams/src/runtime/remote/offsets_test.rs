//! Answers about offsets, asked for and committed.

use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::protocol::Encodable;
use millpond_log::types::TopicName;

use super::*;

fn partition(topic: &str, number: i32) -> TopicPartition {
    TopicPartition::new(TopicName::new(topic).expect("a name"), number)
}

#[test]
fn offsets_are_asked_for_in_the_place_each_version_has_for_it() {
    let asked = [partition("a", 0), partition("b", 1), partition("a", 2)];
    let group = GroupId::new("app");
    for version in FETCH_VERSIONS.0..=FETCH_VERSIONS.1 {
        let request = offset_fetch_request(version, &group, &asked);
        assert!(request.require_stable, "an open transaction must be waited for");
        request
            .encode(&mut bytes::BytesMut::new(), version)
            .expect("every field exists in its version");
        let topics = match version {
            7 => request.topics.map(|topics| topics.len()),
            _ => request.groups[0].topics.as_ref().map(Vec::len),
        };
        assert_eq!(topics, Some(2), "version {version}");
    }
}

#[test]
fn committed_offsets_are_read_from_old_and_new_answers() {
    let old = OffsetFetchResponse::default().with_topics(vec![
        OffsetFetchResponseTopic::default()
            .with_name(text("a").into())
            .with_partitions(vec![
                OffsetFetchResponsePartition::default()
                    .with_committed_offset(5)
                    .with_committed_leader_epoch(2)
                    .with_metadata(Some(text("m"))),
            ]),
    ]);
    let part = OffsetFetchResponsePartitions::default()
        .with_committed_offset(5)
        .with_committed_leader_epoch(2)
        .with_metadata(Some(text("m")));
    let never = OffsetFetchResponsePartitions::default()
        .with_partition_index(1)
        .with_committed_offset(-1);
    let unstable = OffsetFetchResponsePartitions::default()
        .with_partition_index(2)
        .with_committed_offset(-1)
        .with_error_code(88);
    let topic = OffsetFetchResponseTopics::default()
        .with_name(text("a").into())
        .with_partitions(vec![part, never, unstable]);
    let new = OffsetFetchResponse::default()
        .with_groups(vec![OffsetFetchResponseGroup::default().with_topics(vec![topic])]);
    let expected = OffsetAndMetadata {
        offset: Offset::new(5),
        leader_epoch: Some(LeaderEpoch::new(2)),
        metadata: "m".to_owned(),
    };
    let mut old = committed_of(old);
    assert_eq!(old.take(&partition("a", 0)), Some((0, Some(expected.clone()))));
    assert_eq!(old.take(&partition("b", 0)), None);
    let mut new = committed_of(new);
    assert_eq!(new.take(&partition("a", 0)), Some((0, Some(expected))));
    assert_eq!(new.take(&partition("a", 1)), Some((0, None)));
    assert_eq!(new.take(&partition("a", 2)), Some((88, None)));
    assert!(matches!(check_offset(88, "reading"), Err(LogError::Retriable(_))));
}

#[test]
fn the_error_of_the_group_is_found_wherever_it_stands() {
    let new = OffsetFetchResponse::default()
        .with_groups(vec![OffsetFetchResponseGroup::default().with_error_code(16)]);
    assert_eq!(group_code(&new), 16);
    assert_eq!(
        group_code(&OffsetFetchResponse::default().with_error_code(14)),
        14
    );
    assert_eq!(group_code(&OffsetFetchResponse::default()), 0);
}

#[test]
fn the_last_stable_offset_is_the_latest_of_a_committed_reader() {
    assert_eq!(timestamp_of(OffsetSpec::LastStable), (LATEST, true));
    assert_eq!(timestamp_of(OffsetSpec::Latest), (LATEST, false));
    assert_eq!(timestamp_of(OffsetSpec::Earliest), (EARLIEST, false));
    assert_eq!(timestamp_of(OffsetSpec::Timestamp(12)), (12, false));
}

#[test]
fn offsets_are_asked_for_as_a_client_and_not_as_a_replica() {
    let asked = [partition("a", 0)];
    let request = list_request(asked.iter(), LATEST, true);
    assert_eq!((request.replica_id.0, request.isolation_level), (-1, 1));
    for version in LIST_VERSIONS.0..=LIST_VERSIONS.1 {
        request
            .encode(&mut bytes::BytesMut::new(), version)
            .expect("every field exists in its version");
    }
}
