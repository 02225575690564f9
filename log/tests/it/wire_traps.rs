//! More traps of the protocol, over a socket: coordinators, transactions, and the promise that nobody waits for ever.

use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Request;
use millpond_log::broker::{ErrorCode, ProducerIdentity};
use millpond_log::protocol::api::SERVED;
use millpond_log::types::{Offset, ProducerEpoch, ProducerId};

use crate::support::{batch, partition};
use crate::wire::{Served, Wire, fetch, produce, text};

/// A transaction's records.
fn produce_in(records: bytes::Bytes, id: &str) -> ProduceRequest {
    produce("orders", 0, records, -1).with_transactional_id(Some(text(id).into()))
}

fn offsets_of(group: &str, partitions: &[i32], require_stable: bool) -> OffsetFetchRequest {
    let topic = OffsetFetchRequestTopics::default()
        .with_name(text("orders").into())
        .with_partition_indexes(partitions.to_vec());
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(text(group).into())
        .with_topics(Some(vec![topic]));
    OffsetFetchRequest::default()
        .with_groups(vec![group])
        .with_require_stable(require_stable)
}

async fn producer(wire: &mut Wire, id: Option<&str>) -> ProducerIdentity {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(id.map(|id| text(id).into()))
        .with_transaction_timeout_ms(60_000);
    let answer = wire.ask(4, request).await;
    assert_eq!(answer.error_code, 0);
    ProducerIdentity {
        producer_id: ProducerId::new(answer.producer_id.0),
        producer_epoch: ProducerEpoch::new(answer.producer_epoch),
    }
}

/// Sends an empty request of this API; true if the server answered, false if it hung up.
async fn is_answered<R: Request + Default>(at: &Served, version: i16) -> Option<bool> {
    let mut body = bytes::BytesMut::new();
    // Some versions cannot carry a request of nothing but defaults.
    R::default().encode(&mut body, version).ok()?;
    let mut wire = at.connect().await;
    wire.send_body(R::KEY, version, &body).await;
    Some(wire.frame().await.is_some())
}

#[tokio::test]
async fn trap_8_every_api_answers_an_empty_request_at_every_version_or_hangs_up() {
    let at = Served::topic("orders", 1).await;
    macro_rules! ask_all {
        ($($request:ident),* $(,)?) => {
            for api in SERVED {
                for version in api.min..=api.max {
                    $(if api.key as i16 == <$request as Request>::KEY {
                        let answered = is_answered::<$request>(&at, version).await;
                        // An empty produce asks for no acknowledgement, so silence is right.
                        let silent = api.key == ApiKey::Produce;
                        assert!(answered != Some(false) || silent, "{:?} {version}", api.key);
                    })*
                }
            }
        };
    }
    ask_all!(
        FetchRequest,
        ListOffsetsRequest,
        MetadataRequest,
        OffsetCommitRequest,
        OffsetFetchRequest,
        FindCoordinatorRequest,
        JoinGroupRequest,
        HeartbeatRequest,
        LeaveGroupRequest,
        SyncGroupRequest,
        DescribeGroupsRequest,
        ListGroupsRequest,
        ApiVersionsRequest,
        CreateTopicsRequest,
        DeleteTopicsRequest,
        DeleteRecordsRequest,
        InitProducerIdRequest,
        OffsetForLeaderEpochRequest,
        AddPartitionsToTxnRequest,
        AddOffsetsToTxnRequest,
        EndTxnRequest,
        WriteTxnMarkersRequest,
        TxnOffsetCommitRequest,
        DescribeAclsRequest,
        CreateAclsRequest,
        DeleteAclsRequest,
        DescribeConfigsRequest,
        AlterConfigsRequest,
        AlterReplicaLogDirsRequest,
        DescribeLogDirsRequest,
        CreatePartitionsRequest,
        DeleteGroupsRequest,
        ElectLeadersRequest,
        IncrementalAlterConfigsRequest,
        AlterPartitionReassignmentsRequest,
        ListPartitionReassignmentsRequest,
        OffsetDeleteRequest,
        DescribeQuorumRequest,
        UpdateFeaturesRequest,
        DescribeClusterRequest,
        DescribeProducersRequest,
        UnregisterBrokerRequest,
        DescribeTransactionsRequest,
        ListTransactionsRequest,
        ConsumerGroupHeartbeatRequest,
        ConsumerGroupDescribeRequest,
        GetTelemetrySubscriptionsRequest,
        PushTelemetryRequest,
        ListConfigResourcesRequest,
        DescribeTopicPartitionsRequest,
        AddRaftVoterRequest,
        RemoveRaftVoterRequest,
    );
}

