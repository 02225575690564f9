//! What `find_many` finds, and what it leaves behind.

use std::sync::Arc;
use std::time::Duration;

use millpond_log::faults::Faults;
use proptest::prelude::*;

use crate::state::{
    CommitPosition, KeyBatch, MemoryHosts, StateLimits, StateOptions, StoreIndex, StoreSpec, TaskId,
    TaskState, window_key,
};

const PANES: StoreIndex = StoreIndex::new(0);

fn open() -> TaskState {
    TaskState::open(StateOptions {
        dir: "/state".into(),
        task: TaskId::new(0, 0.into()),
        host: Arc::new(MemoryHosts::new()),
        stores: vec![StoreSpec::window("panes", 1_000, 10_000)],
        limits: StateLimits {
            memory_bytes_max: 0,
            ..StateLimits::default()
        },
        faults: Faults::none(),
    })
    .unwrap()
}

fn commit(state: &mut TaskState) {
    drop(state.freeze());
    state.commit_frozen(CommitPosition::default());
}

fn found(state: &mut TaskState, keys: &[Vec<u8>]) -> Vec<(usize, Vec<u8>)> {
    let keys: KeyBatch = keys.iter().collect();
    let mut found = Vec::new();
    let mut store = state.store(PANES);
    store
        .find_many(&keys, |number, value| found.push((number, value.to_vec())))
        .unwrap();
    found.sort();
    found
}

#[test]
fn keys_that_are_not_there_leave_no_trace() {
    let mut state = open();
    state.store(PANES).put(&window_key::encode(0, b"here"), b"1");
    commit(&mut state);
    let keys: Vec<Vec<u8>> = (0..100).map(|n| window_key::encode(0, &[n])).collect();
    let before = state.metrics().memory_entries;
    assert_eq!(found(&mut state, &keys), []);
    assert_eq!(state.metrics().memory_entries, before);
}

#[test]
fn what_only_the_host_has_is_found_and_remembered() {
    let mut state = open();
    for n in 0..20 {
        state.store(PANES).put(&window_key::encode(0, &[n]), [n]);
    }
    commit(&mut state);
    state.maybe_apply(Duration::from_secs(0)).unwrap();
    assert_eq!(
        state.metrics().memory_entries,
        0,
        "everything was written out and forgotten"
    );
    // Asked twice in one call, and one that is nowhere.
    let keys = [3, 7, 3, 99].map(|n| window_key::encode(0, &[n])).to_vec();
    assert_eq!(
        found(&mut state, &keys),
        [(0, vec![3]), (1, vec![7]), (2, vec![3])]
    );
    let reads = state.metrics().host_reads;
    assert_eq!(found(&mut state, &keys[..2]), [(0, vec![3]), (1, vec![7])]);
    assert_eq!(
        state.metrics().host_reads,
        reads,
        "the second time memory answers"
    );
}

proptest! {
    /// `find_many` and `multi_get_with` see the same store, whatever layer a key is in.
    #[test]
    fn finds_what_a_plain_read_finds(
        steps in prop::collection::vec((0u8..4, 0i64..3, 0u8..6), 1..60),
    ) {
        let mut state = open();
        for (number, (step, pane, key)) in steps.into_iter().enumerate() {
            let key = window_key::encode(pane, &[key]);
            match step {
                0 => state.store(PANES).put(&key, [number as u8]),
                1 => state.store(PANES).delete(&key),
                2 => {
                    let (from, to) = window_key::panes(i64::MIN, pane);
                    state.store(PANES).delete_range(&from, &to);
                }
                _ => {
                    commit(&mut state);
                    state.maybe_apply(Duration::from_secs(number as u64 * 20)).unwrap();
                }
            }
            let keys: Vec<Vec<u8>> = (0..3).flat_map(|pane| (0..6).map(move |key| window_key::encode(pane, &[key]))).collect();
            let found = found(&mut state, &keys);
            let mut plain = Vec::new();
            for (number, key) in keys.iter().enumerate() {
                if let Some(value) = state.store(PANES).get(key).unwrap() {
                    plain.push((number, value.to_vec()));
                }
            }
            prop_assert_eq!(found, plain);
        }
    }
}
