//! Fetch answers: what the codec crate reads back is what was put in, and records are the very bytes.

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::FetchResponse as Codec;
use kafka_protocol::protocol::Decodable;
use uuid::Uuid;

use super::*;
use crate::types::{Offset, ProducerId};

fn response(batches: Vec<Bytes>) -> FetchResponse {
    let partition = |index, batches, aborted| FetchedPartition {
        index,
        error_code: 0,
        high_watermark: 30,
        last_stable_offset: 20,
        log_start_offset: 10,
        aborted,
        batches,
    };
    let aborted = AbortedTxn {
        producer_id: ProducerId::new(7),
        first_offset: Offset::new(12),
    };
    FetchResponse {
        error_code: 0,
        session_id: 99,
        topics: vec![FetchedTopic {
            name: "orders".into(),
            id: Uuid::from_u128(5),
            partitions: vec![
                partition(0, batches, Some(vec![aborted])),
                partition(1, Vec::new(), None),
            ],
        }],
    }
}

#[test]
fn every_version_reads_back() {
    for version in 4..=18 {
        let batches = vec![Bytes::from_static(b"first"), Bytes::from_static(b"second")];
        let reply = encode(response(batches), version, 1234);
        let whole: Vec<u8> = reply.into_chunks().flatten().collect();
        let mut whole = BytesMut::from(&whole[..]).freeze();
        assert_eq!(whole.get_i32() as usize, whole.len(), "version {version}");
        assert_eq!(whole.get_i32(), 1234);
        if version >= 12 {
            assert_eq!(whole.get_u8(), 0);
        }
        let read = Codec::decode(&mut whole, version).unwrap();
        assert!(whole.is_empty(), "version {version}: {} bytes left", whole.len());
        if version >= 7 {
            assert_eq!(read.session_id, 99);
        }
        let topic = &read.responses[0];
        if version >= 13 {
            assert_eq!(topic.topic_id, Uuid::from_u128(5));
        } else {
            assert_eq!(&topic.topic.0[..], "orders");
        }
        let [first, second] = &topic.partitions[..] else {
            panic!("two partitions");
        };
        assert_eq!((first.high_watermark, first.last_stable_offset), (30, 20));
        assert_eq!(first.records.as_deref(), Some(&b"firstsecond"[..]));
        let aborted = first.aborted_transactions.as_ref().unwrap();
        assert_eq!((aborted[0].producer_id.0, aborted[0].first_offset), (7, 12));
        assert_eq!(second.aborted_transactions, None);
        assert_eq!(second.records.as_deref(), Some(&b""[..]), "empty, never null");
    }
}

#[test]
fn records_are_not_copied() {
    let batch = Bytes::from(vec![1; 10_000]);
    let at = batch.as_ptr();
    let reply = encode(response(vec![batch]), 12, 1);
    assert!(reply.into_chunks().any(|piece| piece.as_ptr() == at));
}
