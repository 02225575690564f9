//! Transactions over the socket, at the versions that librdkafka (old protocol) and Java 4 (TV2) send.

use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, DescribeProducersRequest, DescribeTransactionsRequest,
    EndTxnRequest, EndTxnResponse, GroupId, InitProducerIdRequest, InitProducerIdResponse,
    ListTransactionsRequest, ProduceRequest, TopicName, TransactionalId, TxnOffsetCommitRequest,
    TxnOffsetCommitResponse, WriteTxnMarkersRequest,
};
use millpond_log::broker::ProducerIdentity;
use millpond_log::types::{ProducerEpoch, ProducerId};

use crate::support::{batch, committed_values};
use crate::wire::{Served, Wire, feature, text};

const INVALID_REQUEST: i16 = 42;
const INVALID_PRODUCER_EPOCH: i16 = 47;
const INVALID_TXN_STATE: i16 = 48;
const INVALID_TRANSACTION_TIMEOUT: i16 = 50;
const UNSTABLE_OFFSET_COMMIT: i16 = 88;
const PRODUCER_FENCED: i16 = 90;
const TRANSACTION_ABORTABLE: i16 = 120;
const INVALID_REGULAR_EXPRESSION: i16 = 128;

fn job() -> TransactionalId {
    TransactionalId(text("job"))
}

fn out() -> TopicName {
    TopicName(text("out"))
}

fn init() -> InitProducerIdRequest {
    InitProducerIdRequest::default()
        .with_transactional_id(Some(job()))
        .with_transaction_timeout_ms(60_000)
        .with_producer_id((-1).into())
        .with_producer_epoch(-1)
}

fn identity(answer: &InitProducerIdResponse) -> ProducerIdentity {
    assert_eq!(answer.error_code, 0);
    ProducerIdentity {
        producer_id: ProducerId::new(answer.producer_id.0),
        producer_epoch: ProducerEpoch::new(answer.producer_epoch),
    }
}

fn add(id: ProducerIdentity) -> AddPartitionsToTxnRequest {
    AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(job())
        .with_v3_and_below_producer_id(id.producer_id.get().into())
        .with_v3_and_below_producer_epoch(id.producer_epoch.get())
        .with_v3_and_below_topics(vec![
            AddPartitionsToTxnTopic::default()
                .with_name(out())
                .with_partitions(vec![0]),
        ])
}

fn end(id: ProducerIdentity, commit: bool) -> EndTxnRequest {
    EndTxnRequest::default()
        .with_transactional_id(job())
        .with_producer_id(id.producer_id.get().into())
        .with_producer_epoch(id.producer_epoch.get())
        .with_committed(commit)
}

async fn write(wire: &mut Wire, version: i16, id: ProducerIdentity, sequence: i32, value: &str) -> i16 {
    let partition = PartitionProduceData::default()
        .with_index(0)
        .with_records(Some(batch(&[value], Some((id, sequence)), true)));
    let request = ProduceRequest::default()
        .with_transactional_id(Some(job()))
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![
            TopicProduceData::default()
                .with_name(out())
                .with_partition_data(vec![partition]),
        ]);
    let answer = wire.ask(version, request).await;
    answer.responses[0].partition_responses[0].error_code
}

async fn added(wire: &mut Wire, version: i16, id: ProducerIdentity) -> i16 {
    let answer = wire.ask(version, add(id)).await;
    answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
}

fn code_and_epoch(answer: &EndTxnResponse) -> (i16, i16) {
    (answer.error_code, answer.producer_epoch)
}

