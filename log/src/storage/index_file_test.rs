//! Behaviour shared by the indexes: Kafka's bytes, search across pages and tail, truncation, damage.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::disk::OpenMode;
use super::disk_sim::{CrashMode, SimDisk};
use super::file_cache::FileCache;
use super::index_file::IndexError;
use super::offset_index::{OffsetIndex, OffsetPosition};
use super::time_index::{TimeIndex, TimestampOffset};
use super::txn_index::{AbortedTxnEntry, TxnIndex};
use crate::types::{Offset, ProducerId};

fn files() -> Arc<FileCache> {
    Arc::new(FileCache::new(SimDisk::new(1).shared(), 4))
}

fn bytes(files: &FileCache, path: &str) -> Vec<u8> {
    files
        .get(Path::new(path))
        .unwrap()
        .read_bytes_at(0, 1 << 20)
        .unwrap()
        .to_vec()
}

fn put(files: &FileCache, path: &str, content: &[u8]) {
    files
        .disk()
        .open(Path::new(path), OpenMode::Truncate)
        .unwrap()
        .write_at(content, 0)
        .unwrap();
}

fn at(offset: i64, position: u32) -> OffsetPosition {
    OffsetPosition {
        offset: Offset::new(offset),
        position,
    }
}

fn aborted(producer_id: i64, first: i64, last: i64, stable: i64) -> AbortedTxnEntry {
    AbortedTxnEntry {
        producer_id: ProducerId::new(producer_id),
        first_offset: Offset::new(first),
        last_offset: Offset::new(last),
        last_stable_offset: Offset::new(stable),
    }
}

#[test]
fn the_bytes_are_kafkas() {
    let files = files();
    let offsets = OffsetIndex::new(files.clone(), "/100.index", Offset::new(100));
    offsets.append(Offset::new(105), 4096).unwrap();
    offsets.sync().unwrap();
    assert_eq!(bytes(&files, "/100.index"), [0, 0, 0, 5, 0, 0, 0x10, 0]);

    let times = TimeIndex::new(files.clone(), "/100.timeindex", Offset::new(100));
    assert!(times.maybe_append(0x0102, Offset::new(107)).unwrap());
    times.sync().unwrap();
    assert_eq!(
        bytes(&files, "/100.timeindex"),
        [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 7]
    );

    let transactions = TxnIndex::new(files.clone(), "/100.txnindex");
    transactions.append(aborted(9, 101, 104, 102)).unwrap();
    transactions.sync().unwrap();
    let number = |n: u8| [0, 0, 0, 0, 0, 0, 0, n];
    assert_eq!(
        bytes(&files, "/100.txnindex"),
        [&[0, 0][..], &number(9), &number(101), &number(104), &number(102)].concat()
    );
}

#[test]
fn entries_that_do_not_ascend_or_fit_are_refused() {
    let files = files();
    let offsets = OffsetIndex::new(files.clone(), "/i", Offset::new(100));
    for (offset, position) in [(99, 1), (100 + (1 << 31), 1), (101, 1 << 31)] {
        assert!(matches!(
            offsets.append(Offset::new(offset), position),
            Err(IndexError::Refused { .. })
        ));
    }
    offsets.append(Offset::new(110), 50).unwrap();
    for (offset, position) in [(110, 60), (109, 60), (111, 50)] {
        assert!(
            offsets.append(Offset::new(offset), position).is_err(),
            "{offset} {position}"
        );
    }
    assert_eq!(offsets.entries().unwrap(), [at(110, 50)]);

    let times = TimeIndex::new(files.clone(), "/t", Offset::new(100));
    assert!(times.maybe_append(50, Offset::new(110)).unwrap());
    assert!(
        !times.maybe_append(50, Offset::new(111)).unwrap(),
        "no newer timestamp, nothing to add"
    );
    assert!(times.maybe_append(51, Offset::new(109)).is_err());
    assert!(times.maybe_append(51, Offset::new(99)).is_err());

    let transactions = TxnIndex::new(files, "/x");
    transactions.append(aborted(1, 5, 9, 5)).unwrap();
    assert!(transactions.append(aborted(2, 5, 9, 9)).is_err());
    assert!(transactions.append(aborted(2, 12, 11, 9)).is_err());
}

#[test]
fn an_empty_index_sends_the_reader_to_the_start_of_the_segment() {
    let files = files();
    let offsets = OffsetIndex::new(files.clone(), "/i", Offset::new(100));
    assert_eq!(offsets.lookup(Offset::new(500)).unwrap(), at(100, 0));
    assert_eq!(
        TimeIndex::new(files.clone(), "/t", Offset::ZERO)
            .lookup(5)
            .unwrap(),
        None
    );
    let transactions = TxnIndex::new(files.clone(), "/x");
    assert_eq!(
        transactions.collect(Offset::ZERO, Offset::MAX).unwrap().entries,
        []
    );
    transactions.sync().unwrap();
    assert!(
        !files.disk().exists(Path::new("/x")).unwrap(),
        "no file without aborted transactions"
    );
    offsets.sync().unwrap();
    assert!(files.disk().exists(Path::new("/i")).unwrap());
}

