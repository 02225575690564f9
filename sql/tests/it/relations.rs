//! Views equal the same query over the topics as they are, for every operator, with rows out of order, NULLs, several commits and restarts.

use millpond_sql::StatementResult;

use crate::node::Node;

/// Name and query. The view of the query must hold what the query gives when it is asked for once.
pub(crate) const QUERIES: &[(&str, &str)] = &[
    (
        "both",
        "SELECT k, x FROM s UNION ALL SELECT k, y FROM u WHERE y > 0",
    ),
    (
        "either",
        "SELECT k, x AS n FROM s WHERE x < 0 UNION ALL SELECT upper(k), x + 1 FROM s UNION ALL SELECT k, y FROM u",
    ),
    ("joined", "SELECT s.k, s.x, u.y FROM s JOIN u ON s.k = u.k"),
    (
        "left_joined",
        "SELECT s.k, s.x, u.y FROM s LEFT JOIN u ON s.k = u.k AND s.x = u.x",
    ),
    (
        "right_joined",
        "SELECT s.x, u.k, u.y FROM s RIGHT JOIN u ON s.x = u.x",
    ),
    (
        "full_joined",
        "SELECT s.k, s.x, u.k AS uk, u.y FROM s FULL JOIN u ON s.x = u.y",
    ),
    (
        "crossed",
        "SELECT s.x, u.y FROM s CROSS JOIN u WHERE s.x + u.y > 30",
    ),
    (
        "filtered",
        "SELECT s.k, s.x, u.y FROM s JOIN u ON s.k = u.k AND s.x < u.y",
    ),
    (
        "three",
        "SELECT a.k, a.x, b.y, c.x AS z FROM s a JOIN u b ON a.k = b.k JOIN s c ON b.x = c.x",
    ),
    (
        "in_time",
        "SELECT s.k, s.t, u.t AS ut FROM s JOIN u ON s.k = u.k AND u.t BETWEEN s.t - INTERVAL '30' MINUTE AND s.t + INTERVAL '30' MINUTE",
    ),
    (
        "known",
        "SELECT k, x FROM s WHERE EXISTS (SELECT 1 FROM u WHERE u.k = s.k AND u.y > 10)",
    ),
    (
        "unknown",
        "SELECT k, x FROM s WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.x = s.x)",
    ),
    ("listed", "SELECT k, x FROM s WHERE x IN (SELECT y FROM u)"),
    (
        "self_joined",
        "SELECT a.k, a.x, b.x AS other FROM s a JOIN s b ON a.k = b.k AND a.x < b.x",
    ),
    (
        "counted",
        "SELECT k, COUNT(*) AS n, SUM(x) AS total FROM s GROUP BY k",
    ),
    (
        "distinct_counted",
        "SELECT k, COUNT(DISTINCT x) AS n, MIN(y) AS low, MAX(y) AS high FROM s GROUP BY k",
    ),
    (
        "counted_joins",
        "SELECT s.k, COUNT(*) AS n, SUM(u.y) AS total, MAX(u.y) AS high FROM s LEFT JOIN u ON s.k = u.k GROUP BY s.k",
    ),
    (
        "twice",
        "SELECT n, COUNT(*) AS groups FROM (SELECT k, COUNT(*) AS n FROM s GROUP BY k) GROUP BY n",
    ),
    (
        "having",
        "SELECT k, MEDIAN(x) AS middle FROM s GROUP BY k HAVING COUNT(*) > 3",
    ),
    (
        "lists",
        "SELECT k, STRING_AGG(CAST(x AS VARCHAR), ',' ORDER BY x) AS xs FROM s GROUP BY k",
    ),
    ("unique_rows", "SELECT DISTINCT k, x > 0 AS above FROM s"),
    ("unions_unique", "SELECT k FROM s UNION SELECT k FROM u"),
    (
        "windowed",
        "SELECT window_start, k, COUNT(DISTINCT x) AS n FROM TUMBLE(s, t, INTERVAL '1' HOUR) GROUP BY window_start, k",
    ),
    (
        "above_average",
        "SELECT s.k, s.x FROM s JOIN (SELECT k, AVG(x) AS mean FROM s GROUP BY k) m ON s.k = m.k WHERE s.x > m.mean",
    ),
    (
        "sums_joined",
        "SELECT a.k, a.n, b.m FROM (SELECT k, COUNT(*) AS n FROM s GROUP BY k) a FULL JOIN (SELECT k, SUM(y) AS m FROM u GROUP BY k) b ON a.k = b.k",
    ),
    (
        "best",
        "SELECT k, x, y FROM (SELECT k, x, y, ROW_NUMBER() OVER (PARTITION BY k ORDER BY x DESC, y, t) AS place FROM s) WHERE place <= 3",
    ),
    (
        "placed",
        "SELECT k, x, place FROM (SELECT k, x, ROW_NUMBER() OVER (PARTITION BY k ORDER BY x, t) AS place FROM s) WHERE place BETWEEN 2 AND 4",
    ),
    (
        "latest",
        "SELECT k, x, y, t FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY t DESC, x, y) AS place FROM u) WHERE place = 1",
    ),
    (
        "first_rows",
        "SELECT k, x, t FROM s ORDER BY x DESC NULLS LAST, t, k LIMIT 5",
    ),
    (
        "later_rows",
        "SELECT k, x, t FROM s ORDER BY t, x, k LIMIT 4 OFFSET 3",
    ),
    (
        "busiest",
        "SELECT k, n FROM (SELECT k, n, ROW_NUMBER() OVER (ORDER BY n DESC, k) AS place FROM (SELECT k, COUNT(*) AS n FROM s GROUP BY k)) WHERE place <= 2",
    ),
    (
        "running",
        "SELECT k, t, x, SUM(x) OVER (PARTITION BY k ORDER BY t, x ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS total FROM s",
    ),
    (
        "moving",
        "SELECT k, t, AVG(x) OVER (PARTITION BY k ORDER BY t, x ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS mean, LAG(x) OVER (PARTITION BY k ORDER BY t, x) AS before FROM s",
    ),
    (
        "ranked",
        "SELECT k, x, RANK() OVER (PARTITION BY k ORDER BY x) AS place, DENSE_RANK() OVER (PARTITION BY k ORDER BY x) AS step FROM u",
    ),
    (
        "shares",
        "SELECT k, n, n * 100 / SUM(n) OVER () AS share FROM (SELECT k, COUNT(*) AS n FROM s GROUP BY k)",
    ),
    (
        "best_counted",
        "SELECT x, COUNT(*) AS n FROM (SELECT k, x, ROW_NUMBER() OVER (PARTITION BY k ORDER BY t DESC, x) AS place FROM s) WHERE place <= 3 GROUP BY x",
    ),
    (
        "best_joined",
        "SELECT b.k, b.x, u.y FROM (SELECT k, x, ROW_NUMBER() OVER (PARTITION BY k ORDER BY t DESC, x) AS place FROM s) b JOIN u ON b.k = u.k WHERE b.place = 1",
    ),
    (
        "common",
        "WITH c AS (SELECT k, COUNT(*) AS n FROM s GROUP BY k) SELECT a.k, a.n, b.k AS other FROM c a JOIN c b ON a.n = b.n AND a.k < b.k",
    ),
    ("scalar", "SELECT k, x FROM s WHERE x > (SELECT AVG(y) FROM u)"),
];

