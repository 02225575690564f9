//! Which records compaction keeps, by comparison with what committed readers see.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::batch_facts::facts_of;
use super::compaction::*;
use super::producer_state::{ProducerState, TxnChange};
use crate::record::{BatchBuilder, BatchOptions, ControlRecord, RecordBatch, patch};
use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence};

/// One step of a log's life: who, what.
#[derive(Clone, Debug)]
enum Step {
    Data {
        producer: Option<i64>,
        transactional: bool,
        records: Vec<(u8, Option<u8>)>,
    },
    Marker {
        producer: i64,
        commit: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let record = (0u8..5, prop::option::weighted(0.7, any::<u8>()));
    prop_oneof![
        4 => (prop::option::of(0i64..3), any::<bool>(), prop::collection::vec(record, 1..4))
            .prop_map(|(producer, txn, records)| Step::Data { producer, transactional: txn && producer.is_some(), records }),
        2 => (0i64..3, any::<bool>()).prop_map(|(producer, commit)| Step::Marker { producer, commit }),
    ]
}

/// Builds the log as an append would: a producer with an open transaction sends nothing else, a marker closes what is open.
fn build(steps: &[Step]) -> (Vec<RecordBatch>, Vec<AbortedRange>, ProducerState) {
    let (mut log, mut aborted, mut state) = (Vec::new(), Vec::new(), ProducerState::default());
    let mut sequences = [0i32; 3];
    let mut next = Offset::ZERO;
    for step in steps {
        let bytes = match step {
            Step::Data {
                producer,
                transactional,
                records,
            } => {
                let open = producer.is_some_and(|p| {
                    state
                        .entry(ProducerId::new(p))
                        .is_some_and(|e| e.open_txn.is_some())
                });
                let identity = producer.map(|p| {
                    let sequence = sequences[p as usize];
                    sequences[p as usize] += records.len() as i32;
                    (ProducerId::new(p), ProducerEpoch::ZERO, Sequence::new(sequence))
                });
                let mut builder = BatchBuilder::new(BatchOptions {
                    producer: identity,
                    transactional: *transactional || open,
                    ..BatchOptions::default()
                });
                for (key, value) in records {
                    builder
                        .append(1000, Some(&[*key]), value.as_ref().map(std::slice::from_ref), &[])
                        .expect("fits");
                }
                builder.build()
            }
            Step::Marker { producer, commit } => {
                let record = if *commit {
                    ControlRecord::Commit { coordinator_epoch: 0 }
                } else {
                    ControlRecord::Abort { coordinator_epoch: 0 }
                };
                record.to_batch(ProducerId::new(*producer), ProducerEpoch::ZERO, 1000)
            }
        };
        let mut bytes = bytes.to_vec();
        next = patch::assign_offsets(&mut bytes, next, LeaderEpoch::ZERO).expect("sound");
        let batch = RecordBatch::parse(Bytes::from(bytes)).expect("sound");
        if let TxnChange::Closed(closed) = state.apply(&facts_of(&batch).expect("sound"), 0)
            && !closed.committed
        {
            aborted.push(AbortedRange {
                first_offset: closed.first_offset,
                last_offset: closed.marker_offset,
                producer_id: closed.producer_id,
                last_stable_offset: closed.last_stable_offset,
            });
        }
        log.push(batch);
    }
    (log, aborted, state)
}

type Record = (Offset, u8, Option<u8>);

/// What a read_committed consumer sees below `limit`, filtering as clients do: by the aborted list and the abort markers.
fn read_committed(log: &[RecordBatch], aborted: &[AbortedRange], limit: Offset) -> Vec<Record> {
    let mut pending: Vec<_> = aborted.to_vec();
    pending.sort_unstable();
    let mut skipping: Vec<ProducerId> = Vec::new();
    let mut seen = Vec::new();
    for batch in log.iter().take_while(|b| b.next_offset() <= limit) {
        pending.retain(|txn| {
            let begins = txn.first_offset <= batch.last_offset();
            if begins {
                skipping.push(txn.producer_id);
            }
            !begins
        });
        if batch.is_control() {
            if !marker_of(batch).expect("sound").expect("known").is_commit() {
                skipping.retain(|p| *p != batch.producer_id());
            }
        } else if !(batch.is_transactional() && skipping.contains(&batch.producer_id())) {
            for record in batch.decode().expect("sound").iter() {
                let record = record.expect("sound");
                seen.push((
                    record.offset,
                    record.key.expect("keyed")[0],
                    record.value.map(|v| v[0]),
                ));
            }
        }
    }
    seen
}

fn latest(records: &[Record]) -> BTreeMap<u8, u8> {
    let mut latest = BTreeMap::new();
    for (_, key, value) in records {
        match value {
            Some(value) => latest.insert(*key, *value),
            None => latest.remove(key),
        };
    }
    latest
}

/// One compaction pass over the batches below `upper`.
fn compact(
    log: &[RecordBatch],
    aborted: &[AbortedRange],
    state: &ProducerState,
    dirty_from: Offset,
    upper: Offset,
    map_bytes: usize,
    now: i64,
) -> (Vec<RecordBatch>, Vec<AbortedRange>, Offset, Offset) {
    let mut map = KeyMap::new(map_bytes, dirty_from);
    let mut walk = TxnWalk::starting_at(dirty_from, aborted.to_vec());
    for batch in log
        .iter()
        .filter(|b| b.next_offset() <= upper && b.next_offset() > dirty_from)
    {
        if !map.add(batch, &mut walk).expect("sound") {
            break;
        }
    }
    let cleaned_to = map.end();
    let last_batches = state
        .entries()
        .filter_map(|(id, e)| e.last_batch().map(|b| (id, b.last_offset)))
        .collect();
    let options = PassOptions {
        now,
        delete_retention_ms: 100,
        tombstones_kept_from: Offset::MAX,
    };
    let mut pass = Pass::new(map, aborted.to_vec(), last_batches, options);
    let mut kept = Vec::new();
    for batch in log {
        if batch.next_offset() > upper {
            kept.push(batch.clone());
            continue;
        }
        let fate = pass.fate(batch).expect("sound");
        if let Some(bytes) = apply_fate(batch, &fate).expect("sound") {
            let survivor = RecordBatch::parse(bytes).expect("sound");
            survivor.check_crc().expect("sound");
            assert_eq!(
                (survivor.base_offset(), survivor.last_offset()),
                (batch.base_offset(), batch.last_offset())
            );
            kept.push(survivor);
        }
    }
    let mut listed = pass.take_kept_aborted();
    listed.extend(aborted.iter().filter(|a| a.last_offset >= upper));
    (kept, listed, cleaned_to, pass.tombstones_removed_below())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]
    #[test]
    fn committed_readers_see_the_same_latest_values_after_any_number_of_passes(
        steps in prop::collection::vec(step(), 1..40),
        passes in prop::collection::vec((0usize..400, 0i64..150, 0usize..40), 1..6),
    ) {
        let (original, original_aborted, state) = build(&steps);
        let end = original.last().map_or(Offset::ZERO, |b| b.next_offset());
        let stable = state.first_open().unwrap_or(end);
        let expected = read_committed(&original, &original_aborted, stable);
        let (mut log, mut aborted, mut now, mut dirty_from) = (original.clone(), original_aborted, 0, Offset::ZERO);
        let mut horizon = Offset::ZERO;
        for (map_bytes, wait, upto) in passes {
            now += wait;
            // Any batch boundary below the last stable offset may be a segment boundary.
            let upper = original.iter().map(|b| b.next_offset()).filter(|o| *o <= stable).nth(upto).unwrap_or(stable);
            if upper <= dirty_from {
                continue;
            }
            let (kept, listed, cleaned_to, removed) = compact(&log, &aborted, &state, dirty_from, upper, map_bytes, now);
            (log, aborted, dirty_from) = (kept, listed, cleaned_to.min(upper));
            horizon = horizon.max(removed);

            let seen = read_committed(&log, &aborted, stable);
            prop_assert_eq!(latest(&seen), latest(&expected));
            for record in &seen {
                prop_assert!(expected.contains(record), "{:?} was never committed", record);
            }
            // A reader that began below the horizon may have missed tombstones; one at or above it has not.
            for (offset, key, value) in &expected {
                let newest = expected.iter().rev().find(|(_, k, _)| k == key);
                if value.is_none() && newest.is_some_and(|n| n.0 == *offset) && *offset >= horizon {
                    prop_assert!(seen.iter().any(|s| s.0 == *offset), "the tombstone at {} is gone above the horizon {}", offset, horizon);
                }
            }
            // Sequences survive: every producer with data still has its last batch, so a restart knows what comes next.
            let mut refolded = ProducerState::default();
            for batch in &log {
                refolded.apply(&facts_of(batch).expect("sound"), 0);
            }
            for (id, entry) in state.entries() {
                prop_assert_eq!(refolded.entry(id).and_then(|e| e.last_batch()).map(|b| (b.last_sequence, b.last_offset)),
                    entry.last_batch().map(|b| (b.last_sequence, b.last_offset)));
            }
            // Transactions that are open stay open, with nothing decided about them.
            prop_assert_eq!(refolded.first_open(), state.first_open());
        }
    }
}