#[tokio::test]
async fn trap_16_the_old_protocol_is_served_and_verified_at_the_versions_of_librdkafka() {
    let at = Served::topic("out", 1).await;
    let mut wire = at.connect().await;
    let id = identity(&wire.ask(4, init()).await);
    // Produce 10 does not know TRANSACTION_ABORTABLE, 11 does; neither adds the partition.
    assert_eq!(write(&mut wire, 10, id, 0, "early").await, INVALID_TXN_STATE);
    assert_eq!(write(&mut wire, 11, id, 0, "early").await, TRANSACTION_ABORTABLE);
    for (sequence, commit) in [(0, true), (1, false), (2, true)] {
        assert_eq!(added(&mut wire, 0, id).await, 0);
        assert_eq!(
            write(&mut wire, 10, id, sequence, &format!("{sequence}")).await,
            0
        );
        assert_eq!(wire.ask(1, end(id, commit)).await.error_code, 0);
        assert_eq!(
            write(&mut wire, 10, id, sequence + 1, "late").await,
            INVALID_TXN_STATE
        );
    }
    assert_eq!(committed_values(&at.broker, "out").await, ["0", "2"]);

    // A newer producer takes over while a transaction is open; each version is told in its own words.
    assert_eq!(added(&mut wire, 0, id).await, 0);
    let newer = identity(&wire.ask(4, init()).await);
    assert!(newer.producer_epoch > id.producer_epoch);
    assert_eq!(added(&mut wire, 1, id).await, INVALID_PRODUCER_EPOCH);
    assert_eq!(added(&mut wire, 2, id).await, PRODUCER_FENCED);
    assert_eq!(
        wire.ask(1, end(id, true)).await.error_code,
        INVALID_PRODUCER_EPOCH
    );
    assert_eq!(wire.ask(2, end(id, true)).await.error_code, PRODUCER_FENCED);
    assert_eq!(
        write(&mut wire, 10, id, 3, "zombie").await,
        INVALID_PRODUCER_EPOCH
    );
    let recover = |request: InitProducerIdRequest| {
        request
            .with_producer_id(id.producer_id.get().into())
            .with_producer_epoch(id.producer_epoch.get())
    };
    assert_eq!(
        wire.ask(3, recover(init())).await.error_code,
        INVALID_PRODUCER_EPOCH
    );
    assert_eq!(wire.ask(4, recover(init())).await.error_code, PRODUCER_FENCED);
    at.stop().await;
}

#[tokio::test]
async fn trap_16_tv2_adds_partitions_by_itself_and_bumps_the_epoch_with_each_end() {
    let at = Served::topic("out", 1).await;
    let mut wire = at.connect().await;
    let id = identity(&wire.ask(5, init()).await);
    assert_eq!(write(&mut wire, 12, id, 0, "a").await, 0);
    let epoch = id.producer_epoch.get();
    for _ in 0..2 {
        let ended = wire.ask(5, end(id, true)).await;
        assert_eq!(
            code_and_epoch(&ended),
            (0, epoch + 1),
            "a retry is answered the same"
        );
        assert_eq!(ended.producer_id.0, id.producer_id.get());
    }
    assert_eq!(write(&mut wire, 12, id, 1, "late").await, INVALID_PRODUCER_EPOCH);
    let next = ProducerIdentity {
        producer_epoch: ProducerEpoch::new(epoch + 1),
        ..id
    };
    assert_eq!(write(&mut wire, 12, next, 0, "b").await, 0);
    // B15: the end of the first transaction, held back on its way.
    assert_eq!(wire.ask(5, end(id, true)).await.error_code, PRODUCER_FENCED);
    assert_eq!(committed_values(&at.broker, "out").await, ["a"]);
    assert_eq!(
        code_and_epoch(&wire.ask(5, end(next, false)).await),
        (0, epoch + 2)
    );
    assert_eq!(committed_values(&at.broker, "out").await, ["a"]);
    at.stop().await;
}

#[tokio::test]
async fn identities_are_given_out_by_kafkas_rules() {
    let at = Served::new().await;
    let mut wire = at.connect().await;
    let plain = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_producer_id((-1).into())
        .with_producer_epoch(-1);
    let first = identity(&wire.ask(0, plain.clone()).await);
    let second = identity(&wire.ask(4, plain).await);
    assert!(second.producer_id > first.producer_id);
    for timeout in [0, -1, i32::MAX] {
        let refused = wire.ask(4, init().with_transaction_timeout_ms(timeout)).await;
        assert_eq!(refused.error_code, INVALID_TRANSACTION_TIMEOUT, "{timeout}");
        assert_eq!((refused.producer_id.0, refused.producer_epoch), (-1, -1));
    }
    let nameless = init().with_transactional_id(Some(TransactionalId(text(""))));
    assert_eq!(wire.ask(4, nameless).await.error_code, INVALID_REQUEST);
    let nobody = end(first, true).with_transactional_id(TransactionalId(text("")));
    assert_eq!(wire.ask(5, nobody).await.error_code, INVALID_REQUEST);
    let half = init().with_producer_id(5.into());
    assert_eq!(wire.ask(4, half).await.error_code, INVALID_REQUEST);
    at.stop().await;
}

