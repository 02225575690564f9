//! What wrong statements are told: what, where, and the fix.

use crate::node::{FLIGHTS, Node};

/// (statement, how its error begins, a piece of what follows).
const CASES: &[(&str, &str, &str)] = &[
    (
        "SELECT orgin FROM flights",
        "unknown column \"orgin\"",
        "did you mean \"origin\"?",
    ),
    (
        "SELECT orgin FROM flights",
        "unknown column \"orgin\"\n  at line 1, column 8:",
        "^^^^^",
    ),
    (
        "SELECT * FROM flihgts",
        "unknown stream or view \"flihgts\"",
        "did you mean \"flights\"?",
    ),
    (
        "SELECT cuont(*) FROM flights",
        "unknown function \"cuont\"",
        "did you mean \"count\"?",
    ),
    (
        "SELECT * FROM tumbel(flights, scheduled, INTERVAL '1' HOUR)",
        "unknown table function \"tumbel\"",
        "tumble",
    ),
    (
        "CREATE STREAM s (a INT) WITH (format = 'jsn', partitions = 1)",
        "unknown format `jsn`\n  at line 1, column 31:",
        "did you mean \"json\"?",
    ),
    (
        "CREATE STREAM s (a INT) WITH (fromat = 'json')",
        "unknown option \"fromat\"\n  at line 1, column 31:",
        "did you mean \"format\"?",
    ),
    (
        "CREATE STREAM s (a INT) WITH (format = 'json')",
        "topic \"s\" does not exist",
        "partitions = 4",
    ),
    (
        "CREATE STREAM s (a INT) WITH (topic = 'flights', format = 'json', partitions = 3)",
        "topic \"flights\" exists with 4 partitions, not 3",
        "leave partitions out",
    ),
    (
        "CREATE STREAM flights (a INT) WITH (format = 'json')",
        "stream \"flights\" exists already",
        "IF NOT EXISTS",
    ),
    (
        "CREATE MATERIALIZED VIEW v AS SELECT origin FROM flights ORDER BY origin",
        "ORDER BY has no meaning in a continuous query",
        "the query that reads the view",
    ),
    (
        "CREATE MATERIALIZED VIEW v AS SELECT origin FROM flights LIMIT 10",
        "LIMIT without ORDER BY in a continuous query",
        "ORDER BY … LIMIT n",
    ),
    (
        "CREATE MATERIALIZED VIEW v AS SELECT origin FROM flights WHERE dest NOT IN (SELECT origin FROM flights)",
        "NOT IN (SELECT …) over columns that may be NULL is not supported",
        "NOT EXISTS",
    ),
    (
        "CREATE MATERIALIZED VIEW v AS SELECT now() AS t, origin FROM flights",
        "now() is not allowed in a continuous query",
        "event-time column",
    ),
    (
        "CREATE MATERIALIZED VIEW v AS SELECT origin, COUNT(*) FROM flights GROUP BY ROLLUP (origin)",
        "GROUPING SETS, ROLLUP and CUBE are not supported",
        "one view per grouping",
    ),
    (
        "CREATE MATERIALIZED VIEW v AS SELECT origin, COUNT(*) AS n FROM flights GROUP BY origin EMIT FINAL",
        "EMIT FINAL needs GROUP BY over a window",
        "EMIT CHANGES",
    ),
    (
        "CREATE MATERIALIZED VIEW v AS SELECT window_start, COUNT(*) AS n
         FROM HOP(flights, scheduled, INTERVAL '2' HOUR, INTERVAL '1' HOUR) GROUP BY window_start",
        "hop: the slide is longer than the size",
        "HOP(stream, column, slide, size)",
    ),
    (
        "SELECT * FROM TUMBLE(flights, scheduled)",
        "tumble takes 3 arguments, 2 are given",
        "TUMBLE(stream, column, INTERVAL '1' HOUR)",
    ),
    (
        "SELECT * FROM TUMBLE(flights, origin, INTERVAL '1' HOUR)",
        "windows need a TIMESTAMP column",
        "VARCHAR",
    ),
    (
        "SELECT origin FROM flights EMIT FINAL",
        "EMIT FINAL belongs to CREATE MATERIALIZED VIEW",
        "EMIT CHANGES",
    ),
    (
        "SELECT origin, COUNT(*) FROM flights GROUP BY origin EMIT CHANGES",
        "SELECT … EMIT CHANGES over rows that change needs a job",
        "CREATE MATERIALIZED VIEW",
    ),
    (
        "DROP MATERIALIZED VIEW flights",
        "\"flights\" is a stream, not a materialized view",
        "DROP STREAM flights",
    ),
    (
        "DESCRIBE flihgts",
        "unknown stream or view \"flihgts\"",
        "did you mean \"flights\"?",
    ),
    (
        "INSERT INTO flights (orgin) VALUES ('JFK')",
        "unknown column \"orgin\" in \"flights\"",
        "origin",
    ),
    (
        "COPY flights TO '/tmp/x.csv'",
        "COPY is not supported",
        "statements begin with",
    ),
    (
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "expected STREAM, MATERIALIZED VIEW or VIEW",
        "CREATE STREAM",
    ),
    ("SELECT * FROM '/etc/passwd'", "unknown stream or view", "flights"),
];

#[tokio::test(flavor = "multi_thread")]
async fn wrong_statements_name_the_place_and_the_fix() {
    let node = Node::start().await;
    node.run(FLIGHTS).await;
    let mut wrong = Vec::new();
    for (sql, begins, holds) in CASES {
        let text = match node.engine.execute(sql).await {
            Err(e) => e.to_string(),
            Ok(_) => "no error".to_owned(),
        };
        if !text.starts_with(begins) || !text.contains(holds) || text == "no error" {
            wrong.push(format!("{sql}\n--- wanted {begins} … {holds}\n--- got {text}\n"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(node.sorted("SHOW VIEWS").await.is_empty());
}
