//! Views that aggregate without GROUP BY have their one row from the beginning, as a batch query has.

use crate::node::Node;

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregate_without_groups_has_its_row_before_the_first_input() {
    let node = Node::start().await;
    node.run("CREATE STREAM s (k VARCHAR, v BIGINT) WITH (format = 'json', partitions = 2)")
        .await;
    let queries = [
        (
            "totals",
            "SELECT COUNT(*) AS n, COUNT(v) AS nv, SUM(v) AS total, MIN(k) AS first, AVG(v) AS mean FROM s",
        ),
        (
            "shares",
            "SELECT SUM(v) / NULLIF(COUNT(*), 0) AS share, COALESCE(MAX(v), -1) AS most FROM s WHERE v > 0",
        ),
        ("many", "SELECT COUNT(*) AS n FROM s HAVING COUNT(*) > 1"),
        ("few", "SELECT COUNT(*) AS n FROM s HAVING COUNT(*) < 1"),
        ("grouped", "SELECT k, COUNT(*) AS n FROM s GROUP BY k"),
    ];
    for (name, query) in queries {
        node.run(&format!("CREATE MATERIALIZED VIEW {name} AS {query}"))
            .await;
    }
    for input in [
        "",
        "INSERT INTO s VALUES ('a', 3)",
        "INSERT INTO s VALUES ('b', NULL), ('c', -4)",
    ] {
        node.run(input).await;
        node.engine.wait_until_caught_up().await.unwrap();
        for (name, query) in queries {
            let view = node.sorted(&format!("SELECT * FROM {name}")).await;
            assert_eq!(view, node.sorted(query).await, "{name} after {input:?}");
        }
    }
    assert_eq!(node.sorted("SELECT * FROM totals").await, ["|3|2|-1|a|-0.5|"]);
}
