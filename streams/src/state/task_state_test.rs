//! The life of a transaction, told one rule at a time. `model_test.rs` mixes them at random.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use millpond_log::faults::Faults;
use millpond_log::types::Offset;

use super::*;
use crate::state::{KeyBatch, KeyRange, MemoryHosts, StoreKind, Survivors, Update, window_key};

const COUNTS: StoreIndex = StoreIndex::new(0);
const PANES: StoreIndex = StoreIndex::new(1);

fn options(hosts: &MemoryHosts) -> StateOptions {
    StateOptions {
        dir: "/state".into(),
        task: TaskId::new(0, 0.into()),
        host: Arc::new(hosts.clone()),
        stores: vec![
            StoreSpec::key_value("counts"),
            StoreSpec::window("panes", 1_000, 10_000),
        ],
        limits: StateLimits::default(),
        faults: Faults::none(),
    }
}

fn open(hosts: &MemoryHosts) -> TaskState {
    TaskState::open(options(hosts)).unwrap()
}

fn at(offset: i64) -> CommitPosition {
    CommitPosition {
        changelog: vec![(COUNTS, Offset::new(offset))],
        txn_seq: offset as u64,
        ..CommitPosition::default()
    }
}

fn commit(state: &mut TaskState, offset: i64) {
    state.freeze();
    state.commit_frozen(at(offset));
}

fn get(state: &mut TaskState, key: &[u8]) -> Option<Vec<u8>> {
    state.store(COUNTS).get(key).unwrap().map(Vec::from)
}

#[test]
fn a_query_sees_a_write_after_its_commit_and_not_before() {
    let mut state = open(&MemoryHosts::new());
    let reader = state.reader();
    state.store(COUNTS).put(b"a", b"1");
    assert_eq!(
        reader.get(COUNTS, b"a").unwrap(),
        None,
        "while the transaction is open"
    );
    state.freeze();
    assert_eq!(
        reader.get(COUNTS, b"a").unwrap(),
        None,
        "while it is being committed"
    );
    state.commit_frozen(at(1));
    assert_eq!(
        reader.get(COUNTS, b"a").unwrap().as_deref(),
        Some(b"1".as_slice())
    );
    assert_eq!(reader.position().unwrap(), at(1));
}

#[test]
fn the_next_transaction_sees_the_one_being_committed() {
    let mut state = open(&MemoryHosts::new());
    state.store(COUNTS).put(b"a", b"1");
    state.freeze();
    assert_eq!(get(&mut state, b"a").as_deref(), Some(b"1".as_slice()));
    state.store(COUNTS).put(b"a", b"2");
    state.commit_frozen(at(1));
    assert_eq!(
        state.reader().get(COUNTS, b"a").unwrap().as_deref(),
        Some(b"1".as_slice())
    );
    assert_eq!(get(&mut state, b"a").as_deref(), Some(b"2".as_slice()));
}

/// The host gets one entry, but a replay reads every change.
#[test]
fn a_key_that_changes_with_every_commit_does_not_lag_for_ever() {
    let hosts = MemoryHosts::new();
    let mut options = options(&hosts);
    options.limits.apply_bytes = 1_000;
    options.limits.flush_bytes = 2_000;
    let mut state = TaskState::open(options).unwrap();
    for offset in 1..=100 {
        state.store(COUNTS).put(b"hot", format!("{offset:07}").as_bytes());
        commit(&mut state, offset);
        state.maybe_apply(Duration::ZERO).unwrap();
        // 94 bytes a commit with what the changelog adds: at most ten to come to the host, and as many in it that are not flushed.
        assert!(state.metrics().applied_lag_bytes < 1_000);
        let durable = state
            .durable_position()
            .changelog_offset(COUNTS)
            .map_or(0, Offset::get);
        assert!(
            offset - durable <= 20,
            "{durable} is durable after {offset} commits"
        );
    }
}

#[test]
fn an_abort_drops_the_frozen_transaction_and_the_one_on_top_of_it() {
    let mut state = open(&MemoryHosts::new());
    state.store(COUNTS).put(b"a", b"1");
    commit(&mut state, 1);
    state.store(COUNTS).put(b"a", b"2");
    state.freeze();
    state.store(COUNTS).delete(b"a");
    state.abort_all();
    assert_eq!(get(&mut state, b"a").as_deref(), Some(b"1".as_slice()));
    assert!(!state.is_frozen() && !state.has_uncommitted());
}

