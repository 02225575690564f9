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
