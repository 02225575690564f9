//! What the client does with several brokers, with one that is not the right one any more, with an old one, and with answers that never come.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ApiKey, EndTxnResponse, FetchResponse, FindCoordinatorResponse, ProduceResponse,
};
use kafka_protocol::protocol::StrBytes;
use millpond_log::broker::{
    FetchPartition, FetchRequest, Isolation, OffsetSpec, ProducerIdentity, TxnResult,
};
use millpond_log::types::{Offset, ProducerEpoch, ProducerId, TopicPartition, TransactionalId};
use millpond_streams::runtime::{LogClient, LogError, RemoteLog, RemoteOptions};

use super::log_io::{batch, produce, produce_once};
use super::scripted::{Answer, Asked, Port, metadata, versions};
use crate::support::topic;

const NOT_LEADER: i16 = 6;
const NOT_COORDINATOR: i16 = 16;

fn client(address: SocketAddr) -> RemoteLog {
    let options = RemoteOptions {
        request_timeout: Duration::from_secs(30),
        ..RemoteOptions::new(address.to_string())
    };
    RemoteLog::new(options).expect("a client")
}

fn name() -> StrBytes {
    StrBytes::from_static_str("t")
}

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new(topic("t"), number)
}

fn own() -> ProducerIdentity {
    ProducerIdentity {
        producer_id: ProducerId::new(7),
        producer_epoch: ProducerEpoch::new(3),
    }
}

fn fetched(number: i32, records: Bytes) -> FetchResponse {
    let data = PartitionData::default()
        .with_partition_index(number)
        .with_high_watermark(1)
        .with_last_stable_offset(1)
        .with_records(Some(records));
    let topic = FetchableTopicResponse::default()
        .with_topic(name().into())
        .with_partitions(vec![data]);
    FetchResponse::default().with_responses(vec![topic])
}

fn produced(code: i16) -> ProduceResponse {
    let part = PartitionProduceResponse::default()
        .with_error_code(code)
        .with_base_offset(5);
    let topic = TopicProduceResponse::default()
        .with_name(name().into())
        .with_partition_responses(vec![part]);
    ProduceResponse::default().with_responses(vec![topic])
}

