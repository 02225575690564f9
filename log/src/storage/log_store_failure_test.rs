//! A whole store whose disk fails, fills up, rots or loses power: what is damaged is named, nothing is cut that was acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::disk::OpenMode;
use super::disk_sim::{CrashMode, SimDisk};
use super::log_store_test::{append_n, expect};
use super::store_testing::*;
use super::verify::verify;
use super::{Durability, Isolation, LogStore, StorageConfig, StorageError, TopicConfig};
use crate::faults::Faults;
use crate::types::Offset;

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