#[tokio::test]
async fn trap_11_every_asked_partition_has_an_offset_entry_and_metadata_comes_back() {
    let at = Served::topic("orders", 1).await;
    let mut wire = at.connect().await;
    let none = wire.ask(8, offsets_of("g", &[0, 1], false)).await;
    let partitions = &none.groups[0].topics[0].partitions;
    let told: Vec<_> = partitions
        .iter()
        .map(|p| {
            (
                p.partition_index,
                p.committed_offset,
                p.metadata.as_deref(),
                p.error_code,
            )
        })
        .collect();
    assert_eq!(told, [(0, -1, Some(""), 0), (1, -1, Some(""), 0)]);
    let committed = OffsetCommitRequestPartition::default()
        .with_committed_offset(7)
        .with_committed_metadata(Some(text("where I was")));
    let topic = OffsetCommitRequestTopic::default()
        .with_name(text("orders").into())
        .with_partitions(vec![committed]);
    let request = OffsetCommitRequest::default()
        .with_group_id(text("g").into())
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    let answer = wire.ask(8, request).await;
    assert_eq!(answer.topics[0].partitions[0].error_code, 0);
    let some = wire.ask(8, offsets_of("g", &[0], false)).await;
    let partition = &some.groups[0].topics[0].partitions[0];
    assert_eq!(
        (partition.committed_offset, partition.metadata.as_deref()),
        (7, Some("where I was"))
    );
}

#[tokio::test]
async fn trap_12_the_coordinator_is_a_broker_that_metadata_names() {
    let at = Served::topic("orders", 1).await;
    let mut wire = at.connect().await;
    let brokers = wire
        .ask(12, MetadataRequest::default().with_topics(None))
        .await
        .brokers;
    let answer = wire
        .ask(3, FindCoordinatorRequest::default().with_key(text("g")))
        .await;
    assert_eq!(answer.error_code, 0);
    let named = brokers.iter().any(|broker| {
        broker.node_id == answer.node_id && broker.host == answer.host && broker.port == answer.port
    });
    assert!(named, "{answer:?} is none of {brokers:?}");
}

#[tokio::test]
async fn trap_13_a_new_member_is_given_its_id_first_and_joins_with_it() {
    let at = Served::topic("orders", 1).await;
    let mut wire = at.connect().await;
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range"));
    let request = JoinGroupRequest::default()
        .with_group_id(text("g").into())
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    let first = wire.ask(5, request.clone()).await;
    assert_eq!(first.error_code, ErrorCode::MemberIdRequired.code());
    assert!(!first.member_id.is_empty());
    // Without an id of its own a client below version 4 joins at once; a static one too.
    let fixed = request.with_group_instance_id(Some(text("till")));
    let mut other = at.connect().await;
    let joined = other.ask(5, fixed.with_group_id(text("h").into())).await;
    assert_eq!(joined.error_code, 0);
}

#[tokio::test]
async fn trap_14_offsets_in_an_open_transaction_are_unstable_until_it_ends() {
    let at = Served::topic("orders", 1).await;
    let mut wire = at.connect().await;
    let identity = producer(&mut wire, Some("tx")).await;
    let committed = TxnOffsetCommitRequestPartition::default().with_committed_offset(5);
    let topic = TxnOffsetCommitRequestTopic::default()
        .with_name(text("orders").into())
        .with_partitions(vec![committed]);
    let request = TxnOffsetCommitRequest::default()
        .with_transactional_id(text("tx").into())
        .with_group_id(text("g").into())
        .with_producer_id(identity.producer_id.get().into())
        .with_producer_epoch(identity.producer_epoch.get())
        .with_topics(vec![topic]);
    let answer = wire.ask(5, request).await;
    assert_eq!(answer.topics[0].partitions[0].error_code, 0);
    let asked = |stable| offsets_of("g", &[0], stable);
    let unstable = wire.ask(8, asked(true)).await;
    assert_eq!(
        unstable.groups[0].topics[0].partitions[0].error_code,
        ErrorCode::UnstableOffsetCommit.code()
    );
    let before = wire.ask(8, asked(false)).await;
    assert_eq!(before.groups[0].topics[0].partitions[0].committed_offset, -1);
    let end = EndTxnRequest::default()
        .with_transactional_id(text("tx").into())
        .with_producer_id(identity.producer_id.get().into())
        .with_producer_epoch(identity.producer_epoch.get())
        .with_committed(true);
    assert_eq!(wire.ask(5, end).await.error_code, 0);
    let after = wire.ask(8, asked(true)).await;
    let partition = &after.groups[0].topics[0].partitions[0];
    assert_eq!((partition.error_code, partition.committed_offset), (0, 5));
}