#[test]
fn a_changelog_gets_each_key_once_with_its_last_value() {
    let mut state = open(&MemoryHosts::new());
    let mut store = state.store(COUNTS);
    store.put(b"a", b"1");
    store.put(b"b", b"1");
    store.put(b"a", b"2");
    store.delete(b"b");
    drop(store);
    let changes = state.freeze();
    let changes: Vec<_> = changes
        .iter()
        .map(|change| (change.store, change.key, change.value))
        .collect();
    assert_eq!(
        changes,
        [
            (COUNTS, b"a".as_slice(), Some(b"2".as_slice())),
            (COUNTS, b"b", None)
        ]
    );
}

#[test]
fn an_unlogged_store_commits_and_stays_out_of_the_changelog() {
    let hosts = MemoryHosts::new();
    let mut options = options(&hosts);
    options.stores[0] = StoreSpec::key_value("counts").without_changelog();
    let mut state = TaskState::open(options).unwrap();
    state.store(COUNTS).put(b"a", b"1");
    assert!(state.freeze().is_empty());
    state.commit_frozen(CommitPosition::default());
    assert_eq!(
        state.reader().get(COUNTS, b"a").unwrap().as_deref(),
        Some(b"1".as_slice())
    );
}

#[test]
#[should_panic(expected = "a transaction is being committed already")]
fn a_second_transaction_is_not_frozen_before_the_first_ended() {
    let mut state = open(&MemoryHosts::new());
    state.freeze();
    state.freeze();
}

#[test]
fn updates_of_one_batch_see_each_other() {
    let mut state = open(&MemoryHosts::new());
    let keys: KeyBatch = ["a", "b", "a", "a"].into_iter().collect();
    let mut seen = Vec::new();
    let count = |_, old: Option<&[u8]>, new: &mut Vec<u8>| {
        let old = old.map_or(0, |bytes| bytes[0]);
        seen.push(old);
        new.push(old + 1);
        Update::Put
    };
    state.store(COUNTS).update_many(&keys, count).unwrap();
    assert_eq!(seen, [0, 0, 1, 2]);
    assert_eq!(get(&mut state, b"a"), Some(vec![3]));
}

#[test]
fn an_update_may_keep_or_delete() {
    let mut state = open(&MemoryHosts::new());
    let mut store = state.store(COUNTS);
    store.put(b"a", b"1");
    store
        .update(b"a", |_, new| {
            new.extend_from_slice(b"ignored");
            Update::Keep
        })
        .unwrap();
    assert_eq!(store.get(b"a").unwrap().as_deref(), Some(b"1".as_slice()));
    store.update(b"a", |_, _| Update::Delete).unwrap();
    assert_eq!(store.get(b"a").unwrap(), None);
}

#[test]
fn a_new_pane_is_never_read_from_the_host() {
    let hosts = MemoryHosts::new();
    let mut state = open(&hosts);
    state.store(PANES).put(&window_key::encode(1_000, b"a"), b"1");
    commit(&mut state, 1);
    state.close().unwrap();
    let mut state = open(&hosts);
    for key in 0..100u32 {
        let key = window_key::encode(2_000, &key.to_be_bytes());
        assert_eq!(state.store(PANES).get(&key).unwrap(), None);
        state.store(PANES).put(&key, b"1");
    }
    assert_eq!(state.metrics().host_reads, 0);
    assert_eq!(
        state
            .store(PANES)
            .get(&window_key::encode(1_000, b"a"))
            .unwrap()
            .as_deref(),
        Some(b"1".as_slice())
    );
    assert_eq!(state.metrics().host_reads, 1);
}

#[test]
fn a_pane_that_is_in_memory_whole_is_not_read_after_it_was_applied() {
    let mut state = open(&MemoryHosts::new());
    state.store(PANES).put(&window_key::encode(1_000, b"m"), b"1");
    commit(&mut state, 1);
    state.flush().unwrap();
    for key in [b"a", b"m", b"z"] {
        state.store(PANES).get(&window_key::encode(1_000, key)).unwrap();
    }
    assert_eq!(state.metrics().host_reads, 0);
}

