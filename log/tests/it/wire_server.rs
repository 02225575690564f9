//! The listener as clients see it: order, pipelining, leaving, shutdown; and the traps of the protocol about versions, topics and addresses.

use bytes::Bytes;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, MetadataRequest, ProduceRequest};
use millpond_log::protocol::api::SERVED;

use crate::support::{batch, create};
use crate::wire::{Served, fetch, list_offsets, produce, text};

#[tokio::test]
async fn answers_leave_in_the_order_of_their_requests() {
    let at = Served::new().await;
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
    let at = Served::new().await;
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
    let at = Served::new().await;
    let mut wire = at.connect().await;
    wire.send(7, &produce("missing", 0, batch(&["v"], None, false), 0))
        .await;
    wire.hung_up().await;
}

#[tokio::test]
async fn a_shutdown_answers_what_is_under_way_and_gives_up_what_is_parked() {
    let at = Served::new().await;
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
    let at = Served::new().await;
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
    let at = Served::new().await;
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
    let at = Served::new().await;
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
                    let answer = wire.ask(version, list_offsets("orders", -1)).await;
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
async fn trap_21_asking_for_a_topic_makes_it_unless_that_is_forbidden() {
    let at = Served::new().await;
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
    let at = Served::new().await;
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
    let at = Served::new().await;
    let mut wire = at.connect().await;
    let request = MetadataRequest::default()
        .with_topics(None)
        .with_unknown_tagged_field(77, Bytes::from_static(b"from the future"));
    let answer = wire.ask(12, request).await;
    assert_eq!(answer.brokers.len(), 1);
}
