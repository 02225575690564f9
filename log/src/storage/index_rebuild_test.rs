//! Indexes are hints: damaged or missing, they are made again from the log.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::aborted_segments::{ABORTED_SEGMENTS, read, settle};
use super::disk::{Disk, OpenMode};
use super::disk_sim::SimDisk;
use super::store_testing::*;
use super::verify::verify;
use super::{Isolation, LogStore, TopicConfig};

const DIR: &str = "/data/orders-0";

/// Transactions over several segments: one aborted far behind its data, others in between.
async fn fill(store: &LogStore) {
    let config = TopicConfig {
        segment_bytes: 600,
        index_interval_bytes: 100,
        ..TopicConfig::default()
    };
    let handle = create(store, 0, config).await;
    let data = |producer: i64, sequence: i32| {
        let value = format!("{producer}-{sequence}");
        batch(
            Some((producer, 0, sequence)),
            true,
            &[("k", Some(value.as_str()))],
        )
    };
    append(&handle, data(9, 0)).await.expect("ack");
    for sequence in 0..12 {
        append(&handle, data(1, sequence)).await.expect("ack");
        append(&handle, data(2, sequence)).await.expect("ack");
        marker(&handle, 1, 0, true).await.expect("ack");
        marker(&handle, 2, 0, false).await.expect("ack");
    }
    marker(&handle, 9, 0, false).await.expect("ack");
    append(&handle, batch(None, false, &[("k", Some("last"))]))
        .await
        .expect("ack");
    for sequence in 12..20 {
        append(&handle, data(1, sequence)).await.expect("ack");
        marker(&handle, 1, 0, true).await.expect("ack");
    }
}

/// Files of that kind that belong to closed segments, oldest first.
fn closed(disk: &Arc<dyn Disk>, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = disk
        .list(Path::new(DIR))
        .expect("listed")
        .into_iter()
        .map(|e| Path::new(DIR).join(e.name))
        .filter(|p| p.extension().is_some_and(|e| e == "log"))
        .collect();
    files.sort();
    files.pop();
    files
        .into_iter()
        .map(|p| p.with_extension(extension))
        .filter(|p| disk.exists(p).expect("looked up"))
        .collect()
}

fn cut_a_byte(disk: &Arc<dyn Disk>, path: &Path) {
    let file = disk.open(path, OpenMode::Write).expect("opens");
    let length = file.len().expect("length");
    assert!(length > 0, "{} has nothing to damage", path.display());
    file.truncate(length - 1).expect("cut");
    file.sync_all().expect("synced");
}

fn scribble(disk: &Arc<dyn Disk>, path: &Path) {
    let file = disk.open(path, OpenMode::Write).expect("opens");
    let length = file.len().expect("length") as usize;
    assert!(length > 0, "{} has nothing to damage", path.display());
    file.write_at(&vec![0xff; length], 0).expect("written");
    file.sync_all().expect("synced");
}

fn remove(disk: &Arc<dyn Disk>, path: &Path) {
    disk.remove_file(path).expect("removed");
    disk.sync_dir(Path::new(DIR)).expect("synced");
}

async fn survives(extension: &str, damage: fn(&Arc<dyn Disk>, &Path), with_snapshots: bool) {
    let sim = SimDisk::new(11);
    let store = open(&sim).await;
    fill(&store).await;
    let handle = store.partition(&partition(0)).expect("there");
    let committed = consume(&handle, 0, Isolation::ReadCommitted, 1 << 20).expect("read");
    assert_eq!(committed.len(), 21);
    store.shutdown().await.expect("clean");
    let disk = sim.shared();
    assert!(verify(&disk, Path::new("/data")).expect("verified").is_clean());

    let files = closed(&disk, extension);
    assert!(files.len() > 2, "{files:?}");
    for file in &files {
        damage(&disk, file);
    }
    if !with_snapshots {
        for file in closed(&disk, "snapshot") {
            remove(&disk, &file);
        }
    }
    let store = LogStore::open(options(&sim, crate::faults::Faults::none()))
        .await
        .expect("a damaged index does not keep the node from starting");
    let handle = store.partition(&partition(0)).expect("there");
    for from in 0..committed.len() {
        let offset = committed[from].0;
        assert_eq!(
            consume(&handle, offset, Isolation::ReadCommitted, 300).expect("read"),
            committed[from..],
            "from {offset}"
        );
    }
    store.shutdown().await.expect("clean");
    let report = verify(&disk, Path::new("/data")).expect("verified");
    let problems: Vec<_> = report.all_problems().collect();
    assert!(problems.is_empty(), "{problems:?}");
}

