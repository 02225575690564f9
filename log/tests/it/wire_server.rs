//! The listener as clients see it: order, pipelining, leaving, shutdown; and the traps of the protocol it guards against.

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, FetchRequest, FetchResponse, ListOffsetsRequest, MetadataRequest,
    ProduceRequest,
};
use millpond_log::broker::{Broker, BrokerOptions, NewTopic};
use millpond_log::protocol::api::SERVED;
use millpond_log::server::Server;

use crate::support::{batch, create, create_with, topic};
use crate::wire::{Wire, serve, text};

struct Fixture {
    broker: Broker,
    server: Server,
    _dir: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let broker = Broker::start(BrokerOptions::at(dir.path()))
            .await
            .expect("broker starts");
        let server = serve(&broker).await;
        Self {
            broker,
            server,
            _dir: dir,
        }
    }

    async fn connect(&self) -> Wire {
        Wire::connect(&self.server).await
    }
}

fn produce(name: &str, partition: i32, records: Bytes, acks: i16) -> ProduceRequest {
    let partition = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(records));
    let topic = TopicProduceData::default()
        .with_name(text(name).into())
        .with_partition_data(vec![partition]);
    ProduceRequest::default()
        .with_acks(acks)
        .with_timeout_ms(1000)
        .with_topic_data(vec![topic])
}

