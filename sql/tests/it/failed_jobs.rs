//! Views that cannot be started and views whose job failed: they say why, they can be dropped, and nobody else notices.

use std::sync::Arc;

use millpond_log::broker::NewTopic;
use millpond_log::client::{Producer, ProducerOptions, ProducerRecord};
use millpond_log::types::TopicName;

use crate::gated_hosts::{Gate, GatedHosts};
use crate::node::{FLIGHTS, Node};

const TRIPS: &str = "CREATE STREAM trips (origin VARCHAR) WITH (format = 'json', partitions = 1)";
const BY_ORIGIN: &str =
    "CREATE MATERIALIZED VIEW by_origin AS SELECT origin, COUNT(*) AS n FROM trips GROUP BY origin";
const CATALOG: &str = "__millpond_catalog";

async fn delete_topic(node: &Node, topic: &str) {
    let topic = TopicName::new(topic).unwrap();
    for answer in node.broker.delete_topics(vec![topic]).await {
        answer.unwrap();
    }
}

/// Everything that tells of the failed view `by_origin`, of which others know nothing.
async fn assert_by_origin_is_failed(node: &Node, reason: &str) {
    let shown = node.table("SHOW VIEWS").await;
    let line = shown.lines().find(|line| line.contains("by_origin")).unwrap();
    assert!(line.contains("failed") && line.contains(reason), "{shown}");
    let described = node.table("DESCRIBE by_origin").await;
    assert!(
        described.contains("failed") && described.contains(reason),
        "{described}"
    );
    for query in [
        "SELECT * FROM by_origin",
        "SELECT * FROM by_origin EMIT CHANGES",
        "SELECT f.origin FROM flights f JOIN by_origin b ON f.origin = b.origin",
    ] {
        let error = node.error(query).await;
        assert!(
            error.starts_with("view \"by_origin\" is failed: ")
                && error.contains(reason)
                && error.contains("at line 1"),
            "{query}: {error}"
        );
    }
    let error = node.engine.wait_until_caught_up().await.unwrap_err();
    assert!(error.message.contains("by_origin"), "{error}");
}

