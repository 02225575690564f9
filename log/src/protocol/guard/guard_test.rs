//! The walk passes what the codec writes, at every version, and refuses what lies.

use bytes::BytesMut;
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, ApiKey, ConsumerGroupHeartbeatRequest, CreateTopicsRequest,
    DescribeTopicPartitionsRequest, FetchRequest, IncrementalAlterConfigsRequest, JoinGroupRequest,
    MetadataRequest, OffsetCommitRequest, OffsetFetchRequest,
};
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};

use super::*;
use crate::protocol::api::SERVED;

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

/// Encodes, checks and decodes at every version that can carry the request.
fn passes<R: Request>(request: &R) {
    let api = ApiKey::try_from(R::KEY).unwrap();
    let mut carried = 0;
    for version in R::VERSIONS.min..=R::VERSIONS.max {
        let mut bytes = BytesMut::new();
        if request.encode(&mut bytes, version).is_err() {
            continue;
        }
        carried += 1;
        check_request(api, version, &bytes).unwrap_or_else(|error| panic!("{api:?} {version}: {error}"));
        for end in 0..bytes.len() {
            let cut = check_request(api, version, &bytes[..end]);
            assert!(cut.is_err(), "{api:?} {version} cut at {end} of {}", bytes.len());
        }
    }
    assert!(carried > 0, "{api:?}: no version carries the request");
}

#[test]
fn requests_pass_and_cut_ones_do_not() {
    use kafka_protocol::messages::{
        add_partitions_to_txn_request as add, consumer_group_heartbeat_request as heartbeat,
        create_topics_request as create, describe_topic_partitions_request as describe,
        fetch_request as fetch, incremental_alter_configs_request as alter, join_group_request as join,
        metadata_request as metadata, offset_commit_request as commit, offset_fetch_request as offsets,
    };
    passes(&MetadataRequest::default().with_topics(Some(vec![
        metadata::MetadataRequestTopic::default().with_name(Some(text("a").into())),
    ])));
    let partition = fetch::FetchPartition::default().with_partition(3);
    let topic = fetch::FetchTopic::default().with_topic(text("a").into());
    passes(
        &FetchRequest::default().with_topics(vec![topic.with_partitions(vec![partition.clone(), partition])]),
    );
    let partition = commit::OffsetCommitRequestPartition::default().with_committed_metadata(Some(text("m")));
    let topic = commit::OffsetCommitRequestTopic::default().with_name(text("a").into());
    passes(&OffsetCommitRequest::default().with_topics(vec![topic.with_partitions(vec![partition])]));
    let topic = offsets::OffsetFetchRequestTopics::default().with_name(text("a").into());
    let group = offsets::OffsetFetchRequestGroup::default().with_group_id(text("g").into());
    passes(&OffsetFetchRequest::default().with_groups(vec![
        group.with_topics(Some(vec![topic.with_partition_indexes(vec![1, 2])])),
    ]));
    let protocol = join::JoinGroupRequestProtocol::default().with_name(text("range"));
    passes(&JoinGroupRequest::default().with_protocols(vec![protocol]));
    let config = create::CreatableTopicConfig::default()
        .with_name(text("k"))
        .with_value(Some(text("v")));
    let topic = create::CreatableTopic::default()
        .with_name(text("a").into())
        .with_configs(vec![config]);
    passes(&CreateTopicsRequest::default().with_topics(vec![topic]));
    let config = alter::AlterableConfig::default()
        .with_name(text("k"))
        .with_value(Some(text("v")));
    let resource = alter::AlterConfigsResource::default().with_configs(vec![config]);
    passes(&IncrementalAlterConfigsRequest::default().with_resources(vec![resource]));
    let topic = add::AddPartitionsToTxnTopic::default()
        .with_name(text("a").into())
        .with_partitions(vec![1]);
    passes(&AddPartitionsToTxnRequest::default().with_v3_and_below_topics(vec![topic]));
    passes(
        &ConsumerGroupHeartbeatRequest::default().with_topic_partitions(Some(vec![
            heartbeat::TopicPartitions::default().with_partitions(vec![1, 2, 3]),
        ])),
    );
    passes(&DescribeTopicPartitionsRequest::default().with_cursor(Some(
        describe::Cursor::default().with_topic_name(text("a").into()),
    )));
}

#[test]
fn every_api_that_is_served_has_a_shape() {
    for api in SERVED {
        let found = shapes::REQUESTS.iter().any(|shape| shape.api == api.key);
        assert!(found, "{:?}", api.key);
    }
}

