//! The records of a left or outer join that met nobody yet: they wait until their window has closed.
//!
//! ```text
//! put ──→ waiting ──→ remove    a partner came
//!                 └─→ close     stream time passed the window and its grace: given out without a partner
//! ```
//! Always true: `times` knows every waiting record by time and number, and nothing else is known of it in memory (about 60 bytes each); keys and values are
//! in the store. What may close during a batch is read once, in front of it, into `closing`. A record leaves the store in the batch in which it
//! leaves `times`. All of it is dropped on abort and read again from the store.
//!
//! When records close is Kafka Streams' rule to the letter, with its book-keeping of `min_time`: that is not always the smallest waiting time, so
//! a record can stay a little longer than it must, and still find a partner.

use std::collections::BTreeMap;

use millpond_log::types::Timestamp;
use smallvec::SmallVec;

use super::layout::{Layout, Side, WaitingKey, fixed_key};
use crate::dsl::JoinWindows;
use crate::processor::{BoxError, ProcessContext, ProcessError};
use crate::state::{KeyRange, StoreIndex, ValueEnvelope};

const CLOCK: &str = "clock";
/// `min_time` of a join nobody waits in.
const NOBODY: Timestamp = Timestamp::MAX;

/// A record that waited in vain.
pub(super) struct Unmatched {
    pub(super) timestamp: Timestamp,
    pub(super) side: Side,
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

/// Sequence numbers of the records that wait at one time on one side.
type Group = SmallVec<[u64; 2]>;

/// What is saved with every commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clock {
    /// Largest timestamp either side saw; -1 before the first record.
    observed: Timestamp,
    min_time: Timestamp,
    next_sequence: u64,
}

const AT_START: Clock = Clock {
    observed: -1,
    min_time: NOBODY,
    next_sequence: 0,
};

/// See the module's text.
pub(super) struct Waiting {
    layout: Layout,
    windows: JoinWindows,
    pub(super) store: StoreIndex,
    clock: Clock,
    saved: Clock,
    /// The join's time is not ahead of this.
    limit: Timestamp,
    is_open: bool,
    /// Right and left, by [`Side`].
    times: [BTreeMap<Timestamp, Group>; 2],
    /// Waiting records that are old enough to close in this batch: key in the store → its value.
    closing: BTreeMap<Vec<u8>, Vec<u8>>,
    closing_before: Timestamp,
    /// What this batch does to the store: value to put, or none to delete.
    writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Oldest record that the open transaction puts or deletes. Its panes may not be dropped yet: a range delete is not in the changelog and would take what
    /// this transaction wrote out of it, so that a replay would bring records back that were given out.
    oldest_write: Timestamp,
    deleted_before: Timestamp,
}

#[derive(Debug, thiserror::Error)]
#[error("a waiting record of the join is damaged")]
struct Damaged;

impl Waiting {
    pub(super) fn new(layout: Layout, windows: JoinWindows) -> Self {
        Waiting {
            layout,
            windows,
            store: StoreIndex::new(0),
            clock: AT_START,
            saved: AT_START,
            limit: Timestamp::MAX,
            is_open: false,
            times: [BTreeMap::new(), BTreeMap::new()],
            closing: BTreeMap::new(),
            closing_before: 0,
            writes: BTreeMap::new(),
            oldest_write: NOBODY,
            deleted_before: 0,
        }
    }

    /// Stream time of the join.
    pub(super) fn stream_time(&self) -> Timestamp {
        self.clock.observed.min(self.limit)
    }

    /// A record came, or time went on without one; the join's time is not ahead of `limit`.
    pub(super) fn advance(&mut self, time: Timestamp, limit: Timestamp) {
        self.clock.observed = self.clock.observed.max(time);
        self.limit = limit;
    }

    /// Reads what the last commit left, unless that is known.
    pub(super) fn open(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        if self.is_open {
            return Ok(());
        }
        let damaged = |context: &ProcessContext<'_>| ProcessError::node(context.node(), Damaged);
        let mut found = true;
        let mut store = context.store(self.store);
        if let Some(saved) = store.get(&fixed_key(CLOCK))? {
            match decode_clock(&saved) {
                Some(clock) => self.clock = clock,
                None => found = false,
            }
        }
        let (from, _) = self.layout.waiting_before(0);
        let mut scan = store.scan(&KeyRange { from, to: None })?;
        while let Some((key, _)) = scan.next_entry()? {
            match WaitingKey::parse(key) {
                Some(waiting) => {
                    let group = self.times[waiting.side as usize]
                        .entry(waiting.timestamp)
                        .or_default();
                    group.push(waiting.sequence);
                }
                None => found = false,
            }
        }
        drop(scan);
        drop(store);
        if !found {
            return Err(damaged(context));
        }
        self.saved = self.clock;
        self.is_open = true;
        Ok(())
    }

