//! Views equal the same query over the topics as they are, for every operator, with rows out of order, NULLs, several commits and restarts.

use millpond_sql::StatementResult;

use crate::node::Node;

/// Name and query. The view of the query must hold what the query gives when it is asked for once.
const QUERIES: &[(&str, &str)] = &[
    (
        "both",
        "SELECT k, x FROM s UNION ALL SELECT k, y FROM u WHERE y > 0",
    ),
    (
        "either",
        "SELECT k, x AS n FROM s WHERE x < 0 UNION ALL SELECT upper(k), x + 1 FROM s UNION ALL SELECT k, y FROM u",
    ),
];

/// A generator of numbers: the same from the same seed everywhere.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// (partition, timestamp, JSON).
    fn row(&mut self) -> (i32, i64, String) {
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