#[test]
fn a_pane_that_closes_before_the_next_step_never_reaches_the_host() {
    let mut state = open(&MemoryHosts::new());
    state
        .store(PANES)
        .put(&window_key::encode(1_000, b"a"), [7; 1_000]);
    commit(&mut state, 1);
    let (from, to) = window_key::panes_before(2_000);
    state.store(PANES).delete_range(&from, &to);
    commit(&mut state, 2);
    assert_eq!(state.metrics().memory_entries, 0, "the pane's table is gone");
    state.apply_all().unwrap();
    assert!(state.metrics().applied_bytes < 1_000, "{:?}", state.metrics());
}

#[test]
fn expiry_reaches_what_the_host_has() {
    let hosts = MemoryHosts::new();
    let mut state = open(&hosts);
    for pane in [1_000, 2_000] {
        state.store(PANES).put(&window_key::encode(pane, b"a"), b"1");
    }
    commit(&mut state, 1);
    state.close().unwrap();
    let mut state = open(&hosts);
    let (from, to) = window_key::panes_before(2_000);
    state.store(PANES).delete_range(&from, &to);
    commit(&mut state, 2);
    state.close().unwrap();
    let mut state = open(&hosts);
    let left: Vec<_> = state
        .store(PANES)
        .scan(&KeyRange::all())
        .unwrap()
        .map(|entry| entry.unwrap().0)
        .collect();
    assert_eq!(left, [window_key::encode(2_000, b"a")]);
}

#[test]
fn the_host_is_written_when_changes_are_old_and_flushed_when_writes_are() {
    let mut state = open(&MemoryHosts::new());
    state.store(COUNTS).put(b"a", b"1");
    commit(&mut state, 1);
    state.maybe_apply(Duration::from_secs(100)).unwrap();
    assert_eq!(state.stored_position().txn_seq, 0, "young");
    state.maybe_apply(Duration::from_secs(110)).unwrap();
    assert_eq!(state.stored_position().txn_seq, 1);
    assert_eq!(state.durable_position().txn_seq, 0, "written, not flushed");
    state.maybe_apply(Duration::from_secs(170)).unwrap();
    assert_eq!(state.durable_position().txn_seq, 1);
}

#[test]
fn the_host_is_written_when_changes_are_many() {
    let hosts = MemoryHosts::new();
    let mut options = options(&hosts);
    options.limits.apply_bytes = 1_000;
    let mut state = TaskState::open(options).unwrap();
    state.store(COUNTS).put(b"a", [1; 2_000]);
    commit(&mut state, 1);
    state.maybe_apply(Duration::ZERO).unwrap();
    assert_eq!(state.stored_position().txn_seq, 1);
}

#[test]
fn a_flush_that_runs_elsewhere_publishes_its_own_position() {
    let mut state = open(&MemoryHosts::new());
    state.store(COUNTS).put(b"a", b"1");
    commit(&mut state, 1);
    state.apply_all().unwrap();
    assert!(
        state
            .maybe_apply_deferring_flush(Duration::ZERO)
            .unwrap()
            .is_none()
    );
    let flush = state
        .maybe_apply_deferring_flush(Duration::from_secs(60))
        .unwrap()
        .unwrap();
    state.store(COUNTS).put(b"a", b"2");
    commit(&mut state, 2);
    state.apply_all().unwrap();
    flush.run().unwrap();
    assert_eq!(state.durable_position().txn_seq, 1);
}

#[test]
fn memory_stays_inside_its_budget_and_nothing_is_lost() {
    let hosts = MemoryHosts::new();
    let mut options = options(&hosts);
    options.limits.memory_bytes_max = 100_000;
    let mut state = TaskState::open(options).unwrap();
    for round in 0..50u32 {
        for key in 0..200u32 {
            state
                .store(COUNTS)
                .put(&(round * 200 + key).to_be_bytes(), round.to_be_bytes());
        }
        commit(&mut state, i64::from(round));
        state.maybe_apply(Duration::ZERO).unwrap();
        assert!(state.metrics().memory_bytes <= 100_000, "{:?}", state.metrics());
    }
    for key in [0u32, 5_000, 9_999] {
        assert_eq!(
            get(&mut state, &key.to_be_bytes()),
            Some((key / 200).to_be_bytes().to_vec())
        );
    }
    assert!(state.metrics().evictions > 0);
}

