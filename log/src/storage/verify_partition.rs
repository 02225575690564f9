//! Looks at one partition of a stopped node: walks its log, and holds indexes, snapshots and checkpoints against it.
//!
//! Always: nothing is changed. Where compaction was, derived files may know more than the log still says, never less. See `verify.rs` for what is a
//! problem and what is a note.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::aborted_segments;
use super::batch_facts::facts_of;
use super::disk::Disk;
use super::dump::{SegmentBatches, segment_files};
use super::epoch_log::EpochLog;
use super::file_cache::FileCache;
use super::leftovers::snapshot_offsets;
use super::loader::indexes_fit;
use super::loader_unclean::first_scanned;
use super::offset_index::OffsetIndex;
use super::partition_metadata;
use super::producer_state::{ProducerState, TxnChange};
use super::snapshots;
use super::storage_error::StorageError;
use super::time_index::TimeIndex;
use super::txn_index::{AbortedTxnEntry, TxnIndex};
use super::verify::{Finding, PartitionReport};
use crate::types::{Offset, ProducerId, Timestamp, TopicPartition};

/// What the files of the data directory say of a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) recovery_point: Offset,
    pub(super) log_start: Offset,
    /// The next offset to compact.
    pub(super) cleaned_to: Offset,
    /// The next start replays part of the journal into this partition.
    pub(super) journalled: bool,
}

/// Checks a partition.
pub(super) fn check(
    disk: &Arc<dyn Disk>,
    id: &TopicPartition,
    path: PathBuf,
    known: &Known,
) -> Result<PartitionReport, StorageError> {
    let mut check = Check {
        disk: Arc::clone(disk),
        files: Arc::new(FileCache::new(Arc::clone(disk), 8)),
        known: *known,
        producers: ProducerState::default(),
        touched: BTreeMap::new(),
        with_data: BTreeSet::new(),
        with_txn_index: aborted_segments::read(&**disk, &path)?,
        report: PartitionReport {
            partition: id.clone(),
            segments: 0,
            batches: 0,
            records: 0,
            bytes: 0,
            log_start_offset: known.log_start,
            log_end_offset: Offset::ZERO,
            problems: Vec::new(),
            notes: Vec::new(),
        },
        path,
    };
    check.run()?;
    if known.journalled {
        // Until the journal is replayed the log itself is incomplete, and nothing derived from it can be judged.
        let undecided = std::mem::take(&mut check.report.problems);
        check.report.notes.extend(undecided);
    }
    Ok(check.report)
}

/// The check of one partition under way.
struct Check {
    disk: Arc<dyn Disk>,
    files: Arc<FileCache>,
    path: PathBuf,
    known: Known,
    producers: ProducerState,
    /// Producers met since the last snapshot, and their newest offset.
    touched: BTreeMap<ProducerId, Offset>,
    /// Producers with transactional data met since their last marker.
    with_data: BTreeSet<ProducerId>,
    /// Segments that are known to have a transaction index.
    with_txn_index: BTreeSet<Offset>,
    report: PartitionReport,
}

/// What a walk of one segment says its indexes should hold.
#[derive(Default)]
struct Derived {
    /// Last offset of each batch → position.
    positions: BTreeMap<Offset, u64>,
    /// Last offset of each batch → largest timestamp up to there.
    newest: BTreeMap<Offset, Timestamp>,
    aborted: Vec<AbortedTxnEntry>,
    torn: bool,
}

impl Check {
    fn problem(&mut self, file: impl Into<PathBuf>, what: impl Into<String>) {
        self.report.problems.push(Finding {
            file: file.into(),
            what: what.into(),
        });
    }

    fn note(&mut self, file: impl Into<PathBuf>, what: impl Into<String>) {
        self.report.notes.push(Finding {
            file: file.into(),
            what: what.into(),
        });
    }