#[tokio::test(start_paused = true)]
async fn damaged_indexes_of_closed_segments_are_rebuilt_at_open() {
    for with_snapshots in [true, false] {
        for extension in ["index", "timeindex", "txnindex"] {
            survives(extension, cut_a_byte, with_snapshots).await;
        }
        for extension in ["index", "timeindex", "txnindex"] {
            survives(extension, scribble, with_snapshots).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn missing_indexes_of_closed_segments_are_rebuilt_at_open() {
    survives("index", remove, true).await;
    survives("timeindex", remove, false).await;
    survives("txnindex", remove, true).await;
    survives("txnindex", remove, false).await;
    let all = |disk: &Arc<dyn Disk>, path: &Path| {
        for extension in ["index", "timeindex", "txnindex"] {
            let file = path.with_extension(extension);
            if disk.exists(&file).expect("looked up") {
                remove(disk, &file);
            }
        }
    };
    survives("index", all, true).await;
}

/// Segments with a file of that kind, oldest first, the active one included.
fn all_with(disk: &Arc<dyn Disk>, extension: &str) -> Vec<PathBuf> {
    let listed = disk.list(Path::new(DIR)).expect("listed").into_iter();
    let paths = listed.map(|e| Path::new(DIR).join(e.name));
    let mut files: Vec<PathBuf> = paths
        .filter(|p| p.extension().is_some_and(|e| e == extension))
        .collect();
    files.sort();
    files
}

#[tokio::test(start_paused = true)]
async fn a_missing_transaction_index_of_the_active_segment_is_rebuilt_after_a_clean_stop() {
    let sim = SimDisk::new(12);
    let disk = sim.shared();
    let store = open(&sim).await;
    let handle = create(&store, 0, TopicConfig::default()).await;
    for sequence in 0..3 {
        let data = batch(Some((1, 0, sequence)), true, &[("k", Some("aborted"))]);
        append(&handle, data).await.expect("ack");
        marker(&handle, 1, 0, false).await.expect("ack");
    }
    append(&handle, batch(None, false, &[("k", Some("plain"))]))
        .await
        .expect("ack");
    store.shutdown().await.expect("clean");
    let [only] = &all_with(&disk, "txnindex")[..] else {
        panic!("one segment aborted something");
    };
    remove(&disk, only);
    let store = open(&sim).await;
    let handle = store.partition(&partition(0)).expect("there");
    let committed = consume(&handle, 0, Isolation::ReadCommitted, 1 << 20).expect("read");
    assert_eq!(committed, [(6, "k".to_owned(), Some("plain".to_owned()))]);
    store.shutdown().await.expect("clean");
    assert!(verify(&disk, Path::new("/data")).expect("verified").is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_directory_without_the_list_of_transaction_indexes_gets_one_at_open() {
    let sim = SimDisk::new(13);
    let disk = sim.shared();
    let store = open(&sim).await;
    fill(&store).await;
    let handle = store.partition(&partition(0)).expect("there");
    let committed = consume(&handle, 0, Isolation::ReadCommitted, 1 << 20).expect("read");
    store.shutdown().await.expect("clean");
    // As Kafka, or an earlier version of ours, leaves it.
    remove(&disk, &Path::new(DIR).join(ABORTED_SEGMENTS));
    open(&sim).await.shutdown().await.expect("clean");
    for file in all_with(&disk, "txnindex") {
        remove(&disk, &file);
    }
    let store = open(&sim).await;
    let handle = store.partition(&partition(0)).expect("there");
    let again = consume(&handle, 0, Isolation::ReadCommitted, 1 << 20).expect("read");
    assert_eq!(again, committed);
    store.shutdown().await.expect("clean");
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_does_not_keep_a_partition_without_that_list_from_opening() {
    let sim = SimDisk::new(14);
    let disk = sim.shared();
    let store = open(&sim).await;
    fill(&store).await;
    store.shutdown().await.expect("clean");
    let list = Path::new(DIR).join(ABORTED_SEGMENTS);
    remove(&disk, &list);
    sim.set_capacity(sim.used_bytes());
    settle(&*disk, Path::new(DIR), &BTreeSet::new()).expect("the disk is full, and that is fine");
    assert!(!disk.exists(&list).expect("looked up"), "there was room for it");
    sim.set_capacity(u64::MAX);
    settle(&*disk, Path::new(DIR), &BTreeSet::new()).expect("written");
    assert!(read(&*disk, Path::new(DIR)).expect("read").len() > 2);
}
