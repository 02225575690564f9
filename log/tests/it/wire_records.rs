//! Produce, Fetch and ListOffsets over a socket: the traps of the protocol about records, and records that nobody could read.

use bytes::Bytes;
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::{FetchRequest, FetchResponse, MetadataRequest};
use millpond_log::broker::NewTopic;

use crate::support::{batch, create, create_with, topic};
use crate::wire::{Served, fetch, list_offsets, produce};

fn records(answer: &FetchResponse) -> &[u8] {
    answer.responses[0].partitions[0]
        .records
        .as_deref()
        .expect("records are empty, never null")
}

#[tokio::test]
async fn trap_5_a_topic_made_again_has_another_id_and_the_old_one_is_unknown() {
    let at = Served::new().await;
    create(&at.broker, "orders", 1).await;
    let mut wire = at.connect().await;
    let before = wire
        .ask(12, MetadataRequest::default().with_topics(None))
        .await
        .topics[0]
        .topic_id;
    assert!(!before.is_nil());
    at.broker.delete_topics(vec![topic("orders")]).await;
    create(&at.broker, "orders", 1).await;
    let after = wire
        .ask(12, MetadataRequest::default().with_topics(None))
        .await
        .topics[0]
        .topic_id;
    assert_ne!(before, after);
    let by_id = |id| {
        let mut request = fetch("", 0, 0);
        request.topics[0].topic_id = id;
        request
    };
    let old = wire.ask(13, by_id(before)).await;
    assert_eq!(old.responses[0].partitions[0].error_code, 100);
    assert_eq!(old.responses[0].topic_id, before);
    let new = wire.ask(13, by_id(after)).await;
    assert_eq!(new.responses[0].partitions[0].error_code, 0);
}

#[tokio::test]
async fn trap_6_records_are_empty_and_never_null_even_with_an_error() {
    let at = Served::new().await;
    create(&at.broker, "orders", 1).await;
    let mut wire = at.connect().await;
    for (name, code) in [("orders", 0), ("missing", 3)] {
        for version in [4, 11, 12] {
            let answer = wire.ask(version, fetch(name, 0, 0)).await;
            assert_eq!(answer.responses[0].partitions[0].error_code, code);
            assert_eq!(records(&answer), b"", "{name} at version {version}");
        }
    }
}

#[tokio::test]
async fn trap_7_an_offset_inside_a_batch_gets_the_whole_batch_however_small_the_limit() {
    let at = Served::new().await;
    create(&at.broker, "orders", 1).await;
    let mut wire = at.connect().await;
    let sent = batch(&["a", "b", "c"], None, false);
    wire.ask(7, produce("orders", 0, sent.clone(), -1)).await;
    let mut request = fetch("orders", 1, 0);
    request.topics[0].partitions[0].partition_max_bytes = 1;
    request.max_bytes = 1;
    let answer = wire.ask(11, request).await;
    assert_eq!(records(&answer).len(), sent.len());
}

#[tokio::test]
async fn trap_7_only_the_first_partition_with_data_may_exceed_the_limit_of_the_answer() {
    let at = Served::new().await;
    create(&at.broker, "orders", 3).await;
    let mut wire = at.connect().await;
    let sent = batch(&["a value of some length"], None, false);
    for partition in 0..3 {
        wire.ask(7, produce("orders", partition, sent.clone(), -1)).await;
    }
    for (max_bytes, partitions_with_data) in [
        (1, 1),
        (sent.len(), 1),
        (2 * sent.len() - 1, 1),
        (2 * sent.len(), 2),
    ] {
        let mut request = fetch("orders", 0, 0);
        let one = request.topics[0].partitions[0].clone();
        request.topics[0].partitions = (0..3)
            .map(|partition| one.clone().with_partition(partition))
            .collect();
        request.max_bytes = max_bytes as i32;
        let answer = wire.ask(11, request).await;
        let filled = answer.responses[0].partitions.iter().filter(|partition| {
            partition
                .records
                .as_deref()
                .is_some_and(|records| !records.is_empty())
        });
        assert_eq!(filled.count(), partitions_with_data, "max_bytes {max_bytes}");
    }
}

