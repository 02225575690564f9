//! Produce requests: read as the codec crate reads them, in place, and refused when they lie.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest as Codec, TopicName, TransactionalId};
use kafka_protocol::protocol::{Encodable, StrBytes};

use super::*;

fn encoded(version: i16, records: &[u8]) -> BytesMut {
    let partition = |index| {
        PartitionProduceData::default()
            .with_index(index)
            .with_records(Some(Bytes::copy_from_slice(records)))
    };
    let topic = TopicProduceData::default().with_partition_data(vec![partition(0), partition(5)]);
    let topic = match version {
        13.. => topic.with_topic_id(Uuid::from_u128(7)),
        _ => topic.with_name(TopicName::from(StrBytes::from_static_str("orders"))),
    };
    let request = Codec::default()
        .with_transactional_id(Some(TransactionalId::from(StrBytes::from_static_str("tx"))))
        .with_acks(-1)
        .with_timeout_ms(1500)
        .with_topic_data(vec![topic]);
    let mut bytes = BytesMut::new();
    request.encode(&mut bytes, version).unwrap();
    bytes
}

#[test]
fn every_version_reads_as_the_codec_wrote_it() {
    for version in 3..=13 {
        let request = decode(encoded(version, b"batches"), version).unwrap();
        assert_eq!(
            request.transactional_id.as_deref(),
            Some("tx"),
            "version {version}"
        );
        assert_eq!((request.acks, request.timeout_ms), (-1, 1500));
        let topic = &request.topics[0];
        if version >= 13 {
            assert_eq!(topic.id, Uuid::from_u128(7));
        } else {
            assert_eq!(topic.name, "orders");
        }
        let got: Vec<_> = topic
            .partitions
            .iter()
            .map(|(index, records)| (*index, records.to_vec()))
            .collect();
        assert_eq!(got, [(0, b"batches".to_vec()), (5, b"batches".to_vec())]);
    }
}

#[test]
fn records_of_a_long_frame_are_not_copied() {
    let frame = encoded(9, &[7; 100_000]);
    let range = frame.as_ptr_range();
    let request = decode(frame, 9).unwrap();
    for (_, records) in request.topics.into_iter().flat_map(|topic| topic.partitions) {
        let own = records.into_own();
        assert!(range.contains(&own.as_ptr()), "still where the frame was");
    }
}

#[test]
fn a_request_cut_anywhere_is_refused() {
    for version in [3, 8, 9, 13] {
        let whole = encoded(version, b"batches");
        for end in 0..whole.len() {
            let cut = BytesMut::from(&whole[..end]);
            assert!(decode(cut, version).is_err(), "version {version} cut at {end}");
        }
    }
}

#[test]
fn null_in_place_of_topics_is_refused() {
    // Null transactional id, acks -1, timeout 1, null topics, no tags.
    let body = BytesMut::from(&b"\0\xff\xff\0\0\0\x01\0\0"[..]);
    let refused = decode(body, 13).unwrap_err();
    assert_eq!(
        refused,
        Malformed::Length {
            what: "topics",
            length: -1
        }
    );
}

#[test]
fn a_count_that_cannot_fit_takes_no_memory() {
    let mut bytes = BytesMut::from(&b"\xff\xff\xff\xff\0\0\0\x01"[..]);
    bytes.extend_from_slice(&i32::MAX.to_be_bytes());
    let refused = decode(bytes, 3).unwrap_err();
    assert!(
        matches!(refused, Malformed::Short { what: "topics", .. }),
        "{refused}"
    );
}
