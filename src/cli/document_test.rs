//! One document in all its formats.

use serde_json::json;

use super::*;

static SHAPE: Shape = Shape {
    kind: "topic_list",
    tables: &[
        TableShape {
            name: "topics",
            columns: &[
                Column("topic", Kind::Text, "name"),
                Column("size_bytes", Kind::Bytes, "on disk"),
                Column("replicas", Kind::List, "nodes"),
                Column("since", Kind::Time, "first record"),
            ],
        },
        TableShape {
            name: "errors",
            columns: &[Column("message", Kind::Text, "what went wrong")],
        },
    ],
};

fn written(format: DocumentFormat, raw: bool) -> String {
    let mut document = Document::new(&SHAPE);
    document.push(vec![json!("orders"), json!(1536), json!([1, 2]), json!(0)]);
    document.push(vec![json!("a"), Value::Null, json!([]), Value::Null]);
    let mut out = Vec::new();
    document
        .write(&OutputArgs { format, raw }, true, &mut out)
        .expect("a vector takes every write");
    String::from_utf8(out).expect("output is UTF-8")
}

#[test]
fn text_aligns_numbers_right_and_leaves_out_empty_tables() {
    assert_eq!(
        written(DocumentFormat::Text, false),
        "topics\n\
         TOPIC   SIZE_BYTES  REPLICAS  SINCE\n\
         orders     1.5 KiB  1,2       1970-01-01T00:00:00.000Z\n\
         a                -  -         -\n"
    );
    assert!(written(DocumentFormat::Text, true).contains("orders        1536  1,2       0\n"));
}

#[test]
fn json_is_one_document_with_kind_and_version_and_explicit_nulls() {
    let document: Value = serde_json::from_str(&written(DocumentFormat::Json, false)).expect("JSON");
    assert_eq!(
        document,
        json!({"kind": "topic_list", "version": 1, "errors": [], "topics": [
            {"topic": "orders", "size_bytes": 1536, "replicas": [1, 2], "since": 0},
            {"topic": "a", "size_bytes": null, "replicas": [], "since": null},
        ]})
    );
}

#[test]
fn awk_gets_exact_values_and_a_dash_for_unknown() {
    assert_eq!(
        written(DocumentFormat::Awk, false),
        "topics\torders\t1536\t1,2\t0\ntopics\ta\t-\t-\t-\n"
    );
}

#[test]
fn the_shape_names_the_awk_column_and_the_json_path() {
    let help = written(DocumentFormat::Help, false);
    assert!(
        help.contains("$3   .topics[].size_bytes               bytes          on disk"),
        "{help}"
    );
}

#[test]
fn sizes_are_human() {
    for (bytes, wanted) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (5 << 30, "5.0 GiB"),
    ] {
        assert_eq!(size(bytes), wanted);
    }
}
