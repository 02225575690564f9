//! The choice between partitions: timestamp order, waiting for partitions that may hold something older, runs as long as possible.

use bytes::Bytes;
use millpond_log::record::{BatchBuilder, BatchOptions};
use millpond_log::types::{Offset, PartitionId, TopicName, TopicPartition};

use super::*;

/// A batch at `base` with these timestamps; values are the timestamps.
pub(crate) fn batch(base: i64, times: &[i64]) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions {
        base_offset: Offset::new(base),
        ..BatchOptions::default()
    });
    for time in times {
        let value = time.to_string();
        builder
            .append(*time, Some(b"key"), Some(value.as_bytes()), &[])
            .expect("a small record");
    }
    builder.build()
}

fn queue(partition: i32) -> InputQueue {
    let topic = TopicName::new("orders").expect("a valid name");
    InputQueue::new(
        TopicPartition {
            topic,
            partition: PartitionId::new(partition),
        },
        Offset::ZERO,
    )
}

fn filled(partition: i32, batches: &[&[i64]]) -> InputQueue {
    let mut queue = queue(partition);
    let mut end = 0;
    let mut bytes = Vec::new();
    for times in batches {
        bytes.push(batch(end, times));
        end += times.len() as i64;
    }
    queue
        .push(Offset::ZERO, bytes, Vec::new(), Offset::new(end))
        .expect("sound batches");
    queue
}

/// Partition and timestamps of the next run.
fn next(group: &mut PartitionGroup) -> Option<(i32, Vec<i64>)> {
    match group.choose(usize::MAX, 0).expect("sound batches") {
        Choice::Run(run) => {
            let times = run
                .batch
                .records()
                .map(|record| record.expect("sound").record.timestamp)
                .collect();
            Some((run.batch.partition().partition.get(), times))
        }
        Choice::Wait | Choice::Time(_) => None,
    }
}

#[test]
fn one_partition_is_taken_whole() {
    let mut group = PartitionGroup::new(vec![filled(0, &[&[5, 1], &[9]])]);
    assert_eq!(next(&mut group), Some((0, vec![5, 1, 9])));
    assert_eq!(next(&mut group), None);
    assert_eq!(group.queues()[0].position(), Offset::new(3));
}

#[test]
fn several_partitions_are_merged_by_timestamp() {
    let mut group = PartitionGroup::new(vec![filled(0, &[&[1, 4, 8]]), filled(1, &[&[2, 3, 4], &[9]])]);
    assert_eq!(next(&mut group), Some((0, vec![1])));
    assert_eq!(next(&mut group), Some((1, vec![2, 3, 4])));
    assert_eq!(next(&mut group), Some((0, vec![4, 8])));
    assert_eq!(next(&mut group), Some((1, vec![9])));
    assert_eq!(next(&mut group), None);
}

#[test]
fn an_empty_partition_that_may_hold_more_is_waited_for() {
    let mut group = PartitionGroup::new(vec![filled(0, &[&[1]]), queue(1)]);
    assert_eq!(next(&mut group), None, "partition 1 was never looked at");
    group.queues_mut()[1]
        .push(Offset::ZERO, Vec::new(), Vec::new(), Offset::ZERO)
        .expect("nothing");
    assert_eq!(
        next(&mut group),
        Some((0, vec![1])),
        "partition 1 is known to be at its end"
    );
}

#[test]
fn rewinding_ignores_answers_to_older_questions() {
    let mut queue = filled(0, &[&[1, 2]]);
    queue.rewind(Offset::ZERO);
    queue
        .push(Offset::new(2), vec![batch(2, &[3])], Vec::new(), Offset::new(3))
        .expect("sound");
    assert!(queue.is_empty());
    assert_eq!(queue.fetch_position(), Offset::ZERO);
}

fn mark(number: u64, end: i64) -> TimeMark {
    TimeMark {
        number,
        time: 1_000,
        positions: vec![(TopicName::new("orders").expect("a valid name"), Offset::new(end))],
    }
}

/// A time topic's queue with these marks, read to its end.
fn marks(marks: &[TimeMark]) -> InputQueue {
    let topic = TopicName::new("time").expect("a valid name");
    let partition = PartitionId::new(0);
    let mut queue = InputQueue::new(TopicPartition { topic, partition }, Offset::ZERO);
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for mark in marks {
        builder
            .append(0, None, Some(&mark.encode()), &[])
            .expect("a small record");
    }
    let batches = if marks.is_empty() {
        Vec::new()
    } else {
        vec![builder.build()]
    };
    queue
        .push(Offset::ZERO, batches, Vec::new(), Offset::new(marks.len() as i64))
        .expect("sound batches");
    queue
}

#[test]
fn input_is_held_back_at_a_mark_until_time_went_on() {
    let time = marks(&[mark(1, 1), mark(2, 2), mark(3, 2)]);
    let mut group = PartitionGroup::new(vec![filled(0, &[&[10, 20, 30]]), time]).with_time(1);
    let mut order = Vec::new();
    let mut done = 0;
    loop {
        match group.choose(usize::MAX, done).expect("sound") {
            Choice::Run(run) => order.push(format!("{}..{}", run.batch.from(), run.batch.until())),
            Choice::Time(mark) => {
                done = mark.number;
                order.push(format!("mark {done}"));
            }
            Choice::Wait => break,
        }
    }
    assert_eq!(order, ["0..1", "mark 1", "1..2", "mark 2", "mark 3", "2..3"]);
}

#[test]
fn marks_that_were_done_are_passed_over_and_others_keep_the_position() {
    let time = marks(&[mark(1, 1), mark(2, 5)]);
    let mut group = PartitionGroup::new(vec![filled(0, &[&[10, 20]]), time]).with_time(1);
    let Choice::Run(run) = group.choose(usize::MAX, 1).expect("sound") else {
        panic!("there is input");
    };
    assert_eq!(
        run.batch.until(),
        Offset::new(2),
        "the first mark holds nothing back"
    );
    let position = group.positions().map(|(_, position)| position).last();
    assert_eq!(
        position,
        Some(Offset::new(1)),
        "the second mark must be read again after a restart"
    );
}

#[test]
fn nothing_is_chosen_before_it_is_known_whether_there_is_a_mark() {
    let topic = TopicName::new("time").expect("a valid name");
    let partition = PartitionId::new(0);
    let unread = InputQueue::new(TopicPartition { topic, partition }, Offset::ZERO);
    let mut group = PartitionGroup::new(vec![filled(0, &[&[10]]), unread]).with_time(1);
    assert!(matches!(
        group.choose(usize::MAX, 0).expect("sound"),
        Choice::Wait
    ));
}