    /// A batch begins in which time comes to `until` at most, and is not ahead of `limit`: reads what may close until then.
    pub(super) fn begin(
        &mut self,
        until: Timestamp,
        limit: Timestamp,
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        let shortest = self.windows.before_ms().min(self.windows.after_ms());
        self.closing_before = until
            .max(self.clock.observed)
            .min(limit)
            .saturating_sub(shortest)
            .saturating_sub(self.windows.grace_ms());
        let first = self.first_time();
        if first.is_none_or(|first| first >= self.closing_before) {
            return Ok(());
        }
        let (from, to) = self.layout.waiting_before(self.closing_before);
        let mut store = context.store(self.store);
        let mut scan = store.scan(&KeyRange::between(from, to))?;
        while let Some((key, value)) = scan.next_entry()? {
            self.closing.insert(key.to_vec(), value.to_vec());
        }
        Ok(())
    }

    /// Number for the next record that is kept.
    pub(super) fn next_sequence(&mut self) -> u64 {
        let sequence = self.clock.next_sequence;
        self.clock.next_sequence += 1;
        sequence
    }

    /// A record met nobody yet.
    pub(super) fn put(&mut self, timestamp: Timestamp, side: Side, key: &[u8], sequence: u64, value: &[u8]) {
        self.clock.min_time = self.clock.min_time.min(timestamp);
        self.oldest_write = self.oldest_write.min(timestamp);
        self.times[side as usize]
            .entry(timestamp)
            .or_default()
            .push(sequence);
        let key = self.layout.waiting_key(timestamp, side, key, sequence);
        let value = ValueEnvelope::plain(timestamp, value);
        if timestamp < self.closing_before {
            self.closing.insert(key.clone(), value.clone());
        }
        self.writes.insert(key, Some(value));
    }

    /// The record met a partner; no-op when it does not wait any more.
    pub(super) fn remove(&mut self, timestamp: Timestamp, side: Side, key: &[u8], sequence: u64) {
        if self.forget(timestamp, side, sequence) {
            let key = self.layout.waiting_key(timestamp, side, key, sequence);
            self.closing.remove(&key);
            self.writes.insert(key, None);
        }
    }

    fn forget(&mut self, timestamp: Timestamp, side: Side, sequence: u64) -> bool {
        let times = &mut self.times[side as usize];
        let Some(group) = times.get_mut(&timestamp) else {
            return false;
        };
        let Some(place) = group.iter().position(|number| *number == sequence) else {
            return false;
        };
        self.oldest_write = self.oldest_write.min(timestamp);
        group.remove(place);
        if group.is_empty() {
            times.remove(&timestamp);
        }
        true
    }

    /// A record of `side` was read that did not come out of order: hands out everybody whose window has closed, oldest first.
    pub(super) fn close(&mut self, side: Side) -> Result<Vec<Unmatched>, BoxError> {
        let own_after_ms = match side {
            Side::Left => self.windows.after_ms(),
            Side::Right => self.windows.before_ms(),
        };
        let looks = self.clock.min_time != NOBODY && !self.is_waited_for(self.clock.min_time, own_after_ms);
        if !looks {
            return Ok(Vec::new());
        }
        self.clock.min_time = self.last_looked_at();
        let mut unmatched = Vec::new();
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for (key, value) in &self.closing {
            let waiting = WaitingKey::parse(key).ok_or(Damaged)?;
            let shortest = self.windows.before_ms().min(self.windows.after_ms());
            if self.is_waited_for(waiting.timestamp, shortest) {
                break;
            }
            if self.is_waited_for(waiting.timestamp, self.after_ms(waiting.side)) {
                continue;
            }
            unmatched.push((
                Unmatched {
                    timestamp: waiting.timestamp,
                    side: waiting.side,
                    key: waiting.key.to_vec(),
                    value: ValueEnvelope::parse(value)?.value.to_vec(),
                },
                waiting.sequence,
            ));
            keys.push(key.clone());
        }
        for key in keys {
            self.closing.remove(&key);
            self.writes.insert(key, None);
        }
        Ok(unmatched
            .into_iter()
            .map(|(unmatched, sequence)| {
                self.forget(unmatched.timestamp, unmatched.side, sequence);
                unmatched
            })
            .collect())
    }

