//! Old bodies become new ones that the codec reads, and new answers become old ones.

use bytes::BytesMut;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{
    CreateTopicsRequest, CreateTopicsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    DescribeLogDirsResponse, ListOffsetsRequest, ListOffsetsResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use super::*;

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn decoded<T: Decodable>(api: ApiKey, version: i16, body: &[u8]) -> T {
    let body = upgraded(api, version, BytesMut::from(body)).unwrap();
    let mut body = body.freeze();
    let request = T::decode(&mut body, stands_for(api, version).unwrap()).unwrap();
    assert!(body.is_empty(), "{} bytes left", body.len());
    request
}

fn answered<T: Encodable>(api: ApiKey, version: i16, answer: &T) -> Vec<u8> {
    let mut body = BytesMut::new();
    answer
        .encode(&mut body, stands_for(api, version).unwrap())
        .unwrap();
    downgraded(api, version, body).unwrap().to_vec()
}

#[test]
fn list_offsets_0_asks_for_one_offset_and_gets_a_list() {
    let body =
        b"\xff\xff\xff\xff\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x05\xff\xff\xff\xff\xff\xff\xff\xfe\0\0\0\x01";
    let request: ListOffsetsRequest = decoded(ApiKey::ListOffsets, 0, body);
    let partition = &request.topics[0].partitions[0];
    assert_eq!((partition.partition_index, partition.timestamp), (5, -2));
    let partition = |offset| {
        ListOffsetsPartitionResponse::default()
            .with_partition_index(5)
            .with_timestamp(-1)
            .with_offset(offset)
    };
    let topic = ListOffsetsTopicResponse::default()
        .with_name(text("t").into())
        .with_partitions(vec![partition(9), partition(-1)]);
    let answer = ListOffsetsResponse::default().with_topics(vec![topic]);
    assert_eq!(
        answered(ApiKey::ListOffsets, 0, &answer),
        b"\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\x05\0\0\0\0\0\x01\0\0\0\0\0\0\0\x09\0\0\0\x05\0\0\0\0\0\0"
    );
}

#[test]
fn create_topics_0_cannot_only_validate_and_hears_codes_alone() {
    let body = b"\0\0\0\x01\0\x01t\0\0\0\x03\0\x01\0\0\0\0\0\0\0\0\0\0\x03\xe8";
    let request: CreateTopicsRequest = decoded(ApiKey::CreateTopics, 0, body);
    assert_eq!(
        (
            request.topics[0].num_partitions,
            request.timeout_ms,
            request.validate_only
        ),
        (3, 1000, false)
    );
    let topic = CreatableTopicResult::default()
        .with_name(text("t").into())
        .with_error_code(36)
        .with_error_message(Some(text("no")));
    let answer = CreateTopicsResponse::default().with_topics(vec![topic]);
    assert_eq!(
        answered(ApiKey::CreateTopics, 0, &answer),
        b"\0\0\0\x01\0\x01t\0\x24"
    );
    assert_eq!(
        answered(ApiKey::CreateTopics, 1, &answer),
        b"\0\0\0\x01\0\x01t\0\x24\0\x02no"
    );
}

#[test]
fn describe_configs_0_hears_of_defaults_and_not_of_synonyms() {
    let body = b"\0\0\0\x01\x02\0\x01t\xff\xff\xff\xff";
    let request: DescribeConfigsRequest = decoded(ApiKey::DescribeConfigs, 0, body);
    assert!(!request.include_synonyms && request.resources[0].configuration_keys.is_none());
    let config = DescribeConfigsResourceResult::default()
        .with_name(text("k"))
        .with_value(Some(text("v")))
        .with_config_source(5)
        .with_synonyms(vec![DescribeConfigsSynonym::default().with_name(text("s"))]);
    let result = DescribeConfigsResult::default()
        .with_error_message(None)
        .with_resource_type(2)
        .with_resource_name(text("t"))
        .with_configs(vec![config]);
    let answer = DescribeConfigsResponse::default().with_results(vec![result]);
    assert_eq!(
        answered(ApiKey::DescribeConfigs, 0, &answer),
        b"\0\0\0\0\0\0\0\x01\0\0\xff\xff\x02\0\x01t\0\0\0\x01\0\x01k\0\x01v\0\x01\0"
    );
}

#[test]
fn old_requests_cut_anywhere_are_refused() {
    let body =
        b"\xff\xff\xff\xff\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x05\xff\xff\xff\xff\xff\xff\xff\xfe\0\0\0\x01";
    for end in 0..body.len() {
        let cut = upgraded(ApiKey::ListOffsets, 0, BytesMut::from(&body[..end]));
        assert!(cut.is_err(), "cut at {end}");
    }
}

#[test]
fn describe_log_dirs_5_says_that_the_directory_is_not_cordoned() {
    let directory = DescribeLogDirsResult::default()
        .with_log_dir(text("/d"))
        .with_total_bytes(7)
        .with_usable_bytes(5);
    let answer = DescribeLogDirsResponse::default().with_results(vec![directory]);
    assert_eq!(
        answered(ApiKey::DescribeLogDirs, 5, &answer),
        b"\0\0\0\0\0\0\x02\0\0\x03/d\x01\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x05\0\0\0"
    );
}