#[test]
fn damaged_files_are_reported_and_can_be_reset() {
    let files = files();
    for content in [&[0; 7][..], &[0; 9], &[0xff; 8], &[0; 16]] {
        put(&files, "/i", content);
        let offsets = OffsetIndex::new(files.clone(), "/i", Offset::new(100));
        assert!(
            matches!(offsets.entries(), Err(IndexError::Corrupt { .. })),
            "{content:?}"
        );
        offsets.reset().unwrap();
        offsets.append(Offset::new(101), 7).unwrap();
        offsets.flush().unwrap();
        offsets.unload();
        assert_eq!(offsets.entries().unwrap(), [at(101, 7)]);
    }
    let mut entry = [0; 34];
    entry[1] = 1;
    put(&files, "/x", &entry);
    let transactions = TxnIndex::new(files, "/x");
    assert!(matches!(
        transactions.collect(Offset::ZERO, Offset::MAX),
        Err(IndexError::Corrupt { .. })
    ));
}

#[test]
fn an_emptied_transaction_index_stays_empty_after_a_power_cut() {
    let disk = SimDisk::new(3);
    let index = || TxnIndex::new(Arc::new(FileCache::new(disk.shared(), 4)), "/x");
    let before = index();
    before.append(aborted(1, 10, 20, 21)).unwrap();
    before.sync().unwrap();
    disk.shared().sync_dir(Path::new("/")).unwrap();
    before.reset().unwrap();
    before.sync().unwrap();
    disk.crash(CrashMode::LoseUnsynced);
    assert_eq!(index().entries().unwrap(), []);
}

#[test]
fn aborted_transactions_are_found_wherever_they_overlap_the_range() {
    let transactions = TxnIndex::new(files(), "/x");
    // Producer 1 aborted at 9; producer 2, open since 3, only at 20.
    let (short, long, later) = (aborted(1, 5, 9, 3), aborted(2, 3, 20, 21), aborted(3, 22, 30, 31));
    for entry in [short, long, later] {
        transactions.append(entry).unwrap();
    }
    let collect = |from, upper| {
        let range = transactions
            .collect(Offset::new(from), Offset::new(upper))
            .unwrap();
        (range.entries, range.complete)
    };
    assert_eq!(collect(0, 10), (vec![short, long], true));
    assert_eq!(collect(10, 20), (vec![long], true));
    assert_eq!(collect(0, 3), (vec![], true));
    assert_eq!(collect(21, 31), (vec![later], true));
    assert_eq!(
        collect(21, 40),
        (vec![later], false),
        "the next segment may know more"
    );
    transactions.truncate_to(Offset::new(20)).unwrap();
    assert_eq!(transactions.entries().unwrap(), [short]);
}

proptest! {
    #[test]
    fn lookups_agree_with_a_plain_list_across_pages_tail_and_truncation(
        steps in proptest::collection::vec((1..5i64, 1..9u32), 0..1500),
        flush_at in 0..1500usize,
        targets in proptest::collection::vec(0..8000i64, 20),
        cut in 0..4000i64,
    ) {
        let files = files();
        let offsets = OffsetIndex::new(files.clone(), "/i", Offset::new(10));
        let times = TimeIndex::new(files, "/t", Offset::new(10));
        let (mut list, mut offset, mut position) = (Vec::new(), 10, 0);
        for (number, (offset_step, position_step)) in steps.into_iter().enumerate() {
            (offset, position) = (offset + offset_step, position + position_step);
            offsets.append(Offset::new(offset), position).unwrap();
            prop_assert!(times.maybe_append(offset * 2, Offset::new(offset)).unwrap());
            list.push(at(offset, position));
            if number == flush_at {
                offsets.flush().unwrap();
                times.sync().unwrap();
                times.unload();
            }
        }
        for round in 0..2 {
            prop_assert_eq!(offsets.entries().unwrap(), list.clone());
            prop_assert_eq!(offsets.last().unwrap(), list.last().copied());
            for &target in &targets {
                let expected = list.iter().rev().find(|entry| entry.offset.get() <= target);
                prop_assert_eq!(offsets.lookup(Offset::new(target)).unwrap(), expected.copied().unwrap_or(at(10, 0)));
                let expected = expected.map(|entry| TimestampOffset { timestamp: entry.offset.get() * 2, offset: entry.offset });
                prop_assert_eq!(times.lookup(target * 2 + 1).unwrap(), expected);
            }
            if round == 0 {
                list.retain(|entry| entry.offset.get() < cut);
                offsets.truncate_to(Offset::new(cut)).unwrap();
                times.truncate_to(Offset::new(cut)).unwrap();
                prop_assert_eq!(times.len().unwrap(), list.len() as u64);
            }
        }
        offsets.append(Offset::new(100_000), 1_000_000).unwrap();
        list.push(at(100_000, 1_000_000));
        offsets.flush().unwrap();
        offsets.unload();
        prop_assert_eq!(offsets.entries().unwrap(), list);
    }

    #[test]
    fn arbitrary_bytes_as_an_index_never_panic(content: Vec<u8>, target: i64) {
        let files = files();
        put(&files, "/i", &content);
        let target = Offset::new(target);
        let offsets = OffsetIndex::new(files.clone(), "/i", Offset::ZERO);
        offsets.lookup(target).ok();
        offsets.entries().ok();
        offsets.append(target, 7).ok();
        let times = TimeIndex::new(files.clone(), "/i", Offset::ZERO);
        times.lookup(target.get()).ok();
        times.entries().ok();
        times.maybe_append(target.get(), target).ok();
        let transactions = TxnIndex::new(files, "/i");
        transactions.collect(target, Offset::MAX).ok();
        transactions.entries().ok();
        transactions.truncate_to(target).ok();
    }
}
