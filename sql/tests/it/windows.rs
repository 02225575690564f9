//! EMIT FINAL, late rows, and windows in bounded queries.

use crate::node::{FLIGHTS, Node, flights};

fn row(k: &str, minute: i64) -> (i32, i64, String) {
    let value = format!(
        r#"{{"k":"{k}","t":"2013-01-01T{:02}:{:02}:00Z"}}"#,
        minute / 60,
        minute % 60
    );
    (0, minute * 60_000, value)
}

async fn stream(node: &Node) {
    node.run(
        "CREATE STREAM s (k VARCHAR, t TIMESTAMP, WATERMARK FOR t AS t - INTERVAL '10' MINUTE) WITH (format = 'json', partitions = 1)",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_window_leaves_once_when_the_watermark_passes_its_end() {
    let mut node = Node::start().await;
    stream(&node).await;
    node.run(
        "CREATE MATERIALIZED VIEW v AS SELECT k, window_start, COUNT(*) AS n
         FROM TUMBLE(s, t, INTERVAL '1' HOUR) GROUP BY k, window_start EMIT FINAL",
    )
    .await;
    node.produce("s", [row("a", 5), row("a", 30), row("b", 59)]).await;
    node.engine.wait_until_caught_up().await.unwrap();
    assert!(
        node.sorted("SELECT k, n FROM v").await.is_empty(),
        "the window is open"
    );
    // 01:05 is behind the end, but the watermark is 00:55; the next row still belongs to the first hour.
    node.produce("s", [row("a", 65), row("a", 58)]).await;
    node.engine.wait_until_caught_up().await.unwrap();
    assert!(
        node.sorted("SELECT k, n FROM v").await.is_empty(),
        "the watermark has not passed the end"
    );
    node = node.restart().await;
    node.produce("s", [row("a", 70)]).await;
    node.engine.wait_until_caught_up().await.unwrap();
    assert_eq!(node.sorted("SELECT k, n FROM v").await, ["|a|3|", "|b|1|"]);
    // The first hour is closed: this row is late, and the closed window does not change.
    node.produce("s", [row("a", 59), row("c", 135)]).await;
    node = node.restart().await;
    node.engine.wait_until_caught_up().await.unwrap();
    assert_eq!(
        node.sorted("SELECT k, n FROM v").await,
        ["|a|2|", "|a|3|", "|b|1|"]
    );
    let records = node.consume("v", 3).await;
    let values: Vec<&str> = records.iter().filter_map(|r| r.value.as_deref()).collect();
    assert_eq!(
        values,
        [
            r#"{"k":"a","window_start":"2013-01-01T00:00:00Z","n":3}"#,
            r#"{"k":"b","window_start":"2013-01-01T00:00:00Z","n":1}"#,
            r#"{"k":"a","window_start":"2013-01-01T01:00:00Z","n":2}"#,
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_window_closes_while_no_rows_come_when_the_view_asks_for_it() {
    let node = Node::start().await;
    // One of the two partitions never has a row.
    node.run(
        "CREATE STREAM s (k VARCHAR, t TIMESTAMP, WATERMARK FOR t AS t - INTERVAL '1' SECOND) WITH (format = 'json', partitions = 2)",
    )
    .await;
    node.run(
        "CREATE MATERIALIZED VIEW v WITH (idle.timeout.ms = 100) AS SELECT k, window_start, COUNT(*) AS n
         FROM TUMBLE(s, t, INTERVAL '1' SECOND) GROUP BY k, window_start EMIT FINAL",
    )
    .await;
    node.produce("s", [row("a", 0), row("a", 0)]).await;
    let records = node.consume("v", 1).await;
    let values: Vec<&str> = records.iter().filter_map(|r| r.value.as_deref()).collect();
    assert_eq!(
        values,
        [r#"{"k":"a","window_start":"2013-01-01T00:00:00Z","n":2}"#]
    );
    // What it left behind goes with it.
    node.run("DROP MATERIALIZED VIEW v").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_row_is_left_out_of_closed_windows_only() {
    let node = Node::start().await;
    stream(&node).await;
    node.run(
        "CREATE MATERIALIZED VIEW v AS SELECT window_start, COUNT(*) AS n
         FROM HOP(s, t, INTERVAL '30' MINUTE, INTERVAL '1' HOUR) GROUP BY window_start",
    )
    .await;
    // The watermark is 01:05 when 00:40 comes: [00:00, 01:00) is closed, [00:30, 01:30) is open.
    node.produce("s", [row("a", 75), row("a", 40)]).await;
    node.engine.wait_until_caught_up().await.unwrap();
    let counts = node
        .sorted("SELECT to_char(window_start, '%H:%M'), n FROM v")
        .await;
    assert_eq!(counts, ["|00:30|2|", "|01:00|1|"]);
    assert_eq!(node.engine.metrics().await["v"].late_records, 1);
    // A bounded query sees all rows.
    let all = node
        .sorted(
            "SELECT to_char(window_start, '%H:%M'), COUNT(*) FROM HOP(s, t, INTERVAL '30' MINUTE, INTERVAL '1' HOUR)
             GROUP BY window_start",
        )
        .await;
    assert_eq!(all, ["|00:00|1|", "|00:30|2|", "|01:00|1|"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_spelling_of_a_window_gives_the_same() {
    let node = Node::start().await;
    node.run(FLIGHTS).await;
    let spellings = [
        "SELECT origin, window_start, COUNT(*) AS n FROM HOP(flights, scheduled, INTERVAL '1' HOUR, INTERVAL '3' HOUR) GROUP BY origin, window_start",
        "SELECT origin, window_start, COUNT(*) AS n FROM TABLE(HOP(TABLE flights, DESCRIPTOR(scheduled), INTERVAL '1' HOUR, INTERVAL '3' HOUR)) GROUP BY origin, window_start",
        "SELECT origin, window_start, COUNT(*) AS n FROM HOP(flights, SIZE => INTERVAL '3' HOUR, SLIDE => INTERVAL '1' HOUR) GROUP BY origin, window_start",
        "SELECT origin, WINDOWSTART AS window_start, COUNT(*) AS n FROM flights WINDOW HOPPING (SIZE 3 HOURS, ADVANCE BY 1 HOUR) GROUP BY origin",
        "SELECT f.origin, WINDOWSTART AS window_start, COUNT(*) AS n FROM flights AS f WINDOW HOPPING (SIZE 180 MINUTES, ADVANCE BY 1 HOUR, GRACE PERIOD 1 DAY) GROUP BY f.origin",
    ];
    for (number, query) in spellings.iter().enumerate() {
        node.run(&format!("CREATE MATERIALIZED VIEW v{number} AS {query}"))
            .await;
    }
    node.produce("flights", flights(11, 300)).await;
    node.engine.wait_until_caught_up().await.unwrap();
    let first = node.sorted("SELECT * FROM v0").await;
    assert!(first.len() > 30, "{first:?}");
    for (number, query) in spellings.iter().enumerate().skip(1) {
        let view = node.sorted(&format!("SELECT * FROM v{number}")).await;
        assert_eq!(view, first, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grace_of_the_query_stands_for_that_of_the_stream() {
    let node = Node::start().await;
    node.run(FLIGHTS).await;
    node.run(
        "CREATE MATERIALIZED VIEW strict AS SELECT WINDOWSTART AS at, COUNT(*) AS n FROM flights
         WINDOW TUMBLING (SIZE 1 HOUR, GRACE PERIOD 0 SECONDS) GROUP BY dest EMIT CHANGES",
    )
    .await;
    let row = |hour: u32| {
        let value = format!(r#"{{"dest":"D","scheduled":"2013-01-01T{hour:02}:10:00Z"}}"#);
        (0, 1_357_000_000_000, value)
    };
    node.produce("flights", [row(5), row(9), row(5), row(9)]).await;
    node.engine.wait_until_caught_up().await.unwrap();
    assert_eq!(
        node.sorted("SELECT * FROM strict").await,
        ["|2013-01-01T05:00:00|1|", "|2013-01-01T09:00:00|2|"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_that_grow_hold_what_their_ends_let_in() {
    let node = Node::start().await;
    node.run(FLIGHTS).await;
    let query = "SELECT window_start, window_end, origin FROM CUMULATE(flights, scheduled, INTERVAL '2' HOUR, INTERVAL '6' HOUR)";
    node.run(&format!("CREATE MATERIALIZED VIEW grown AS {query}"))
        .await;
    node.produce("flights", flights(3, 60)).await;
    node.engine.wait_until_caught_up().await.unwrap();
    let by_hand = "SELECT s, s + n AS e, origin FROM
        (SELECT date_bin(INTERVAL '6' HOUR, scheduled) AS s, * FROM flights) CROSS JOIN (VALUES (INTERVAL '2' HOUR), (INTERVAL '4' HOUR), (INTERVAL '6' HOUR)) AS t(n)
        WHERE scheduled < s + n";
    let view = node.sorted("SELECT * FROM grown").await;
    assert!(view.len() > 60);
    assert_eq!(view, node.sorted(query).await);
    assert_eq!(view, node.sorted(by_hand).await);
}
