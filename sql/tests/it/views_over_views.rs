//! Views over views whose rows change equal one query over the topics as they are, with updates, rows that leave, NULLs and a restart.

use crate::node::Node;
use crate::relations::{Numbers, QUERIES};

/// Views over the streams whose rows change, beside some of [`QUERIES`]: groups leave the first one again.
const BASES: &[(&str, &str)] = &[
    (
        "few",
        "SELECT k, COUNT(*) AS n, SUM(x) AS total FROM s GROUP BY k HAVING COUNT(*) BETWEEN 1 AND 6",
    ),
    (
        "everything",
        "SELECT COUNT(*) AS n, MAX(x) AS high FROM s GROUP BY x IS NULL",
    ),
];

/// Those of [`QUERIES`] that are read by others.
const READ: &[&str] = &["counted", "joined", "best", "latest", "unique_rows"];

/// Name and query over those; each may read the ones before it.
const OVER: &[(&str, &str)] = &[
    (
        "sizes",
        "SELECT n, COUNT(*) AS groups, SUM(total) AS total FROM counted GROUP BY n",
    ),
    ("more", "SELECT k, n + 1 AS more FROM counted WHERE n > 2"),
    ("of_more", "SELECT more, COUNT(*) AS c FROM more GROUP BY more"),
    ("left_over", "SELECT k, total FROM few"),
    (
        "sum_of_few",
        "SELECT n, MIN(total) AS low, COUNT(*) AS c FROM few GROUP BY n",
    ),
    (
        "with_latest",
        "SELECT a.k, a.n, b.y FROM counted a JOIN latest b ON a.k = b.k",
    ),
    (
        "with_stream",
        "SELECT s.x, f.n FROM s LEFT JOIN few f ON s.k = f.k",
    ),
    (
        "of_joined",
        "SELECT k, COUNT(*) AS c, MAX(y) AS high FROM joined GROUP BY k",
    ),
    ("largest", "SELECT k, n FROM counted ORDER BY n DESC, k LIMIT 2"),
    (
        "alike",
        "SELECT a.k, b.k AS other FROM counted a JOIN counted b ON a.n = b.n AND a.k < b.k",
    ),
    ("both_views", "SELECT k FROM best UNION ALL SELECT k FROM few"),
    ("ones", "SELECT 1 AS one FROM best"),
    ("copied", "SELECT * FROM unique_rows"),
    ("highest", "SELECT n, high FROM everything WHERE high IS NOT NULL"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_view_over_changing_views_holds_what_one_query_gives() {
    let mut node = Node::start().await;
    for stream in ["s", "u"] {
        node.run(&format!(
            "CREATE STREAM {stream} (k VARCHAR, x BIGINT, y BIGINT, t TIMESTAMP) WITH (format = 'json', partitions = 3)"
        ))
        .await;
    }
    let read = QUERIES.iter().filter(|(name, _)| READ.contains(name));
    let views: Vec<_> = read.chain(BASES).chain(OVER).collect();
    for (name, query) in &views {
        // With other partitions than what it reads, if the view may have them.
        let options = match *name {
            "sizes" | "with_latest" => "WITH (partitions = 2)",
            _ => "",
        };
        node.run(&format!("CREATE MATERIALIZED VIEW {name} {options} AS {query}"))
            .await;
    }
    let all = views.iter().map(|(name, query)| format!("{name} AS ({query})"));
    let all = all.collect::<Vec<_>>().join(", ");
    let mut numbers = Numbers(11);
    for round in 0..4 {
        for stream in ["s", "u"] {
            let rows: Vec<_> = (0..4 + 8 * round).map(|_| numbers.row()).collect();
            node.produce(stream, rows).await;
        }
        if round == 2 {
            node = node.restart().await;
        }
        node.engine.wait_until_caught_up().await.unwrap();
        for (name, _) in OVER {
            let view = node.sorted(&format!("SELECT * FROM {name}")).await;
            let batch = node.sorted(&format!("WITH {all} SELECT * FROM {name}")).await;
            assert_eq!(view, batch, "{name}, round {round}");
        }
    }
    node.engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_of_a_view_over_a_changing_view_names_its_store_and_drop_its_reader() {
    let node = Node::start().await;
    node.run(
        "CREATE STREAM s (k VARCHAR) WITH (format = 'json', partitions = 1);
         CREATE MATERIALIZED VIEW counted AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;
         CREATE MATERIALIZED VIEW sizes AS SELECT n, COUNT(*) AS groups FROM counted GROUP BY n",
    )
    .await;
    let plan = node
        .table(
            "EXPLAIN CREATE MATERIALIZED VIEW again AS SELECT n, COUNT(*) AS groups FROM counted GROUP BY n",
        )
        .await;
    assert!(plan.contains("UpsertSource: topic counted"), "{plan}");
    assert!(plan.contains("last json value by record key"), "{plan}");
    let error = node.error("DROP MATERIALIZED VIEW counted").await;
    assert!(error.contains("DROP MATERIALIZED VIEW sizes"), "{error}");
    node.engine.shutdown().await.unwrap();
}
