//! Target 3: counts that lie. Decoding any request at any version, and what consumers put into JoinGroup and SyncGroup, takes at most 64 KiB and eight
//! bytes for each byte sent.
//!
//! Input: as for target 2; the keys -1 and -2 are a consumer's subscription and assignment. Measured with a counting allocator, over the guard and the decoder.

use std::fmt::Debug;

use bytes::BytesMut;
use fastrand::Rng;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::Request;
use millpond_log::coordinator::group::hostile;
use millpond_log::protocol::guard::{self, FREE_BYTES, PER_BYTE, sample};
use millpond_log::protocol::{legacy, offset_requests, produce_request};

use crate::pick::{self, held, pick};
use crate::table::{self, Visit};
use crate::{mutate, peak};

const SUBSCRIPTION: [u8; 2] = [0xff, 0xff];
const ASSIGNMENT: [u8; 2] = [0xff, 0xfe];

pub(crate) fn property(input: &[u8]) -> bool {
    if let Some((&key, body)) = input.split_first_chunk::<2>() {
        match key {
            SUBSCRIPTION => {
                return within(
                    body.len(),
                    || hostile::read_consumer_subscription(body),
                    "subscription",
                );
            }
            ASSIGNMENT => {
                return within(
                    body.len(),
                    || hostile::read_consumer_assignment(body),
                    "assignment",
                );
            }
            _ => {}
        }
    }
    let Some((api, version, body)) = pick(input) else {
        return false;
    };
    let (bytes, _held) = held(body);
    within(
        body.len(),
        || decoded(api, version, bytes),
        &format!("{api:?} {version}"),
    )
}

pub(crate) fn within(length: usize, work: impl FnOnce() -> bool, what: &str) -> bool {
    let (sound, memory) = peak(work);
    let most = FREE_BYTES + PER_BYTE * length;
    assert!(
        memory <= most,
        "{what} of {length} bytes took {memory}, at most {most} are promised"
    );
    sound
}

/// As `server/dispatch.rs` has it.
fn decoded(api: ApiKey, mut version: i16, mut body: BytesMut) -> bool {
    if let Some(newer) = legacy::stands_for(api, version) {
        body = match legacy::upgraded(api, version, body) {
            Ok(body) => body,
            Err(_) => return false,
        };
        version = newer;
    }
    if guard::check_request(api, version, &body).is_err() {
        return false;
    }
    match api {
        ApiKey::Produce => produce_request::decode(body, version).is_ok(),
        ApiKey::OffsetCommit if !offset_requests::codec_reads_commit(version) => {
            offset_requests::decode_commit(body, version).is_ok()
        }
        ApiKey::OffsetFetch if version == offset_requests::TOPIC_IDS => {
            offset_requests::decode_fetch(body).is_ok()
        }
        _ => table::of(api, Once { version, body }) == Some(true),
    }
}

struct Once {
    version: i16,
    body: BytesMut,
}

impl Visit for Once {
    type Out = bool;

    fn visit<R: Request + PartialEq + Debug>(self) -> bool {
        R::decode(&mut self.body.freeze(), self.version).is_ok()
    }
}

/// Requests and subscriptions whose elements are many: a piece of a sound one over and over, behind a count to match.
pub(crate) fn sample(rng: &mut Rng) -> Vec<u8> {
    let mut input = match rng.usize(..8) {
        0 => {
            let version = rng.i16(..4);
            let body = sample::consumer_subscription(version, &mut |below| rng.usize(..below));
            [&SUBSCRIPTION[..], &version.to_be_bytes(), &body].concat()
        }
        1 => {
            let version = rng.i16(..4);
            let body = sample::consumer_assignment(version, &mut |below| rng.usize(..below));
            [&ASSIGNMENT[..], &version.to_be_bytes(), &body].concat()
        }
        _ => pick::sample(rng),
    };
    if rng.bool() {
        mutate::swell(&mut input, rng);
    }
    input
}
