//! Rows that are no rows: isolated, written to the dead-letter topic with the reason and the place, never fatal.

use crate::node::Node;

#[tokio::test(flavor = "multi_thread")]
async fn malformed_rows_go_to_the_dead_letter_topic_and_the_others_count() {
    let node = Node::start().await;
    node.run(
        "CREATE STREAM s (k VARCHAR, a BIGINT, b BIGINT, t TIMESTAMP, WATERMARK FOR t AS t) WITH (format = 'json', partitions = 1)",
    )
    .await;
    node.run(
        "CREATE MATERIALIZED VIEW v AS SELECT k, window_start, SUM(a / b) AS q
         FROM TUMBLE(s, t, INTERVAL '1' MINUTE) GROUP BY k, window_start",
    )
    .await;
    let row = |k: &str, a: i64, b: i64, t: &str| format!(r#"{{"k":"{k}","a":{a},"b":{b},"t":{t}}}"#);
    let time = r#""2013-01-01T00:00:00Z""#;
    let values = [
        row("x", 6, 2, time),
        "{\"k\":\"x\"".to_owned(),
        row("x", 6, 0, time),
        row("x", 4, 1, "null"),
        r#"{"k":"x","a":"many"}"#.to_owned(),
        row("x", 8, 2, time),
    ];
    node.produce("s", values.into_iter().map(|value| (0, 1_000, value)))
        .await;
    node.engine.wait_until_caught_up().await.unwrap();
    assert_eq!(node.sorted("SELECT k, q FROM v").await, ["|x|7|"]);

    let mut letters = node.consume("sql-v-dead-letters", 4).await;
    letters.sort_by_key(|letter| letter.headers["__streams.errors.offset"].clone());
    let reasons: Vec<(&str, &str)> = letters
        .iter()
        .map(|l| {
            (
                l.headers["__streams.errors.offset"].as_str(),
                l.headers["__streams.errors.message"].as_str(),
            )
        })
        .collect();
    assert_eq!(reasons[0], ("1", "the JSON text ends too early"));
    assert!(
        reasons[1].0 == "2" && reasons[1].1.contains("zero"),
        "{reasons:?}"
    );
    assert_eq!(reasons[2], ("3", "the event-time column \"t\" is NULL"));
    assert!(
        reasons[3].0 == "4" && reasons[3].1.contains("\"a\"") | reasons[3].1.contains("'a'"),
        "{reasons:?}"
    );
    assert_eq!(letters[0].value.as_deref(), Some("{\"k\":\"x\""));
    assert_eq!(letters[0].headers["__streams.errors.topic"], "s");
    assert_eq!(node.engine.metrics().await["v"].dead_letters, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_result_cannot_be_computed_costs_no_other() {
    let node = Node::start().await;
    node.run("CREATE STREAM s (k VARCHAR, a BIGINT) WITH (format = 'csv', partitions = 2, topic = 'rows')")
        .await;
    node.run("CREATE MATERIALIZED VIEW v AS SELECT k, 100 / SUM(a) AS q FROM s GROUP BY k")
        .await;
    node.run("INSERT INTO s VALUES ('good', 5), ('bad', 0), ('fine', 10)")
        .await;
    node.engine.wait_until_caught_up().await.unwrap();
    let mut values: Vec<_> = node
        .consume("v", 2)
        .await
        .into_iter()
        .filter_map(|r| r.value)
        .collect();
    values.sort();
    assert_eq!(values, [r#"{"k":"fine","q":10}"#, r#"{"k":"good","q":20}"#]);
    let letters = node.consume("sql-v-dead-letters", 1).await;
    assert_eq!(letters[0].key.as_deref(), Some(r#"{"k":"bad"}"#));
}