    fn run(&mut self) -> Result<(), StorageError> {
        for entry in self.disk.list(&self.path)? {
            if [".tmp", ".cleaned", ".swap", ".deleted"]
                .iter()
                .any(|suffix| entry.name.ends_with(suffix))
            {
                self.note(self.path.join(&entry.name), "left by work that was cut off");
            }
        }
        match partition_metadata::read(&*self.disk, &self.path) {
            Ok(Some(_)) => {}
            Ok(None) => self.problem(
                self.path.join(partition_metadata::PARTITION_METADATA_FILE),
                "is missing",
            ),
            Err(error) => self.problem(
                self.path.join(partition_metadata::PARTITION_METADATA_FILE),
                error.to_string(),
            ),
        }
        let segments = segment_files(&*self.disk, &self.path)?;
        let mut snapshots = snapshot_offsets(&*self.disk, &self.path)?;
        let Some((first, _)) = segments.first() else {
            self.note(self.path.clone(), "holds no segment yet");
            return Ok(());
        };
        self.anchor(*first, &mut snapshots)?;
        let epochs = EpochLog::load(&*self.disk, &self.path)?;
        if epochs.is_none() {
            self.problem(self.path.join(super::epoch_log::EPOCH_FILE), "is malformed");
        }
        // What a start after a crash checks and rebuilds anyway.
        let bases: Vec<Offset> = segments.iter().map(|(base, _)| *base).collect();
        let scanned_from = first_scanned(&*self.disk, &self.path, &bases, self.known.recovery_point);
        let mut next = *first;
        for (i, (base, log)) in segments.iter().enumerate() {
            let rebuilt_at_start = i >= scanned_from;
            if *base < next {
                self.problem(
                    log.clone(),
                    format!("begins at {base}, below the end {next} of the segment before"),
                );
            }
            let derived = self.walk(*base, log, &mut next, &mut snapshots, epochs.as_ref())?;
            // A log that ends elsewhere than at its recovery point is checked, and its indexes rebuilt, by the next start.
            let rebuilt = rebuilt_at_start
                && (next != self.known.recovery_point
                    || self.is_unclean()
                    || self.start_rejects_indexes(*base, log, next));
            self.compare_indexes(*base, log, &derived, rebuilt_at_start, rebuilt);
            if derived.torn {
                break;
            }
        }
        self.pass_snapshots(Offset::MAX, next, &mut snapshots)?;
        self.report.segments = segments.len();
        self.report.log_end_offset = next;
        self.report.log_start_offset = self.report.log_start_offset.max(*first);
        if next < self.known.recovery_point {
            self.problem(
                self.path.clone(),
                format!(
                    "the log ends at {next}, below its recovery point {}",
                    self.known.recovery_point
                ),
            );
        }
        if self.report.log_start_offset > next {
            let what = format!(
                "the log starts at {}, above its end {next}",
                self.report.log_start_offset
            );
            self.problem(self.path.clone(), what);
        }
        Ok(())
    }

    /// Where the log no longer begins at zero, the first snapshot is the only witness of what came before.
    fn anchor(&mut self, first: Offset, snapshots: &mut Vec<Offset>) -> Result<(), StorageError> {
        // Older ones belong to segments that were deleted.
        snapshots.retain(|at| *at >= first);
        if first > Offset::ZERO
            && snapshots.first() == Some(&first)
            && let Some(state) = snapshots::load(&*self.disk, &self.path, first, 0)?
        {
            self.producers = state;
            snapshots.remove(0);
        }
        Ok(())
    }

