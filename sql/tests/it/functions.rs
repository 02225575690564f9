//! DataFusion's scalar functions, in views as in pull queries: mathematics, encodings, hashes.

use crate::node::Node;

const STREAM: &str = "CREATE STREAM s (k VARCHAR, x DOUBLE, n BIGINT) WITH (format = 'json', partitions = 2)";
const ROWS: &str = "INSERT INTO s VALUES ('a', 2.25, 7), ('b', -3.5, -8), (NULL, NULL, NULL), ('c', 0.125, 0), ('a', 100, 3)";

/// (view, its query).
const VIEWS: &[(&str, &str)] = &[
    (
        "mathematics",
        "SELECT k, round(x, 1) AS rounded, abs(n) AS size, floor(x) AS below, ceil(x) AS above, power(x, 2) AS square,
           ln(abs(x)) AS nats, log10(abs(x)) AS tens, sqrt(abs(x)) AS root, exp(x) AS grown, signum(x) AS sign, trunc(x) AS cut FROM s",
    ),
    (
        "coded",
        "SELECT encode(k, 'base64') AS coded, encode(sha256(k), 'hex') AS hashed, md5(k) AS summed,
           arrow_cast(decode(encode(k, 'hex'), 'hex'), 'Utf8') AS back FROM s",
    ),
    (
        "buckets",
        "SELECT floor(x / 10) AS bucket, md5(k) AS who, SUM(round(x)) AS total, MAX(abs(n)) AS most FROM s GROUP BY floor(x / 10), md5(k)",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn functions_give_the_same_in_views_and_in_queries() {
    let node = Node::start().await;
    node.run(STREAM).await;
    for (name, query) in VIEWS {
        node.run(&format!("CREATE MATERIALIZED VIEW {name} AS {query}"))
            .await;
    }
    node.run(ROWS).await;
    node.engine.wait_until_caught_up().await.unwrap();
    for (name, query) in VIEWS {
        let view = node.sorted(&format!("SELECT * FROM {name}")).await;
        assert_eq!(view, node.sorted(query).await, "view {name}");
        assert!(view.len() >= 4, "{view:?}");
    }
    let known = node
        .sorted("SELECT round(2.345, 2), abs(-7), power(2, 10), md5('abc'), encode(sha256('abc'), 'hex'), encode('abc', 'base64')")
        .await;
    assert_eq!(
        known,
        [
            "|2.35|7|1024.0|900150983cd24fb0d6963f7d28e17f72|ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad|YWJj|"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_gives_another_value_each_time_is_refused_in_views() {
    let node = Node::start().await;
    node.run(STREAM).await;
    let error = node
        .error("CREATE MATERIALIZED VIEW v AS SELECT k, random() AS r FROM s")
        .await;
    assert!(
        error.starts_with("random() is not allowed in a continuous query"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn show_functions_tells_which_ones_views_may_call() {
    let node = Node::start().await;
    let functions = node.sorted("SHOW FUNCTIONS").await;
    for line in [
        "|round|scalar|yes|",
        "|md5|scalar|yes|",
        "|now|scalar|no|",
        "|random|scalar|no|",
        "|avg|aggregate|yes|",
        "|median|aggregate|no|",
        "|row_number|window|no|",
        "|tumble|table|yes|",
    ] {
        assert!(functions.iter().any(|shown| shown == line), "{line}");
    }
    let error = node.error("SHOW FUNCTION").await;
    assert!(error.contains("did you mean FUNCTIONS?"), "{error}");
}