async fn assert_nothing_is_left_of(node: &Node, view: &str) {
    assert!(!node.table("SHOW VIEWS").await.contains(view));
    for topic in node.broker.describe_topics(None).await {
        let name = topic.unwrap().name.to_string();
        assert!(!name.contains(view), "{name} is left");
    }
    let state = node.dir.path().join("state").join(format!("sql-{view}"));
    assert!(!state.exists(), "{} is left", state.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_harms_its_own_view_only_and_can_be_dropped() {
    let node = Node::start().await;
    node.run(FLIGHTS).await;
    node.run(TRIPS).await;
    node.run(BY_ORIGIN).await;
    node.run("INSERT INTO flights (carrier, scheduled) VALUES ('UA', TIMESTAMP '2013-01-01 10:00:00')")
        .await;
    delete_topic(&node, "trips").await;
    while !node.table("SHOW VIEWS").await.contains("failed") {
        tokio::task::yield_now().await;
    }
    assert_by_origin_is_failed(&node, "trips").await;
    assert_eq!(node.sorted("SELECT carrier FROM flights").await, ["|UA|"]);
    node.run("DROP MATERIALIZED VIEW by_origin").await;
    assert_nothing_is_left_of(&node, "by_origin").await;
    node.engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_cannot_be_started_does_not_keep_the_engine_from_opening() {
    let node = Node::start().await;
    node.run(FLIGHTS).await;
    node.run(TRIPS).await;
    node.run(BY_ORIGIN).await;
    node.run("CREATE VIEW busy AS SELECT origin FROM by_origin WHERE n > 1")
        .await;
    node.run(
        "CREATE MATERIALIZED VIEW carriers AS SELECT carrier, COUNT(*) AS n FROM flights GROUP BY carrier",
    )
    .await;
    node.run("INSERT INTO flights (carrier, scheduled) VALUES ('UA', TIMESTAMP '2013-01-01 10:00:00')")
        .await;
    let broker = node.broker.clone();
    node.engine.shutdown().await.unwrap();
    delete_topic(&node, "trips").await;
    drop(broker);
    let node = node.restart().await;

    assert_by_origin_is_failed(&node, "topic trips does not exist").await;
    assert!(
        node.error("SELECT * FROM busy")
            .await
            .contains("view \"by_origin\" is failed: ")
    );
    // Waiting errs because of the failed view, but the others have caught up then.
    assert_eq!(node.sorted("SELECT * FROM carriers").await, ["|UA|1|"]);
    node.run("DROP VIEW busy").await;
    node.run("DROP MATERIALIZED VIEW by_origin").await;
    assert_nothing_is_left_of(&node, "by_origin").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_that_cannot_be_opened_is_the_views_failure_until_it_can() {
    let hosts = GatedHosts::new(Gate::Open);
    let node = Node::start_with(tempfile::tempdir().unwrap(), |options| {
        options.state_hosts = Arc::new(hosts.clone());
    })
    .await;
    node.run(FLIGHTS).await;
    node.run(TRIPS).await;
    node.run(BY_ORIGIN).await;
    node.run("INSERT INTO trips VALUES ('JFK'), ('JFK')").await;
    node.engine.wait_until_caught_up().await.unwrap();
    hosts.set(Gate::Refusing);
    let node = node
        .restart_with(|options| options.state_hosts = Arc::new(hosts.clone()))
        .await;
    while !node.table("SHOW VIEWS").await.contains("failed") {
        tokio::task::yield_now().await;
    }
    assert_by_origin_is_failed(&node, "by_origin").await;
    let node = node.restart().await;
    node.engine.wait_until_caught_up().await.unwrap();
    assert_eq!(node.sorted("SELECT * FROM by_origin").await, ["|JFK|2|"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_laid_out_otherwise_than_planned_are_refused_and_kept() {
    let node = Node::start().await;
    node.run(FLIGHTS).await;
    node.run(TRIPS).await;
    node.run(BY_ORIGIN).await;
    node.run("INSERT INTO trips VALUES ('JFK'), ('JFK')").await;
    node.engine.wait_until_caught_up().await.unwrap();
    // As if another version had created the view.
    let record = node.consume(CATALOG, 3).await.pop().unwrap().value.unwrap();
    let other = record.replace(r#""keys":["utf8"]"#, r#""keys":["utf8_view"]"#);
    assert_ne!(record, other);
    define(&node, "by_origin", &other).await;
    let node = node.restart().await;
    assert_by_origin_is_failed(&node, "no window; keys [utf8]; aggregates [count(int64)]").await;
    assert_by_origin_is_failed(&node, "no window; keys [utf8_view]; aggregates [count(int64)]").await;
    let error = node.error("SELECT * FROM by_origin").await;
    assert!(error.contains("DROP MATERIALIZED VIEW by_origin"), "{error}");

    define(&node, "by_origin", &record).await;
    let node = node.restart().await;
    node.engine.wait_until_caught_up().await.unwrap();
    assert_eq!(node.sorted("SELECT * FROM by_origin").await, ["|JFK|2|"]);
}

async fn define(node: &Node, name: &str, record: &str) {
    let topic = TopicName::new(CATALOG).unwrap();
    let producer = Producer::new(&node.broker, ProducerOptions::default())
        .await
        .unwrap();
    let record = ProducerRecord::new(&topic)
        .key(name.to_owned())
        .value(record.to_owned());
    let delivery = producer.send(record).await.unwrap();
    producer.flush().await.unwrap();
    delivery.await.unwrap();
    producer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_whose_job_cannot_be_started_is_not_created() {
    let hosts = GatedHosts::new(Gate::Refusing);
    let node = Node::start_with(tempfile::tempdir().unwrap(), |options| {
        options.state_hosts = Arc::new(hosts.clone());
    })
    .await;
    node.run(FLIGHTS).await;
    node.run(TRIPS).await;
    let error = node.error(BY_ORIGIN).await;
    assert!(
        error.starts_with("materialized view \"by_origin\" is not created: state of task "),
        "{error}"
    );
    assert_nothing_is_left_of(&node, "by_origin").await;

    hosts.set(Gate::Open);
    let name = TopicName::new("sql-by_origin.1-groups-repartition").unwrap();
    let in_the_way = NewTopic::new(name, 3);
    for answer in node.broker.create_topics(vec![in_the_way]).await {
        answer.unwrap();
    }
    let error = node.error(BY_ORIGIN).await;
    assert!(
        error.contains("is not created") && error.contains("3 partitions"),
        "{error}"
    );
    assert_nothing_is_left_of(&node, "by_origin").await;

    node.run(BY_ORIGIN).await;
    node.run("INSERT INTO trips VALUES ('JFK')").await;
    node.engine.wait_until_caught_up().await.unwrap();
    assert_eq!(node.sorted("SELECT * FROM by_origin").await, ["|JFK|1|"]);
}
