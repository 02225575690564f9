//! A whole store on a simulated disk: what is acknowledged survives, what is damaged is named.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::disk::OpenMode;
use super::disk_fs::FsDisk;
use super::disk_sim::{CrashMode, SimDisk};
use super::store_testing::*;
use super::verify::verify;
use super::{Durability, Isolation, LogStore, StorageConfig, StorageError, TopicConfig};
use crate::faults::Faults;
use crate::types::Offset;

fn value(i: usize) -> String {
    format!("value-{i:04}")
}

async fn append_n(handle: &super::PartitionHandle, from: usize, n: usize) {
    for i in from..from + n {
        let ack = append(handle, batch(None, false, &[("k", Some(&value(i)))]))
            .await
            .expect("acknowledged");
        assert_eq!(ack.base_offset, Offset::new(i as i64));
    }
}

fn expect(n: usize) -> Vec<Seen> {
    (0..n)
        .map(|i| (i as i64, "k".to_owned(), Some(value(i))))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn acknowledged_records_are_read_back_and_survive_losing_everything_unsynced() {
    let disk = SimDisk::new(1);
    let store = open(&disk).await;
    let config = TopicConfig {
        segment_bytes: 600,
        ..TopicConfig::default()
    };
    let handle = create(&store, 0, config).await;
    append_n(&handle, 0, 40).await;
    assert_eq!(
        consume(&handle, 0, Isolation::ReadUncommitted, 300).expect("read"),
        expect(40)
    );
    drop(store);
    disk.crash(CrashMode::LoseUnsynced);
    let store = open(&disk).await;
    let handle = store.partition(&partition(0)).expect("recovered");
    assert_eq!(
        consume(&handle, 0, Isolation::ReadUncommitted, 300).expect("read"),
        expect(40)
    );
    append_n(&handle, 40, 10).await;
    store.shutdown().await.expect("clean");
    let store = open(&disk).await;
    let handle = store.partition(&partition(0)).expect("reopened");
    assert_eq!(
        consume(&handle, 7, Isolation::ReadUncommitted, 1 << 20).expect("read"),
        expect(50)[7..]
    );
    assert_eq!(handle.offsets().log_end_offset, Offset::new(50));
}

#[tokio::test(start_paused = true)]
async fn many_partitions_share_one_journal_and_lose_nothing() {
    let disk = SimDisk::new(2);
    let mut options = options(&disk, Faults::none());
    options.config.open_files_max = 200;
    let store = LogStore::open(options).await.expect("opens");
    let mut handles = Vec::new();
    for p in 0..40 {
        handles.push(create(&store, p, TopicConfig::default()).await);
    }
    let syncs_before = disk.stats().syncs;
    for i in 0..10 {
        let appends = handles.iter().map(|h| {
            let v = value(i);
            async move { append(h, batch(None, false, &[("k", Some(&v))])).await }
        });
        for result in futures::future::join_all(appends).await {
            assert_eq!(result.expect("acknowledged").base_offset, Offset::new(i as i64));
        }
    }
    let syncs = disk.stats().syncs - syncs_before;
    assert!(
        syncs < 200,
        "{syncs} syncs for 400 appends: the journal was not used"
    );
    drop(store);
    disk.crash(CrashMode::LoseUnsynced);
    let store = open(&disk).await;
    for p in 0..40 {
        let handle = store.partition(&partition(p)).expect("recovered");
        assert_eq!(
            consume(&handle, 0, Isolation::ReadUncommitted, 1 << 20).expect("read"),
            expect(10),
            "partition {p}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn page_cache_topics_survive_a_killed_process_but_not_a_power_cut() {
    for (mode, survivors) in [(CrashMode::KeepAll, 5), (CrashMode::LoseUnsynced, 0)] {
        let disk = SimDisk::new(3);
        let store = open(&disk).await;
        let handle = create(
            &store,
            0,
            TopicConfig {
                durability: Durability::PageCache,
                ..TopicConfig::default()
            },
        )
        .await;
        append_n(&handle, 0, 5).await;
        drop(store);
        disk.crash(mode);
        let store = open(&disk).await;
        let handle = store.partition(&partition(0)).expect("recovered");
        assert_eq!(
            consume(&handle, 0, Isolation::ReadUncommitted, 1 << 20)
                .expect("read")
                .len(),
            survivors,
            "{mode:?}"
        );
    }
}

/// Seen on ext4: its journal made the names of rolled segments durable, and nobody their bytes. Offsets without records made consumers wait for ever.
#[tokio::test(start_paused = true)]
async fn a_page_cache_topic_whose_segment_names_outlive_their_bytes_has_no_hole() {
    let disk = SimDisk::new(31);
    let store = open(&disk).await;
    let config = TopicConfig {
        durability: Durability::PageCache,
        segment_bytes: 200,
        ..TopicConfig::default()
    };
    let handle = create(&store, 0, config).await;
    append_n(&handle, 0, 9).await;
    let disk_now = disk.shared();
    disk_now.sync_dir("/data/orders-0".as_ref()).expect("synced");
    drop(store);
    disk.crash(CrashMode::LoseUnsynced);
    let store = open(&disk).await;
    let handle = store.partition(&partition(0)).expect("recovered");
    let seen = consume(&handle, 0, Isolation::ReadUncommitted, 1 << 20).expect("read");
    assert!(
        seen.len() < 9,
        "nothing was lost: the test does not see what it is about"
    );
    assert_eq!(seen, expect(seen.len()));
    assert_eq!(handle.offsets().log_end_offset, Offset::new(seen.len() as i64));
    append_n(&handle, seen.len(), 3).await;
    let seen = consume(&handle, 0, Isolation::ReadUncommitted, 1 << 20).expect("read");
    assert_eq!(seen, expect(seen.len()));
}

/// Seen on ext4: a page-cache topic lost what was appended since the last clean stop, and of its index everything but the length.
#[tokio::test(start_paused = true)]
async fn an_index_that_grew_by_zeros_is_rebuilt_and_no_problem() {
    let disk = SimDisk::new(32);
    let store = open(&disk).await;
    let config = TopicConfig {
        index_interval_bytes: 1,
        ..TopicConfig::default()
    };
    let handle = create(&store, 0, config.clone()).await;
    append_n(&handle, 0, 9).await;
    drop(handle);
    store.shutdown().await.expect("clean stop");
    for (extension, entry_bytes) in [("index", 8), ("timeindex", 12)] {
        let path = format!("/data/orders-0/00000000000000000000.{extension}");
        let file = disk.shared().open(path.as_ref(), OpenMode::Write).expect("there");
        let length = file.len().expect("length");
        assert!(
            length > 0,
            "{extension} is empty: nothing for the zeros to follow"
        );
        file.write_at(&vec![0; entry_bytes], length).expect("written");
        file.sync_all().expect("synced");
    }
    for is_mended in [false, true] {
        let report = verify(&disk.shared(), "/data".as_ref()).expect("readable");
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(report.all_notes().count() == 0, is_mended, "{report:?}");
        let store = open(&disk).await;
        let handle = store.partition(&partition(0)).expect("recovered");
        let seen = consume(&handle, 0, Isolation::ReadUncommitted, 1 << 20).expect("read");
        assert_eq!(seen, expect(9));
        drop(handle);
        store.shutdown().await.expect("clean stop");
    }
}

#[tokio::test(start_paused = true)]
async fn readers_of_committed_data_skip_aborted_and_stop_at_open_transactions() {
    let disk = SimDisk::new(4);
    let store = open(&disk).await;
    let handle = create(&store, 0, TopicConfig::default()).await;
    append(&handle, batch(Some((1, 0, 0)), true, &[("a", Some("aborted"))]))
        .await
        .expect("ack");
    append(&handle, batch(Some((2, 0, 0)), true, &[("b", Some("committed"))]))
        .await
        .expect("ack");
    append(&handle, batch(None, false, &[("c", Some("plain"))]))
        .await
        .expect("ack");
    assert!(
        consume(&handle, 0, Isolation::ReadCommitted, 1 << 20)
            .expect("read")
            .is_empty()
    );
    marker(&handle, 2, 0, true).await.expect("ack");
    marker(&handle, 1, 0, false).await.expect("ack");
    append(&handle, batch(Some((2, 0, 1)), true, &[("d", Some("open"))]))
        .await
        .expect("ack");
    let committed = [
        (1, "b".to_owned(), Some("committed".to_owned())),
        (2, "c".to_owned(), Some("plain".to_owned())),
    ];
    assert_eq!(
        consume(&handle, 0, Isolation::ReadCommitted, 1 << 20).expect("read"),
        committed
    );
    assert_eq!(handle.offsets().last_stable_offset, Offset::new(5));
    drop(store);
    disk.crash(CrashMode::LoseUnsynced);
    let store = open(&disk).await;
    let handle = store.partition(&partition(0)).expect("recovered");
    assert_eq!(
        consume(&handle, 0, Isolation::ReadCommitted, 1 << 20).expect("read"),
        committed
    );
    assert_eq!(handle.offsets().last_stable_offset, Offset::new(5));
    marker(&handle, 2, 0, true).await.expect("ack");
    assert_eq!(
        consume(&handle, 0, Isolation::ReadCommitted, 1 << 20)
            .expect("read")
            .len(),
        3
    );
}

#[tokio::test(start_paused = true)]
async fn duplicates_are_answered_with_their_first_offset_across_a_restart() {
    let disk = SimDisk::new(5);
    let store = open(&disk).await;
    let handle = create(&store, 0, TopicConfig::default()).await;
    for i in 0..3 {
        append(&handle, batch(Some((9, 0, i)), false, &[("k", Some("v"))]))
            .await
            .expect("ack");
    }
    let again = append(&handle, batch(Some((9, 0, 1)), false, &[("k", Some("v"))]))
        .await
        .expect("ack");
    assert_eq!((again.base_offset, again.duplicate), (Offset::new(1), true));
    drop(store);
    disk.crash(CrashMode::LoseUnsynced);
    let store = open(&disk).await;
    let handle = store.partition(&partition(0)).expect("recovered");
    let again = append(&handle, batch(Some((9, 0, 1)), false, &[("k", Some("v"))]))
        .await
        .expect("ack");
    assert_eq!((again.base_offset, again.duplicate), (Offset::new(1), true));
    let gap = append(&handle, batch(Some((9, 0, 7)), false, &[("k", Some("v"))])).await;
    assert!(
        matches!(gap, Err(StorageError::OutOfOrderSequence { .. })),
        "{gap:?}"
    );
    assert_eq!(handle.offsets().log_end_offset, Offset::new(3));
}

#[tokio::test(start_paused = true)]
async fn a_failed_sync_is_final_and_reads_go_on() {
    let disk = SimDisk::new(6);
    let store = open(&disk).await;
    let handle = create(&store, 0, TopicConfig::default()).await;
    append_n(&handle, 0, 2).await;
    disk.fail_next_sync(".log");
    let failed = append(&handle, batch(None, false, &[("k", Some("lost"))])).await;
    assert!(failed.as_ref().is_err_and(StorageError::maybe_done), "{failed:?}");
    let refused = append(&handle, batch(None, false, &[("k", Some("refused"))])).await;
    assert!(refused.as_ref().is_err_and(|e| !e.maybe_done()), "{refused:?}");
    assert_eq!(
        consume(&handle, 0, Isolation::ReadUncommitted, 1 << 20).expect("read"),
        expect(2)
    );
    assert!(store.failure().is_some());
}

#[tokio::test(start_paused = true)]
#[allow(
    clippy::disallowed_methods,
    reason = "a bound for the failing case, on a paused clock"
)]
async fn a_panic_of_the_flusher_stops_writing_and_leaves_nobody_waiting() {
    let disk = SimDisk::new(6);
    let armed = Arc::new(AtomicBool::new(false));
    let panics = Arc::clone(&armed);
    let faults = Faults::none().on_point(Arc::new(move |name: &str| {
        assert!(
            !(name == "K2" && panics.load(Ordering::SeqCst)),
            "planted in the flusher"
        );
    }));
    let store = LogStore::open(options(&disk, faults)).await.expect("opens");
    let handle = create(&store, 0, TopicConfig::default()).await;
    append_n(&handle, 0, 2).await;
    armed.store(true, Ordering::SeqCst);
    let late = std::time::Duration::from_secs(60);
    let lost = || append(&handle, batch(None, false, &[("k", Some("lost"))]));
    let (first, second) = tokio::join!(
        tokio::time::timeout(late, lost()),
        tokio::time::timeout(late, lost())
    );
    for failed in [first, second] {
        let failed = failed.expect("answered");
        assert!(failed.as_ref().is_err_and(StorageError::maybe_done), "{failed:?}");
    }
    let refused = tokio::time::timeout(late, lost()).await.expect("answered");
    assert!(refused.as_ref().is_err_and(|e| !e.maybe_done()), "{refused:?}");
    let read = consume(&handle, 0, Isolation::ReadUncommitted, 1 << 20).expect("read");
    assert_eq!(read, expect(2));
    let stopped = store.shutdown().await;
    assert!(
        matches!(stopped, Err(StorageError::LogDirOffline { .. })),
        "{stopped:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn writes_are_refused_before_the_disk_is_full_and_deletes_make_room() {
    let disk = SimDisk::new(7);
    let mut options = options(&disk, Faults::none());
    options.config = StorageConfig {
        reserved_disk_bytes: 64 << 10,
        ..small_config()
    };
    let store = LogStore::open(options).await.expect("opens");
    let handle = create(
        &store,
        0,
        TopicConfig {
            segment_bytes: 20_000,
            file_delete_delay_ms: 0,
            ..TopicConfig::default()
        },
    )
    .await;
    disk.set_capacity(disk.used_bytes() + (64 << 10) + 100_000);
    tokio::time::advance(std::time::Duration::from_secs(2)).await;
    let big = "x".repeat(9_000);
    let mut written = 0;
    let refused = loop {
        match append(&handle, batch(None, false, &[("k", Some(&big))])).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100, "never refused");
    };
    assert!(matches!(refused, StorageError::DiskFull { .. }), "{refused}");
    assert!(store.failure().is_none(), "refused, not failed");
    assert_eq!(
        consume(&handle, 0, Isolation::ReadUncommitted, 1 << 20)
            .expect("read")
            .len(),
        written
    );
    handle.delete_records(None).await.expect("deletes go on");
    store.apply_retention().await.expect("deletes go on");
    append(&handle, batch(None, false, &[("k", Some(&big))]))
        .await
        .expect("there is room again");
}

#[tokio::test(start_paused = true)]
async fn deleted_records_stay_deleted_after_a_crash() {
    let disk = SimDisk::new(8);
    let store = open(&disk).await;
    let handle = create(
        &store,
        0,
        TopicConfig {
            segment_bytes: 300,
            ..TopicConfig::default()
        },
    )
    .await;
    append_n(&handle, 0, 20).await;
    assert_eq!(
        handle
            .delete_records(Some(Offset::new(11)))
            .await
            .expect("deleted"),
        Offset::new(11)
    );
    let below = handle.read(Offset::new(10), 1 << 20, Isolation::ReadUncommitted);
    assert!(
        matches!(below, Err(StorageError::OffsetOutOfRange { .. })),
        "{below:?}"
    );
    drop(store);
    disk.crash(CrashMode::LoseUnsynced);
    let store = open(&disk).await;
    let handle = store.partition(&partition(0)).expect("recovered");
    assert_eq!(handle.offsets().log_start_offset, Offset::new(11));
    assert_eq!(
        consume(&handle, 11, Isolation::ReadUncommitted, 100).expect("read"),
        expect(20)[11..]
    );
}

#[tokio::test(start_paused = true)]
async fn damage_below_the_recovery_point_is_reported_and_never_cut() {
    let disk = SimDisk::new(9);
    let store = open(&disk).await;
    let handle = create(&store, 0, TopicConfig::default()).await;
    append_n(&handle, 0, 20).await;
    store.shutdown().await.expect("clean");
    // A write after the clean stop, so that the log is checked at the next start.
    let store = open(&disk).await;
    let handle = store.partition(&partition(0)).expect("reopened");
    append_n(&handle, 20, 1).await;
    tokio::time::advance(std::time::Duration::from_secs(2)).await;
    drop(store);
    let log = std::path::Path::new("/data/orders-0/00000000000000000000.log");
    // In the value of a record, then also in the base offset of an earlier batch, which no checksum covers.
    disk.flip_bit(log, 15 * 79 + 75, 3).expect("flipped");
    disk.crash(CrashMode::KeepAll);
    let length = disk
        .shared()
        .open(log, super::disk::OpenMode::Read)
        .expect("there")
        .len()
        .expect("length");
    for (round, sound) in [(0, 15), (1, 15), (2, 5)] {
        if round == 2 {
            disk.flip_bit(log, 5 * 79 + 5, 3).expect("flipped");
        }
        let store = open(&disk).await;
        let handle = store.partition(&partition(0)).expect("served");
        let Some(StorageError::Damaged { offset, .. }) = handle.damage() else {
            panic!("the damage was not seen")
        };
        assert_eq!(offset, Offset::new(sound));
        let served = consume(&handle, 0, Isolation::ReadUncommitted, 1 << 20).expect("read");
        assert_eq!(served, expect(offset.get() as usize));
        let refused = append(&handle, batch(None, false, &[("k", Some("v"))])).await;
        assert!(
            matches!(refused, Err(StorageError::Damaged { .. })),
            "{refused:?}"
        );
        drop(store);
        disk.crash(CrashMode::KeepAll);
        assert_eq!(
            disk.shared()
                .open(log, super::disk::OpenMode::Read)
                .expect("there")
                .len()
                .expect("length"),
            length,
            "nothing is cut"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_directory_in_use_is_refused_and_a_deleted_partition_starts_afresh() {
    let disk = SimDisk::new(10);
    let store = open(&disk).await;
    let second = LogStore::open(options(&disk, Faults::none())).await;
    assert!(matches!(second, Err(StorageError::Locked { .. })), "{second:?}");
    let old = create(&store, 0, TopicConfig::default()).await;
    append_n(&old, 0, 5).await;
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    store.delete_partition(&partition(0)).await.expect("deleted");
    assert!(matches!(
        append(&old, batch(None, false, &[("k", None)])).await,
        Err(StorageError::UnknownPartition { .. })
    ));
    let new = create(&store, 0, TopicConfig::default()).await;
    append_n(&new, 0, 2).await;
    drop(store);
    disk.crash(CrashMode::LoseUnsynced);
    let store = open(&disk).await;
    let handle = store.partition(&partition(0)).expect("recovered");
    assert!(handle.damage().is_none(), "{:?}", handle.damage());
    assert_eq!(
        consume(&handle, 0, Isolation::ReadUncommitted, 1 << 20).expect("read"),
        expect(2)
    );
}

#[tokio::test(start_paused = true)]
async fn offsets_are_found_by_timestamp() {
    let disk = SimDisk::new(11);
    let store = open(&disk).await;
    let handle = create(
        &store,
        0,
        TopicConfig {
            segment_bytes: 300,
            ..TopicConfig::default()
        },
    )
    .await;
    for i in 0..30i64 {
        append(&handle, batch_at(None, false, 1000 + i * 10, &[("k", Some("v"))]))
            .await
            .expect("ack");
    }
    assert_eq!(
        handle.offset_for_timestamp(1000).await.expect("found"),
        Some((Offset::new(0), 1000))
    );
    assert_eq!(
        handle.offset_for_timestamp(1131).await.expect("found"),
        Some((Offset::new(14), 1140))
    );
    assert_eq!(handle.offset_for_timestamp(1291).await.expect("searched"), None);
    assert_eq!(
        handle.max_timestamp_offset().await.expect("found"),
        Some((Offset::new(29), 1290))
    );
}

#[tokio::test]
async fn the_real_disk_works_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = |faults| options_on(Arc::new(FsDisk), dir.path().to_path_buf(), faults);
    let store = LogStore::open(options(Faults::none())).await.expect("opens");
    let handle = create(
        &store,
        0,
        TopicConfig {
            segment_bytes: 600,
            ..TopicConfig::default()
        },
    )
    .await;
    append_n(&handle, 0, 40).await;
    drop((store, handle));
    let store = reopen(|| options(Faults::none())).await;
    let handle = store.partition(&partition(0)).expect("recovered");
    assert_eq!(
        consume(&handle, 0, Isolation::ReadUncommitted, 300).expect("read"),
        expect(40)
    );
    store.shutdown().await.expect("clean");
    let store = LogStore::open(options(Faults::none())).await.expect("opens");
    let handle = store.partition(&partition(0)).expect("reopened");
    assert_eq!(
        consume(&handle, 0, Isolation::ReadUncommitted, 300).expect("read"),
        expect(40)
    );
}

/// A dropped store unlocks its directory once its tasks have ended.
async fn reopen(options: impl Fn() -> super::LogStoreOptions) -> LogStore {
    for _ in 0..10_000 {
        match LogStore::open(options()).await {
            Err(StorageError::Locked { .. }) => tokio::task::yield_now().await,
            opened => return opened.expect("opens"),
        }
    }
    panic!("the directory stays locked")
}
