//! What others depend on is not dropped, and the refusal says what to drop first.

use crate::node::{FLIGHTS, Node};

#[tokio::test(flavor = "multi_thread")]
async fn what_others_depend_on_is_not_dropped() {
    let node = Node::start().await;
    node.run(FLIGHTS).await;
    node.run("CREATE MATERIALIZED VIEW jfk AS SELECT carrier, dep_delay, scheduled FROM flights WHERE origin = 'JFK'")
        .await;
    // Over the view's topic, by its name.
    node.run("CREATE STREAM raw (carrier VARCHAR) WITH (topic = 'jfk', format = 'json')")
        .await;
    node.run(
        "CREATE VIEW from_raw AS SELECT carrier FROM raw WHERE carrier IN (SELECT carrier FROM flights)",
    )
    .await;
    node.run(
        "CREATE MATERIALIZED VIEW daily AS SELECT carrier, window_start, COUNT(*) AS n
         FROM TUMBLE(jfk, scheduled, INTERVAL '1' DAY) GROUP BY carrier, window_start",
    )
    .await;
    // A column of the same name as the view is no use of the view.
    node.run("CREATE VIEW apart AS SELECT origin AS jfk FROM flights")
        .await;
    node.run("CREATE STREAM other (jfk VARCHAR) WITH (format = 'json', partitions = 1)")
        .await;

    let error = node.error("DROP MATERIALIZED VIEW jfk").await;
    assert_eq!(
        error,
        "cannot drop materialized view \"jfk\" because other objects depend on it
  at line 1, column 24:
    DROP MATERIALIZED VIEW jfk
                           ^^^
  detail: stream \"raw\" depends on topic jfk of materialized view \"jfk\"
  detail: view \"from_raw\" depends on stream \"raw\"
  detail: materialized view \"daily\" depends on materialized view \"jfk\"
  hint: drop them first: DROP MATERIALIZED VIEW daily; DROP VIEW from_raw; DROP STREAM raw"
    );
    let error = node.error("DROP STREAM flights").await;
    for line in [
        "cannot drop stream \"flights\" because other objects depend on it",
        "detail: materialized view \"jfk\" depends on stream \"flights\"",
        "detail: view \"from_raw\" depends on stream \"flights\"",
        "detail: view \"apart\" depends on stream \"flights\"",
    ] {
        assert!(error.contains(line), "{line}: {error}");
    }
    assert!(!error.contains("other\""), "{error}");

    // The statements of the hint do, in the order given.
    node.run("DROP MATERIALIZED VIEW daily; DROP VIEW from_raw; DROP STREAM raw")
        .await;
    node.run("DROP MATERIALIZED VIEW jfk; DROP VIEW apart; DROP STREAM flights")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_named_like_those_of_a_view_is_not_dropped_with_it() {
    let node = Node::start().await;
    node.run(FLIGHTS).await;
    node.run("CREATE MATERIALIZED VIEW v AS SELECT origin, COUNT(*) AS n FROM flights GROUP BY origin")
        .await;
    node.run("CREATE STREAM mine (a VARCHAR) WITH (topic = 'sql-v-mine', format = 'json', partitions = 1)")
        .await;
    node.run("CREATE STREAM changes (a VARCHAR) WITH (topic = 'sql-v-groups-changelog', format = 'json')")
        .await;
    node.run("INSERT INTO mine VALUES ('kept')").await;
    let error = node.error("DROP MATERIALIZED VIEW v").await;
    assert!(
        error.contains(
            "stream \"changes\" depends on topic sql-v-groups-changelog of materialized view \"v\""
        ),
        "{error}"
    );
    node.run("DROP STREAM changes; DROP MATERIALIZED VIEW v").await;
    assert_eq!(node.sorted("SELECT a FROM mine").await, ["|kept|"]);
}
