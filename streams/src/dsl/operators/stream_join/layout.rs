//! Where a join keeps its records: the keys of its stores.
//!
//! ```text
//! window store   pane 8 | bucket and tag 2 | key                    → count 4 | (sequence 8) | envelope   the first record of a key in a bucket
//!                pane 8 | bucket and tag 2 | key | number 4         →           (sequence 8) | envelope   each further one
//!                lowest pane               | "time"                 → largest timestamp put 8
//! waiting store  pane 8 | timestamp 8 | side 1 | key | sequence 8   → envelope
//!                lowest pane          | "clock"                     → largest timestamp seen 8 | Kafka's `minTime` 8 | next sequence 8
//! ```
//! Always true: one entry per record, written once; only the count in front of a bucket's first record changes. So what a record may be joined with
//! is found by exact keys: the one or two buckets its window touches, then as many numbers as their counts say. No walk, no sort, no list that grows.
//! A bucket is as long as the window, so that a window touches two at most; a pane is many buckets, so that expiry drops whole panes and there are not too
//! many of them. The two formats follow from the windows alone and are named in the store's schema.

use millpond_log::types::Timestamp;

use crate::dsl::JoinWindows;
use crate::state::{StoreSpec, window_key};

/// Panes a store has for its retention, at least, when a bucket is not longer than that.
const PANES_MIN: i64 = 64;
/// A pane has at most twice this many buckets: the place in the pane and the tag share two bytes.
const BUCKETS_MAX: i64 = 1 << 14;

/// Which of two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::dsl) enum Side {
    /// The other stream. First in the order of waiting records of one timestamp, as in Kafka Streams.
    Right = 0,
    /// The stream `join` was called on.
    Left = 1,
}

impl Side {
    pub(super) fn other(self) -> Side {
        match self {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        }
    }
}

/// Lengths of buckets and panes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dsl) struct Layout {
    bucket_ms: i64,
    pane_ms: i64,
}

/// The first record of a bucket, with the count.
const HEAD: u16 = 0;
/// A further record.
const MORE: u16 = 1;

impl Layout {
    pub(in crate::dsl) fn of(windows: &JoinWindows) -> Layout {
        let retention_ms = windows.retention_ms().max(0);
        let window_ms = windows.size_ms().max(0).saturating_add(1);
        // Doubled until the most buckets a pane may have are enough of them: a join of equal timestamps with a day of grace has no bucket per millisecond.
        let mut bucket_ms = window_ms;
        while retention_ms / bucket_ms / PANES_MIN / 2 > BUCKETS_MAX {
            bucket_ms *= 2;
        }
        let mut buckets = 1;
        while retention_ms / bucket_ms / PANES_MIN / 2 >= buckets {
            buckets *= 2;
        }
        Layout {
            bucket_ms,
            pane_ms: bucket_ms.saturating_mul(buckets),
        }
    }

    /// The store of one side.
    pub(in crate::dsl) fn window_spec(&self, name: &str, windows: &JoinWindows, waits: bool) -> StoreSpec {
        let sequence = if waits { ", numbered" } else { "" };
        StoreSpec::window(name, self.pane_ms, windows.retention_ms()).with_schema(format!(
            "records of a join in buckets of {} ms{sequence}, format 1",
            self.bucket_ms
        ))
    }

    /// The store of unmatched records. Its changelog is compacted only: a record may wait for as long as its streams are silent.
    pub(in crate::dsl) fn waiting_spec(&self, name: &str, windows: &JoinWindows) -> StoreSpec {
        let mut spec = StoreSpec::window(name, self.pane_ms, windows.retention_ms())
            .with_schema("waiting records of a join, format 1");
        spec.changelog_configs
            .insert("cleanup.policy".to_owned(), "compact".to_owned());
        spec
    }

    /// Number of the bucket a timestamp falls into.
    pub(super) fn bucket(&self, timestamp: Timestamp) -> i64 {
        timestamp.div_euclid(self.bucket_ms)
    }

    /// Start of the pane a timestamp falls into.
    pub(super) fn pane_of(&self, timestamp: Timestamp) -> Timestamp {
        window_key::pane_of(timestamp, self.pane_ms)
    }

    fn append_bucket(&self, bucket: i64, tag: u16, out: &mut Vec<u8>) {
        let start_ms = bucket.saturating_mul(self.bucket_ms);
        let pane = self.pane_of(start_ms);
        out.extend_from_slice(&window_key::pane_prefix(pane));
        let place = ((start_ms - pane) / self.bucket_ms) as u16;
        out.extend_from_slice(&(place << 1 | tag).to_be_bytes());
    }

    /// Key of the first record of `key` in a bucket.
    pub(super) fn append_head(&self, bucket: i64, key: &[u8], out: &mut Vec<u8>) {
        self.append_bucket(bucket, HEAD, out);
        out.extend_from_slice(key);
    }

    /// Key of a further record; `number` counts from 1.
    pub(super) fn append_more(&self, bucket: i64, key: &[u8], number: u32, out: &mut Vec<u8>) {
        self.append_bucket(bucket, MORE, out);
        out.extend_from_slice(key);
        out.extend_from_slice(&number.to_be_bytes());
    }

    /// Key of a waiting record.
    pub(super) fn waiting_key(&self, timestamp: Timestamp, side: Side, key: &[u8], sequence: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(25 + key.len());
        out.extend_from_slice(&window_key::pane_prefix(self.pane_of(timestamp)));
        out.extend_from_slice(&timestamp.to_be_bytes());
        out.push(side as u8);
        out.extend_from_slice(key);
        out.extend_from_slice(&sequence.to_be_bytes());
        out
    }

    /// Bounds `[from, to)` of the waiting records before `until`.
    pub(super) fn waiting_before(&self, until: Timestamp) -> (Vec<u8>, Vec<u8>) {
        let mut to = window_key::pane_prefix(self.pane_of(until)).to_vec();
        to.extend_from_slice(&until.to_be_bytes());
        (FIRST_PANE.to_vec(), to)
    }

    /// Bounds of everything in panes that end before `horizon`, all of it older than that.
    pub(super) fn panes_before(&self, horizon: Timestamp) -> (Vec<u8>, Vec<u8>) {
        let to = window_key::pane_prefix(self.pane_of(horizon));
        (FIRST_PANE.to_vec(), to.to_vec())
    }
}

/// The pane in front of all records: timestamps are not negative. What stands there never expires.
const FIRST_PANE: [u8; 8] = window_key::pane_prefix(0);

/// Key of an entry that is no record.
pub(super) fn fixed_key(name: &str) -> Vec<u8> {
    window_key::encode(Timestamp::MIN, name.as_bytes())
}

/// The parts of a waiting record's key.
pub(super) struct WaitingKey<'a> {
    pub(super) timestamp: Timestamp,
    pub(super) side: Side,
    pub(super) key: &'a [u8],
    pub(super) sequence: u64,
}

impl<'a> WaitingKey<'a> {
    /// `None` when the bytes are no such key.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<WaitingKey<'a>> {
        let (_, rest) = bytes.split_first_chunk::<8>()?;
        let (timestamp, rest) = rest.split_first_chunk::<8>()?;
        let (side, rest) = rest.split_first()?;
        let (key, sequence) = rest.split_last_chunk::<8>()?;
        Some(WaitingKey {
            timestamp: Timestamp::from_be_bytes(*timestamp),
            side: if *side == 0 { Side::Right } else { Side::Left },
            key,
            sequence: u64::from_be_bytes(*sequence),
        })
    }
}

#[cfg(test)]
#[path = "layout_test.rs"]
mod layout_test;
