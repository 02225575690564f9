//! Queries from other threads: committed data, never what a transaction has in hand.
//!
//! A single read looks at the committed layer and then at the host. A [`StateSnapshot`] is consistent over all stores:
//! it copies what the host does not have yet (bounded by [`StateLimits::apply_bytes`](super::StateLimits)) and begins
//! a host snapshot under the same lock, so it is exactly the state at one committed position.

use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::host::{HostScan, HostSnapshot};
use super::key_range::{KeyRange, RangeSet};
use super::lookup::{Lookup, View};
use super::tables::Shared;
use super::{CommitPosition, KeyBatch, StateError, StoreIndex, StoreSize, StoreSpec, TaskId};

/// Reads one task's committed state. Cheap to clone; does not keep the task open.
#[derive(Clone, Debug)]
pub struct StateReader {
    task: TaskId,
    shared: Weak<Shared>,
}

impl StateReader {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            task: shared.task,
            shared: Arc::downgrade(shared),
        }
    }

    /// The task it reads.
    pub fn task(&self) -> TaskId {
        self.task
    }

    /// The place of the store called `name`.
    ///
    /// Errs when the task has none of that name, or is closed.
    pub fn index_of(&self, name: &str) -> Result<StoreIndex, StateError> {
        self.shared()?.index_of(name)
    }

    /// The task's stores.
    pub fn specs(&self) -> Result<Vec<StoreSpec>, StateError> {
        Ok(self.shared()?.specs.clone())
    }

    /// The committed value of `key`.
    ///
    /// Errs with [`StateError::Closed`] when the task is not open any more.
    pub fn get(&self, store: StoreIndex, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        let shared = self.shared()?;
        {
            let tables = shared.tables.read();
            let table = tables.store(store);
            let (place, lookup) = table.look_up_key(table.hash(key), key, View::Committed);
            match (lookup, place) {
                (Lookup::Absent, _) => return Ok(None),
                (Lookup::Value(slot), Some(place)) => {
                    return Ok(table
                        .table(place)
                        .value(place.id, slot)
                        .map(Bytes::copy_from_slice));
                }
                _ if table.host_lacks(key) => return Ok(None),
                _ => {}
            }
        }
        // Without the lock: what the host has here is committed, whichever batch comes in between.
        shared.host.get(store, key)
    }

    /// How large `store` is, for plans and metrics.
    ///
    /// Errs with [`StateError::Closed`] when the task is not open any more.
    pub fn size(&self, store: StoreIndex) -> Result<StoreSize, StateError> {
        let shared = self.shared()?;
        let unapplied: usize = {
            let tables = shared.tables.read();
            let tables = tables.store(store).tables();
            tables.map(|table| table.unapplied.len()).sum()
        };
        let size = shared.host.size(store)?;
        Ok(StoreSize {
            entries: size.entries + unapplied as u64,
            ..size
        })
    }

    /// The committed position of this moment.
    pub fn position(&self) -> Result<CommitPosition, StateError> {
        Ok(self.shared()?.tables.read().committed.position.clone())
    }

    /// Opens the task's state for a consistent look at it.
    pub fn pin(&self) -> Result<PinnedState, StateError> {
        Ok(PinnedState {
            shared: self.shared()?,
        })
    }

    fn shared(&self) -> Result<Arc<Shared>, StateError> {
        self.shared.upgrade().ok_or_else(|| StateError::Closed {
            task: self.task.to_string(),
        })
    }
}

/// A task's state, kept open; take [`snapshot`](Self::snapshot)s of it.
#[derive(Clone, Debug)]
pub struct PinnedState {
    shared: Arc<Shared>,
}

impl PinnedState {
    /// The place of the store called `name`.
    ///
    /// Errs when there is none of that name.
    pub fn index_of(&self, name: &str) -> Result<StoreIndex, StateError> {
        self.shared.index_of(name)
    }

