//! What a reader sees of a run of batches.

use millpond::log::record::{BatchBuilder, BatchOptions, patch};
use millpond::log::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence};

use super::*;

fn batch(producer: Option<i64>, values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions {
        producer: producer.map(|id| (ProducerId::new(id), ProducerEpoch::new(0), Sequence::new(0))),
        transactional: producer.is_some(),
        ..BatchOptions::default()
    });
    for value in values {
        builder
            .append(1, None, Some(value.as_bytes()), &[])
            .expect("a small record");
    }
    builder.build()
}

fn marker(producer: i64, commit: bool) -> Bytes {
    let record = if commit {
        ControlRecord::Commit { coordinator_epoch: 0 }
    } else {
        ControlRecord::Abort { coordinator_epoch: 0 }
    };
    record.to_batch(ProducerId::new(producer), ProducerEpoch::new(0), 1)
}

fn run(batches: &[Bytes]) -> Bytes {
    let mut run: Vec<u8> = batches.concat();
    patch::assign_offsets(&mut run, Offset::ZERO, LeaderEpoch::ZERO).expect("whole batches");
    Bytes::from(run)
}

/// The values seen, and the next offset.
fn seen(
    records: Bytes,
    next: i64,
    until: Option<i64>,
    aborted: &[(i64, i64)],
    isolation: Isolation,
) -> (Vec<String>, i64) {
    let mut part = Part {
        topic: "t".to_owned(),
        partition: 0,
        leader: 1,
        next,
        until,
        log_start: None,
        last_stable: None,
        high_watermark: None,
    };
    let mut fetched = Vec::new();
    cut(0, &mut part, records, aborted, isolation, false, &mut fetched).expect("sound batches");
    let mut values = Vec::new();
    for found in fetched {
        for record in found.batch.iter() {
            let record = record.expect("sound records");
            if (found.from..found.until).contains(&record.offset.get()) {
                values.push(String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned());
            }
        }
    }
    (values, part.next)
}

#[test]
fn an_aborted_transaction_is_not_seen_and_the_next_of_the_same_producer_is() {
    let run = run(&[
        batch(Some(7), &["a0", "a1"]),
        batch(None, &["plain"]),
        marker(7, false),
        batch(Some(7), &["b"]),
        marker(7, true),
    ]);
    let aborted = [(0, 7)];
    assert_eq!(
        seen(run.clone(), 0, None, &aborted, Isolation::Committed),
        (vec!["plain".to_owned(), "b".to_owned()], 6)
    );
    let (all, next) = seen(run, 0, None, &aborted, Isolation::Uncommitted);
    assert_eq!((all.len(), next), (4, 6));
}

#[test]
fn a_batch_is_entered_at_the_offset_asked_for_and_left_at_the_bound() {
    let run = run(&[batch(None, &["0", "1", "2", "3"]), batch(None, &["4"])]);
    assert_eq!(
        seen(run, 1, Some(3), &[], Isolation::Committed),
        (vec!["1".to_owned(), "2".to_owned()], 4)
    );
}

#[test]
fn markers_alone_reach_the_bound() {
    let run = run(&[batch(Some(7), &["a"]), marker(7, false)]);
    assert_eq!(
        seen(run, 0, Some(2), &[(0, 7)], Isolation::Committed),
        (vec![], 2)
    );
}

#[test]
fn an_answer_that_ends_inside_a_batch_is_read_up_to_there() {
    let run = run(&[batch(None, &["0"]), batch(None, &["1"])]);
    let cut_off = run.slice(..run.len() - 3);
    assert_eq!(
        seen(cut_off, 0, None, &[], Isolation::Committed),
        (vec!["0".to_owned()], 1)
    );
}

#[test]
fn a_batch_with_a_wrong_checksum_is_refused() {
    let mut bytes = run(&[batch(None, &["0"])]).to_vec();
    *bytes.last_mut().expect("a batch has bytes") ^= 1;
    let mut part = Part {
        topic: "t".to_owned(),
        partition: 0,
        leader: 1,
        next: 0,
        until: None,
        log_start: None,
        last_stable: None,
        high_watermark: None,
    };
    let refused = cut(
        0,
        &mut part,
        Bytes::from(bytes),
        &[],
        Isolation::Uncommitted,
        false,
        &mut Vec::new(),
    );
    assert!(matches!(refused, Err(BatchError::Crc { .. })), "{refused:?}");
}
