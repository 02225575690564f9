//! Half-open ranges of keys, and sets of them.

/// Keys from `from` (included) to `to` (excluded; `None` = to the end), in byte order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// First key that belongs to the range.
    pub from: Vec<u8>,
    /// First key that does not; `None` when the range has no end.
    pub to: Option<Vec<u8>>,
}

impl KeyRange {
    /// Every key.
    pub const fn all() -> Self {
        Self {
            from: Vec::new(),
            to: None,
        }
    }

    /// Keys in `[from, to)`.
    pub fn between(from: impl Into<Vec<u8>>, to: impl Into<Vec<u8>>) -> Self {
        Self {
            from: from.into(),
            to: Some(to.into()),
        }
    }

    /// Keys that start with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        let keep = prefix.iter().rposition(|byte| *byte != u8::MAX);
        let to = keep.map(|last| {
            let mut to = prefix[..=last].to_vec();
            to[last] += 1;
            to
        });
        Self {
            from: prefix.to_vec(),
            to,
        }
    }

    /// Whether `key` lies in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.from.as_slice() <= key && !self.ends_before(key)
    }

    /// Whether every key of the range lies before `key`.
    pub(super) fn ends_before(&self, key: &[u8]) -> bool {
        self.to.as_deref().is_some_and(|to| to <= key)
    }

    /// Whether no key can lie in it.
    pub fn is_empty(&self) -> bool {
        self.ends_before(&self.from)
    }
}

/// Ranges in key order that neither overlap nor touch.
///
/// Expiry deletes `[∅, horizon)` with a growing horizon, so in practice there is at most one.
#[derive(Clone, Debug, Default)]
pub(super) struct RangeSet(Vec<KeyRange>);

impl RangeSet {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &KeyRange> {
        self.0.iter()
    }

    pub(super) fn contains(&self, key: &[u8]) -> bool {
        !self.0.is_empty() && self.0.iter().any(|range| range.contains(key))
    }

    pub(super) fn insert(&mut self, mut range: KeyRange) {
        if range.is_empty() {
            return;
        }
        self.0.retain(|known| {
            let apart = known.to.as_ref().is_some_and(|to| *to < range.from)
                || range.to.as_ref().is_some_and(|to| *to < known.from);
            if !apart {
                range.from = range.from.clone().min(known.from.clone());
                range.to = range.to.take().zip(known.to.clone()).map(|(a, b)| a.max(b));
            }
            apart
        });
        let place = self.0.partition_point(|known| known.from < range.from);
        self.0.insert(place, range);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
#[path = "key_range_test.rs"]
mod key_range_test;
