//! Keys of window stores: pane first, then the record's key.
//!
//! A pane is a window's start. It is written big-endian with its sign bit flipped, so that bytes sort as times do,
//! also before 1970. With the pane in front everything of one pane lies together: expiry is one range delete, a new
//! pane is known to be new without a read, and "one key over time" is one get per pane.

use millpond_log::types::Timestamp;

/// Bytes of the pane in front of the key.
pub const PANE_LEN: usize = 8;

const SIGN: u64 = 1 << 63;

/// The bytes every key of the pane starts with.
pub const fn pane_prefix(pane_start_ms: Timestamp) -> [u8; PANE_LEN] {
    (pane_start_ms as u64 ^ SIGN).to_be_bytes()
}

/// Replaces the contents of `buffer` by the store key of (`pane_start_ms`, `key`).
pub fn encode_into(pane_start_ms: Timestamp, key: &[u8], buffer: &mut Vec<u8>) {
    buffer.clear();
    append_to(pane_start_ms, key, buffer);
}

/// Appends the store key of (`pane_start_ms`, `key`) to `buffer`.
pub fn append_to(pane_start_ms: Timestamp, key: &[u8], buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(&pane_prefix(pane_start_ms));
    buffer.extend_from_slice(key);
}

/// The store key of (`pane_start_ms`, `key`).
pub fn encode(pane_start_ms: Timestamp, key: &[u8]) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(PANE_LEN + key.len());
    append_to(pane_start_ms, key, &mut buffer);
    buffer
}

/// The pane and the key of a store key; `None` when it is shorter than a pane.
pub fn decode(store_key: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (pane, key) = store_key.split_first_chunk::<PANE_LEN>()?;
    Some(((u64::from_be_bytes(*pane) ^ SIGN) as Timestamp, key))
}

/// Bounds `[from, to)` of all keys whose pane starts in `[from_ms, to_ms)`.
pub const fn panes(from_ms: Timestamp, to_ms: Timestamp) -> ([u8; PANE_LEN], [u8; PANE_LEN]) {
    (pane_prefix(from_ms), pane_prefix(to_ms))
}

/// Bounds of all keys of panes that start before `horizon_ms`: what expiry deletes.
pub const fn panes_before(horizon_ms: Timestamp) -> ([u8; PANE_LEN], [u8; PANE_LEN]) {
    panes(Timestamp::MIN, horizon_ms)
}

/// Start of the tumbling pane of `size_ms` that `timestamp` falls into (rounding down, also before 1970).
pub const fn pane_of(timestamp: Timestamp, size_ms: i64) -> Timestamp {
    timestamp - timestamp.rem_euclid(size_ms)
}

#[cfg(test)]
#[path = "window_key_test.rs"]
mod window_key_test;
