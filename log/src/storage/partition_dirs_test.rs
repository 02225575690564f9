//! Many partitions at once, and what one handle tells and refuses.

use super::disk_sim::{CrashMode, SimDisk};
use super::store_testing::*;
use super::{AppendRequest, NewPartition, StorageError, TopicConfig};
use crate::record::{BatchBuilder, BatchOptions};
use crate::types::{LeaderEpoch, Offset};

/// More than are synced one by one.
const MANY: i32 = 40;

fn wanted(numbers: impl Iterator<Item = i32>) -> Vec<NewPartition> {
    numbers
        .map(|number| NewPartition {
            partition: partition(number),
            topic_id: topic_id(),
            config: TopicConfig::default(),
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn many_partitions_are_made_together_durably_and_at_the_cost_of_few_syncs() {
    let disk = SimDisk::new(31);
    let store = open(&disk).await;
    store.create_partitions(wanted(0..3)).await.expect("made");
    store.create_partitions(wanted(0..MANY)).await.expect("made");
    drop(store);
    disk.crash(CrashMode::LoseUnsynced);
    let store = open(&disk).await;
    assert_eq!(store.partitions().len(), MANY as usize);
    for number in 0..MANY {
        let handle = store.partition(&partition(number)).expect("recovered");
        append(&handle, batch(None, false, &[("k", None)]))
            .await
            .expect("acknowledged");
    }
}

#[tokio::test(start_paused = true)]
async fn many_partitions_are_removed_together_and_none_of_them_comes_back() {
    let disk = SimDisk::new(32);
    let store = open(&disk).await;
    store.create_partitions(wanted(0..MANY)).await.expect("made");
    let gone: Vec<_> = (1..MANY).map(partition).collect();
    let unknown = store.delete_partitions(&[partition(0), partition(MANY)]).await;
    assert!(
        matches!(unknown, Err(StorageError::UnknownPartition { .. })),
        "{unknown:?}"
    );
    assert!(store.partition(&partition(0)).is_some(), "all or none");
    store.delete_partitions(&gone).await.expect("removed");
    drop(store);
    disk.crash(CrashMode::LoseUnsynced);
    let store = open(&disk).await;
    let left: Vec<_> = store
        .partitions()
        .iter()
        .map(|handle| handle.topic_partition().clone())
        .collect();
    assert_eq!(left, [partition(0)]);
}

#[tokio::test(start_paused = true)]
async fn a_timestamp_outside_the_range_of_the_topic_is_refused_whole() {
    let disk = SimDisk::new(33);
    let store = open(&disk).await;
    let config = TopicConfig {
        timestamp_before_max_ms: 1_000,
        timestamp_after_max_ms: 1_000,
        ..TopicConfig::default()
    };
    let handle = create(&store, 0, config).await;
    let now = handle.shared().dir.clock.now_ms();
    let at = |timestamps: &[i64]| {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        for timestamp in timestamps {
            builder.append(*timestamp, Some(b"k"), None, &[]).expect("fits");
        }
        AppendRequest::client(builder.build())
    };
    for refused in [&[now + 1_001][..], &[now, now - 1_001]] {
        let error = handle.append(at(refused)).await.unwrap_err();
        let StorageError::InvalidRecords { refused, .. } = error else {
            panic!("{error}");
        };
        assert!(
            refused.told.iter().all(|record| record.reason.is_about_time()),
            "{refused}"
        );
    }
    assert_eq!(handle.offsets().log_end_offset, Offset::ZERO);
    handle
        .append(at(&[now - 1_000, now + 1_000]))
        .await
        .expect("inside");
    handle.append(at(&[-1])).await.expect("no timestamp");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_epoch_is_told_from_the_epochs_of_the_log() {
    let disk = SimDisk::new(34);
    let store = open(&disk).await;
    let handle = create(&store, 0, TopicConfig::default()).await;
    for _ in 0..3 {
        append(&handle, batch(None, false, &[("k", None)]))
            .await
            .expect("acknowledged");
    }
    let end = |epoch| handle.end_of_epoch(LeaderEpoch::new(epoch));
    assert_eq!(end(0).await.unwrap(), Some((LeaderEpoch::ZERO, Offset::new(3))));
    assert_eq!(end(1).await.unwrap(), None, "newer than all known");
}

#[tokio::test(start_paused = true)]
async fn partitions_nobody_wrote_to_cost_no_sync_each_at_stop_and_start() {
    let disk = SimDisk::new(35);
    let store = open(&disk).await;
    store.create_partitions(wanted(0..MANY)).await.expect("made");
    let written = store.partition(&partition(7)).expect("made");
    append(&written, batch(None, false, &[("k", None)]))
        .await
        .expect("acknowledged");
    let mut store = store;
    for _ in 0..2 {
        let before = disk.stats();
        store.shutdown().await.expect("clean");
        store = open(&disk).await;
        let after = disk.stats();
        let syncs = (after.syncs - before.syncs) + (after.dir_syncs - before.dir_syncs);
        assert!(syncs < MANY as u64, "{syncs} syncs for {MANY} partitions");
        assert_eq!(store.partitions().len(), MANY as usize);
    }
    let handle = store.partition(&partition(7)).expect("opened");
    assert_eq!(handle.offsets().log_end_offset, Offset::new(1));
}
