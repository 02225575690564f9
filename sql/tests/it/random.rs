//! Views equal a plain batch query over the same topic, for random rows with NULLs, over several commits and restarts.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::node::Node;

const VIEWS: &[(&str, &str, &str)] = &[
    (
        "tumbling",
        "SELECT k, window_start, COUNT(*) AS n, COUNT(x) AS nx, SUM(x) AS sx, MIN(y) AS low, MAX(y) AS high, AVG(x) AS mean, MIN(k) AS mk
         FROM TUMBLE(s, t, INTERVAL '1' HOUR) GROUP BY k, window_start",
        "SELECT k, date_bin(INTERVAL '1' HOUR, t) AS w, COUNT(*), COUNT(x), SUM(x), MIN(y), MAX(y), AVG(x), MIN(k) FROM s GROUP BY k, w",
    ),
    (
        "hopping",
        "SELECT window_end, k, SUM(y) AS total, MAX(t) AS newest
         FROM HOP(s, t, INTERVAL '20' MINUTE, INTERVAL '1' HOUR) WHERE x IS NULL OR x > -5 GROUP BY k, window_end HAVING COUNT(*) > 1",
        "SELECT e, k, SUM(y), MAX(t) FROM (
           SELECT date_bin(INTERVAL '20' MINUTE, t) + INTERVAL '20' MINUTE AS e, * FROM s
           UNION ALL SELECT date_bin(INTERVAL '20' MINUTE, t) + INTERVAL '40' MINUTE AS e, * FROM s
           UNION ALL SELECT date_bin(INTERVAL '20' MINUTE, t) + INTERVAL '60' MINUTE AS e, * FROM s)
         WHERE x IS NULL OR x > -5 GROUP BY k, e HAVING COUNT(*) > 1",
    ),
    (
        "updating",
        "SELECT k, x % 3 AS r, COUNT(*) FILTER (WHERE y > 0) AS positive, SUM(y) / COUNT(*) AS share FROM s GROUP BY k, x % 3",
        "SELECT k, x % 3, COUNT(*) FILTER (WHERE y > 0), SUM(y) / COUNT(*) FROM s GROUP BY k, x % 3",
    ),
    ("plain", "SELECT k, x + 1 AS x1, upper(k) AS u, t FROM s WHERE y > 0", "SELECT k, x + 1, upper(k), t FROM s WHERE y > 0"),
    ("distinct_keys", "SELECT DISTINCT k, x > 0 AS positive FROM s", "SELECT DISTINCT k, x > 0 FROM s"),
];

type Row = (Option<u8>, Option<i64>, Option<i32>, u32, u8);

fn rows() -> impl Strategy<Value = Vec<Vec<Row>>> {
    let row = (
        prop::option::weighted(0.8, 0..5_u8),
        prop::option::weighted(0.7, -20..20_i64),
        // Quarters add up exactly in any order.
        prop::option::weighted(0.7, -40..40_i32),
        0..20_000_u32,
        0..3_u8,
    );
    prop::collection::vec(prop::collection::vec(row, 1..120), 3)
}

fn value((k, x, y, second, partition): &Row) -> (i32, i64, String) {
    let text = |value: Option<String>| value.unwrap_or_else(|| "null".to_owned());
    let json = format!(
        r#"{{"k":{},"x":{},"y":{},"t":"2013-01-01T{:02}:{:02}:{:02}Z"}}"#,
        text(k.map(|k| format!("\"key {k}\""))),
        text(x.map(|x| x.to_string())),
        text(y.map(|y| (f64::from(y) / 4.0).to_string())),
        second / 3_600,
        second / 60 % 60,
        second % 60
    );
    (
        i32::from(*partition),
        1_357_000_000_000 + i64::from(*second) * 1_000,
        json,
    )
}

#[test]
fn views_equal_a_batch_query_over_commits_and_restarts() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut runner = TestRunner::new_with_rng(
        Config {
            cases: 3,
            failure_persistence: None,
            max_shrink_iters: 4,
            ..Config::default()
        },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    runner
        .run(&rows(), |batches| {
            runtime.block_on(async {
                let mut node = Node::start().await;
                node.run(
                    "CREATE STREAM s (k VARCHAR, x BIGINT, y DOUBLE, t TIMESTAMP, WATERMARK FOR t AS t - INTERVAL '1' DAY)
                     WITH (format = 'json', partitions = 3)",
                )
                .await;
                for (name, query, _) in VIEWS {
                    node.run(&format!("CREATE MATERIALIZED VIEW {name} WITH (topic = 'out-{name}') AS {query}")).await;
                }
                for (round, batch) in batches.iter().enumerate() {
                    let half = batch.len() / 2;
                    node.produce("s", batch[..half].iter().map(value)).await;
                    node.engine.wait_until_caught_up().await.unwrap();
                    node.produce("s", batch[half..].iter().map(value)).await;
                    if round == 1 {
                        node = node.restart().await;
                    }
                    node.engine.wait_until_caught_up().await.unwrap();
                    for (name, _, batch_query) in VIEWS {
                        let view = node.sorted(&format!("SELECT * FROM {name}")).await;
                        assert_eq!(view, node.sorted(batch_query).await, "view {name}, round {round}");
                    }
                }
                node.engine.shutdown().await.unwrap();
                Ok(())
            })
        })
        .unwrap();
}