    fn walk(
        &mut self,
        base: Offset,
        log: &Path,
        next: &mut Offset,
        snapshots: &mut Vec<Offset>,
        epochs: Option<&EpochLog>,
    ) -> Result<Derived, StorageError> {
        let mut derived = Derived::default();
        let mut newest = Timestamp::MIN;
        *next = (*next).max(base);
        for found in SegmentBatches::open(&*self.disk, log)? {
            let bad = match found {
                Err(error) => Some(error.to_string()),
                Ok(found) => {
                    let sound = found
                        .batch
                        .check_crc()
                        .and_then(|()| facts_of(&found.batch))
                        .and_then(|facts| {
                            let mut records = 0;
                            for record in found.batch.decode()?.iter() {
                                record?;
                                records += 1;
                            }
                            Ok((facts, records))
                        });
                    match sound {
                        Err(error) => Some(format!("at byte {}: {error}", found.position)),
                        Ok((facts, _)) if facts.base_offset < *next => Some(format!(
                            "at byte {}: offset {} where at least {next} belongs",
                            found.position, facts.base_offset
                        )),
                        Ok((facts, records)) => {
                            self.pass_snapshots(facts.base_offset, facts.base_offset, snapshots)?;
                            if epochs.is_some_and(|e| {
                                e.cache().epoch_at(facts.base_offset) != Some(facts.leader_epoch)
                            }) {
                                self.problem(
                                    log,
                                    format!(
                                        "offset {} has leader epoch {}, which the checkpoint does not know",
                                        facts.base_offset, facts.leader_epoch
                                    ),
                                );
                            }
                            // A snapshot may know of a transaction whose data compaction has removed: then there is nothing left to list.
                            let has_data = if facts.marker.is_some() {
                                self.with_data.remove(&facts.producer_id) || !self.was_compacted()
                            } else {
                                facts.is_transactional && self.with_data.insert(facts.producer_id)
                            };
                            if let TxnChange::Closed(closed) = self.producers.apply(&facts, 0)
                                && !closed.committed
                                && has_data
                            {
                                derived.aborted.push(AbortedTxnEntry {
                                    producer_id: closed.producer_id,
                                    first_offset: closed.first_offset,
                                    last_offset: closed.marker_offset,
                                    last_stable_offset: closed.last_stable_offset,
                                });
                            }
                            if facts.producer_id.is_some() {
                                self.touched.insert(facts.producer_id, facts.last_offset);
                            }
                            newest = newest.max(facts.max_timestamp);
                            derived.positions.insert(facts.last_offset, found.position);
                            derived.newest.insert(facts.last_offset, newest);
                            *next = facts.last_offset.next();
                            self.report.batches += 1;
                            self.report.records += records;
                            self.report.bytes += facts.size_bytes as u64;
                            None
                        }
                    }
                }
            };
            if let Some(bad) = bad {
                derived.torn = true;
                if *next < self.known.recovery_point {
                    self.problem(
                        log,
                        format!("{bad}, below the recovery point {}", self.known.recovery_point),
                    );
                } else {
                    self.note(log, format!("torn tail: {bad}"));
                }
                break;
            }
        }
        Ok(derived)
    }

    /// Compares the snapshots up to `to` (inclusive), which the fold has reached.
    fn pass_snapshots(
        &mut self,
        to: Offset,
        reached: Offset,
        snapshots: &mut Vec<Offset>,
    ) -> Result<(), StorageError> {
        while snapshots.first().is_some_and(|at| *at <= to) {
            let at = snapshots.remove(0);
            let file = snapshots::path_of(&self.path, at);
            if at > reached {
                self.note(file, format!("is of offset {at}, above the end of the log"));
                continue;
            }
            let Some(stored) = snapshots::load(&*self.disk, &self.path, at, 0)? else {
                self.note(file, "is damaged; the log replaces it");
                continue;
            };
            for difference in self.snapshot_differences(&stored) {
                self.problem(file.clone(), difference);
            }
            // Each snapshot is judged by the log since the one before it.
            self.producers = stored;
            self.touched.clear();
        }
        Ok(())
    }

    fn snapshot_differences(&self, stored: &ProducerState) -> Vec<String> {
        let mut differences = Vec::new();
        let folded = self.producers.as_snapshotted();
        let stored = stored.as_snapshotted();
        for (id, entry) in folded.entries() {
            match stored.entry(id) {
                // Compaction drops batches a later one of the producer replaced: the snapshot may know more, never less.
                Some(found) if self.was_compacted() => {
                    let behind = found.producer_epoch < entry.producer_epoch
                        || (found.producer_epoch == entry.producer_epoch
                            && found.last_batch().map(|b| b.last_offset)
                                < entry.last_batch().map(|b| b.last_offset));
                    if behind {
                        differences.push(format!(
                            "producer {id}: the log has {entry:?}, the snapshot {found:?}"
                        ));
                    }
                }
                Some(found) if found == entry => {}
                Some(found) => differences.push(format!(
                    "producer {id}: the log says {entry:?}, the snapshot {found:?}"
                )),
                // An idle producer may have expired.
                None if entry.open_txn.is_none() && !self.touched.contains_key(&id) => {}
                None => differences.push(format!("producer {id} is missing, the log says {entry:?}")),
            }
        }
        if !self.was_compacted() {
            let unknown = stored.entries().filter(|(id, _)| folded.entry(*id).is_none());
            differences.extend(unknown.map(|(id, _)| format!("producer {id} is not in the log")));
        }
        differences
    }