#[tokio::test]
async fn open_transactions_are_verified_described_listed_and_aborted_over_the_wire() {
    let at = Served::topic("out", 2).await;
    let mut wire = at.connect().await;
    let id = identity(&wire.ask(4, init()).await);
    assert_eq!(added(&mut wire, 0, id).await, 0);
    assert_eq!(write(&mut wire, 10, id, 0, "x").await, 0);

    let ask = AddPartitionsToTxnTransaction::default()
        .with_transactional_id(job())
        .with_producer_id(id.producer_id.get().into())
        .with_producer_epoch(id.producer_epoch.get())
        .with_verify_only(true)
        .with_topics(vec![
            AddPartitionsToTxnTopic::default()
                .with_name(out())
                .with_partitions(vec![0, 1]),
        ]);
    let verified = wire
        .ask(
            4,
            AddPartitionsToTxnRequest::default().with_transactions(vec![ask]),
        )
        .await;
    let result = &verified.results_by_transaction[0];
    assert_eq!(result.transactional_id, job());
    let codes = result.topic_results[0].results_by_partition.iter();
    let codes: Vec<_> = codes.map(|partition| partition.partition_error_code).collect();
    assert_eq!(codes, [0, TRANSACTION_ABORTABLE]);

    let describe = DescribeProducersRequest::default().with_topics(vec![
        TopicRequest::default()
            .with_name(out())
            .with_partition_indexes(vec![0, 9]),
    ]);
    let described = wire.ask(0, describe).await;
    let [first, missing] = &described.topics[0].partitions[..] else {
        panic!("two partitions were asked for")
    };
    assert_eq!(missing.error_code, 3);
    let producer = &first.active_producers[0];
    assert_eq!(producer.producer_id.0, id.producer_id.get());
    assert_eq!(
        (producer.last_sequence, producer.current_txn_start_offset),
        (0, 0)
    );

    let describe = DescribeTransactionsRequest::default().with_transactional_ids(vec![job()]);
    let state = wire.ask(0, describe).await.transaction_states.remove(0);
    assert_eq!(
        (state.error_code, state.transaction_state.as_str()),
        (0, "Ongoing")
    );
    assert_eq!(
        (state.topics[0].topic.clone(), state.topics[0].partitions.clone()),
        (out(), vec![0])
    );
    let list = ListTransactionsRequest::default()
        .with_state_filters(vec![text("Ongoing"), text("Sideways")])
        .with_transactional_id_pattern(Some(text("j.b")));
    let listed = wire.ask(2, list.clone()).await;
    assert_eq!(listed.transaction_states[0].transactional_id, job());
    assert_eq!(listed.unknown_state_filters, [text("Sideways")]);
    let refused = wire
        .ask(2, list.with_transactional_id_pattern(Some(text("("))))
        .await;
    assert_eq!(refused.error_code, INVALID_REGULAR_EXPRESSION);

    let marker = WritableTxnMarker::default()
        .with_producer_id(id.producer_id.get().into())
        .with_producer_epoch(id.producer_epoch.get())
        .with_transaction_result(false)
        .with_coordinator_epoch(0)
        .with_topics(vec![
            WritableTxnMarkerTopic::default()
                .with_name(out())
                .with_partition_indexes(vec![0, 9]),
        ]);
    let marked = wire
        .ask(1, WriteTxnMarkersRequest::default().with_markers(vec![marker]))
        .await;
    let codes = marked.markers[0].topics[0].partitions.iter();
    assert_eq!(
        codes.map(|partition| partition.error_code).collect::<Vec<_>>(),
        [0, 3]
    );
    let offsets = at
        .broker
        .partition_log(&crate::support::partition("out", 0))
        .unwrap()
        .offsets();
    assert_eq!(offsets.last_stable_offset, offsets.log_end_offset);
    at.stop().await;
}

