//! What the crash test knows of a partition, and how it judges what it finds: whatever was acknowledged is there, whatever is there was sent, once, and
//! readers of committed data see what the markers say.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::compaction::marker_of;
use super::store_testing::consume;
use super::{Isolation, PartitionHandle};
use crate::record::BatchIter;
use crate::types::Offset;

/// What is wrong, if anything.
pub(super) type Outcome = Result<(), String>;

pub(super) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(what()) }
}

/// A producer of one partition: what it sent last and does not know the fate of.
#[derive(Clone, Debug, Default)]
pub(super) struct Producer {
    pub(super) next_sequence: i32,
    pub(super) unknown: Option<(Bytes, String)>,
    pub(super) unknown_marker: Option<bool>,
    pub(super) in_txn: bool,
}

/// What was sent to a partition, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// Offset → value, of everything acknowledged.
    pub(super) acked: BTreeMap<i64, String>,
    /// Values sent whose fate was never told.
    pub(super) unknown: BTreeSet<String>,
    pub(super) log_start: i64,
    pub(super) compacted: bool,
    pub(super) producers: [Producer; 2],
}

impl Model {
    pub(super) fn acknowledge(&mut self, offset: Offset, value: String) {
        self.unknown.remove(&value);
        self.acked.insert(offset.get(), value);
    }

    /// Acknowledged ⊆ there ⊆ acknowledged or sent, each once.
    pub(super) fn compare(&mut self, handle: &PartitionHandle) -> Outcome {
        let offsets = handle.offsets();
        ensure(offsets.log_start_offset.get() >= self.log_start, || {
            format!("deleted records are back: {offsets:?}, {}", self.log_start)
        })?;
        self.log_start = offsets.log_start_offset.get();
        let there =
            consume(handle, self.log_start, Isolation::ReadUncommitted, 500).map_err(|e| e.to_string())?;
        let by_offset: BTreeMap<i64, &String> = there
            .iter()
            .filter_map(|(o, _, v)| v.as_ref().map(|v| (*o, v)))
            .collect();
        if !self.compacted {
            for (offset, value) in self.acked.range(self.log_start..) {
                ensure(by_offset.get(offset) == Some(&value), || {
                    format!(
                        "acknowledged {value} at {offset} is lost, {:?} is there",
                        by_offset.get(offset)
                    )
                })?;
            }
        }
        let mut seen = BTreeSet::new();
        for (offset, value) in by_offset {
            ensure(seen.insert(value.clone()), || format!("{value} is there twice"))?;
            let known = self.acked.get(&offset) == Some(value) || self.unknown.contains(value);
            ensure(known, || format!("{value} at {offset} was never sent there"))?;
        }
        Ok(())
    }
}

/// What compaction leaves to readers of committed data.
pub(super) fn latest_by_key(handle: &PartitionHandle) -> Result<BTreeMap<String, String>, String> {
    let start = handle.offsets().log_start_offset.get();
    let seen = consume(handle, start, Isolation::ReadCommitted, 500).map_err(|e| e.to_string())?;
    Ok(seen
        .into_iter()
        .filter_map(|(_, key, value)| value.map(|v| (key, v)))
        .collect())
}

/// A read_committed consumer sees what the markers in the log say, up to the first undecided transaction, and no further.
pub(super) fn check_committed(handle: &PartitionHandle) -> Outcome {
    let offsets = handle.offsets();
    let start = offsets.log_start_offset.get();
    let mut batches = Vec::new();
    let mut next = offsets.log_start_offset;
    while next < offsets.high_watermark {
        let read = handle
            .read(next, 1000, Isolation::ReadUncommitted)
            .map_err(|e| e.to_string())?;
        for run in read.batches {
            for found in BatchIter::new(run) {
                let found = found.map_err(|e| e.to_string())?;
                next = found.next_offset();
                batches.push(found);
            }
        }
    }
    let mut expected = Vec::new();
    let mut undecided: BTreeMap<i64, Vec<(i64, bool)>> = BTreeMap::new();
    for found in &batches {
        let producer = found.producer_id().get();
        if found.is_control() {
            let commit = marker_of(found)
                .map_err(|e| e.to_string())?
                .is_some_and(|m| m.is_commit());
            let decided = undecided.remove(&producer).unwrap_or_default();
            if commit {
                expected.extend(decided.into_iter().filter(|(_, real)| *real).map(|(o, _)| o));
            }
        } else if found.is_transactional() {
            let data = undecided.entry(producer).or_default();
            data.push((found.base_offset().get(), found.record_count() > 0));
        } else if found.record_count() > 0 {
            expected.push(found.base_offset().get());
        }
    }
    let first_undecided = undecided
        .values()
        .filter_map(|d| d.first())
        .map(|(o, _)| *o)
        .min();
    let stable = first_undecided.unwrap_or(offsets.high_watermark.get()).max(start);
    // Records may have been deleted from under an open transaction; then the log start is as far as readers get.
    let stable = if start > 0 && offsets.last_stable_offset.get() == start {
        start
    } else {
        stable
    };
    ensure(offsets.last_stable_offset.get() == stable, || {
        format!("last stable offset of {offsets:?} should be {stable}")
    })?;
    expected.retain(|o| *o < stable && *o >= start);
    expected.sort_unstable();
    let seen: Vec<i64> = consume(handle, start, Isolation::ReadCommitted, 300)
        .map_err(|e| e.to_string())?
        .into_iter()
        .map(|(o, _, _)| o)
        .collect();
    ensure(seen == expected, || {
        format!(
            "committed readers see {seen:?}, the markers say {expected:?}; {:?}",
            batches
                .iter()
                .map(|b| (
                    b.base_offset().get(),
                    b.producer_id().get(),
                    b.is_transactional(),
                    b.is_control()
                        .then(|| marker_of(b).ok().flatten().map(|m| m.is_commit())),
                    b.record_count()
                ))
                .collect::<Vec<_>>()
        )
    })
}
