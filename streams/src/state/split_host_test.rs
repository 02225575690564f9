//! Stores in memory beside stores on disk, through a crash.

use std::path::PathBuf;
use std::sync::Arc;

use millpond_log::faults::Faults;
use millpond_log::types::{Offset, PartitionId};

use super::{
    CommitPosition, KeyRange, MemoryHosts, RocksBudget, RocksHosts, StateLimits, StateOptions,
    StoreHostFactory, StoreIndex, StoreSpec, TaskId, TaskState,
};

const DISK: StoreIndex = StoreIndex::new(0);
const MEMORY: StoreIndex = StoreIndex::new(1);

fn open(hosts: &MemoryHosts, in_memory: bool) -> TaskState {
    open_in(Arc::new(hosts.clone()), PathBuf::from("app"), in_memory)
}

fn open_in(host: Arc<dyn StoreHostFactory>, dir: PathBuf, in_memory: bool) -> TaskState {
    let mut second = StoreSpec::key_value("second");
    second.persistent = !in_memory;
    TaskState::open(StateOptions {
        dir,
        task: TaskId::new(0, PartitionId::new(0)),
        host,
        stores: vec![StoreSpec::key_value("first"), second],
        limits: StateLimits::default(),
        faults: Faults::none(),
    })
    .expect("it opens")
}

fn commit(state: &mut TaskState, value: &str, offset: i64) {
    for store in [DISK, MEMORY] {
        state.store(store).put(b"key", value);
        state.store(store).put(value.as_bytes(), "beside");
    }
    drop(state.freeze());
    state.commit_frozen(CommitPosition {
        changelog: vec![(DISK, Offset::new(offset)), (MEMORY, Offset::new(offset))],
        ..CommitPosition::default()
    });
    state.flush().expect("it flushes");
}

fn get(state: &mut TaskState, store: StoreIndex) -> Option<String> {
    let found = state.store(store).get(b"key").expect("readable");
    found.map(|found| String::from_utf8_lossy(&found).into_owned())
}

#[test]
fn a_store_in_memory_is_written_read_and_walked_like_one_on_disk() {
    let mut state = open(&MemoryHosts::new(), true);
    for (offset, value) in [(1, "one"), (2, "two")] {
        commit(&mut state, value, offset);
    }
    state.store(MEMORY).delete_range(b"o", b"p");
    assert_eq!(get(&mut state, MEMORY), Some("two".to_owned()));
    let mut store = state.store(MEMORY);
    let found: Vec<_> = store
        .scan(&KeyRange::all())
        .expect("walks")
        .map(|entry| entry.expect("readable").0)
        .collect();
    assert_eq!(found, ["key", "two"]);
}

#[test]
fn after_a_restart_a_store_in_memory_is_empty_and_is_read_from_the_start_of_its_changelog() {
    let hosts = MemoryHosts::new();
    let mut state = open(&hosts, true);
    commit(&mut state, "one", 7);
    drop(state);
    let mut state = open(&hosts, true);
    assert_eq!(state.restore_start(DISK), Offset::new(7));
    assert_eq!(state.restore_start(MEMORY), Offset::ZERO);
    assert_eq!(get(&mut state, DISK), Some("one".to_owned()));
    assert_eq!(get(&mut state, MEMORY), None);
}

#[test]
fn a_store_that_was_in_memory_for_a_while_goes_on_from_where_its_disk_was_left() {
    let hosts = MemoryHosts::new();
    let mut state = open(&hosts, false);
    commit(&mut state, "on disk", 3);
    drop(state);
    let mut state = open(&hosts, true);
    let values = [(&b"key"[..], Some(&b"on disk"[..]))];
    state.restore(MEMORY, values, Offset::new(3)).expect("replays");
    commit(&mut state, "in memory", 5);
    drop(state);
    let mut state = open(&hosts, false);
    assert_eq!(state.restore_start(DISK), Offset::new(5));
    assert_eq!(
        state.restore_start(MEMORY),
        Offset::new(3),
        "what came later is replayed"
    );
    assert_eq!(get(&mut state, MEMORY), Some("on disk".to_owned()));
}

#[test]
fn beside_rocksdb_nothing_of_a_store_in_memory_is_on_disk() {
    let root = tempfile::tempdir().expect("a directory");
    let hosts: Arc<dyn StoreHostFactory> = Arc::new(RocksHosts::new(RocksBudget::new(8 << 20, 4 << 20)));
    for round in 1..3 {
        let mut state = open_in(hosts.clone(), root.path().to_owned(), true);
        assert_eq!(get(&mut state, MEMORY), None, "round {round} begins empty");
        commit(&mut state, "value", round);
        assert_eq!(get(&mut state, MEMORY), Some("value".to_owned()));
    }
    let mut state = open_in(hosts, root.path().to_owned(), false);
    assert_eq!(get(&mut state, DISK), Some("value".to_owned()));
    assert_eq!(get(&mut state, MEMORY), None);
    assert_eq!(state.restore_start(MEMORY), Offset::ZERO);
}
