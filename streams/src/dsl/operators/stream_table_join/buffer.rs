//! The stream side of a join that waits for its table: records stand in a queue by time until the grace is over (KIP-923).
//!
//! ```text
//! pane 8 | timestamp 8 | key | sequence 8 → envelope with headers
//! lowest pane | "clock"                   → largest timestamp queued 8 | next sequence 8
//! ```
//! Always true: a record leaves the queue in the batch in which it is joined, oldest first, by key bytes and arrival where times are equal. What a batch
//! both brings and takes out never reaches the store. On abort everything in memory is forgotten and read again.

use std::collections::BTreeMap;

use bytes::Bytes;
use millpond_log::record::Header;
use millpond_log::types::Timestamp;

use crate::processor::{BoxError, Headers, ProcessContext, ProcessError};
use crate::state::{KeyRange, StoreIndex, StoreSpec, ValueEnvelope, window_key};

const CLOCK: &str = "clock";
/// Panes a queue has at least, while it is as long as its grace.
const PANES_MIN: i64 = 16;

/// A record that was taken out of the queue.
pub(super) struct Queued {
    pub(super) timestamp: Timestamp,
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) headers: Headers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clock {
    /// Largest timestamp queued; -1 before the first.
    observed: Timestamp,
    next_sequence: u64,
}

const AT_START: Clock = Clock {
    observed: -1,
    next_sequence: 0,
};

/// See the module's text.
pub(super) struct TimeBuffer {
    grace_ms: i64,
    pane_ms: i64,
    pub(super) store: StoreIndex,
    clock: Clock,
    saved: Clock,
    /// The queue's time is not ahead of this.
    limit: Timestamp,
    is_open: bool,
    /// Nothing in the store is older; unknown after an abort.
    oldest: Option<Timestamp>,
    /// In time to be taken out by this batch: from the store (true), or brought by the batch.
    ready: BTreeMap<Vec<u8>, (Vec<u8>, bool)>,
    ready_until: Timestamp,
    writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Oldest record the open transaction puts or deletes: its pane may not be dropped yet, for a range delete is not in the changelog.
    oldest_write: Timestamp,
    deleted_before: Timestamp,
}

#[derive(Debug, thiserror::Error)]
#[error("a queued record of the join is damaged")]
struct Damaged;

fn pane_ms(grace_ms: i64) -> i64 {
    (grace_ms / PANES_MIN).max(1_000)
}

/// The queue's store. Its changelog is compacted only: a record stays for as long as its stream is silent.
pub(in crate::dsl) fn buffer_spec(name: &str, grace_ms: i64) -> StoreSpec {
    let pane_ms = pane_ms(grace_ms);
    let mut spec = StoreSpec::window(name, pane_ms, grace_ms)
        .with_schema("queued records of a stream-table join, format 1");
    spec.changelog_configs
        .insert("cleanup.policy".to_owned(), "compact".to_owned());
    spec
}

impl TimeBuffer {
    pub(super) fn new(grace_ms: i64) -> Self {
        TimeBuffer {
            grace_ms,
            pane_ms: pane_ms(grace_ms),
            store: StoreIndex::new(0),
            clock: AT_START,
            saved: AT_START,
            limit: Timestamp::MAX,
            is_open: false,
            oldest: None,
            ready: BTreeMap::new(),
            ready_until: 0,
            writes: BTreeMap::new(),
            oldest_write: Timestamp::MAX,
            deleted_before: 0,
        }
    }

