//! The in-memory layers of one store: a table per pane, and the range deletes that may span several.
//!
//! A window store has a table for each pane (the first eight bytes of its keys), a key-value store has one. So expiry
//! drops whole tables, a scan of one pane sorts only that pane, and whether the host can hold anything of a pane is
//! answered once per pane instead of once per key.
//!
//! `host_bounds` is what makes a new pane free of reads: the smallest and largest key the host can hold.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use millpond_log::types::Timestamp;

use super::hot_table::{EntryId, HotTable};
use super::index::NOTHING;
use super::key_range::{KeyRange, RangeSet};
use super::lookup::{Lookup, Ranges, View};
use super::window_key::{self, PANE_LEN};
use super::{StoreKind, StoreSpec};

/// Seed of all key hashes. Fixed, so that a simulation run twice takes the same steps; keys come from records that
/// passed a budgeted batch, so a flood of chosen collisions costs its sender's own task only.
const HASH_SEED: u64 = 0x6d69_6c6c_706f_6e64;

/// Place of an entry in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    table: u32,
    pub(super) id: EntryId,
}

#[derive(Debug)]
pub(super) struct StoreTable {
    is_windowed: bool,
    hasher: FixedState,
    panes: BTreeMap<u64, u32>,
    /// Slab; the numbers in `panes` point into it. Free places hold an empty table and are listed in `vacant`.
    tables: Vec<HotTable>,
    vacant: Vec<u32>,
    /// The pane asked for last.
    last: Option<(u64, u32)>,
    pub(super) ranges: Ranges,
    /// Smallest and largest key the host may hold; `None` when it holds none.
    host_bounds: Option<(Vec<u8>, Vec<u8>)>,
    pub(super) is_logged: bool,
}

impl StoreTable {
    pub(super) fn new(spec: &StoreSpec, host_bounds: Option<(Vec<u8>, Vec<u8>)>) -> Self {
        Self {
            is_windowed: matches!(spec.kind, StoreKind::Window { .. } | StoreKind::Spans { .. }),
            hasher: FixedState::with_seed(HASH_SEED),
            panes: BTreeMap::new(),
            tables: Vec::new(),
            vacant: Vec::new(),
            last: None,
            ranges: Ranges::default(),
            host_bounds,
            is_logged: spec.logged,
        }
    }

    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    pub(super) fn table(&self, place: Place) -> &HotTable {
        &self.tables[place.table as usize]
    }

    pub(super) fn table_mut(&mut self, place: Place) -> &mut HotTable {
        &mut self.tables[place.table as usize]
    }

    pub(super) fn find_or_add(&mut self, hash: u64, key: &[u8]) -> Place {
        let pane = self.pane(key);
        let table = match self.table_of(pane) {
            Some(table) => table,
            None => self.add_table(pane),
        };
        self.last = Some((pane, table));
        Place {
            table,
            id: self.tables[table as usize].find_or_add(hash, key),
        }
    }