#[test]
fn replay_of_a_long_changelog_stays_inside_the_budget() {
    let hosts = MemoryHosts::new();
    let mut options = options(&hosts);
    options.limits.memory_bytes_max = 100_000;
    let mut state = TaskState::open(options).unwrap();
    for batch in 0..100i64 {
        let keys: Vec<_> = (0..100).map(|key| (batch * 100 + key).to_be_bytes()).collect();
        let records = keys.iter().map(|key| (key.as_slice(), Some(key.as_slice())));
        state
            .restore(COUNTS, records, Offset::new((batch + 1) * 100))
            .unwrap();
        assert!(state.metrics().memory_bytes <= 100_000, "{:?}", state.metrics());
    }
    assert_eq!(state.metrics().restored_records, 10_000);
    assert_eq!(state.restore_start(COUNTS), Offset::new(10_000));
    assert_eq!(
        get(&mut state, &77i64.to_be_bytes()),
        Some(77i64.to_be_bytes().to_vec())
    );
}

#[test]
fn a_kill_in_the_middle_of_a_replay_goes_on_from_the_last_flush() {
    let hosts = MemoryHosts::new();
    let mut state = open(&hosts);
    state
        .restore(
            COUNTS,
            [(b"a".as_slice(), Some(b"1".as_slice()))],
            Offset::new(10),
        )
        .unwrap();
    state.flush().unwrap();
    state
        .restore(
            COUNTS,
            [(b"a".as_slice(), Some(b"2".as_slice()))],
            Offset::new(20),
        )
        .unwrap();
    drop(state);
    hosts.crash(Survivors::None);
    let mut state = open(&hosts);
    assert_eq!(state.restore_start(COUNTS), Offset::new(10));
    assert_eq!(get(&mut state, b"a").as_deref(), Some(b"1".as_slice()));
}

#[test]
fn kill_points_are_passed_at_commit_and_in_replay() {
    let passed = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let mut options = options(&MemoryHosts::new());
    let noted = Arc::clone(&passed);
    options.faults = Faults::none().on_point(Arc::new(move |point| noted.lock().push(point.to_owned())));
    let mut state = TaskState::open(options).unwrap();
    state
        .restore(COUNTS, [(b"a".as_slice(), None)], Offset::new(1))
        .unwrap();
    commit(&mut state, 2);
    assert_eq!(*passed.lock(), ["K20", "K19"]);
}

#[test]
fn a_reader_of_a_closed_task_says_so() {
    let state = open(&MemoryHosts::new());
    let reader = state.reader();
    state.close().unwrap();
    let error = reader.get(COUNTS, b"a").unwrap_err();
    assert!(matches!(error, StateError::Closed { .. }), "{error}");
}

#[test]
fn a_snapshot_holds_one_position_while_commits_go_on() {
    let mut state = open(&MemoryHosts::new());
    state.store(COUNTS).put(b"a", b"1");
    commit(&mut state, 1);
    let pinned = state.reader().pin().unwrap();
    let snapshot = pinned.snapshot().unwrap();
    state.store(COUNTS).put(b"a", b"2");
    commit(&mut state, 2);
    state.apply_all().unwrap();
    assert_eq!(
        snapshot.get(COUNTS, b"a").unwrap().as_deref(),
        Some(b"1".as_slice())
    );
    assert_eq!(snapshot.position().txn_seq, 1);
}

#[test]
fn a_store_declared_twice_is_refused() {
    let mut options = options(&MemoryHosts::new());
    options.stores[1] = StoreSpec {
        kind: StoreKind::KeyValue,
        ..StoreSpec::key_value("counts")
    };
    let error = TaskState::open(options).unwrap_err();
    assert!(matches!(error, StateError::DuplicateStore(_)), "{error}");
}

#[test]
fn a_damaged_position_is_reported_and_nothing_is_removed() {
    let hosts = MemoryHosts::new();
    let specs = options(&hosts).stores;
    let open_host =
        || StoreHostFactory::open(&hosts, Path::new("/state"), TaskId::new(0, 0.into()), &specs).unwrap();
    let host = open_host();
    host.write(&mut |batch| batch.put(COUNTS, b"a", b"1"), b"nonsense")
        .unwrap();
    host.flush().unwrap();
    drop(host);
    let error = TaskState::open(options(&hosts)).unwrap_err();
    assert!(matches!(error, StateError::Damaged { .. }), "{error}");
    assert_eq!(
        open_host().get(COUNTS, b"a").unwrap().as_deref(),
        Some(b"1".as_slice())
    );
}
