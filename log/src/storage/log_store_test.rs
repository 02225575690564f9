//! A whole store on a simulated disk: what is acknowledged survives.

use std::sync::Arc;

use super::disk_fs::FsDisk;
use super::disk_sim::{CrashMode, SimDisk};
use super::store_testing::*;
use super::{Durability, Isolation, LogStore, StorageError, TopicConfig};
use crate::faults::Faults;
use crate::types::Offset;

pub(super) fn value(i: usize) -> String {
    format!("value-{i:04}")
}

pub(super) async fn append_n(handle: &super::PartitionHandle, from: usize, n: usize) {
    for i in from..from + n {
        let ack = append(handle, batch(None, false, &[("k", Some(&value(i)))]))
            .await
            .expect("acknowledged");
        assert_eq!(ack.base_offset, Offset::new(i as i64));
    }
}

pub(super) fn expect(n: usize) -> Vec<Seen> {
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