    /// Shows `look` the number and the committed value of every key that has one; in one read, in no order.
    pub fn find_many(
        &self,
        store: StoreIndex,
        keys: &KeyBatch,
        mut look: impl FnMut(usize, &[u8]),
    ) -> Result<(), StateError> {
        let mut missing: Vec<usize> = Vec::new();
        {
            let tables = self.shared.tables.read();
            let table = tables.store(store);
            for (number, key) in keys.iter().enumerate() {
                match table.look_up_key(table.hash(key), key, View::Committed) {
                    (Some(place), Lookup::Value(slot)) => {
                        if let Some(value) = table.table(place).value(place.id, slot) {
                            look(number, value);
                        }
                    }
                    (_, Lookup::AskHost) if !table.host_lacks(key) => missing.push(number),
                    _ => {}
                }
            }
        }
        // Without the lock: what the host has here is committed, whichever batch comes in between.
        missing.sort_unstable_by(|a, b| keys.get(*a).cmp(keys.get(*b)));
        let wanted: Vec<&[u8]> = missing.iter().map(|number| keys.get(*number)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        self.shared
            .host
            .multi_get_sorted(store, &wanted, &mut |place, value| {
                if let Some(value) = value {
                    look(missing[place], value);
                }
            })
    }

    /// The committed state of all stores as of now.
    pub fn snapshot(&self) -> Result<StateSnapshot<'_>, StateError> {
        let tables = self.shared.tables.read();
        let mut stores = Vec::with_capacity(tables.stores.len());
        for store in &tables.stores {
            let mut bytes = Vec::new();
            let mut pieces = Vec::new();
            // In key order: panes are, and so are the changes of each.
            for (key, value) in store.tables().flat_map(|table| table.unapplied_changes()) {
                let from = bytes.len();
                bytes.extend_from_slice(key);
                let key_end = bytes.len();
                bytes.extend_from_slice(value.unwrap_or_default());
                pieces.push((from, key_end, value.map(|_| bytes.len())));
            }
            let bytes = Bytes::from(bytes);
            let piece = |(from, key_end, value_end): (usize, usize, Option<usize>)| {
                (
                    bytes.slice(from..key_end),
                    value_end.map(|end| bytes.slice(key_end..end)),
                )
            };
            let changes = pieces.into_iter().map(piece).collect();
            stores.push(StoreChanges {
                changes,
                ranges: store.ranges.committed.clone(),
            });
        }
        let host = self.shared.host.snapshot()?;
        Ok(StateSnapshot {
            stores,
            host,
            position: tables.committed.position.clone(),
        })
    }
}

/// What one store's committed layer has and the host snapshot does not.
struct StoreChanges {
    /// In key order.
    changes: Vec<(Bytes, Option<Bytes>)>,
    ranges: RangeSet,
}

/// All stores of a task at one committed position.
pub struct StateSnapshot<'a> {
    stores: Vec<StoreChanges>,
    host: Box<dyn HostSnapshot + 'a>,
    position: CommitPosition,
}

impl StateSnapshot<'_> {
    /// What it reflects.
    pub fn position(&self) -> &CommitPosition {
        &self.position
    }

    /// The value of `key`.
    pub fn get(&self, store: StoreIndex, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        let layer = &self.stores[store.as_usize()];
        match layer
            .changes
            .binary_search_by(|(known, _)| known.as_ref().cmp(key))
        {
            Ok(place) => Ok(layer.changes[place].1.clone()),
            Err(_) if layer.ranges.contains(key) => Ok(None),
            Err(_) => self.host.get(store, key),
        }
    }

    /// Walks `range` in key order.
    pub fn scan(&self, store: StoreIndex, range: &KeyRange) -> Result<SnapshotScan<'_>, StateError> {
        let layer = &self.stores[store.as_usize()];
        let from = layer
            .changes
            .partition_point(|(key, _)| key.as_ref() < range.from.as_slice());
        let to = layer.changes.partition_point(|(key, _)| !range.ends_before(key));
        Ok(SnapshotScan {
            changes: &layer.changes[from..to.max(from)],
            ranges: &layer.ranges,
            host: self.host.scan(store, range)?,
        })
    }
}

impl std::fmt::Debug for StateSnapshot<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("StateSnapshot")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// A walk over a snapshot, in key order.
pub struct SnapshotScan<'a> {
    changes: &'a [(Bytes, Option<Bytes>)],
    ranges: &'a RangeSet,
    host: Box<dyn HostScan + 'a>,
}

impl SnapshotScan<'_> {
    fn find_next(&mut self) -> Result<Option<(Bytes, Bytes)>, StateError> {
        loop {
            let on_host = self.host.entry();
            let Some(((key, value), rest)) = self.changes.split_first() else {
                let Some(entry) = on_host else { return Ok(None) };
                let shown = (!self.ranges.contains(entry.0)).then(|| owned(entry));
                self.host.advance()?;
                match shown {
                    Some(entry) => return Ok(Some(entry)),
                    None => continue,
                }
            };
            match on_host.map(|entry| (entry, entry.0.cmp(key.as_ref()))) {
                Some((entry, std::cmp::Ordering::Less)) => {
                    let shown = (!self.ranges.contains(entry.0)).then(|| owned(entry));
                    self.host.advance()?;
                    if let Some(entry) = shown {
                        return Ok(Some(entry));
                    }
                }
                other => {
                    self.changes = rest;
                    if other.is_some_and(|(_, order)| order.is_eq()) {
                        self.host.advance()?;
                    }
                    if let Some(value) = value {
                        return Ok(Some((key.clone(), value.clone())));
                    }
                }
            }
        }
    }
}

impl Iterator for SnapshotScan<'_> {
    type Item = Result<(Bytes, Bytes), StateError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.find_next().transpose()
    }
}

impl std::fmt::Debug for SnapshotScan<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("SnapshotScan")
            .field("changes_left", &self.changes.len())
            .finish_non_exhaustive()
    }
}

fn owned((key, value): (&[u8], &[u8])) -> (Bytes, Bytes) {
    (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value))
}
