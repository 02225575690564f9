//! How much a start may have to replay, whatever is written and however slow flushes are.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use millpond_log::faults::Faults;
use millpond_log::types::Offset;

use super::*;

const LAG_BYTES: usize = 4_000;

/// What a changelog adds: 61 bytes to the records of a transaction, and no more than 20 to each.
fn changelog_bytes(keys: &[(u8, usize)]) -> usize {
    let records: usize = keys.iter().map(|(_, value_len)| 1 + value_len + 20).sum();
    if keys.is_empty() { 0 } else { 64 + records }
}

#[test]
fn what_a_crash_leaves_to_be_replayed_is_the_configured_lag_or_one_transaction() {
    let mut reached = 0;
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut state = TaskState::open(StateOptions {
            dir: "/state".into(),
            task: TaskId::new(0, 0.into()),
            host: Arc::new(MemoryHosts::new()),
            stores: vec![StoreSpec::key_value("counts")],
            limits: StateLimits {
                apply_bytes: *rng.choice(&[1, 1_000, 4_000, 1 << 20]).expect("some"),
                flush_bytes: LAG_BYTES,
                ..StateLimits::default()
            },
            faults: Faults::none(),
        })
        .expect("it opens");
        let mut sizes: Vec<usize> = Vec::new();
        let mut flushes = VecDeque::new();
        let value_len_max = *rng.choice(&[10, 400, 3_000]).expect("some");
        for txn in 1..=80_u64 {
            // Each key once: what a transaction changes twice is one record.
            let keys: Vec<(u8, usize)> = (0..rng.u8(0..8))
                .map(|key| (key, rng.usize(0..value_len_max)))
                .collect();
            for (key, value_len) in &keys {
                state.store(StoreIndex::new(0)).put(&[*key], vec![0; *value_len]);
            }
            state.freeze();
            state.make_room().expect("flushed");
            if rng.u8(..) < 10 {
                state.abort_all();
                sizes.push(0);
            } else {
                state.commit_frozen(CommitPosition {
                    changelog: vec![(StoreIndex::new(0), Offset::new(txn as i64))],
                    txn_seq: txn,
                    ..CommitPosition::default()
                });
                sizes.push(changelog_bytes(&keys));
            }
            let durable = state.durable_position().txn_seq as usize;
            let replayed: usize = sizes[durable..].iter().sum();
            let last = *sizes.last().expect("one");
            assert!(
                replayed <= LAG_BYTES.max(last),
                "seed {seed}: {replayed} bytes to replay after transaction {txn}, which has {last}"
            );
            reached = reached.max(replayed.min(LAG_BYTES));
            flushes.extend(
                state
                    .maybe_apply_deferring_flush(Duration::ZERO)
                    .expect("applied"),
            );
            // A slow disk.
            while !flushes.is_empty() && rng.u8(..) < 60 {
                flushes
                    .pop_front()
                    .map_or(Ok(()), FlushJob::run)
                    .expect("flushed");
            }
        }
    }
    assert!(
        reached > LAG_BYTES * 9 / 10,
        "{reached} bytes are no test of the limit"
    );
}

#[test]
fn a_flush_that_ends_late_does_not_take_the_durable_position_back() {
    let mut state = TaskState::open(StateOptions {
        dir: "/state".into(),
        task: TaskId::new(0, 0.into()),
        host: Arc::new(MemoryHosts::new()),
        stores: vec![StoreSpec::key_value("counts")],
        limits: StateLimits::default(),
        faults: Faults::none(),
    })
    .expect("it opens");
    let commit = |state: &mut TaskState, txn_seq| {
        state.store(StoreIndex::new(0)).put(b"a", b"1");
        state.freeze();
        state.commit_frozen(CommitPosition {
            txn_seq,
            ..CommitPosition::default()
        });
        state.apply_all().expect("applied");
    };
    commit(&mut state, 1);
    assert!(
        state
            .maybe_apply_deferring_flush(Duration::ZERO)
            .expect("applied")
            .is_none()
    );
    let late = state
        .maybe_apply_deferring_flush(Duration::from_secs(60))
        .expect("applied")
        .expect("it is due");
    commit(&mut state, 2);
    state.flush().expect("flushed");
    late.run().expect("flushed");
    assert_eq!(state.durable_position().txn_seq, 2);
    assert_eq!(state.metrics().durable_lag_bytes, 0);
}
