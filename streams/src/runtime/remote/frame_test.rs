//! Frames: length and header of each version, fields a version lacks, and what is not Kafka at all.

use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, EndTxnRequest, MetadataRequest, MetadataResponse,
};
use kafka_protocol::protocol::{Encodable, Message};

use super::*;

fn client() -> StrBytes {
    StrBytes::from_static_str("me")
}

#[test]
fn a_request_is_framed_by_its_length_and_header() {
    let request = MetadataRequest::default().with_topics(Some(Vec::new()));
    let frame = encode(&request, 12, 7, &client()).expect("it is encoded");
    let length = i32::from_be_bytes(frame[..4].try_into().expect("four bytes"));
    assert_eq!(usize::try_from(length).expect("positive"), frame.len() - 4);
    assert_eq!(frame[4..12], [0, 3, 0, 12, 0, 0, 0, 7]);
    assert_eq!(frame[12..16], [0, 2, b'm', b'e']);
}

#[test]
fn a_field_that_the_version_lacks_is_an_error_and_not_dropped() {
    let request = MetadataRequest::default().with_include_topic_authorized_operations(true);
    assert!(encode(&request, 0, 1, &client()).is_err());
    let beyond = EndTxnRequest::VERSIONS.max + 1;
    assert!(encode(&EndTxnRequest::default(), beyond, 1, &client()).is_err());
}

#[test]
fn what_is_not_kafka_is_recognised_by_its_first_bytes() {
    assert_eq!(answer_length([0, 0, 1, 0]), Ok(256));
    for (prefix, part) in [
        ([0x15, 0x03, 0x03, 0x00], "TLS"),
        ([0x16, 0x03, 0x01, 0x02], "TLS"),
        (*b"HTTP", "web server"),
        ([0, 0, 0, 3], "Kafka's protocol"),
        ([0xff, 0, 0, 0], "Kafka's protocol"),
        ([0x7f, 0, 0, 0], "Kafka's protocol"),
    ] {
        let error = answer_length(prefix).expect_err(part);
        assert!(error.contains(part), "{error}");
    }
}

fn answered<R: kafka_protocol::protocol::Encodable + HeaderVersion>(body: &R, version: i16) -> Bytes {
    let mut bytes = BytesMut::new();
    ResponseHeader::default()
        .with_correlation_id(7)
        .encode(&mut bytes, R::header_version(version))
        .expect("a header");
    body.encode(&mut bytes, version).expect("a body");
    bytes.freeze()
}

#[test]
fn an_answer_is_read_in_flexible_and_old_versions() {
    let response = MetadataResponse::default();
    for version in [1, 9, 12] {
        let bytes = answered(&response, version);
        decode::<MetadataRequest>(bytes, version, 7).expect("it is read");
    }
    // The header of this one stays old for ever, so that a client that does not know the version can read it.
    let bytes = answered(&ApiVersionsResponse::default(), 3);
    decode::<ApiVersionsRequest>(bytes, 3, 7).expect("it is read");
}

#[test]
fn a_strangers_or_damaged_answer_is_an_error() {
    let bytes = answered(&MetadataResponse::default(), 9);
    let error = decode::<MetadataRequest>(bytes.clone(), 9, 8).expect_err("not ours");
    assert!(error.contains("request 7"), "{error}");
    for cut in 0..bytes.len() {
        assert!(
            decode::<MetadataRequest>(bytes.slice(..cut), 9, 7).is_err(),
            "{cut}"
        );
    }
}
