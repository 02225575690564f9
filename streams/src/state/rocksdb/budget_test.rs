//! The limit holds over many databases, idle ones among them, whatever they write and read.

use std::sync::Arc;

use millpond_log::types::PartitionId;

use super::RocksBudget;
use crate::state::host::{StoreHost, StoreHostFactory};
use crate::state::{KeyRange, RocksHosts, StoreIndex, StoreSpec, TaskId};

const TASKS: i32 = 16;
const CACHE_BYTES: usize = 24 << 20;
const WRITE_BUFFER_BYTES: usize = 12 << 20;
/// RocksDB takes memory in steps, and has a second empty buffer beside the one it flushes.
const STEP_BYTES: usize = 1 << 20;
const STORE: StoreIndex = StoreIndex::new(0);

fn write(host: &dyn StoreHost, round: u32, bytes: usize) -> usize {
    let value = vec![round as u8; 1_000];
    let mut fill = |batch: &mut dyn crate::state::host::HostBatch| {
        for key in 0..(bytes / 1_000) as u32 {
            // Spread over the whole range, so that every round touches every block.
            let key = (key * 7_919) % 100_000 + round * 100_000;
            batch.put(STORE, &key.to_be_bytes(), &value);
        }
    };
    host.write(&mut fill, b"position").expect("written")
}

#[test]
fn the_limit_holds_over_idle_and_busy_databases() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let budget = RocksBudget::new(CACHE_BYTES, WRITE_BUFFER_BYTES);
    let hosts = RocksHosts::new(budget.clone());
    let specs = [StoreSpec::key_value("rows")];
    let open: Vec<Arc<dyn StoreHost>> = (0..TASKS)
        .map(|partition| {
            let task = TaskId::new(0, PartitionId::new(partition));
            hosts.open(dir.path(), task, &specs).expect("it opens")
        })
        .collect();
    let (mut most_buffers, mut most, mut largest_batch) = (0, 0, 0);
    for round in 0..4 {
        // Each writes once and is idle for the rest of the round: together more than buffers may take.
        for host in &open {
            largest_batch = largest_batch.max(write(host.as_ref(), round, 1_000_000));
            most_buffers = most_buffers.max(budget.write_buffer_bytes());
            most = most.max(budget.used_bytes());
        }
        for host in &open {
            let mut scan = host.scan(STORE, &KeyRange::all()).expect("a scan");
            let mut entries = 0;
            while scan.entry().is_some() {
                entries += 1;
                scan.advance().expect("readable");
            }
            assert_eq!(
                entries,
                1_000 * (round as usize + 1),
                "nothing was lost to the limit"
            );
            most = most.max(budget.used_bytes());
        }
    }
    assert!(
        most_buffers <= WRITE_BUFFER_BYTES + largest_batch + STEP_BYTES,
        "write buffers reached {most_buffers}, the limit is {WRITE_BUFFER_BYTES} and a batch has {largest_batch}"
    );
    assert!(
        most <= CACHE_BYTES + largest_batch + STEP_BYTES,
        "all memory reached {most}, the limit is {CACHE_BYTES}"
    );
    assert!(
        most > CACHE_BYTES / 2,
        "only {most} bytes were used, that proves nothing"
    );
}

#[test]
fn empty_databases_above_the_limit_do_not_make_every_batch_flush() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let budget = RocksBudget::new(CACHE_BYTES, 2 << 20);
    let hosts = RocksHosts::new(budget.clone());
    let specs = [StoreSpec::key_value("rows"), StoreSpec::key_value("groups")];
    let open: Vec<Arc<dyn StoreHost>> = (0..TASKS)
        .map(|partition| {
            let task = TaskId::new(0, PartitionId::new(partition));
            hosts.open(dir.path(), task, &specs).expect("it opens")
        })
        .collect();
    let empty = budget.write_buffer_bytes();
    assert!(empty > 2 << 20, "only {empty} bytes, that proves nothing");
    let known: usize = budget.empty_bytes();
    assert!(
        known.abs_diff(empty) < STEP_BYTES,
        "{known} bytes are counted, and {empty} taken"
    );
    // As much each as would be worth a flush, together less than a quarter of the limit.
    for host in &open[..4] {
        write(host.as_ref(), 0, 100_000);
    }
    for host in &open {
        let size = host.size(STORE).expect("a size");
        assert_eq!(size.disk_bytes, Some(0), "it was flushed, and nothing was won");
    }
}

