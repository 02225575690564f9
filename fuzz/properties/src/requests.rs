//! Target 2: every request at every version served, decoded, encoded and decoded again.
//!
//! Promised: what the guard lets through never panics the decoder; what is decoded is the same after a round trip; our own readers agree with the codec's.

use std::fmt::Debug;

use bytes::BytesMut;
use fastrand::Rng;
use kafka_protocol::messages::{ApiKey, OffsetCommitRequest, ProduceRequest};
use kafka_protocol::protocol::{Decodable, Encodable, Request};
use millpond_log::protocol::{guard, legacy, offset_requests, produce_request};

use crate::pick::{self, pick};
use crate::table::{self, Visit};

pub(crate) fn property(input: &[u8]) -> bool {
    let Some((api, version, body)) = pick(input) else {
        return false;
    };
    let Some(newer) = legacy::stands_for(api, version) else {
        return checked(api, version, body);
    };
    match legacy::upgraded(api, version, BytesMut::from(body)) {
        Ok(body) => checked(api, newer, &body),
        Err(_) => false,
    }
}

fn checked(api: ApiKey, version: i16, body: &[u8]) -> bool {
    if guard::check_request(api, version, body).is_err() {
        return false;
    }
    match api {
        ApiKey::Produce => produce(version, body),
        ApiKey::OffsetCommit if !offset_requests::codec_reads_commit(version) => commit(version, body),
        ApiKey::OffsetFetch if version == offset_requests::TOPIC_IDS => {
            offset_requests::decode_fetch(BytesMut::from(body)).is_ok()
        }
        _ => {
            let twice = table::of(api, Twice { version, body });
            twice.unwrap_or_else(|| panic!("{api:?} is served and not in the table"))
        }
    }
}

struct Twice<'a> {
    version: i16,
    body: &'a [u8],
}

impl Visit for Twice<'_> {
    type Out = bool;

    fn visit<R: Request + PartialEq + Debug>(self) -> bool {
        let Ok(first) = R::decode(&mut BytesMut::from(self.body).freeze(), self.version) else {
            return false;
        };
        same_after(&first, self.version);
        true
    }
}

fn same_after<R: Encodable + Decodable + PartialEq + Debug>(first: &R, version: i16) {
    let mut bytes = BytesMut::new();
    if let Err(error) = first.encode(&mut bytes, version) {
        panic!("{first:?} of version {version} was decoded and cannot be encoded: {error:#}");
    }
    let mut bytes = bytes.freeze();
    match R::decode(&mut bytes, version) {
        Ok(second) => assert_eq!(first, &second, "version {version}"),
        Err(error) => panic!("{first:?} of version {version} cannot be decoded again: {error:#}"),
    }
    assert!(
        bytes.is_empty(),
        "{} bytes left at version {version}",
        bytes.len()
    );
}

/// Our reader of Produce beside the codec's.
fn produce(version: i16, body: &[u8]) -> bool {
    let ours = produce_request::decode(BytesMut::from(body), version);
    let theirs = ProduceRequest::decode(&mut BytesMut::from(body).freeze(), version);
    let (ours, theirs) = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(_), Err(_)) => return false,
        (Ok(ours), Err(error)) => panic!("version {version}: we read {ours:?}, the codec says {error:#}"),
        (Err(error), Ok(theirs)) => panic!("version {version}: the codec reads {theirs:?}, we say {error}"),
    };
    same_after(&theirs, version);
    assert_eq!(
        ours.transactional_id.as_deref(),
        theirs.transactional_id.as_ref().map(|id| id.as_str())
    );
    assert_eq!((ours.acks, ours.timeout_ms), (theirs.acks, theirs.timeout_ms));
    assert_eq!(ours.topics.len(), theirs.topic_data.len());
    for (ours, theirs) in ours.topics.iter().zip(&theirs.topic_data) {
        assert_eq!(
            (ours.name.as_str(), ours.id),
            (theirs.name.as_str(), theirs.topic_id)
        );
        assert_eq!(ours.partitions.len(), theirs.partition_data.len());
        for ((index, records), theirs) in ours.partitions.iter().zip(&theirs.partition_data) {
            assert_eq!(*index, theirs.index);
            assert_eq!(&records[..], theirs.records.as_deref().unwrap_or_default());
        }
    }
    true
}

/// The versions of OffsetCommit that the codec does not read, written as one that it does.
fn commit(version: i16, body: &[u8]) -> bool {
    let Ok(request) = offset_requests::decode_commit(BytesMut::from(body), version) else {
        return false;
    };
    if version < 2 {
        same_after::<OffsetCommitRequest>(&request, 2);
    }
    true
}

pub(crate) fn sample(rng: &mut Rng) -> Vec<u8> {
    pick::sample(rng)
}