    fn compare_indexes(&mut self, base: Offset, log: &Path, derived: &Derived, scanned: bool, rebuilt: bool) {
        let path = |extension: &str| log.with_extension(extension);
        // Missing where one is known to belong, it is rebuilt at the next start.
        let txn_index_lost =
            self.with_txn_index.contains(&base) && matches!(self.disk.exists(&path("txnindex")), Ok(false));
        let mut findings: Vec<(PathBuf, String)> = Vec::new();
        match OffsetIndex::new(Arc::clone(&self.files), path("index"), base).entries() {
            Ok(entries) => {
                for e in entries
                    .iter()
                    .filter(|e| derived.positions.get(&e.offset) != Some(&u64::from(e.position)))
                {
                    findings.push((
                        path("index"),
                        format!(
                            "no batch ends at offset {} and begins at byte {}",
                            e.offset, e.position
                        ),
                    ));
                }
            }
            Err(error) => findings.push((path("index"), error.to_string())),
        }
        match TimeIndex::new(Arc::clone(&self.files), path("timeindex"), base).entries() {
            Ok(entries) => {
                for e in entries
                    .iter()
                    .filter(|e| derived.newest.get(&e.offset) != Some(&e.timestamp))
                {
                    findings.push((
                        path("timeindex"),
                        format!(
                            "the largest timestamp up to offset {} is not {}",
                            e.offset, e.timestamp
                        ),
                    ));
                }
            }
            Err(error) => findings.push((path("timeindex"), error.to_string())),
        }
        match TxnIndex::new(Arc::clone(&self.files), path("txnindex")).entries() {
            Ok(entries) if self.was_compacted() => {
                let covered = |a: &AbortedTxnEntry| {
                    entries.iter().any(|e| {
                        e.producer_id == a.producer_id
                            && e.last_offset == a.last_offset
                            && e.first_offset <= a.first_offset
                    })
                };
                for missing in derived.aborted.iter().filter(|a| !covered(a)) {
                    findings.push((path("txnindex"), format!("does not list {missing:?}")));
                }
            }
            Ok(entries) if entries == derived.aborted => {}
            Ok(entries) => findings.push((
                path("txnindex"),
                format!("lists {entries:?}, the log says {:?}", derived.aborted),
            )),
            Err(error) => findings.push((path("txnindex"), error.to_string())),
        }
        for (file, what) in findings {
            let missed = txn_index_lost && file.extension().is_some_and(|kind| kind == "txnindex");
            if rebuilt || missed || (scanned && what.contains("not a whole number")) {
                self.note(file, format!("{what}; the next start rebuilds it"));
            } else {
                self.problem(file, what);
            }
        }
    }

    /// True if the next start finds the indexes of the active segment wanting and rebuilds them.
    fn start_rejects_indexes(&self, base: Offset, log: &Path, end: Offset) -> bool {
        let path = |extension: &str| log.with_extension(extension);
        let offsets = OffsetIndex::new(Arc::clone(&self.files), path("index"), base);
        let times = TimeIndex::new(Arc::clone(&self.files), path("timeindex"), base);
        let aborted = TxnIndex::new(Arc::clone(&self.files), path("txnindex"));
        !indexes_fit(&offsets, &times, &aborted, base, end)
    }

    /// True if compaction was here: then the log no longer says everything its derived files once took from it.
    fn was_compacted(&self) -> bool {
        self.known.cleaned_to > Offset::ZERO
    }

    /// True if the next start checks the log: no snapshot stands at the recovery point.
    fn is_unclean(&self) -> bool {
        !matches!(
            snapshots::load(&*self.disk, &self.path, self.known.recovery_point, 0),
            Ok(Some(_))
        )
    }
}
