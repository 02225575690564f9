//! The whole script of the demo, on generated flights.

use futures::StreamExt;
use millpond_sql::StatementResult;

use crate::node::{FLIGHTS, Node, flights, sorted_lines};

const HOURLY: &str = "CREATE MATERIALIZED VIEW departures_hourly AS
    SELECT origin, window_start, window_end, COUNT(*) AS departures, AVG(dep_delay) AS avg_delay
    FROM TUMBLE(flights, scheduled, INTERVAL '1' HOUR) GROUP BY origin, window_start, window_end;";

#[tokio::test(flavor = "multi_thread")]
async fn the_script_of_the_demo_gives_the_batch_answer() {
    let node = Node::start().await;
    node.run(FLIGHTS).await;
    node.run(HOURLY).await;
    node.produce("flights", flights(1, 2_000)).await;
    node.engine.wait_until_caught_up().await.unwrap();

    let batch = "SELECT origin, date_bin(INTERVAL '1' HOUR, scheduled) AS s, date_bin(INTERVAL '1' HOUR, scheduled) + INTERVAL '1' HOUR,
        COUNT(*), AVG(dep_delay) FROM flights GROUP BY origin, s";
    let view = node.sorted("SELECT * FROM departures_hourly").await;
    assert!(view.len() > 200, "{} rows", view.len());
    assert_eq!(view, node.sorted(batch).await);

    let first = node
        .rows("SELECT * FROM departures_hourly WHERE origin = 'JFK' ORDER BY window_start LIMIT 5")
        .await;
    assert_eq!(first.iter().map(|b| b.num_rows()).sum::<usize>(), 5);
    let carriers = node
        .rows("SELECT carrier, COUNT(*), AVG(dep_delay) FROM flights GROUP BY carrier ORDER BY 2 DESC")
        .await;
    assert_eq!(carriers.iter().map(|b| b.num_rows()).sum::<usize>(), 4);

    assert!(node.table("SHOW STREAMS").await.contains("flights"));
    assert!(node.table("SHOW VIEWS").await.contains("departures_hourly"));
    let described = node.table("DESCRIBE departures_hourly").await;
    assert!(
        described.contains("window_start") && described.contains("TIMESTAMP"),
        "{described}"
    );
    let joined = node
        .rows(
            "SELECT v.origin, v.departures, f.n FROM departures_hourly v
             JOIN (SELECT origin, COUNT(*) AS n FROM flights GROUP BY origin) f ON f.origin = v.origin",
        )
        .await;
    assert_eq!(joined.iter().map(|b| b.num_rows()).sum::<usize>(), view.len());

    node.run("DROP MATERIALIZED VIEW departures_hourly").await;
    assert!(
        node.error("SELECT * FROM departures_hourly")
            .await
            .contains("unknown stream or view")
    );
    node.run(HOURLY).await;
    node.engine.wait_until_caught_up().await.unwrap();
    assert_eq!(
        node.sorted("SELECT * FROM departures_hourly").await,
        view,
        "a view made again starts over"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_view_are_upserts_in_its_topic() {
    let node = Node::start().await;
    node.run(FLIGHTS).await;
    node.run(
        "CREATE MATERIALIZED VIEW per_origin AS SELECT origin, COUNT(*) AS n FROM flights GROUP BY origin",
    )
    .await;
    let flight = |origin: &str| format!(r#"{{"origin":"{origin}","scheduled":"2013-01-01T00:00:00Z"}}"#);
    node.produce("flights", [(0, 5, flight("JFK")), (0, 6, flight("JFK"))])
        .await;
    node.engine.wait_until_caught_up().await.unwrap();
    let first = node.consume("per_origin", 1).await;
    assert_eq!(first[0].key.as_deref(), Some(r#"{"origin":"JFK"}"#));
    assert_eq!(first[0].value.as_deref(), Some(r#"{"origin":"JFK","n":2}"#));
    node.produce("flights", [(1, 7, flight("JFK"))]).await;
    node.engine.wait_until_caught_up().await.unwrap();
    let both = node.consume("per_origin", 2).await;
    assert_eq!(both[1].value.as_deref(), Some(r#"{"origin":"JFK","n":3}"#));

    let Some(StatementResult::Stream(stream)) = node
        .run("SELECT origin, n * 10 AS ten FROM per_origin WHERE n > 2 EMIT CHANGES LIMIT 1")
        .await
        .pop()
    else {
        panic!("no stream")
    };
    let rows: Vec<_> = stream.map(Result::unwrap).collect().await;
    assert_eq!(sorted_lines(&rows), ["|JFK|30|"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_leaves_the_result_sends_a_tombstone() {
    let node = Node::start().await;
    node.run("CREATE STREAM s (k VARCHAR, v BIGINT) WITH (format = 'json', partitions = 1)")
        .await;
    node.run(
        "CREATE MATERIALIZED VIEW low AS SELECT k, SUM(v) AS total FROM s GROUP BY k HAVING SUM(v) < 10",
    )
    .await;
    node.run("INSERT INTO s VALUES ('a', 3), ('b', 30)").await;
    node.engine.wait_until_caught_up().await.unwrap();
    assert_eq!(node.sorted("SELECT * FROM low").await, ["|a|3|"]);
    node.run("INSERT INTO s (v, k) VALUES (20, 'a')").await;
    node.engine.wait_until_caught_up().await.unwrap();
    assert_eq!(node.sorted("SELECT * FROM low").await, Vec::<String>::new());
    let records = node.consume("low", 2).await;
    assert_eq!(records[0].value.as_deref(), Some(r#"{"k":"a","total":3}"#));
    assert_eq!(
        (records[1].key.as_deref(), &records[1].value),
        (Some(r#"{"k":"a"}"#), &None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn views_without_groups_append_and_feed_other_views() {
    let node = Node::start().await;
    node.run(FLIGHTS).await;
    node.run("CREATE MATERIALIZED VIEW jfk AS SELECT carrier, dep_delay * 60 AS seconds, scheduled FROM flights WHERE origin = 'JFK'")
        .await;
    node.run(
        "CREATE MATERIALIZED VIEW jfk_daily AS SELECT carrier, window_start, MAX(seconds) AS worst, MIN(carrier) AS c
         FROM TUMBLE(jfk, scheduled, INTERVAL '1' DAY) GROUP BY carrier, window_start",
    )
    .await;
    node.run("CREATE VIEW late AS SELECT * FROM flights WHERE dep_delay > 10")
        .await;
    node.produce("flights", flights(2, 600)).await;
    node.engine.wait_until_caught_up().await.unwrap();
    assert_eq!(
        node.sorted("SELECT * FROM jfk").await,
        node.sorted("SELECT carrier, dep_delay * 60, scheduled FROM flights WHERE origin = 'JFK'")
            .await
    );
    assert_eq!(
        node.sorted("SELECT * FROM jfk_daily").await,
        node.sorted(
            "SELECT carrier, date_bin(INTERVAL '1' DAY, scheduled), MAX(dep_delay * 60), MIN(carrier) FROM flights
             WHERE origin = 'JFK' GROUP BY 1, 2"
        )
        .await
    );
    assert_eq!(
        node.sorted("SELECT COUNT(*) FROM late").await,
        node.sorted("SELECT COUNT(*) FROM flights WHERE dep_delay > 10")
            .await
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_the_engine_makes_do_not_expire_by_event_time() {
    let node = Node::start().await;
    node.run(FLIGHTS).await;
    node.run("CREATE MATERIALIZED VIEW jfk AS SELECT carrier, scheduled FROM flights WHERE origin = 'JFK'")
        .await;
    for topic in node.broker.describe_topics(None).await {
        let topic = topic.unwrap();
        if ["flights", "jfk"].contains(&topic.name.as_str()) {
            let retention = topic.configs.get("retention.ms").map(String::as_str);
            assert_eq!(retention, Some("-1"), "{}", topic.name);
        }
    }
}