    fn key(&self, timestamp: Timestamp, key: &[u8], sequence: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(24 + key.len());
        out.extend_from_slice(&window_key::pane_prefix(window_key::pane_of(
            timestamp,
            self.pane_ms,
        )));
        out.extend_from_slice(&timestamp.to_be_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(&sequence.to_be_bytes());
        out
    }

    /// The queue's time.
    fn time(&self) -> Timestamp {
        self.clock.observed.min(self.limit)
    }

    /// A batch begins that brings the time to `latest` at most, not ahead of `limit`: reads what may be taken out.
    pub(super) fn begin(
        &mut self,
        latest: Timestamp,
        limit: Timestamp,
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        if !self.is_open {
            let saved = context.store(self.store).get(&clock_key())?;
            if let Some(saved) = saved {
                self.clock =
                    decode_clock(&saved).ok_or_else(|| ProcessError::node(context.node(), Damaged))?;
            }
            self.saved = self.clock;
            self.is_open = true;
        }
        let latest = self.clock.observed.max(latest).min(limit);
        self.ready_until = latest.saturating_sub(self.grace_ms);
        if self.oldest.is_some_and(|oldest| oldest > self.ready_until) {
            return Ok(());
        }
        let until = self.ready_until.saturating_add(1).max(0);
        let mut to = window_key::pane_prefix(window_key::pane_of(until, self.pane_ms)).to_vec();
        to.extend_from_slice(&until.to_be_bytes());
        let mut store = context.store(self.store);
        let mut scan = store.scan(&KeyRange::between(window_key::pane_prefix(0), to))?;
        while let Some((key, value)) = scan.next_entry()? {
            self.ready.insert(key.to_vec(), (value.to_vec(), true));
        }
        // Whatever is left is younger.
        self.oldest = Some(until);
        Ok(())
    }

    /// Queues a record, unless it is older than the grace allows (false): then nobody is waited for. From here on the time is not ahead of `limit`.
    pub(super) fn put(
        &mut self,
        timestamp: Timestamp,
        limit: Timestamp,
        key: &[u8],
        value: &[u8],
        headers: &Headers,
    ) -> bool {
        self.limit = limit;
        if self.time().saturating_sub(self.grace_ms) > timestamp {
            return false;
        }
        self.clock.observed = self.clock.observed.max(timestamp);
        let key = self.key(timestamp, key, self.clock.next_sequence);
        self.clock.next_sequence += 1;
        let mut envelope = Vec::with_capacity(value.len() + 16);
        let headers: Vec<&Header> = headers.iter().collect();
        let headers = headers
            .iter()
            .map(|header| (header.key.as_ref(), header.value.as_deref()));
        ValueEnvelope::append(timestamp, headers, value, &mut envelope);
        if timestamp <= self.ready_until {
            self.ready.insert(key, (envelope, false));
        } else {
            self.oldest = self.oldest.map(|oldest| oldest.min(timestamp));
            self.oldest_write = self.oldest_write.min(timestamp);
            self.writes.insert(key, Some(envelope));
        }
        true
    }

    /// Time went on without a record.
    pub(super) fn advance(&mut self, time: Timestamp, limit: Timestamp) {
        self.clock.observed = self.clock.observed.max(time);
        self.limit = limit;
    }

    /// Takes out everything whose grace is over, oldest first.
    pub(super) fn take(&mut self) -> Result<Vec<Queued>, BoxError> {
        let until = self.time().saturating_sub(self.grace_ms);
        let mut taken = Vec::new();
        while let Some((key, _)) = self.ready.first_key_value() {
            let (timestamp, record_key) = parse_key(key).ok_or(Damaged)?;
            if timestamp > until {
                break;
            }
            let record_key = record_key.to_vec();
            let Some((key, (value, is_stored))) = self.ready.pop_first() else {
                break;
            };
            let envelope = ValueEnvelope::parse(&value)?;
            let headers = envelope.headers()?.into_iter();
            taken.push(Queued {
                timestamp,
                key: record_key,
                value: envelope.value.to_vec(),
                headers: headers
                    .map(|(key, value)| Header {
                        key: Bytes::copy_from_slice(key),
                        value: value.map(Bytes::copy_from_slice),
                    })
                    .collect(),
            });
            if is_stored {
                self.oldest_write = self.oldest_write.min(timestamp);
                self.writes.insert(key, None);
            }
        }
        Ok(taken)
    }

    /// The batch is over: what it left is written.
    pub(super) fn write(&mut self, context: &mut ProcessContext<'_>) {
        for (key, (value, is_stored)) in std::mem::take(&mut self.ready) {
            if let Some((timestamp, _)) = parse_key(&key) {
                self.oldest = self.oldest.map(|oldest| oldest.min(timestamp));
                if !is_stored {
                    self.oldest_write = self.oldest_write.min(timestamp);
                    self.writes.insert(key, Some(value));
                }
            }
        }
        let mut store = context.store(self.store);
        for (key, value) in std::mem::take(&mut self.writes) {
            match value {
                Some(value) => store.put(&key, value),
                None => store.delete(&key),
            }
        }
    }

    pub(super) fn on_commit(&mut self, context: &mut ProcessContext<'_>) {
        if !self.is_open {
            return;
        }
        let mut store = context.store(self.store);
        if self.clock != self.saved {
            store.put(&clock_key(), encode_clock(&self.clock));
            self.saved = self.clock;
        }
        let oldest_write = std::mem::replace(&mut self.oldest_write, Timestamp::MAX);
        let oldest = self.oldest.unwrap_or(0).min(oldest_write);
        let horizon = window_key::pane_of(oldest.max(0), self.pane_ms);
        if horizon > self.deleted_before {
            let (from, to) = window_key::panes(0, horizon);
            store.delete_range(&from, &to);
            self.deleted_before = horizon;
        }
    }

    pub(super) fn on_abort(&mut self) {
        *self = TimeBuffer {
            store: self.store,
            ..TimeBuffer::new(self.grace_ms)
        };
    }
}

/// In front of all records: timestamps are not negative.
fn clock_key() -> Vec<u8> {
    window_key::encode(Timestamp::MIN, CLOCK.as_bytes())
}

fn parse_key(bytes: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (_, rest) = bytes.split_first_chunk::<8>()?;
    let (timestamp, rest) = rest.split_first_chunk::<8>()?;
    let (key, _) = rest.split_last_chunk::<8>()?;
    Some((Timestamp::from_be_bytes(*timestamp), key))
}

fn encode_clock(clock: &Clock) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&clock.observed.to_be_bytes());
    bytes[8..].copy_from_slice(&clock.next_sequence.to_be_bytes());
    bytes
}

fn decode_clock(bytes: &[u8]) -> Option<Clock> {
    let (observed, rest) = bytes.split_first_chunk::<8>()?;
    let next_sequence: [u8; 8] = rest.try_into().ok()?;
    Some(Clock {
        observed: Timestamp::from_be_bytes(*observed),
        next_sequence: u64::from_be_bytes(next_sequence),
    })
}