#[tokio::test]
async fn trap_9_fetch_sessions_answer_only_what_changed_and_refuse_what_is_out_of_order() {
    let at = Served::new().await;
    create(&at.broker, "orders", 1).await;
    let mut wire = at.connect().await;
    let opened = wire.ask(11, fetch("orders", 0, 0).with_session_epoch(0)).await;
    assert!(opened.session_id > 0 && opened.responses.len() == 1);
    let next = |epoch| {
        FetchRequest::default()
            .with_session_id(opened.session_id)
            .with_session_epoch(epoch)
    };
    let quiet = wire.ask(11, next(1)).await;
    assert_eq!((quiet.error_code, quiet.responses.len()), (0, 0));
    wire.ask(7, produce("orders", 0, batch(&["v"], None, false), -1))
        .await;
    let news = wire
        .ask(11, next(2).with_min_bytes(1).with_max_wait_ms(60_000))
        .await;
    assert!(!records(&news).is_empty());
    assert_eq!(wire.ask(11, next(2)).await.error_code, 71, "wrong epoch");
    let unknown = next(3).with_session_id(opened.session_id ^ 1);
    assert_eq!(wire.ask(11, unknown).await.error_code, 70, "unknown session");
}

#[tokio::test]
async fn trap_10_leader_epoch_minus_one_passes_and_others_are_compared() {
    let at = Served::new().await;
    create(&at.broker, "orders", 1).await;
    let mut wire = at.connect().await;
    for (epoch, code) in [(-1, 0), (0, 0), (1, 75)] {
        let mut request = fetch("orders", 0, 0);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        let answer = wire.ask(11, request).await;
        assert_eq!(
            answer.responses[0].partitions[0].error_code, code,
            "epoch {epoch}"
        );
        let mut request = list_offsets("orders", -1);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        let answer = wire.ask(5, request).await;
        assert_eq!(answer.topics[0].partitions[0].error_code, code, "epoch {epoch}");
    }
}

#[tokio::test]
async fn trap_18_a_batch_with_a_wrong_checksum_is_refused_and_log_append_time_is_told_only_where_it_is_used()
{
    let at = Served::new().await;
    create(&at.broker, "orders", 1).await;
    create_with(
        &at.broker,
        NewTopic::new(topic("stamped"), 1).config("message.timestamp.type", "LogAppendTime"),
    )
    .await;
    let mut wire = at.connect().await;
    let mut broken = batch(&["v"], None, false).to_vec();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    let refused = wire.ask(7, produce("orders", 0, broken.into(), -1)).await;
    assert_eq!(refused.responses[0].partition_responses[0].error_code, 2);
    let plain = wire
        .ask(7, produce("orders", 0, batch(&["v"], None, false), -1))
        .await;
    assert_eq!(plain.responses[0].partition_responses[0].log_append_time_ms, -1);
    let stamped = wire
        .ask(7, produce("stamped", 0, batch(&["v"], None, false), -1))
        .await;
    let time = stamped.responses[0].partition_responses[0].log_append_time_ms;
    assert!(time > 1_700_000_000_000, "{time}");
    let answer = wire.ask(11, fetch("stamped", 0, 0)).await;
    let batch =
        millpond_log::record::RecordBatch::parse(Bytes::copy_from_slice(records(&answer))).expect("a batch");
    assert_eq!(batch.check_crc(), Ok(()));
    assert_eq!(batch.max_timestamp(), time);
}

#[tokio::test]
async fn trap_19_a_compacted_topic_wants_keys_and_a_large_batch_is_told_so() {
    let at = Served::new().await;
    create_with(
        &at.broker,
        NewTopic::new(topic("compacted"), 1).config("cleanup.policy", "compact"),
    )
    .await;
    create_with(
        &at.broker,
        NewTopic::new(topic("small"), 1).config("max.message.bytes", "200"),
    )
    .await;
    let mut without_key = millpond_log::record::BatchBuilder::new(Default::default());
    without_key.append(1, Some(b"k"), Some(b"v"), &[]).expect("fits");
    without_key.append(1, None, Some(b"v"), &[]).expect("fits");
    let mut wire = at.connect().await;
    let refused = wire
        .ask(8, produce("compacted", 0, without_key.build(), -1))
        .await;
    let refused = &refused.responses[0].partition_responses[0];
    assert_eq!(refused.error_code, 87);
    assert!(
        refused
            .error_message
            .as_deref()
            .expect("a message")
            .contains("key")
    );
    let to_blame: Vec<_> = refused
        .record_errors
        .iter()
        .map(|record| record.batch_index)
        .collect();
    assert_eq!(to_blame, [1], "KIP-467: the record without a key");
    let large = "x".repeat(300);
    let refused = wire
        .ask(8, produce("small", 0, batch(&[&large], None, false), -1))
        .await;
    assert_eq!(refused.responses[0].partition_responses[0].error_code, 10);
}

