//! Which request an input is: key and version, as in a request header, then the body.

use bytes::BytesMut;
use fastrand::Rng;
use kafka_protocol::messages::ApiKey;
use millpond_log::protocol::api::{Lookup, SERVED, lookup};
use millpond_log::protocol::guard::sample;

/// The API and version an input begins with; bytes that name none are folded into one that is served.
pub(crate) fn pick(input: &[u8]) -> Option<(ApiKey, i16, &[u8])> {
    let (head, body) = input.split_first_chunk::<4>()?;
    let [key, version] = [[head[0], head[1]], [head[2], head[3]]].map(i16::from_be_bytes);
    if let Lookup::Served(api) = lookup(key, version) {
        return Some((api, version, body));
    }
    let api = &SERVED[key as u16 as usize % SERVED.len()];
    let (min, max) = (api.advertised_min(), api.advertised_max());
    // Produce 0 to 2 are advertised and refused.
    let version = min + (version as u16 % (max - min + 1) as u16) as i16;
    Some((
        api.key,
        version.max(if api.key == ApiKey::Produce { 3 } else { 0 }),
        body,
    ))
}

/// The body in an allocation that lives as long as the second value: freeing it is nobody's merit.
pub(crate) fn held(body: &[u8]) -> (BytesMut, BytesMut) {
    let mut bytes = BytesMut::from(body);
    let tail = bytes.split_off(body.len());
    (bytes, tail)
}

/// A request of any API and version.
pub(crate) fn sample(rng: &mut Rng) -> Vec<u8> {
    let api = &SERVED[rng.usize(..SERVED.len())];
    let version = rng.i16(api.min..=api.max);
    of_api(api.key, version, rng)
}

/// A request of one API and version.
pub(crate) fn of_api(api: ApiKey, version: i16, rng: &mut Rng) -> Vec<u8> {
    let mut input = [(api as i16).to_be_bytes(), version.to_be_bytes()].concat();
    let body = sample::request(api, version, &mut |below| rng.usize(..below));
    input.extend(body.unwrap_or_else(|| panic!("{api:?} is served and has no shape")));
    input
}
