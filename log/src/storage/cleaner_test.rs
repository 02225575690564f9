use super::disk_sim::SimDisk;
use super::store_testing::*;
use super::{CleanupPolicy, Isolation, LogStore, PartitionHandle, TopicConfig};
use crate::clock::{Clock, SimClock};
use crate::types::TopicPartition;

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