#[tokio::test]
async fn trap_20_a_time_beyond_the_last_record_has_no_offset() {
    let at = Served::new().await;
    create(&at.broker, "orders", 1).await;
    let mut wire = at.connect().await;
    wire.ask(7, produce("orders", 0, batch(&["a", "b"], None, false), -1))
        .await;
    // The records of `batch` carry 1,700,000,000,000.
    for (timestamp, offset, told) in [
        (1_699_999_999_999, 0, 1_700_000_000_000),
        (1_700_000_000_000, 0, 1_700_000_000_000),
        (1_700_000_000_001, -1, -1),
        (-1, 2, -1),
        (-2, 0, -1),
        (-3, 0, 1_700_000_000_000),
        (-4, 0, -1),
        (-5, -1, -1),
    ] {
        let answer = wire.ask(10, list_offsets("orders", timestamp)).await;
        let partition = &answer.topics[0].partitions[0];
        assert_eq!(
            (partition.error_code, partition.offset, partition.timestamp),
            (0, offset, told),
            "{timestamp}"
        );
    }
}

/// A batch with a sound checksum whose second record has the first one's number.
fn lying() -> Bytes {
    let record = [7 << 1, 0, 0, 0, 1, 1 << 1, b'v', 0];
    let mut batch = batch(&["v"], None, false)[..61].to_vec();
    batch.extend([record, record].concat());
    let length = batch.len() as i32 - 12;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[23..27].copy_from_slice(&1i32.to_be_bytes());
    batch[57..61].copy_from_slice(&2i32.to_be_bytes());
    millpond_log::record::patch::set_create_time(&mut batch, 1_700_000_000_000).expect("a whole batch");
    batch.into()
}

#[tokio::test]
async fn records_that_nobody_could_read_are_refused_one_by_one_and_the_other_partitions_are_not() {
    let at = Served::topic("orders", 3).await;
    let mut wire = at.connect().await;
    let mut request = produce("orders", 0, lying(), -1);
    let mut no_batch = batch(&["v"], None, false).to_vec();
    no_batch[16] = 7;
    for (index, records) in [(1, batch(&["v"], None, false)), (2, no_batch.into())] {
        let other = PartitionProduceData::default()
            .with_index(index)
            .with_records(Some(records));
        request.topic_data[0].partition_data.push(other);
    }
    let answer = wire.ask(9, request).await;
    let [refused, taken, corrupt] = &answer.responses[0].partition_responses[..] else {
        panic!("{answer:?}");
    };
    assert_eq!((refused.error_code, refused.base_offset), (87, -1));
    let to_blame: Vec<_> = refused
        .record_errors
        .iter()
        .map(|record| (record.batch_index, record.batch_index_error_message.as_deref()))
        .collect();
    let why = "malformed: offset delta is not its place in the batch";
    assert_eq!(to_blame, [(1, Some(why))]);
    assert!(
        refused
            .error_message
            .as_deref()
            .is_some_and(|all| all.contains(why))
    );
    assert_eq!((taken.error_code, taken.base_offset), (0, 0));
    assert_eq!(corrupt.error_code, 2);
    let page = at.server.metrics().render();
    for line in [
        "millpond_log_rejected_appends_total{reason=\"InvalidRecord\"} 1",
        "millpond_log_rejected_appends_total{reason=\"CorruptBatch\"} 1",
    ] {
        assert!(page.contains(line), "{line} is missing in\n{page}");
    }
    // Below version 8 there is no place for more than the code.
    let old = wire.ask(7, produce("orders", 0, lying(), -1)).await;
    assert_eq!(old.responses[0].partition_responses[0].error_code, 87);
}
