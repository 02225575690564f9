//! Timers per key: what is to happen when stream time or the wall clock reaches a time, kept in a store.
//!
//! ```text
//! kind u8 (0 stream time, 1 wall clock) | time i64, sign flipped, big-endian | key   →  an empty value
//! ```
//! Bytes sort as (kind, time, key), the order in which timers fire. Always true: the store is the truth; `heads` mirrors its first entries of each kind, so that
//! looking for a due timer reads nothing; `on_abort` forgets them. A timer is (time, key): set twice it fires once.
//! Next: `process/time_driver.rs`, which fires them.

use std::any::Any;
use std::collections::VecDeque;

use millpond_log::types::Timestamp;

use super::access::{StateContext, append_key};
use super::builder::{StateStore, StoreDefinition};
use crate::dsl::process::TimerKind;
use crate::processor::ProcessError;
use crate::serde::{Data, SerdeRef};
use crate::state::{KeyRange, StoreIndex, ValueEnvelope, window_key};

/// Timers mirrored at a time, and how many at most before the last are left to the store again.
const HEAD_LEN: usize = 256;
const HEAD_LEN_MAX: usize = 4 * HEAD_LEN;

/// What a timer store is known by; processors set timers through their context.
pub struct Timers<K> {
    key: SerdeRef<K>,
}

impl<K> Clone for Timers<K> {
    fn clone(&self) -> Self {
        Timers {
            key: self.key.clone(),
        }
    }
}

impl<K: Data> Timers<K> {
    pub(super) fn new(key: SerdeRef<K>) -> Self {
        Timers { key }
    }

    pub(in crate::dsl) fn queue(&self, store: StoreIndex) -> TimerQueue<K> {
        TimerQueue {
            key: self.key.clone(),
            store,
            heads: [Head::default(), Head::default()],
        }
    }
}

impl<K: Data> StateStore for Timers<K> {
    fn bind(&self, _: &dyn Fn(&str) -> Result<StoreIndex, ProcessError>) -> Result<Self, ProcessError> {
        Ok(self.clone())
    }
}

impl<K: Data> StoreDefinition for Timers<K> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn is_timers(&self) -> bool {
        true
    }
}

/// The timers of one processor in one task.
pub(in crate::dsl) struct TimerQueue<K> {
    key: SerdeRef<K>,
    store: StoreIndex,
    heads: [Head; 2],
}

/// The first timers of a kind, by their store keys.
#[derive(Default)]
struct Head {
    entries: VecDeque<Vec<u8>>,
    /// Whether there is none in the store beyond `entries`.
    complete: bool,
    /// Everything in the store below this was fired, so that a walk need not pass what was deleted.
    floor: Vec<u8>,
}

impl<K: Data> TimerQueue<K> {
    pub(in crate::dsl) fn set(
        &mut self,
        kind: TimerKind,
        time: Timestamp,
        key: &K,
        context: &mut impl StateContext,
    ) -> Result<(), ProcessError> {
        let entry = self.entry(kind, time, key, context)?;
        let value = ValueEnvelope::plain(context.timestamp(), &[]);
        context.store_ref(self.store)?.put(&entry, value);
        let head = &mut self.heads[kind as usize];
        if entry < head.floor {
            head.floor.clone_from(&entry);
        }
        let belongs = head.complete || head.entries.back().is_some_and(|last| entry < *last);
        if belongs && let Err(place) = head.entries.binary_search(&entry) {
            head.entries.insert(place, entry);
            if head.entries.len() > HEAD_LEN_MAX {
                head.entries.truncate(HEAD_LEN);
                head.complete = false;
            }
        }
        Ok(())
    }

    pub(in crate::dsl) fn cancel(
        &mut self,
        kind: TimerKind,
        time: Timestamp,
        key: &K,
        context: &mut impl StateContext,
    ) -> Result<(), ProcessError> {
        let entry = self.entry(kind, time, key, context)?;
        context.store_ref(self.store)?.delete(&entry);
        let head = &mut self.heads[kind as usize];
        if let Ok(place) = head.entries.binary_search(&entry) {
            head.entries.remove(place);
        }
        Ok(())
    }

    /// When the first timer of a kind is due, as far as it is known without reading: `Err` when it is not.
    pub(in crate::dsl) fn known_due(&self, kind: TimerKind) -> Result<Option<Timestamp>, NotLoaded> {
        let head = &self.heads[kind as usize];
        match head.entries.front() {
            Some(first) => Ok(time_of(first)),
            None if head.complete => Ok(None),
            None => Err(NotLoaded),
        }
    }

    /// When the first timer of a kind is due.
    pub(in crate::dsl) fn due(
        &mut self,
        kind: TimerKind,
        context: &mut impl StateContext,
    ) -> Result<Option<Timestamp>, ProcessError> {
        match self.known_due(kind) {
            Ok(due) => Ok(due),
            Err(NotLoaded) => {
                self.load(kind, context)?;
                Ok(self.heads[kind as usize]
                    .entries
                    .front()
                    .and_then(|entry| time_of(entry)))
            }
        }
    }

    /// Takes the first timer of a kind, which `due` has just found.
    pub(in crate::dsl) fn take(
        &mut self,
        kind: TimerKind,
        context: &mut impl StateContext,
    ) -> Result<Option<(Timestamp, K)>, ProcessError> {
        let head = &mut self.heads[kind as usize];
        let Some(entry) = head.entries.pop_front() else {
            return Ok(None);
        };
        context.store_ref(self.store)?.delete(&entry);
        let found = entry.get(1..).and_then(window_key::decode);
        let Some((time, key)) = found else { return Ok(None) };
        let key = self
            .key
            .deserialize(key)
            .map_err(|cause| super::access::failed(context, cause))?;
        head.floor = entry.clone();
        Ok(Some((time, key)))
    }

    /// The transaction was lost.
    pub(in crate::dsl) fn forget(&mut self) {
        self.heads = [Head::default(), Head::default()];
    }

    fn load(&mut self, kind: TimerKind, context: &mut impl StateContext) -> Result<(), ProcessError> {
        let head = &mut self.heads[kind as usize];
        let from = head.floor.clone().max(vec![kind as u8]);
        let mut store = context.store_ref(self.store)?;
        let mut scan = store.scan(&KeyRange::between(from, [kind as u8 + 1]))?;
        head.complete = true;
        while let Some((entry, _)) = scan.next_entry()? {
            if head.entries.len() == HEAD_LEN {
                head.complete = false;
                break;
            }
            head.entries.push_back(entry.to_vec());
        }
        Ok(())
    }

    fn entry(
        &self,
        kind: TimerKind,
        time: Timestamp,
        key: &K,
        context: &impl StateContext,
    ) -> Result<Vec<u8>, ProcessError> {
        let mut entry = vec![kind as u8];
        entry.extend_from_slice(&window_key::pane_prefix(time));
        append_key(key, &self.key, &mut entry, context)?;
        Ok(entry)
    }
}

/// The first timers were not read from the store yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dsl) struct NotLoaded;

fn time_of(entry: &[u8]) -> Option<Timestamp> {
    let (time, _) = window_key::decode(entry.get(1..)?)?;
    Some(time)
}