#[tokio::test]
async fn trap_15_a_batch_sent_again_gets_its_first_offset_also_when_its_records_are_gone() {
    let at = Served::topic("orders", 1).await;
    let mut wire = at.connect().await;
    let identity = producer(&mut wire, None).await;
    for sequence in 0..3 {
        let sent = batch(&["v"], Some((identity, sequence)), false);
        let answer = wire.ask(9, produce("orders", 0, sent, -1)).await;
        assert_eq!(
            answer.responses[0].partition_responses[0].base_offset,
            i64::from(sequence)
        );
    }
    let mut deleted = at
        .broker
        .delete_records(vec![(partition("orders", 0), Some(Offset::new(3)))])
        .await;
    deleted.remove(0).expect("records are deleted");
    let again = wire
        .ask(
            9,
            produce("orders", 0, batch(&["v"], Some((identity, 1)), false), -1),
        )
        .await;
    let again = &again.responses[0].partition_responses[0];
    assert_eq!((again.error_code, again.base_offset), (0, 1));
    let next = wire
        .ask(
            9,
            produce("orders", 0, batch(&["v"], Some((identity, 3)), false), -1),
        )
        .await;
    assert_eq!(next.responses[0].partition_responses[0].base_offset, 3);
}

#[tokio::test]
async fn trap_17_markers_take_offsets_and_aborted_records_are_named_exactly() {
    let at = Served::topic("orders", 1).await;
    let mut wire = at.connect().await;
    let identity = producer(&mut wire, Some("tx")).await;
    let sent = batch(&["a", "b"], Some((identity, 0)), true);
    let answer = wire.ask(12, produce_in(sent, "tx")).await;
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    let open = wire.ask(11, fetch("orders", 0, 0).with_isolation_level(1)).await;
    let open = &open.responses[0].partitions[0];
    assert_eq!((open.high_watermark, open.last_stable_offset), (2, 0));
    assert_eq!(open.records.as_deref(), Some(&b""[..]), "nothing is decided");
    let end = EndTxnRequest::default()
        .with_transactional_id(text("tx").into())
        .with_producer_id(identity.producer_id.get().into())
        .with_producer_epoch(identity.producer_epoch.get())
        .with_committed(false);
    assert_eq!(wire.ask(5, end).await.error_code, 0);
    let ended = wire.ask(11, fetch("orders", 0, 0).with_isolation_level(1)).await;
    let ended = &ended.responses[0].partitions[0];
    assert_eq!(
        (ended.high_watermark, ended.last_stable_offset),
        (3, 3),
        "the marker has an offset"
    );
    let aborted = ended.aborted_transactions.as_ref().expect("a list");
    let aborted: Vec<_> = aborted
        .iter()
        .map(|txn| (txn.producer_id.0, txn.first_offset))
        .collect();
    assert_eq!(aborted, [(identity.producer_id.get(), 0)]);
    let uncommitted = wire.ask(11, fetch("orders", 0, 0)).await;
    assert_eq!(uncommitted.responses[0].partitions[0].aborted_transactions, None);
}

#[tokio::test]
async fn trap_23_nobody_is_told_to_wait() {
    let at = Served::topic("orders", 1).await;
    let mut wire = at.connect().await;
    assert_eq!(
        wire.ask(9, produce("orders", 0, batch(&["v"], None, false), -1))
            .await
            .throttle_time_ms,
        0
    );
    assert_eq!(wire.ask(11, fetch("orders", 0, 0)).await.throttle_time_ms, 0);
    assert_eq!(wire.ask(12, MetadataRequest::default()).await.throttle_time_ms, 0);
}

#[tokio::test]
async fn trap_26_sasl_is_not_advertised_and_a_handshake_ends_the_connection() {
    let at = Served::topic("orders", 1).await;
    let mut wire = at.connect().await;
    let answer = wire.ask(0, ApiVersionsRequest::default()).await;
    assert!(!answer.api_keys.iter().any(|api| matches!(api.api_key, 17 | 36)));
    wire.send(1, &SaslHandshakeRequest::default().with_mechanism(text("PLAIN")))
        .await;
    wire.hung_up().await;
}