#[tokio::test]
async fn offsets_are_committed_in_a_transaction_by_both_protocols() {
    let at = Served::topic("out", 1).await;
    let mut wire = at.connect().await;
    let group = || GroupId(text("copiers"));
    let commit = |id: ProducerIdentity, offset: i64| {
        let partition = |index: i32| {
            TxnOffsetCommitRequestPartition::default()
                .with_partition_index(index)
                .with_committed_offset(offset)
        };
        TxnOffsetCommitRequest::default()
            .with_transactional_id(job())
            .with_group_id(group())
            .with_producer_id(id.producer_id.get().into())
            .with_producer_epoch(id.producer_epoch.get())
            .with_topics(vec![
                TxnOffsetCommitRequestTopic::default()
                    .with_name(out())
                    .with_partitions(vec![partition(0), partition(9)]),
            ])
    };
    let codes = |answer: TxnOffsetCommitResponse| {
        let partitions = answer.topics[0].partitions.iter();
        partitions
            .map(|partition| partition.error_code)
            .collect::<Vec<_>>()
    };
    let committed = || async {
        let group = millpond_log::types::GroupId::new("copiers");
        let fetched = at.broker.offset_fetch(&group, None).await;
        fetched
            .map(|fetched| fetched[0].1.offset.get())
            .map_err(|pending| pending.code().code())
    };
    let id = identity(&wire.ask(4, init()).await);
    assert_eq!(codes(wire.ask(3, commit(id, 1)).await), [INVALID_TXN_STATE; 2]);
    assert_eq!(
        codes(wire.ask(4, commit(id, 1)).await),
        [TRANSACTION_ABORTABLE; 2]
    );
    let add = AddOffsetsToTxnRequest::default()
        .with_transactional_id(job())
        .with_producer_id(id.producer_id.get().into())
        .with_producer_epoch(id.producer_epoch.get())
        .with_group_id(group());
    assert_eq!(wire.ask(0, add).await.error_code, 0);
    assert_eq!(codes(wire.ask(3, commit(id, 1)).await), [0, 3]);
    assert_eq!(
        committed().await,
        Err(UNSTABLE_OFFSET_COMMIT),
        "not before it commits"
    );
    assert_eq!(wire.ask(1, end(id, true)).await.error_code, 0);
    assert_eq!(committed().await, Ok(1));

    let id = identity(&wire.ask(5, init()).await);
    assert_eq!(codes(wire.ask(5, commit(id, 2)).await), [0, 3]);
    assert_eq!(wire.ask(5, end(id, true)).await.error_code, 0);
    assert_eq!(committed().await, Ok(2));
    assert_eq!(
        codes(wire.ask(5, commit(id, 3)).await),
        [INVALID_PRODUCER_EPOCH; 2],
        "the epoch was bumped"
    );
    at.stop().await;
}

/// What the finalized features say is for clients to follow; what they send is judged by its own version.
#[tokio::test]
async fn transaction_version_goes_down_and_requests_of_both_protocols_are_still_served() {
    let at = Served::topic("out", 1).await;
    let mut wire = at.connect().await;
    assert_eq!(wire.finalized("transaction.version").await, Some(2));
    let id = identity(&wire.ask(5, init()).await);
    assert_eq!(write(&mut wire, 12, id, 0, "before").await, 0);
    assert_eq!(wire.ask(1, feature("transaction.version", 0)).await.error_code, 0);
    assert_eq!(wire.finalized("transaction.version").await, None);

    // A client that has not noticed: its transaction is open, and it ends it as it began it.
    let ended = wire.ask(5, end(id, true)).await;
    let epoch = id.producer_epoch.get();
    assert_eq!(code_and_epoch(&ended), (0, epoch + 1));
    let id = ProducerIdentity {
        producer_epoch: ProducerEpoch::new(epoch + 1),
        ..id
    };
    assert_eq!(write(&mut wire, 12, id, 0, "unnoticed").await, 0);
    // It notices in the middle of a transaction, and ends it by the old protocol: the epoch stays.
    assert_eq!(wire.ask(3, end(id, true)).await.error_code, 0);
    assert_eq!(
        write(&mut wire, 11, id, 1, "not added").await,
        TRANSACTION_ABORTABLE
    );
    assert_eq!(added(&mut wire, 3, id).await, 0);
    assert_eq!(write(&mut wire, 11, id, 1, "noticed").await, 0);
    assert_eq!(wire.ask(4, end(id, true)).await.error_code, 0);
    assert_eq!(
        committed_values(&at.broker, "out").await,
        ["before", "unnoticed", "noticed"]
    );

    // One that is taken over is fenced, whatever it began its transaction with.
    assert_eq!(write(&mut wire, 12, id, 2, "taken over").await, 0);
    let newer = identity(&wire.ask(4, init()).await);
    assert_eq!(wire.ask(5, end(id, true)).await.error_code, PRODUCER_FENCED);
    assert_eq!(added(&mut wire, 3, newer).await, 0);
    assert_eq!(write(&mut wire, 11, newer, 0, "newer").await, 0);
    assert_eq!(wire.ask(4, end(newer, false)).await.error_code, 0);
    assert_eq!(committed_values(&at.broker, "out").await.len(), 3);

    assert_eq!(wire.ask(1, feature("transaction.version", 2)).await.error_code, 0);
    assert_eq!(wire.finalized("transaction.version").await, Some(2));
    assert_eq!(write(&mut wire, 12, newer, 1, "up again").await, 0);
    let ended = wire.ask(5, end(newer, true)).await;
    assert_eq!(code_and_epoch(&ended), (0, newer.producer_epoch.get() + 1));
    at.stop().await;
}