#[test]
fn index_and_filter_blocks_are_counted() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let budget = RocksBudget::new(64 << 20, 8 << 20);
    let hosts = RocksHosts::new(budget.clone());
    let task = TaskId::new(0, PartitionId::new(0));
    let host = hosts
        .open(dir.path(), task, &[StoreSpec::key_value("rows")])
        .expect("it opens");
    // Ten bits of filter per key: 100,000 keys are 125 kB of filter, beside almost no data per block read.
    let mut fill = |batch: &mut dyn crate::state::host::HostBatch| {
        for key in 0_u32..100_000 {
            batch.put(STORE, &key.to_be_bytes(), b"v");
        }
    };
    host.write(&mut fill, b"position").expect("written");
    host.flush().expect("flushed");
    let before = budget.used_bytes();
    assert_eq!(
        host.get(STORE, &7_u32.to_be_bytes())
            .expect("readable")
            .as_deref(),
        Some(&b"v"[..])
    );
    let added = budget.used_bytes() - budget.write_buffer_bytes();
    assert!(
        added > 100_000,
        "{added} bytes of blocks after one read, {before} of everything before"
    );
}

#[test]
fn one_number_is_enough_and_a_smaller_one_holds_at_once() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let budget = RocksBudget::limited(CACHE_BYTES);
    assert_eq!(budget.limit_bytes(), CACHE_BYTES);
    let hosts = RocksHosts::new(budget.clone());
    let open: Vec<Arc<dyn StoreHost>> = (0..4)
        .map(|partition| {
            let task = TaskId::new(0, PartitionId::new(partition));
            let stores = [StoreSpec::key_value("rows")];
            hosts.open(dir.path(), task, &stores).expect("it opens")
        })
        .collect();
    for host in &open {
        write(host.as_ref(), 0, 2_500_000);
    }
    let before = budget.used_bytes();
    assert!(before > 8 << 20, "{before} bytes are used");
    let smaller = 4 << 20;
    budget.clone().set_limit_bytes(smaller);
    assert_eq!(budget.limit_bytes(), smaller);
    let after = budget.used_bytes();
    // Databases that are empty take something, too.
    let allowed = smaller + open.len() * STEP_BYTES;
    assert!(
        after <= allowed,
        "{after} bytes of {before} are left, the limit is {smaller}"
    );
}

#[test]
fn write_buffers_make_blocks_go_wherever_they_are_charged() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let cache_bytes = 8 << 20;
    // Nearly all of it may be buffers, so the smallest part of the cache that had to take one too many would show.
    let budget = RocksBudget::new(cache_bytes, 7 << 20);
    let hosts = RocksHosts::new(budget.clone());
    let task = TaskId::new(0, PartitionId::new(0));
    let stores = [StoreSpec::key_value("rows")];
    let host = hosts.open(dir.path(), task, &stores).expect("it opens");
    for round in 0..8 {
        write(host.as_ref(), round, 2_000_000);
    }
    host.flush().expect("flushed");
    let mut scan = host.scan(STORE, &KeyRange::all()).expect("a scan");
    while scan.entry().is_some() {
        scan.advance().expect("readable");
    }
    drop(scan);
    let blocks = budget.used_bytes();
    assert!(blocks > cache_bytes / 2, "{blocks} bytes of blocks fill nothing");
    let (mut most, mut most_buffers) = (0, 0);
    for round in 8..20 {
        write(host.as_ref(), round, 500_000);
        most = most.max(budget.used_bytes());
        most_buffers = most_buffers.max(budget.write_buffer_bytes());
    }
    assert!(most_buffers > 6 << 20, "only {most_buffers} bytes of buffers");
    assert!(
        most <= cache_bytes,
        "{most} bytes, the limit is {cache_bytes}; {most_buffers} of them buffers"
    );
}

#[test]
fn two_batches_do_not_get_the_same_room() {
    let budget = RocksBudget::limited(CACHE_BYTES);
    let first = budget.make_room(CACHE_BYTES / 3);
    assert!(
        budget.take_room(CACHE_BYTES / 3).is_none(),
        "a half of the limit is for write buffers, and two thirds of it are not there"
    );
    let small = budget.take_room(CACHE_BYTES / 8);
    assert!(small.is_some(), "there is room for a small one beside the first");
    drop((first, small));
    assert!(budget.take_room(CACHE_BYTES / 3).is_some());
    let alone = budget.make_room(CACHE_BYTES);
    assert!(
        budget.take_room(1).is_none(),
        "nothing is written beside one that is too large"
    );
    drop(alone);
}