#[test]
fn a_tombstone_outlives_its_delete_retention_and_a_lease() {
    let (log, aborted, state) = build(&[
        Step::Data {
            producer: None,
            transactional: false,
            records: vec![(1, Some(1))],
        },
        Step::Data {
            producer: None,
            transactional: false,
            records: vec![(1, None)],
        },
    ]);
    let end = Offset::new(2);
    let (log, aborted, _, _) = compact(&log, &aborted, &state, Offset::ZERO, end, 1000, 0);
    assert_eq!(read_committed(&log, &aborted, end), [(Offset::new(1), 1, None)]);
    let (early, _, _, _) = compact(&log, &aborted, &state, Offset::ZERO, end, 1000, 99);
    assert_eq!(early.len(), 1, "its horizon is 100");
    let (late, _, _, horizon) = compact(&log, &aborted, &state, Offset::ZERO, end, 1000, 100);
    assert!(late.is_empty());
    assert_eq!(horizon, Offset::new(2));
    let map = KeyMap::new(1000, end);
    let mut leased = Pass::new(
        map,
        Vec::new(),
        BTreeMap::new(),
        PassOptions {
            now: 100,
            delete_retention_ms: 100,
            tombstones_kept_from: Offset::new(1),
        },
    );
    assert_eq!(leased.fate(&log[0]).expect("sound"), Fate::Keep);
}

#[test]
fn a_marker_stays_until_a_pass_after_its_data_is_gone_and_its_horizon_has_passed() {
    let (log, aborted, state) = build(&[
        Step::Data {
            producer: Some(1),
            transactional: true,
            records: vec![(1, Some(1))],
        },
        Step::Marker {
            producer: 1,
            commit: false,
        },
        Step::Data {
            producer: Some(1),
            transactional: false,
            records: vec![(2, Some(2))],
        },
    ]);
    let end = Offset::new(3);
    let (first, aborted, _, _) = compact(&log, &aborted, &state, Offset::ZERO, end, 1000, 0);
    assert_eq!(first.len(), 2, "the data is gone, its marker is not");
    assert_eq!(aborted.len(), 1);
    let (second, aborted, _, _) = compact(&first, &aborted, &state, Offset::ZERO, end, 1000, 10);
    assert_eq!(second[0].delete_horizon_ms(), Some(110));
    assert!(aborted.is_empty());
    let (third, _, _, _) = compact(&second, &aborted, &state, Offset::ZERO, end, 1000, 110);
    assert_eq!(third.len(), 1);
    assert!(!third[0].is_control());
}
