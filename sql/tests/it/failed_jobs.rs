//! A view whose job failed: nobody else notices, and it can be dropped.

use millpond_log::types::TopicName;

use crate::node::{FLIGHTS, Node};

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_harms_its_own_view_only_and_can_be_dropped() {
    let node = Node::start().await;
    node.run(FLIGHTS).await;
    node.run("CREATE STREAM trips (origin VARCHAR) WITH (format = 'json', partitions = 1)")
        .await;
    node.run("CREATE MATERIALIZED VIEW by_origin AS SELECT origin, COUNT(*) AS n FROM trips GROUP BY origin")
        .await;
    node.run("INSERT INTO flights (carrier, scheduled) VALUES ('UA', TIMESTAMP '2013-01-01 10:00:00')")
        .await;
    let trips = TopicName::new("trips").unwrap();
    for answer in node.broker.delete_topics(vec![trips]).await {
        answer.unwrap();
    }
    while !node.table("SHOW VIEWS").await.contains("error") {
        tokio::task::yield_now().await;
    }
    assert_eq!(node.sorted("SELECT carrier FROM flights").await, ["|UA|"]);
    let error = node.error("SELECT * FROM by_origin").await;
    assert!(error.contains("by_origin"), "{error}");
    node.run("DROP MATERIALIZED VIEW by_origin").await;
    assert!(node.sorted("SHOW VIEWS").await.is_empty());
    for topic in node.broker.describe_topics(None).await {
        let name = topic.unwrap().name.to_string();
        assert!(!name.contains("by_origin"), "{name} is left");
    }
}