    /// How long after a record of `side` its last partner may be.
    fn after_ms(&self, side: Side) -> i64 {
        match side {
            Side::Left => self.windows.after_ms(),
            Side::Right => self.windows.before_ms(),
        }
    }

    fn is_waited_for(&self, timestamp: Timestamp, after_ms: i64) -> bool {
        timestamp
            .saturating_add(after_ms)
            .saturating_add(self.windows.grace_ms())
            >= self.stream_time()
    }

    /// Where Kafka Streams' walk over the waiting records ends, which becomes its `minTime`: one behind the first record of either side whose
    /// window is open, or at the last record when there is no such pair.
    fn last_looked_at(&self) -> Timestamp {
        let [right, left] = &self.times;
        let newest = |times: &BTreeMap<Timestamp, Group>| times.last_key_value().map(|(time, _)| *time);
        let last = newest(right).max(newest(left)).unwrap_or(NOBODY);
        let first_open = |side: Side| {
            let closed = self
                .stream_time()
                .saturating_sub(self.after_ms(side))
                .saturating_sub(self.windows.grace_ms());
            self.times[side as usize]
                .range(closed..)
                .next()
                .map(|(time, group)| (*time, side, group))
        };
        let (Some(open_right), Some(open_left)) = (first_open(Side::Right), first_open(Side::Left)) else {
            return last;
        };
        let right_is_later = (open_right.0, open_right.1) > (open_left.0, open_left.1);
        let (time, side, group) = if right_is_later { open_right } else { open_left };
        if group.len() > 1 || side == Side::Right && left.contains_key(&time) {
            return time;
        }
        let after =
            |times: &BTreeMap<Timestamp, Group>| times.range(time + 1..).next().map(|(time, _)| *time);
        match (after(right), after(left)) {
            (Some(right), Some(left)) => right.min(left),
            (next, other) => next.or(other).unwrap_or(time),
        }
    }

    fn first_time(&self) -> Option<Timestamp> {
        let first = |side: usize| self.times[side].first_key_value().map(|(time, _)| *time);
        match (first(0), first(1)) {
            (Some(right), Some(left)) => Some(right.min(left)),
            (first, other) => first.or(other),
        }
    }

    /// Writes what the batch did.
    pub(super) fn write(&mut self, context: &mut ProcessContext<'_>) {
        let mut store = context.store(self.store);
        for (key, value) in std::mem::take(&mut self.writes) {
            match value {
                Some(value) => store.put(&key, value),
                None => store.delete(&key),
            }
        }
        self.closing.clear();
    }

    /// Saves the clock with the commit, and drops panes that nobody waits in any more.
    pub(super) fn on_commit(&mut self, context: &mut ProcessContext<'_>) {
        if !self.is_open {
            return;
        }
        let mut store = context.store(self.store);
        if self.clock != self.saved {
            store.put(&fixed_key(CLOCK), encode_clock(&self.clock));
            self.saved = self.clock;
        }
        let oldest = self.first_time().unwrap_or(self.stream_time());
        let oldest = oldest.min(std::mem::replace(&mut self.oldest_write, NOBODY));
        let horizon = self.layout.pane_of(oldest.max(0));
        if horizon > self.deleted_before {
            let (from, to) = self.layout.panes_before(horizon);
            store.delete_range(&from, &to);
            self.deleted_before = horizon;
        }
    }

    pub(super) fn on_abort(&mut self) {
        *self = Waiting {
            store: self.store,
            ..Waiting::new(self.layout, self.windows)
        };
    }
}

fn encode_clock(clock: &Clock) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&clock.observed.to_be_bytes());
    bytes[8..16].copy_from_slice(&clock.min_time.to_be_bytes());
    bytes[16..].copy_from_slice(&clock.next_sequence.to_be_bytes());
    bytes
}

fn decode_clock(bytes: &[u8]) -> Option<Clock> {
    let (observed, rest) = bytes.split_first_chunk::<8>()?;
    let (min_time, rest) = rest.split_first_chunk::<8>()?;
    let next_sequence: [u8; 8] = rest.try_into().ok()?;
    Some(Clock {
        observed: Timestamp::from_be_bytes(*observed),
        min_time: Timestamp::from_be_bytes(*min_time),
        next_sequence: u64::from_be_bytes(next_sequence),
    })
}
