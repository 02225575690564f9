//! Tests of the statement parser: what is understood, and what errors say.

use super::*;
use crate::catalog::{Emit, SqlType};

fn one(sql: &str) -> StatementKind {
    let mut statements = parse(sql).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(statements.len(), 1);
    statements.remove(0).kind
}

fn error(sql: &str) -> String {
    parse(sql).unwrap_err().to_string()
}

#[test]
fn reads_create_stream_with_watermark_and_options() {
    let StatementKind::CreateStream(stream) = one(
        "CREATE STREAM IF NOT EXISTS Flights (carrier VARCHAR, \"Flight No\" INT NOT NULL, scheduled TIMESTAMP,
         WATERMARK FOR scheduled AS scheduled - INTERVAL '1' DAY) WITH (topic = 'flights', FORMAT='json', partitions = 4)",
    ) else {
        panic!("another statement")
    };
    assert_eq!((stream.name.as_str(), stream.if_not_exists), ("flights", true));
    let names: Vec<_> = stream
        .columns
        .iter()
        .map(|c| (c.name.as_str(), c.sql_type, c.not_null))
        .collect();
    assert_eq!(
        names,
        [
            ("carrier", SqlType::Varchar, false),
            ("Flight No", SqlType::Int, true),
            ("scheduled", SqlType::Timestamp, false)
        ]
    );
    assert_eq!(stream.watermark.map(|w| w.delay_micros), Some(86_400_000_000));
    assert_eq!(stream.options.text("format"), Some("json"));
    assert_eq!(stream.options.count("partitions").unwrap(), Some(4));
}

#[test]
fn cuts_emit_off_the_query() {
    let StatementKind::CreateMaterializedView(view) =
        one("CREATE MATERIALIZED VIEW v WITH (topic='t') AS SELECT a FROM s EMIT FINAL")
    else {
        panic!("another statement")
    };
    assert_eq!(view.query.emit, Some(Emit::Final));
    assert_eq!(view.query.query.to_string(), "SELECT a FROM s");
    assert_eq!(view.query.text(), "SELECT a FROM s EMIT FINAL");
    let StatementKind::Select(select) = one("SELECT emit FROM s EMIT CHANGES LIMIT 3") else {
        panic!()
    };
    assert_eq!(
        (select.query.emit, select.query.limit_after_emit),
        (Some(Emit::Changes), Some(3))
    );
}

#[test]
fn reduces_flinks_window_spelling_to_ours() {
    let StatementKind::Select(select) =
        one("SELECT * FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(t), INTERVAL '1' HOUR)) WHERE (a = 1)")
    else {
        panic!()
    };
    assert_eq!(
        select.query.query.to_string(),
        "SELECT * FROM TUMBLE(s, DESCRIPTOR(t), INTERVAL '1' HOUR) WHERE (a = 1)"
    );
}

#[test]
fn splits_scripts_and_skips_comments() {
    let statements =
        parse("-- a comment\nSHOW STREAMS;; /* more */ DESCRIBE x; DROP VIEW IF EXISTS y;").unwrap();
    assert_eq!(
        statements.iter().map(|s| s.text()).collect::<Vec<_>>(),
        ["SHOW STREAMS", "DESCRIBE x", "DROP VIEW IF EXISTS y"]
    );
    assert!(parse("  -- nothing\n").unwrap().is_empty());
}

#[test]
fn errors_show_the_place_and_the_fix() {
    assert_eq!(
        error("CREATE STREAM s (\n  a VARCHAR,\n  b DOUBEL)"),
        "type DOUBEL is not supported\n  at line 3, column 5:\n      b DOUBEL)\n        ^^^^^^\n  hint: did you mean \"DOUBLE\"?"
    );
    assert_eq!(
        error("SELEC a FROM s"),
        "no statement begins with `SELEC`\n  at line 1, column 1:\n    SELEC a FROM s\n    ^^^^^\n  hint: did you mean \"SELECT\"?"
    );
    let text = error("CREATE STREAM s (a VARCHAR, WATERMARK FOR b AS b)");
    assert!(
        text.starts_with("unknown column \"b\" in WATERMARK FOR"),
        "{text}"
    );
    let text = error("SELECT a FROM s EMIT CHANGE");
    assert!(text.ends_with("hint: did you mean \"CHANGES\"?"), "{text}");
    let text = error("CREATE STREAM s (a VARCHAR) WITH (topic = )");
    assert!(
        text.starts_with("expected a value: 'text' or a number, found `)`"),
        "{text}"
    );
    assert!(error("DROP STREAM").starts_with("expected a name, but the statement ends here"));
    assert!(error("COPY s TO 'file'").starts_with("COPY is not supported"));
    assert!(error("SELECT 'open").contains("close the quote"));
}

#[test]
fn intervals_have_a_fixed_length() {
    let text = error("CREATE STREAM s (t TIMESTAMP, WATERMARK FOR t AS t - INTERVAL '1' MONTH)");
    assert!(
        text.contains("has no fixed length") && text.contains("at line 1, column 50"),
        "{text}"
    );
    let StatementKind::CreateStream(stream) =
        one("CREATE STREAM s (t TIMESTAMP, WATERMARK FOR t AS t - INTERVAL '90 seconds')")
    else {
        panic!()
    };
    assert_eq!(stream.watermark.map(|w| w.delay_micros), Some(90_000_000));
}

#[test]
fn a_query_names_what_it_reads_from() {
    let names = |sql: &str| -> Vec<String> {
        parse_query(sql)
            .unwrap()
            .named_tables()
            .into_iter()
            .filter(|n| n != "tumble" && n != "hop")
            .collect()
    };
    assert_eq!(
        names("SELECT a AS b FROM S WHERE c IN (SELECT d FROM \"T\" JOIN u ON e = f)"),
        ["T", "s", "u"]
    );
    assert_eq!(
        names("SELECT window_start FROM TUMBLE(s, t, INTERVAL '1' HOUR) GROUP BY window_start"),
        ["s"]
    );
    assert_eq!(
        names("SELECT 1 FROM TABLE(HOP(TABLE s, DESCRIPTOR(t), INTERVAL '1' HOUR, INTERVAL '2' HOUR))"),
        ["s"]
    );
    assert_eq!(
        names("SELECT 1 FROM TUMBLE(TIMECOL => t, DATA => s, SIZE => INTERVAL '1' HOUR)"),
        ["s"]
    );
    assert_eq!(
        names("SELECT 1 FROM TUMBLE((SELECT * FROM s WHERE a > 1), t, INTERVAL '1' HOUR)"),
        ["s"]
    );
}
