//! The text of `/metrics`.

use std::time::Duration;

use kafka_protocol::messages::ApiKey;

use super::*;
use crate::broker::{BrokerOptions, NewTopic};
use crate::types::TopicName;

#[tokio::test]
async fn the_page_tells_what_was_counted_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(BrokerOptions::at(dir.path())).await.unwrap();
    let topic = NewTopic::new(TopicName::new("orders").unwrap(), 3);
    broker.create_topics(vec![topic]).await.remove(0).unwrap();
    let server = ServerMetrics::default();
    server.on_connections(2);
    server.on_request(100);
    server.on_answer(ApiKey::Metadata, Duration::from_millis(3));
    server.on_rejected(RejectReason::Malformed);
    let metrics = NodeMetrics::new(&broker, Some(&server));
    let text = metrics.render();
    for line in [
        "millpond_kafka_connections 2",
        "millpond_kafka_requests_total{api=\"Metadata\"} 1",
        "millpond_kafka_request_duration_seconds_bucket{le=\"0.005\",api=\"Metadata\"} 1",
        "millpond_kafka_received_bytes_total 100",
        "millpond_kafka_rejected_total{reason=\"Malformed\"} 1",
        "millpond_log_topics 1",
        "millpond_log_partitions 4",
        "millpond_txn_open 0",
    ] {
        assert!(
            text.lines().any(|found| found.starts_with(line)),
            "{line} is missing in\n{text}"
        );
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_broker_that_is_gone_leaves_a_page_without_its_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(BrokerOptions::at(dir.path())).await.unwrap();
    let metrics = NodeMetrics::new(&broker, None);
    broker.shutdown().await.unwrap();
    drop(broker);
    assert!(metrics.render().ends_with("# EOF\n"));
}