#[test]
fn counts_larger_than_the_message_are_refused_before_memory_is_taken() {
    // Metadata 1: a plain array; 9: a compact one.
    for (version, count) in [
        (1, &i32::MAX.to_be_bytes()[..]),
        (9, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
    ] {
        let refused = check_request(ApiKey::Metadata, version, count).unwrap_err();
        assert!(
            matches!(refused, Malformed::Length { what: "an array", .. }),
            "{refused}"
        );
    }
}

#[test]
fn many_tiny_elements_that_grow_in_memory_are_refused() {
    // Topics of three bytes each (null name, no tags, and the id is below version 10): each takes 80 in memory.
    let count = 100_000u32;
    let mut body = Vec::new();
    let mut prefix = count + 1;
    while prefix >= 0x80 {
        body.push(prefix as u8 | 0x80);
        prefix >>= 7;
    }
    body.push(prefix as u8);
    body.extend(std::iter::repeat_n([0, 0], count as usize).flatten());
    body.extend([1, 0, 0, 0]);
    assert!(check_request(ApiKey::Metadata, 9, &body).is_err());
    let mut bytes = bytes::Bytes::from(body);
    assert!(
        MetadataRequest::decode(&mut bytes, 9).is_ok(),
        "the decoder alone would take it"
    );
}

#[test]
fn unknown_tagged_fields_pass_and_too_many_do_not() {
    // ApiVersions 3: two empty compact strings, then tags.
    let mut body = vec![1, 1, 2, 50, 1, 7, 60, 0];
    assert_eq!(check_request(ApiKey::ApiVersions, 3, &body), Ok(()));
    body.truncate(2);
    body.extend([0xff, 0xff, 0x7f]);
    body.extend(std::iter::repeat_n([50, 0], 2_000_000 / 2).flatten());
    assert!(check_request(ApiKey::ApiVersions, 3, &body).is_err());
}

#[test]
fn the_time_of_commit_of_version_1_is_walked_over() {
    // Group "g", generation, member "m", one topic "t" of one partition: index, offset, time, metadata "x".
    let mut body = b"\0\x01g\0\0\0\x01\0\x01m\0\0\0\x01\0\x01t\0\0\0\x01".to_vec();
    body.extend([0; 12]);
    body.extend(1_700_000_000_000_i64.to_be_bytes());
    body.extend(b"\0\x01x");
    assert_eq!(check_request(ApiKey::OffsetCommit, 1, &body), Ok(()));
    assert!(check_request(ApiKey::OffsetCommit, 1, &body[..body.len() - 1]).is_err());
}

#[test]
fn a_struct_is_there_or_not_and_nothing_between() {
    // DescribeTopicPartitions 0: no topics, a limit, the byte of the cursor, no tags: a cursor that guard and decoder see differently would
    // hide what follows it from the guard.
    let body = |cursor: &[u8]| [&[1, 0, 0, 0, 5][..], cursor, &[0]].concat();
    for there in [&[0xff][..], &[1, 2, b't', 0, 0, 0, 0, 0]] {
        assert_eq!(
            check_request(ApiKey::DescribeTopicPartitions, 0, &body(there)),
            Ok(())
        );
    }
    for other in [0, 2, 0x7f, 0x80, 0xfe] {
        let body = body(&[other, 2, b't', 0, 0, 0, 0, 0]);
        assert!(
            check_request(ApiKey::DescribeTopicPartitions, 0, &body).is_err(),
            "{other}"
        );
    }
}

#[test]
fn a_tag_beyond_the_codecs_numbers_is_refused() {
    // ApiVersions 3: two empty strings, then one empty field with the tag 2^31 - 1, or one more.
    assert_eq!(
        check_request(ApiKey::ApiVersions, 3, &[1, 1, 1, 0xff, 0xff, 0xff, 0xff, 7, 0]),
        Ok(())
    );
    assert!(check_request(ApiKey::ApiVersions, 3, &[1, 1, 1, 0x80, 0x80, 0x80, 0x80, 8, 0]).is_err());
}

#[test]
fn one_unknown_tagged_field_in_each_of_many_structs_is_refused() {
    // Topics with an id, a null name and one empty tagged field: 20 bytes each, but a map of its own in memory.
    let topics = |count: &[u8], topics: usize| {
        let topic = [&[7; 16][..], &[0, 1, 50, 0]].concat();
        let all = std::iter::repeat_n(topic, topics).flatten();
        count
            .iter()
            .copied()
            .chain(all)
            .chain([1, 0, 0])
            .collect::<Vec<_>>()
    };
    assert_eq!(check_request(ApiKey::Metadata, 13, &topics(&[101], 100)), Ok(()));
    let many = topics(&[0xd1, 0x0f], 2_000);
    assert!(check_request(ApiKey::Metadata, 13, &many).is_err());
}

#[test]
fn a_tagged_field_may_not_lie_about_its_size() {
    // Fetch 12 with cluster id (tag 0) of a size that would hide its length.
    let mut bytes = BytesMut::new();
    FetchRequest::default()
        .with_cluster_id(Some(text("abc")))
        .encode(&mut bytes, 12)
        .unwrap();
    assert_eq!(check_request(ApiKey::Fetch, 12, &bytes), Ok(()));
    let at = bytes.len() - 5;
    assert_eq!(bytes[at], 4, "size of the tagged field");
    bytes[at] = 3;
    assert!(check_request(ApiKey::Fetch, 12, &bytes).is_err());
}
