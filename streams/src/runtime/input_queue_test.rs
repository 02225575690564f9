//! Read_committed filtering and positions.

use millpond_log::record::patch::set_base_offset;
use millpond_log::record::{BatchBuilder, BatchOptions, ControlRecord};
use millpond_log::types::{PartitionId, ProducerEpoch, Sequence, TopicName};

use super::*;

fn queue() -> InputQueue {
    let topic = TopicName::new("orders").expect("a valid name");
    InputQueue::new(
        TopicPartition {
            topic,
            partition: PartitionId::new(0),
        },
        Offset::ZERO,
    )
}

fn data(base: i64, producer: i64, count: usize) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions {
        base_offset: Offset::new(base),
        producer: Some((ProducerId::new(producer), ProducerEpoch::ZERO, Sequence::ZERO)),
        transactional: true,
        ..BatchOptions::default()
    });
    for _ in 0..count {
        builder
            .append(base, Some(b"k"), Some(b"v"), &[])
            .expect("a small record");
    }
    builder.build()
}

fn marker(base: i64, producer: i64, commit: bool) -> Bytes {
    let record = if commit {
        ControlRecord::Commit { coordinator_epoch: 0 }
    } else {
        ControlRecord::Abort { coordinator_epoch: 0 }
    };
    let mut batch = record
        .to_batch(ProducerId::new(producer), ProducerEpoch::ZERO, 0)
        .to_vec();
    set_base_offset(&mut batch, Offset::new(base));
    Bytes::from(batch)
}

fn offsets(queue: &mut InputQueue) -> Vec<i64> {
    let Some(run) = queue.take(usize::MAX, None).expect("sound batches") else {
        return Vec::new();
    };
    run.batch
        .records()
        .map(|record| record.expect("sound").record.offset.get())
        .collect()
}

#[test]
fn aborted_records_and_markers_are_passed_over() {
    let mut queue = queue();
    let batches = vec![
        data(0, 7, 2),
        data(2, 8, 1),
        marker(3, 7, false),
        data(4, 7, 1),
        marker(5, 7, true),
        marker(6, 8, true),
    ];
    let aborted = vec![(ProducerId::new(7), Offset::ZERO)];
    queue
        .push(Offset::ZERO, batches, aborted, Offset::new(7))
        .expect("sound batches");
    assert_eq!(offsets(&mut queue), [2, 4]);
    assert_eq!(queue.position(), Offset::new(7));
    assert!(queue.is_at_end());
}

#[test]
fn a_partition_of_nothing_but_aborted_data_is_read_to_its_end() {
    let mut queue = queue();
    let aborted = vec![(ProducerId::new(7), Offset::ZERO)];
    queue
        .push(
            Offset::ZERO,
            vec![data(0, 7, 2), marker(2, 7, false)],
            aborted,
            Offset::new(3),
        )
        .expect("sound batches");
    assert!(queue.is_empty());
    assert_eq!(queue.position(), Offset::new(3));
}

#[test]
fn a_batch_that_starts_below_the_position_gives_only_the_rest() {
    let mut queue = queue();
    queue.rewind(Offset::new(1));
    queue
        .push(Offset::new(1), vec![data(0, 9, 3)], Vec::new(), Offset::new(3))
        .expect("sound batches");
    assert_eq!(offsets(&mut queue), [1, 2]);
}

#[test]
fn runs_are_bounded_in_bytes_but_never_empty() {
    let mut queue = queue();
    queue
        .push(
            Offset::ZERO,
            vec![data(0, 1, 2), data(2, 1, 2)],
            Vec::new(),
            Offset::new(4),
        )
        .expect("sound");
    assert_eq!(offsets_up_to(&mut queue, 1), [0, 1]);
    assert_eq!(offsets_up_to(&mut queue, 1), [2, 3]);
    assert_eq!(queue.buffered_bytes(), 0);
}

fn offsets_up_to(queue: &mut InputQueue, bytes_max: usize) -> Vec<i64> {
    let run = queue
        .take(bytes_max, None)
        .expect("sound batches")
        .expect("a run");
    run.batch
        .records()
        .map(|record| record.expect("sound").record.offset.get())
        .collect()
}

#[test]
fn a_run_out_of_the_middle_of_a_batch_reads_its_own_records_only() {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for time in [10, 20, 30, 40] {
        builder
            .append(time, Some(b"k"), Some(b"v"), &[])
            .expect("a small record");
    }
    let mut queue = queue();
    queue
        .push(Offset::ZERO, vec![builder.build()], vec![], Offset::new(4))
        .expect("a sound batch");
    let mut runs = Vec::new();
    for limit in [10, 30, 40] {
        assert_eq!(
            queue.head_time().expect("sound"),
            Some(runs.len() as i64 * 10 + 10)
        );
        let run = queue
            .take(usize::MAX, Some(limit))
            .expect("sound")
            .expect("a run");
        let times = run
            .batch
            .records()
            .map(|record| record.expect("sound").record.timestamp);
        let times: Vec<_> = times.collect();
        // Of a run that ends a batch the whole batch is handed on, once.
        if limit < 40 {
            assert_eq!(run.batch.record_count_hint(), times.len());
        }
        runs.extend(times);
    }
    assert_eq!(runs, [10, 20, 30, 40]);
    assert!(queue.is_at_end());
}
