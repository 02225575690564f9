//! Statements that wait for a job keep nobody else waiting.

use std::sync::Arc;

use futures::FutureExt;

use crate::gated_hosts::{Gate, GatedHosts};
use crate::node::{FLIGHTS, Node};

const PER_ORIGIN: &str =
    "CREATE MATERIALIZED VIEW per_origin AS SELECT origin, COUNT(*) AS n FROM flights GROUP BY origin";
const TWO: &str = "INSERT INTO flights (origin, scheduled) VALUES ('JFK', TIMESTAMP '2013-01-01 10:00:00'), ('JFK', TIMESTAMP '2013-01-01 11:00:00')";

/// A node that has run `statements` and is started again while no state can be opened.
async fn started_behind_the_gate(statements: &[&str]) -> (Node, GatedHosts) {
    let hosts = GatedHosts::new(Gate::Open);
    let node = Node::start_with(tempfile::tempdir().unwrap(), |options| {
        options.state_hosts = Arc::new(hosts.clone());
    })
    .await;
    for statement in statements {
        node.run(statement).await;
    }
    node.engine.wait_until_caught_up().await.unwrap();
    hosts.set(Gate::Closed);
    let node = node
        .restart_with(|options| options.state_hosts = Arc::new(hosts.clone()))
        .await;
    (node, hosts)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_a_job_keeps_nobody_waiting() {
    let (node, hosts) = started_behind_the_gate(&[FLIGHTS, PER_ORIGIN, TWO]).await;

    // Both wait for a job whose state cannot be opened yet.
    let mut caught_up = Box::pin(node.engine.wait_until_caught_up());
    let mut counted = Box::pin(node.rows("SELECT n FROM per_origin"));
    assert!(caught_up.as_mut().now_or_never().is_none());
    assert!(counted.as_mut().now_or_never().is_none());

    assert_eq!(node.sorted("SELECT COUNT(*) FROM flights").await, ["|2|"]);
    let shown = node.table("SHOW VIEWS").await;
    assert!(
        shown.contains("starting") || shown.contains("restoring"),
        "{shown}"
    );
    assert_eq!(node.engine.metrics().await.len(), 1);
    node.run("CREATE VIEW late AS SELECT * FROM flights WHERE dep_delay > 10")
        .await;
    node.run("DROP VIEW late").await;

    hosts.set(Gate::Open);
    caught_up.await.unwrap();
    counted.await;
    assert_eq!(node.sorted("SELECT n FROM per_origin").await, ["|2|"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_dropped_while_somebody_waits_for_it_ends_the_wait() {
    let (node, hosts) = started_behind_the_gate(&[FLIGHTS, PER_ORIGIN]).await;
    let mut caught_up = Box::pin(node.engine.wait_until_caught_up());
    let mut counted = Box::pin(node.engine.execute("SELECT n FROM per_origin"));
    assert!(caught_up.as_mut().now_or_never().is_none());
    assert!(counted.as_mut().now_or_never().is_none());
    let mut dropped = Box::pin(node.run("DROP MATERIALIZED VIEW per_origin"));
    assert!(dropped.as_mut().now_or_never().is_none());

    hosts.set(Gate::Open);
    let (dropped, caught_up, counted) = futures::join!(dropped, caught_up, counted);
    assert_eq!(dropped.len(), 1);
    caught_up.unwrap();
    // It may have read the empty view in the moment between.
    if let Err(error) = counted {
        assert!(error.to_string().contains("per_origin"), "{error}");
    }
}
