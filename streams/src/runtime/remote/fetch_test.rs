//! Fetched bytes: a batch cut off at the end, damage, and aborted transactions in order.

use kafka_protocol::messages::fetch_response::AbortedTransaction;
use millpond_log::record::{BatchBuilder, BatchOptions};
use millpond_log::types::TopicName;

use super::*;

fn partition() -> TopicPartition {
    TopicPartition::new(TopicName::new("t").expect("a name"), 3)
}

fn batch(value: &str) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder
        .append(1, Some(b"k"), Some(value.as_bytes()), &[])
        .expect("it fits");
    builder.build()
}

fn outcome(data: PartitionData) -> Outcome {
    outcome_of(data, &partition(), Offset::new(5))
}

#[test]
fn a_batch_that_is_cut_off_at_the_end_is_left_to_the_next_fetch() {
    let (first, second) = (batch("one"), batch("two"));
    let both = [first.as_ref(), second.as_ref()].concat();
    assert_eq!(whole_batches(Bytes::from(both.clone())), both);
    for cut in 0..second.len() {
        let records = Bytes::copy_from_slice(&both[..first.len() + cut]);
        assert_eq!(whole_batches(records), first, "{cut} bytes of the second batch");
    }
    for cut in 0..first.len() {
        assert!(
            whole_batches(first.slice(..cut)).is_empty(),
            "{cut} bytes of the first batch"
        );
    }
}

#[test]
fn damage_is_left_for_the_reader_to_name() {
    let mut damaged = batch("one").to_vec();
    damaged[16] = 1;
    assert_eq!(whole_batches(Bytes::from(damaged.clone())), damaged);
}

#[test]
fn aborted_transactions_come_in_order_of_their_first_offset() {
    let aborted = |producer: i64, first| {
        AbortedTransaction::default()
            .with_producer_id(producer.into())
            .with_first_offset(first)
    };
    let data = PartitionData::default()
        .with_high_watermark(20)
        .with_last_stable_offset(18)
        .with_log_start_offset(2)
        .with_aborted_transactions(Some(vec![aborted(1, 9), aborted(2, 7)]))
        .with_records(Some(batch("one")));
    let data = outcome(data).expect("data");
    let aborted: Vec<_> = data
        .aborted
        .iter()
        .map(|aborted| (aborted.producer_id.get(), aborted.first_offset.get()))
        .collect();
    assert_eq!(aborted, [(2, 7), (1, 9)]);
    assert_eq!(data.batches, [batch("one")]);
    let offsets = (
        data.high_watermark,
        data.last_stable_offset,
        data.log_start_offset,
    );
    assert_eq!(offsets, (Offset::new(20), Offset::new(18), Offset::new(2)));
}

#[test]
fn nothing_is_no_batch() {
    for records in [None, Some(Bytes::new())] {
        let data = outcome(PartitionData::default().with_records(records)).expect("data");
        assert!(data.batches.is_empty() && data.aborted.is_empty());
    }
}

#[test]
fn errors_of_a_partition_ask_the_reader_to_do_the_same_as_a_log_in_this_process_would() {
    let failed = |code: i16| {
        let error = outcome(PartitionData::default().with_error_code(code)).expect_err("an error");
        LogError::from(error)
    };
    assert!(matches!(failed(1), LogError::OffsetOutOfRange(text) if text.contains("t-3")));
    // Not the leader, unknown here, stale epochs, a broken disk: another broker may do better.
    for code in [3, 5, 6, 56, 74, 75] {
        assert!(matches!(failed(code), LogError::Retriable(_)), "{code}");
    }
    assert!(matches!(failed(29), LogError::Refused(_)));
    assert!(matches!(
        LogError::from(told(LogError::UnknownTopic("x".into()))),
        LogError::UnknownTopic(_)
    ));
    assert!(LogError::from(told(LogError::Unknown("x".into()))).may_repeat());
}