    /// Finds or adds the entries of a run of keys. In three short loops, so that the cache misses of different keys
    /// overlap: which table and which candidate, is it the one, and only then whatever is left.
    pub(super) fn find_or_add_all<'k>(
        &mut self,
        keys: impl ExactSizeIterator<Item = &'k [u8]> + Clone,
        hashes: &mut Vec<u64>,
        places: &mut Vec<Place>,
    ) {
        hashes.clear();
        hashes.extend(keys.clone().map(|key| self.hash(key)));
        places.clear();
        for (key, hash) in keys.clone().zip(&*hashes) {
            let pane = self.pane(key);
            let table = match self.table_of(pane) {
                Some(table) => table,
                None => self.add_table(pane),
            };
            self.last = Some((pane, table));
            places.push(Place {
                table,
                id: self.tables[table as usize].candidate(*hash),
            });
        }
        for ((key, hash), place) in keys.clone().zip(&*hashes).zip(&mut *places) {
            let is_it = place.id != NOTHING && self.table(*place).is_entry_of(place.id, *hash, key);
            if !is_it {
                place.id = NOTHING;
            }
        }
        for ((key, hash), place) in keys.zip(&*hashes).zip(&mut *places) {
            if place.id == NOTHING {
                place.id = self.tables[place.table as usize].find_or_add(*hash, key);
            }
        }
    }

    /// What the layers say about the entry at `place`.
    pub(super) fn look_up(&self, place: Place, view: View) -> Lookup {
        self.table(place).look_up(place.id, view, &self.ranges)
    }

    /// What the layers say about `key`.
    pub(super) fn look_up_key(&self, hash: u64, key: &[u8], view: View) -> (Option<Place>, Lookup) {
        let pane = self.pane(key);
        let Some(table) = self.table_of(pane) else {
            let absent = self.host_lacks(key)
                || self.ranges.committed.contains(key)
                || view == View::Task
                    && (self.ranges.overlay.contains(key) || self.ranges.frozen.contains(key));
            return (None, if absent { Lookup::Absent } else { Lookup::AskHost });
        };
        let entries = &self.tables[table as usize];
        match entries.find(hash, key) {
            Some(id) => (Some(Place { table, id }), entries.look_up(id, view, &self.ranges)),
            None => (None, entries.look_up_missing(key, view, &self.ranges)),
        }
    }

    /// Notes a range delete of the open transaction.
    pub(super) fn delete_range(&mut self, range: &KeyRange) {
        for table in self.tables_in(range) {
            self.tables[table as usize].forget_overlay(range);
        }
        self.ranges.overlay.insert(range.clone());
    }

    pub(super) fn freeze(&mut self) {
        self.ranges.frozen = std::mem::take(&mut self.ranges.overlay);
        for table in &mut self.tables {
            table.freeze();
        }
    }

    pub(super) fn commit_frozen(&mut self) {
        for range in std::mem::take(&mut self.ranges.frozen).iter() {
            for (pane, table) in self.panes_in(range) {
                let table = &mut self.tables[table as usize];
                // The common case, expiry: a whole pane goes, without a look at any of its entries.
                if is_inside(&pane_range(self.is_windowed, pane), range) && !table.has_uncommitted_writes() {
                    *table = HotTable::new(true);
                } else {
                    table.forget_committed(range);
                }
            }
            self.ranges.committed.insert(range.clone());
        }
        for table in &mut self.tables {
            table.commit_frozen();
        }
        if !self.ranges.committed.is_empty() {
            self.drop_expired_panes();
        }
    }

    pub(super) fn abort_frozen(&mut self) {
        self.ranges.frozen.clear();
        self.tables.iter_mut().for_each(HotTable::abort_frozen);
    }

    pub(super) fn abort_overlay(&mut self) {
        self.ranges.overlay.clear();
        self.tables.iter_mut().for_each(HotTable::abort_overlay);
    }

    /// The last pane that the layers know or the host may have keys of.
    pub(super) fn last_pane(&self) -> Option<Timestamp> {
        let in_memory = self.panes.last_key_value().map(|(pane, _)| *pane);
        let in_host = self.host_bounds.as_ref().map(|(_, last)| self.pane(last));
        let last = in_memory.max(in_host)?;
        let (start, _) = window_key::decode(&last.to_be_bytes())?;
        Some(start)
    }

    /// Tables in key order.
    pub(super) fn tables(&self) -> impl Iterator<Item = &HotTable> {
        self.panes.values().map(|table| &self.tables[*table as usize])
    }

    /// Range deletes that the host needs to be told.
    pub(super) fn unapplied_ranges(&self) -> impl Iterator<Item = &KeyRange> {
        self.ranges.committed.iter().filter(|range| {
            self.host_bounds.as_ref().is_some_and(|(first, last)| {
                range.from.as_slice() <= last.as_slice() && !range.ends_before(first)
            })
        })
    }

    /// The host has everything now; `written` = smallest and largest key put into it.
    pub(super) fn mark_applied(&mut self, written: Option<(Vec<u8>, Vec<u8>)>) {
        self.tables.iter_mut().for_each(HotTable::mark_applied);
        let ranges: RangeSet = std::mem::take(&mut self.ranges.committed);
        if let Some((first, last)) = &mut self.host_bounds {
            for range in ranges.iter() {
                if !range.contains(first) {
                    continue;
                }
                match &range.to {
                    Some(to) if to <= last => first.clone_from(to),
                    _ => {
                        self.host_bounds = None;
                        break;
                    }
                }
            }
        }
        self.host_bounds = match (self.host_bounds.take(), written) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (known, written) => known.or(written),
        };
    }

    /// Forgets what the host can answer for.
    pub(super) fn evict(&mut self, keep_touched: bool) {
        for table in &mut self.tables {
            table.evict(keep_touched);
        }
        self.drop_empty_panes();
    }

    /// Rebuilds tables that consist of garbage for the most part.
    pub(super) fn collect_garbage(&mut self) {
        for table in &mut self.tables {
            if table.garbage_bytes() * 2 > table.size_bytes() {
                table.evict(true);
            }
        }
    }

    /// Whether the host surely has no such key.
    pub(super) fn host_lacks(&self, key: &[u8]) -> bool {
        match &self.host_bounds {
            Some((first, last)) => key < first.as_slice() || key > last.as_slice(),
            None => true,
        }
    }

    /// Whether the host surely has no key in `range`.
    pub(super) fn host_lacks_range(&self, range: &KeyRange) -> bool {
        match &self.host_bounds {
            Some((first, last)) => range.ends_before(first) || range.from.as_slice() > last.as_slice(),
            None => true,
        }
    }

    /// Entries inside `range` in key order.
    pub(super) fn sorted_places(&mut self, range: &KeyRange) -> Vec<Place> {
        let mut places = Vec::new();
        for table in self.tables_in(range) {
            let entries = &mut self.tables[table as usize];
            entries.sort();
            let entries = &self.tables[table as usize];
            let ids = entries.sorted_ids();
            let from = ids.partition_point(|id| entries.key(*id) < range.from.as_slice());
            let to = ids.partition_point(|id| !range.ends_before(entries.key(*id)));
            places.extend(ids[from..to.max(from)].iter().map(|id| Place { table, id: *id }));
        }
        places
    }

    fn pane(&self, key: &[u8]) -> u64 {
        if !self.is_windowed {
            return 0;
        }
        let mut pane = [0; PANE_LEN];
        let len = key.len().min(PANE_LEN);
        pane[..len].copy_from_slice(&key[..len]);
        u64::from_be_bytes(pane)
    }

    fn table_of(&self, pane: u64) -> Option<u32> {
        match self.last {
            Some((last, table)) if last == pane => Some(table),
            _ => self.panes.get(&pane).copied(),
        }
    }

    fn add_table(&mut self, pane: u64) -> u32 {
        let table = HotTable::new(self.host_lacks_pane(pane));
        let number = match self.vacant.pop() {
            Some(number) => {
                self.tables[number as usize] = table;
                number
            }
            None => {
                self.tables.push(table);
                self.tables.len() as u32 - 1
            }
        };
        self.panes.insert(pane, number);
        number
    }

    fn host_lacks_pane(&self, pane: u64) -> bool {
        let all = self.pane_range(pane);
        self.host_lacks_range(&all) || self.ranges.committed.iter().any(|range| is_inside(&all, range))
    }

    fn pane_range(&self, pane: u64) -> KeyRange {
        pane_range(self.is_windowed, pane)
    }

    /// Tables that may hold keys of `range`, in key order.
    fn tables_in(&self, range: &KeyRange) -> Vec<u32> {
        self.panes_in(range).into_iter().map(|(_, table)| table).collect()
    }

    /// The same with the panes they are for.
    fn panes_in(&self, range: &KeyRange) -> Vec<(u64, u32)> {
        let (from, to) = match self.is_windowed {
            false => (0, u64::MAX),
            true => (
                self.pane(&range.from),
                range.to.as_ref().map_or(u64::MAX, |to| self.pane(to)),
            ),
        };
        if from > to {
            return Vec::new();
        }
        let panes = self.panes.range(from..=to);
        panes.map(|(pane, table)| (*pane, *table)).collect()
    }

    /// Drops panes that a committed range delete emptied, with all the room they took.
    fn drop_expired_panes(&mut self) {
        let expired = |pane: &u64| {
            let all = self.pane_range(*pane);
            self.ranges.committed.iter().any(|range| is_inside(&all, range))
        };
        let expired: Vec<u32> = self
            .panes
            .iter()
            .filter(|(pane, _)| expired(pane))
            .map(|(_, table)| *table)
            .collect();
        for table in expired {
            self.tables[table as usize].forget_removed();
        }
        self.drop_empty_panes();
    }

    fn drop_empty_panes(&mut self) {
        let (tables, vacant) = (&mut self.tables, &mut self.vacant);
        self.panes.retain(|_, table| {
            let is_empty = tables[*table as usize].is_empty();
            if is_empty {
                tables[*table as usize] = HotTable::default();
                vacant.push(*table);
            }
            !is_empty
        });
        self.last = None;
    }
}

/// All keys of a pane.
fn pane_range(is_windowed: bool, pane: u64) -> KeyRange {
    if !is_windowed {
        return KeyRange::all();
    }
    KeyRange {
        from: pane.to_be_bytes().to_vec(),
        to: pane.checked_add(1).map(|next| next.to_be_bytes().to_vec()),
    }
}

fn is_inside(inner: &KeyRange, outer: &KeyRange) -> bool {
    outer.from <= inner.from
        && match (&inner.to, &outer.to) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(inner), Some(outer)) => inner <= outer,
        }
}