fn coordinator(asked: &Asked, id: i32, address: SocketAddr) -> Answer {
    let found = Coordinator::default()
        .with_node_id(id.into())
        .with_host(StrBytes::from_string(address.ip().to_string()))
        .with_port(address.port().into());
    asked.answer(&FindCoordinatorResponse::default().with_coordinators(vec![found]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_leader_is_read_and_one_that_has_nothing_does_not_hold_up_the_others() {
    let (first, second) = (Port::free().await, Port::free().await);
    let brokers = [first.address, second.address];
    let script = move |asked: &Asked, own: i32| match asked.key {
        ApiKey::Metadata => asked.answer(&metadata(&brokers, "t", &[1, 2])),
        ApiKey::Fetch if own == 1 => asked.answer(&fetched(0, batch(&["a"], None, false))),
        ApiKey::Fetch => Answer::Silence(Duration::from_secs(3600)),
        _ => Answer::HangUp,
    };
    let first = first.serve(move |asked| script(asked, 1));
    let _second = second.serve(move |asked| script(asked, 2));
    let log = client(first.address);
    let asked = |number| FetchPartition {
        partition: partition(number),
        fetch_offset: Offset::ZERO,
        max_bytes: 1 << 20,
    };
    let request = FetchRequest {
        max_wait: Duration::from_secs(3600),
        min_bytes: 1,
        max_bytes: 1 << 20,
        isolation: Isolation::ReadCommitted,
        partitions: vec![asked(1), asked(0)],
    };
    // Twice: a fetch that is still under way at the second broker stands in nobody's way.
    for _ in 0..2 {
        let answer = log.fetch(request.clone()).await.expect("an answer");
        assert_eq!(answer.partitions.len(), 1, "the second leader has nothing yet");
        let (found, data) = &answer.partitions[0];
        assert_eq!(*found, partition(0));
        assert_eq!(data.as_ref().expect("data").batches, [batch(&["a"], None, false)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_moved_is_found_again() {
    let (first, second) = (Port::free().await, Port::free().await);
    let brokers = [first.address, second.address];
    let moved = Arc::new(AtomicBool::new(false));
    let seen = moved.clone();
    let first = first.serve(move |asked| match asked.key {
        ApiKey::Metadata => {
            let leader = if seen.load(Ordering::SeqCst) { 2 } else { 1 };
            asked.answer(&metadata(&brokers, "t", &[leader]))
        }
        ApiKey::Produce => {
            seen.store(true, Ordering::SeqCst);
            asked.answer(&produced(NOT_LEADER))
        }
        _ => Answer::HangUp,
    });
    let _second = second.serve(|asked| match asked.key {
        ApiKey::Produce => asked.answer(&produced(0)),
        _ => Answer::HangUp,
    });
    let log = client(first.address);
    let error = produce_once(&log, None, &partition(0), batch(&["a"], None, false))
        .await
        .expect_err("it moved");
    assert!(matches!(error, LogError::Retriable(_)), "{error:?}");
    let ack = produce(&log, None, &partition(0), batch(&["a"], None, false))
        .await
        .expect("the new leader is asked");
    assert_eq!(ack.base_offset, Offset::new(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_that_moved_is_found_again() {
    let (first, second) = (Port::free().await, Port::free().await);
    let (address, second_address) = (first.address, second.address);
    let lookups = Arc::new(AtomicU32::new(0));
    let count = lookups.clone();
    let first = first.serve(move |asked| match asked.key {
        ApiKey::FindCoordinator => match count.fetch_add(1, Ordering::SeqCst) {
            0 => coordinator(asked, 1, address),
            _ => coordinator(asked, 2, second_address),
        },
        ApiKey::EndTxn => asked.answer(&EndTxnResponse::default().with_error_code(NOT_COORDINATOR)),
        _ => Answer::HangUp,
    });
    let _second = second.serve(|asked| match asked.key {
        ApiKey::EndTxn => asked.answer(
            &EndTxnResponse::default()
                .with_producer_id(7.into())
                .with_producer_epoch(4),
        ),
        _ => Answer::HangUp,
    });
    let log = client(first.address);
    let end = || log.end_txn(TransactionalId::from("x"), own(), TxnResult::Commit);
    let error = end().await.expect_err("it moved");
    assert!(matches!(error, LogError::Retriable(_)), "{error:?}");
    let next = end().await.expect("the new coordinator is asked");
    assert_eq!(next.producer_epoch, ProducerEpoch::new(4));
    assert_eq!(lookups.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_may_have_arrived_is_of_unknown_outcome() {
    let broker = Port::free().await;
    let address = broker.address;
    let gone = Port::free().await.address;
    let broker = broker.serve(move |asked| match asked.key {
        ApiKey::FindCoordinator => {
            let key = String::from_utf8_lossy(&asked.body).into_owned();
            if key.contains("gone") {
                coordinator(asked, 2, gone)
            } else if key.contains("unheard") {
                Answer::HangUp
            } else {
                coordinator(asked, 1, address)
            }
        }
        ApiKey::EndTxn => {
            let id = String::from_utf8_lossy(&asked.body).into_owned();
            if id.contains("garbage") {
                Answer::Body(Bytes::from_static(&[0, 1]))
            } else {
                Answer::HangUp
            }
        }
        _ => Answer::HangUp,
    });
    let log = client(broker.address);
    let end = |id: &str| log.end_txn(TransactionalId::from(id), own(), TxnResult::Commit);
    for sent in ["answered-by-hanging-up", "answered-with-garbage"] {
        let error = end(sent).await.expect_err(sent);
        assert!(matches!(error, LogError::Unknown(_)), "{sent}: {error:?}");
    }
    for not_sent in ["coordinator-is-gone", "lookup-unheard"] {
        let error = end(not_sent).await.expect_err(not_sent);
        assert!(matches!(error, LogError::Retriable(_)), "{not_sent}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_does_not_know_the_question_about_versions_is_asked_an_older_one() {
    let broker = Port::free().await;
    let address = broker.address;
    let broker = broker.serve_raw(move |asked| match (asked.key, asked.version) {
        (ApiKey::ApiVersions, 0) => {
            asked.answer(&versions(|_, range| Some(range)).with_finalized_features(Vec::new()))
        }
        (ApiKey::ApiVersions, _) => {
            // As Kafka has it: the error in version 0, with what it would understand.
            let mut body = BytesMut::new();
            body.put_i16(35);
            body.put_i32(0);
            Answer::Body(body.freeze())
        }
        (ApiKey::FindCoordinator, _) => coordinator(asked, 1, address),
        // Without the feature the older protocol is spoken, in which the epoch stays.
        (ApiKey::EndTxn, ..=4) => asked.answer(&EndTxnResponse::default()),
        _ => Answer::HangUp,
    });
    let log = client(broker.address);
    let next = log
        .end_txn(TransactionalId::from("x"), own(), TxnResult::Commit)
        .await
        .expect("it is ended");
    assert_eq!(next, own());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_too_old_is_named_with_what_it_lacks() {
    let broker = Port::free().await;
    let address = broker.address;
    let broker = broker.serve_raw(move |asked| match asked.key {
        ApiKey::ApiVersions => asked.answer(&versions(|key, range| match key {
            ApiKey::InitProducerId => Some((0, 2)),
            ApiKey::ListOffsets => None,
            _ => Some(range),
        })),
        ApiKey::FindCoordinator => coordinator(asked, 1, address),
        ApiKey::Metadata => asked.answer(&metadata(&[address], "t", &[1])),
        _ => Answer::HangUp,
    });
    let log = client(broker.address);
    let error = log
        .init_producer_id(Some(TransactionalId::from("x")), Duration::from_secs(60), None)
        .await
        .expect_err("too old");
    assert!(
        matches!(&error, LogError::Refused(text) if text.contains("InitProducerId") && text.contains("0 to 2")),
        "{error:?}"
    );
    let asked = vec![(partition(0), OffsetSpec::Latest)];
    let error = log.list_offsets(asked).await.expect_err("too old");
    assert!(
        matches!(&error, LogError::Refused(text) if text.contains("ListOffsets")),
        "{error:?}"
    );
}
