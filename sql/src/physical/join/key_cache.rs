//! Rows of join keys that were asked for lately, as the store has them.
//!
//! Always true: a key that is here has all its rows here, none when the store has none, in the order of their bytes and as the open transaction
//! sees them; so it answers instead of a scan. Bounded in bytes: half of them for keys used since the last turn, half for those of
//! the turn before; a key with many rows is not taken. Dropped on abort.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// What a key costs besides its bytes and those of its rows.
const KEY_OVERHEAD: usize = 64;
/// What a row costs besides its bytes: length, weight, matches.
const ROW_OVERHEAD: usize = 20;

/// A row as the store has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StoredRow<'a> {
    pub(super) row: &'a [u8],
    pub(super) weight: i64,
    pub(super) matches: i64,
}

/// The rows of one key behind each other.
#[derive(Default)]
pub(super) struct PackedRows(Vec<u8>);

impl PackedRows {
    /// Adds a row behind those that are there.
    pub(super) fn push(&mut self, row: StoredRow<'_>) {
        pack(row, &mut self.0);
    }

    /// How many bytes it has.
    pub(super) fn bytes(&self) -> usize {
        self.0.len()
    }

    /// The rows.
    pub(super) fn iter(&self) -> impl Iterator<Item = StoredRow<'_>> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (row, after) = unpack(rest)?;
            rest = after;
            Some(row)
        })
    }

    /// Puts, replaces or, without a weight, removes a row.
    fn set(&mut self, changed: StoredRow<'_>) {
        let mut start = 0;
        let mut end = 0;
        for stored in self.iter() {
            if stored.row >= changed.row {
                if stored.row == changed.row {
                    end = start + ROW_OVERHEAD + stored.row.len();
                }
                break;
            }
            start += ROW_OVERHEAD + stored.row.len();
        }
        let end = end.max(start);
        let mut bytes = Vec::new();
        if changed.weight != 0 {
            pack(changed, &mut bytes);
        }
        self.0.splice(start..end, bytes);
    }
}

fn pack(stored: StoredRow<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(&(stored.row.len() as u32).to_le_bytes());
    out.extend_from_slice(&stored.weight.to_le_bytes());
    out.extend_from_slice(&stored.matches.to_le_bytes());
    out.extend_from_slice(stored.row);
}

fn unpack(bytes: &[u8]) -> Option<(StoredRow<'_>, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (weight, rest) = rest.split_first_chunk::<8>()?;
    let (matches, rest) = rest.split_first_chunk::<8>()?;
    let (row, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    let stored = StoredRow {
        row,
        weight: i64::from_le_bytes(*weight),
        matches: i64::from_le_bytes(*matches),
    };
    Some((stored, rest))
}

type Keys = HashMap<Box<[u8]>, PackedRows, FixedState>;

/// Keys with all their rows.
pub(super) struct KeyCache {
    young: Keys,
    old: Keys,
    young_bytes: usize,
    bytes_max: usize,
    key_bytes_max: usize,
}

impl KeyCache {
    /// An empty cache of about `bytes_max` bytes, for keys whose rows have at most `key_bytes_max`.
    pub(super) fn new(bytes_max: usize, key_bytes_max: usize) -> KeyCache {
        let keys = || Keys::with_hasher(FixedState::with_seed(0x6d69_6c6c_706f_6e64));
        KeyCache {
            young: keys(),
            old: keys(),
            young_bytes: 0,
            bytes_max,
            key_bytes_max,
        }
    }

    /// All rows of a key, if they are here.
    pub(super) fn get(&mut self, key: &[u8]) -> Option<&PackedRows> {
        if !self.young.contains_key(key) {
            let (key, rows) = self.old.remove_entry(key)?;
            self.add(key, rows);
        }
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// How many bytes the rows of a key may have.
    pub(super) fn key_bytes_max(&self) -> usize {
        self.key_bytes_max
    }

    /// Takes all rows of a key.
    pub(super) fn insert(&mut self, key: &[u8], rows: PackedRows) {
        if rows.bytes() <= self.key_bytes_max {
            self.old.remove(key);
            self.add(key.into(), rows);
        }
    }

    /// Tells of a row that was written to the store, or removed if it has no weight. A key that was not asked for lately is forgotten instead: the rows
    /// of a fact's keys are looked for once, when their dimension comes, and then only written.
    pub(super) fn wrote(&mut self, key: &[u8], row: StoredRow<'_>) {
        let Some(rows) = self.young.get_mut(key) else {
            self.old.remove(key);
            return;
        };
        let before = rows.bytes();
        rows.set(row);
        let after = rows.bytes();
        self.young_bytes = (self.young_bytes + after).saturating_sub(before);
        if after > self.key_bytes_max {
            self.young.remove(key);
            self.young_bytes = self.young_bytes.saturating_sub(after + key.len() + KEY_OVERHEAD);
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
        self.young_bytes = 0;
    }

    fn add(&mut self, key: Box<[u8]>, rows: PackedRows) {
        self.young_bytes += key.len() + rows.bytes() + KEY_OVERHEAD;
        if let Some(before) = self.young.insert(key, rows) {
            self.young_bytes = self.young_bytes.saturating_sub(before.bytes() + KEY_OVERHEAD);
        }
        if self.young_bytes > self.bytes_max / 2 {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
            self.young_bytes = 0;
        }
    }
}

#[cfg(test)]
#[path = "key_cache_test.rs"]
mod key_cache_test;
