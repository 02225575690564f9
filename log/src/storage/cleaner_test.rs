//! The cleaner at work on a real partition: transactions, crashes, readers in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::disk_fs::FsDisk;
use super::disk_sim::{CrashMode, SimDisk};
use super::store_testing::*;
use super::{CleanupPolicy, Isolation, LogStore, PartitionHandle, TopicConfig};
use crate::clock::{Clock, SimClock};
use crate::faults::Faults;
use crate::types::{Offset, TopicPartition};

fn compacted() -> TopicConfig {
    TopicConfig {
        cleanup_policy: CleanupPolicy {
            delete: false,
            compact: true,
        },
        ..TopicConfig::default()
    }
}

/// Closes what is there, lets the stored recovery point pass it, compacts it.
async fn compact(store: &LogStore, handle: &PartitionHandle, clock: &SimClock) {
    let name: &TopicPartition = handle.topic_partition();
    let before = store.compact(name, true).await.expect("closed");
    append(handle, batch(None, false, &[("filler", Some("x"))]))
        .await
        .expect("appended");
    clock.sleep(std::time::Duration::from_secs(1)).await;
    let after = store.compact(name, false).await.expect("compacted");
    assert!(before.or(after).is_some(), "nothing was compacted");
}

fn values_of(handle: &PartitionHandle, key: &str) -> Vec<Option<String>> {
    consume(handle, 0, Isolation::ReadCommitted, 1 << 20)
        .expect("read")
        .into_iter()
        .filter(|(_, k, _)| k == key)
        .map(|(_, _, value)| value)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn what_a_producer_commits_after_an_abort_is_compacted_too() {
    let (disk, clock) = (SimDisk::new(1), SimClock::new(0));
    let store = open(&disk).await;
    let handle = create(&store, 0, compacted()).await;
    append(&handle, batch(None, false, &[("k", Some("old"))]))
        .await
        .expect("appended");
    append(&handle, batch(Some((7, 0, 0)), true, &[("k", Some("aborted"))]))
        .await
        .expect("appended");
    marker(&handle, 7, 1, false).await.expect("aborted");
    compact(&store, &handle, &clock).await;
    append(&handle, batch(Some((7, 1, 0)), true, &[("k", None)]))
        .await
        .expect("appended");
    marker(&handle, 7, 2, true).await.expect("committed");
    compact(&store, &handle, &clock).await;
    assert_eq!(
        values_of(&handle, "k"),
        [None],
        "the tombstone replaces the old value"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_a_crash_cut_short_is_done_again_from_its_start() {
    let (disk, clock) = (SimDisk::new(2), SimClock::new(0));
    // The pass stops when it is about to swap in its first group: K10 was passed once with the files written, once with their names changed.
    let (armed, failing, seen) = (
        Arc::new(AtomicBool::new(false)),
        disk.clone(),
        Arc::new(AtomicUsize::new(0)),
    );
    let (arm, hits) = (Arc::clone(&armed), Arc::clone(&seen));
    let faults = Faults::none().on_point(Arc::new(move |name: &str| {
        if name == "K10" && arm.load(Ordering::SeqCst) && hits.fetch_add(1, Ordering::SeqCst) == 1 {
            failing.fail_next_sync("orders-0");
        }
    }));
    let store = LogStore::open(options(&disk, faults)).await.expect("opens");
    let handle = create(&store, 0, compacted()).await;
    append(&handle, batch(None, false, &[("k", Some("old"))]))
        .await
        .expect("appended");
    compact(&store, &handle, &clock).await;
    // The filler above is the last clean record; the tombstone is the first dirty one once the filler's segment is clean too.
    compact(&store, &handle, &clock).await;
    store
        .compact(handle.topic_partition(), true)
        .await
        .expect("closed");
    append(&handle, batch(None, false, &[("k", None)]))
        .await
        .expect("appended");
    store
        .compact(handle.topic_partition(), true)
        .await
        .expect("closed");
    append(&handle, batch(None, false, &[("end", Some("x"))]))
        .await
        .expect("appended");
    clock.sleep(std::time::Duration::from_secs(1)).await;
    // Everything before the tombstone is clean now, and the tombstone is not.
    armed.store(true, Ordering::SeqCst);
    assert!(
        store.compact(handle.topic_partition(), false).await.is_err(),
        "the failed sync went unnoticed"
    );
    drop((store, handle));
    disk.crash(CrashMode::LoseUnsynced);
    let store = open(&disk).await;
    store
        .update_config(&partition(0), compacted())
        .await
        .expect("configured");
    let handle = store.partition(&partition(0)).expect("recovered");
    compact(&store, &handle, &clock).await;
    assert_eq!(
        values_of(&handle, "k"),
        [None],
        "the tombstone replaces the old value"
    );
}

#[test]
fn readers_see_whole_batches_while_segments_are_exchanged_under_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut options = options_on(Arc::new(FsDisk), dir.path().to_path_buf(), Faults::none());
        options.clock = Arc::new(crate::clock::SystemClock::new());
        options.config.tail_cache_bytes = 0;
        options.config.checkpoint_interval = std::time::Duration::from_millis(1);
        let clock = Arc::clone(&options.clock);
        let store = LogStore::open(options).await.expect("opens");
        let handle = create(&store, 0, compacted()).await;
        let done = Arc::new(AtomicBool::new(false));
        let (reading, stop) = (handle.clone(), Arc::clone(&done));
        let reader = tokio::task::spawn_blocking(move || {
            let mut reads = 0;
            while !stop.load(Ordering::SeqCst) {
                let offsets = reading.offsets();
                reading
                    .read(Offset::ZERO, 1 << 20, Isolation::ReadCommitted)
                    .unwrap_or_else(|e| panic!("read {reads} below {offsets:?} failed: {e}"));
                reads += 1;
            }
            reads
        });
        for round in 0..15 {
            for n in 0..20 {
                append(
                    &handle,
                    batch(None, false, &[(&format!("k{}", n % 3), Some("value"))]),
                )
                .await
                .expect("appended");
            }
            store.compact(&partition(0), true).await.expect("closed");
            append(&handle, batch(None, false, &[("end", Some("x"))]))
                .await
                .expect("appended");
            while store
                .compact(&partition(0), false)
                .await
                .unwrap_or_else(|e| panic!("compaction {round} failed: {e}"))
                .is_none()
            {
                clock.sleep(std::time::Duration::from_millis(1)).await;
            }
        }
        done.store(true, Ordering::SeqCst);
        assert!(reader.await.expect("the reader ends") > 0);
        store.shutdown().await.expect("clean");
    });
}
