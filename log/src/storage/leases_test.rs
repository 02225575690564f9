//! Leases: expiry, urgency, the file, and that they outlive restarts and crashes of a store but not their topic.

use std::time::Duration;

use super::*;
use crate::faults::Faults;
use crate::storage::disk::{DiskExt, OpenMode};
use crate::storage::disk_sim::{CrashMode, SimDisk};
use crate::storage::store_testing::{create, open, options, partition, topic_id};
use crate::storage::{LogStore, PartitionHandle, TopicConfig};

const DAY_MS: i64 = 24 * 3_600_000;

fn offset_of(handle: &PartitionHandle, name: &str) -> Option<i64> {
    Some(handle.retention_leases().get(name)?.offset.get())
}

#[test]
fn the_lowest_lease_counts_until_its_holder_was_silent_for_too_long() {
    let mut leases = Leases::default();
    leases.set("slow", Offset::new(5), 0);
    leases.set("fast", Offset::new(9), 0);
    assert_eq!(leases.lowest(10, Some(10)), Some(Offset::new(5)));
    leases.set("fast", Offset::new(12), 8);
    assert_eq!(
        leases.lowest(11, Some(10)),
        Some(Offset::new(12)),
        "the slow one is gone"
    );
    assert_eq!(leases.lowest(11, None), Some(Offset::new(5)), "nobody expires");
    assert_eq!(
        leases.lowest(-500, Some(10)),
        Some(Offset::new(5)),
        "the clock was set back"
    );
    let expired = leases.take_expired(11, Some(10));
    assert_eq!(expired.into_keys().collect::<Vec<_>>(), ["slow"]);
    assert_eq!(leases.all().len(), 1);
    assert_eq!(leases.take_expired(19, Some(10)).len(), 1);
    assert_eq!(leases.lowest(19, Some(10)), None);
}

#[test]
fn what_a_crash_may_not_forget_is_written_soon_and_a_move_up_sometime() {
    let mut leases = Leases::default();
    assert_eq!(leases.set("a", Offset::new(5), 0), Urgency::Soon, "new");
    assert_eq!(leases.set("a", Offset::new(5), 1), Urgency::Sometime, "renewed");
    assert_eq!(leases.set("a", Offset::new(7), 2), Urgency::Sometime, "moved up");
    assert_eq!(leases.set("a", Offset::new(6), 3), Urgency::Soon, "moved down");
    assert_eq!(leases.remove("a"), Some(Urgency::Soon));
    assert_eq!(leases.remove("a"), None);

    let changes = LeaseChanges::default();
    assert!(!changes.take(true));
    changes.note(Urgency::Sometime);
    assert!(!changes.take(false));
    assert!(changes.take(true));
    assert!(!changes.take(true));
    changes.note(Urgency::Soon);
    assert!(changes.take(false));
    assert!(!changes.take(false));
}

#[test]
fn the_file_has_a_lease_a_line_and_names_damage() {
    let disk = SimDisk::new(7);
    disk.create_dir_all(Path::new("/data")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    let path = Path::new("/data/retention-lease-checkpoint");
    assert_eq!(read(&disk, path).unwrap(), AllLeases::new());
    let mut all = AllLeases::new();
    all.entry(partition(1))
        .or_default()
        .set("streams-app", Offset::new(42), 1_700);
    all.entry(partition(0))
        .or_default()
        .set("streams-app", Offset::new(7), 1_600);
    all.entry(partition(0))
        .or_default()
        .set("another", Offset::new(3), 1_500);
    write(&disk, path, &all).unwrap();
    let disk: &dyn Disk = &disk;
    let text = disk.read_file(path, 1 << 20).unwrap();
    let expected =
        "0\n3\norders 0 3 1500 another\norders 0 7 1600 streams-app\norders 1 42 1700 streams-app\n";
    assert_eq!(text, expected.as_bytes());
    assert_eq!(read(disk, path).unwrap(), all);

    let put = |text: &str| {
        disk.open(path, OpenMode::Truncate)
            .unwrap()
            .write_at(text.as_bytes(), 0)
            .unwrap()
    };
    for (text, reason) in [
        ("0\n1\norders 0 3\n", "five fields are expected"),
        ("0\n1\norders 0 x 5 a\n", "\"x\" is no number that fits"),
        (
            "0\n2\norders 0 3 5 a\norders 0 4 5 a\n",
            "the lease a stands there twice",
        ),
    ] {
        put(text);
        let error = read(disk, path).expect_err("damaged").to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn leases_outlive_a_restart_and_expire_when_nobody_renews_them() {
    let disk = SimDisk::new(1);
    let store = open(&disk).await;
    let handle = create(&store, 0, TopicConfig::default()).await;
    handle.set_retention_lease("streams-app", Offset::new(7));
    handle.set_retention_lease("gone", Offset::new(3));
    handle.remove_retention_lease("gone");
    store.shutdown().await.expect("clean");

    let clock = options(&disk, Faults::none()).clock;
    let with_clock = || {
        let mut with = options(&disk, Faults::none());
        with.clock = clock.clone();
        with
    };
    let store = LogStore::open(with_clock()).await.expect("opens");
    let handle = store.partition(&partition(0)).expect("recovered");
    assert_eq!(offset_of(&handle, "streams-app"), Some(7));
    assert_eq!(offset_of(&handle, "gone"), None);
    clock.sleep(Duration::from_millis(6 * DAY_MS as u64)).await;
    assert_eq!(
        offset_of(&handle, "streams-app"),
        Some(7),
        "six days are not enough"
    );
    clock.sleep(Duration::from_millis(2 * DAY_MS as u64)).await;
    assert_eq!(offset_of(&handle, "streams-app"), None, "seven are");
    store.shutdown().await.expect("clean");
    let store = LogStore::open(with_clock()).await.expect("opens");
    let handle = store.partition(&partition(0)).expect("recovered");
    assert!(handle.retention_leases().is_empty(), "and the file knows");
    store.shutdown().await.expect("clean");
}

#[tokio::test(start_paused = true)]
async fn a_crash_forgets_no_lease_and_only_how_far_it_had_come() {
    let disk = SimDisk::new(1);
    let store = open(&disk).await;
    let clock = options(&disk, Faults::none()).clock;
    let handle = create(&store, 0, TopicConfig::default()).await;
    handle.set_retention_lease("streams-app", Offset::new(7));
    // The housekeeper comes by.
    clock.sleep(Duration::from_secs(60)).await;
    handle.set_retention_lease("streams-app", Offset::new(9));
    drop((store, handle));
    disk.crash(CrashMode::LoseUnsynced);
    let store = open(&disk).await;
    let handle = store.partition(&partition(0)).expect("recovered");
    assert_eq!(offset_of(&handle, "streams-app"), Some(7));
    store.shutdown().await.expect("clean");
}

#[tokio::test(start_paused = true)]
async fn a_topic_made_anew_inherits_no_lease() {
    let disk = SimDisk::new(1);
    let store = open(&disk).await;
    let clock = options(&disk, Faults::none()).clock;
    let handle = create(&store, 0, TopicConfig::default()).await;
    handle.set_retention_lease("streams-app", Offset::new(7));
    clock.sleep(Duration::from_secs(60)).await;
    store.delete_partitions(&[partition(0)]).await.expect("deleted");
    drop(handle);
    store
        .create_partition(partition(0), topic_id(), TopicConfig::default())
        .await
        .expect("created");
    store.shutdown().await.expect("clean");
    let store = open(&disk).await;
    let handle = store.partition(&partition(0)).expect("recovered");
    assert!(handle.retention_leases().is_empty());
    store.shutdown().await.expect("clean");
}