/// A generator of numbers: the same from the same seed everywhere.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// (partition, timestamp, JSON).
    pub(crate) fn row(&mut self) -> (i32, i64, String) {
        let second = self.below(20_000);
        let text = |known: bool, value: String| if known { value } else { "null".to_owned() };
        let key = format!("\"key {}\"", self.below(5));
        let (x, y) = (self.below(40) as i64 - 20, self.below(40) as i64 - 20);
        let json = format!(
            r#"{{"k":{},"x":{},"y":{},"t":"2013-01-01T{:02}:{:02}:{:02}Z"}}"#,
            text(self.below(8) > 0, key),
            text(self.below(8) > 0, x.to_string()),
            text(self.below(8) > 0, y.to_string()),
            second / 3_600,
            second / 60 % 60,
            second % 60
        );
        (
            self.below(3) as i32,
            1_357_000_000_000 + second as i64 * 1_000,
            json,
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_holds_what_its_query_gives() {
    let only = std::env::var("MILLPOND_SQL_QUERY").ok();
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let mut node = Node::start().await;
    for stream in ["s", "u"] {
        node.run(&format!(
            "CREATE STREAM {stream} (k VARCHAR, x BIGINT, y BIGINT, t TIMESTAMP, WATERMARK FOR t AS t - INTERVAL '1' DAY)
             WITH (format = 'json', partitions = 3)"
        ))
        .await;
    }
    for (name, query) in QUERIES.iter().filter(|(name, _)| wanted(name)) {
        let made = node
            .engine
            .execute(&format!("CREATE MATERIALIZED VIEW {name} AS {query}"))
            .await;
        match made {
            Ok(results) => assert!(matches!(results[..], [StatementResult::Message(_)])),
            Err(error) => panic!("{name}: {error}"),
        }
    }
    let mut numbers = Numbers(7);
    for round in 0..4 {
        for stream in ["s", "u"] {
            let rows: Vec<_> = (0..5 + 10 * round).map(|_| numbers.row()).collect();
            node.produce(stream, rows).await;
        }
        if round == 2 {
            node = node.restart().await;
        }
        node.engine.wait_until_caught_up().await.unwrap();
        for (name, query) in QUERIES.iter().filter(|(name, _)| wanted(name)) {
            let view = node.sorted(&format!("SELECT * FROM {name}")).await;
            assert_eq!(view, node.sorted(query).await, "{name}, round {round}");
        }
    }
    node.engine.shutdown().await.unwrap();
}