fn fetch(name: &str, offset: i64, max_wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_partition(0)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default()
        .with_topic(text(name).into())
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(max_wait_ms)
        .with_min_bytes(1)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

fn records(answer: &FetchResponse) -> &[u8] {
    answer.responses[0].partitions[0]
        .records
        .as_deref()
        .expect("records are empty, never null")
}

fn list(name: &str, timestamp: i64) -> ListOffsetsRequest {
    let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default()
        .with_name(text(name).into())
        .with_partitions(vec![partition]);
    ListOffsetsRequest::default().with_topics(vec![topic])
}

#[tokio::test]
async fn answers_leave_in_the_order_of_their_requests() {
    let at = Fixture::new().await;
    create(&at.broker, "orders", 1).await;
    let mut wire = at.connect().await;
    for number in 0..20 {
        wire.send(
            7,
            &produce("orders", 0, batch(&[&number.to_string()], None, false), -1),
        )
        .await;
        wire.send(0, &ApiVersionsRequest::default()).await;
    }
    for number in 0..20 {
        let answer = wire.answer_to::<ProduceRequest>(7, 2 * number + 1).await;
        let partition = &answer.responses[0].partition_responses[0];
        assert_eq!(
            (partition.error_code, partition.base_offset),
            (0, i64::from(number))
        );
        wire.answer_to::<ApiVersionsRequest>(0, 2 * number + 2).await;
    }
}

#[tokio::test]
async fn what_a_client_sent_before_it_left_is_done() {
    let at = Fixture::new().await;
    create(&at.broker, "orders", 1).await;
    let mut leaving = at.connect().await;
    for _ in 0..50 {
        leaving
            .send(7, &produce("orders", 0, batch(&["v"], None, false), 0))
            .await;
    }
    drop(leaving);
    let mut wire = at.connect().await;
    let mut seen = 0;
    while seen < 50 {
        let answer = wire.ask(11, fetch("orders", seen, 60_000)).await;
        let partition = &answer.responses[0].partitions[0];
        assert_eq!(partition.error_code, 0);
        seen = partition.high_watermark;
    }
}

#[tokio::test]
async fn a_failed_produce_without_acks_ends_its_connection() {
    let at = Fixture::new().await;
    let mut wire = at.connect().await;
    wire.send(7, &produce("missing", 0, batch(&["v"], None, false), 0))
        .await;
    wire.hung_up().await;
}

#[tokio::test]
async fn a_shutdown_answers_what_is_under_way_and_gives_up_what_is_parked() {
    let at = Fixture::new().await;
    create(&at.broker, "orders", 1).await;
    let mut parked = at.connect().await;
    parked.send(11, &fetch("orders", 0, 600_000)).await;
    let mut idle = at.connect().await;
    idle.ask(0, ApiVersionsRequest::default()).await;
    at.server.shutdown().await;
    assert_eq!(at.server.connections(), 0);
    parked.hung_up().await;
    idle.hung_up().await;
}

#[tokio::test]
async fn trap_1_an_unknown_version_of_api_versions_is_answered_at_version_0_with_that_one_key() {
    let at = Fixture::new().await;
    let mut wire = at.connect().await;
    // Version 99 with a flexible header, as a future client would send it.
    let body = [0, 1, 1, 0];
    wire.send_raw(&[&[0, 0, 0, 14, 0, 18, 0, 99, 0, 0, 0, 5, 0xff, 0xff][..], &body].concat())
        .await;
    let frame = wire.frame().await.expect("an answer");
    assert_eq!(&frame[..], b"\0\0\0\x05\0\x23\0\0\0\x01\0\x12\0\0\0\x04");
}

#[tokio::test]
async fn trap_2_produce_is_advertised_from_0_and_refused_below_3() {
    let at = Fixture::new().await;
    let mut wire = at.connect().await;
    let answer = wire.ask(0, ApiVersionsRequest::default()).await;
    let produce = answer
        .api_keys
        .iter()
        .find(|api| api.api_key == 0)
        .expect("Produce");
    assert_eq!((produce.min_version, produce.max_version), (0, 13));
    wire.send_body(0, 2, &[0; 16]).await;
    wire.hung_up().await;
}

#[tokio::test]
async fn trap_3_every_advertised_version_of_an_empty_read_is_answered() {
    let at = Fixture::new().await;
    create(&at.broker, "orders", 1).await;
    let mut wire = at.connect().await;
    for api in SERVED {
        for version in api.min..=api.max {
            match api.key {
                ApiKey::Metadata => {
                    let request = MetadataRequest::default();
                    let all = if version == 0 { Some(Vec::new()) } else { None };
                    let answer = wire.ask(version, request.with_topics(all)).await;
                    assert_eq!(answer.topics.len(), 1, "version {version}");
                }
                ApiKey::ListOffsets => {
                    let answer = wire.ask(version, list("orders", -1)).await;
                    assert_eq!(answer.topics[0].partitions[0].offset, 0, "version {version}");
                }
                ApiKey::ApiVersions => {
                    let request = ApiVersionsRequest::default();
                    let request = match version {
                        3.. => request
                            .with_client_software_name(text("tests"))
                            .with_client_software_version(text("1")),
                        _ => request,
                    };
                    let answer = wire.ask(version, request).await;
                    assert_eq!(answer.error_code, 0, "version {version}");
                }
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn trap_5_a_topic_made_again_has_another_id_and_the_old_one_is_unknown() {
    let at = Fixture::new().await;
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
    let at = Fixture::new().await;
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
    let at = Fixture::new().await;
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
    let at = Fixture::new().await;
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
    let at = Fixture::new().await;
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
    let at = Fixture::new().await;
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
        let mut request = list("orders", -1);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        let answer = wire.ask(5, request).await;
        assert_eq!(answer.topics[0].partitions[0].error_code, code, "epoch {epoch}");
    }
}

#[tokio::test]
async fn trap_18_a_batch_with_a_wrong_checksum_is_refused_and_log_append_time_is_told_only_where_it_is_used()
{
    let at = Fixture::new().await;
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
    let at = Fixture::new().await;
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
    let at = Fixture::new().await;
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
        let answer = wire.ask(10, list("orders", timestamp)).await;
        let partition = &answer.topics[0].partitions[0];
        assert_eq!(
            (partition.error_code, partition.offset, partition.timestamp),
            (0, offset, told),
            "{timestamp}"
        );
    }
}

#[tokio::test]
async fn trap_21_asking_for_a_topic_makes_it_unless_that_is_forbidden() {
    let at = Fixture::new().await;
    let mut wire = at.connect().await;
    let ask = |name: &str, may_create| {
        let topic = MetadataRequestTopic::default().with_name(Some(text(name).into()));
        MetadataRequest::default()
            .with_topics(Some(vec![topic]))
            .with_allow_auto_topic_creation(may_create)
    };
    let forbidden = wire.ask(12, ask("orders", false)).await;
    assert_eq!(forbidden.topics[0].error_code, 3);
    let made = wire.ask(12, ask("orders", true)).await;
    assert_eq!(
        (made.topics[0].error_code, made.topics[0].partitions.len()),
        (0, 4)
    );
    let taken = wire
        .ask(7, produce("orders", 3, batch(&["v"], None, false), -1))
        .await;
    assert_eq!(taken.responses[0].partition_responses[0].error_code, 0);
}

#[tokio::test]
async fn trap_25_the_address_told_is_the_one_the_client_came_in_on_literally() {
    let at = Fixture::new().await;
    let mut wire = at.connect().await;
    let answer = wire
        .ask(1, MetadataRequest::default().with_topics(Some(Vec::new())))
        .await;
    let node = &answer.brokers[0];
    let local = at.server.local_addr();
    assert_eq!(
        (&node.host[..], node.port),
        ("127.0.0.1", i32::from(local.port()))
    );
    assert_eq!(node.node_id, answer.controller_id);
}

#[tokio::test]
async fn trap_27_unknown_tagged_fields_are_skipped() {
    let at = Fixture::new().await;
    let mut wire = at.connect().await;
    let request = MetadataRequest::default()
        .with_topics(None)
        .with_unknown_tagged_field(77, Bytes::from_static(b"from the future"));
    let answer = wire.ask(12, request).await;
    assert_eq!(answer.brokers.len(), 1);
}
