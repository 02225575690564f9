//! The three formats on the same rows.

use serde_json::json;

use super::*;

fn written(format: Format) -> String {
    let mut grid = Grid::new(["origin", "departures", "note"]);
    grid.push(vec![json!("JFK"), json!(12), Value::Null]);
    grid.push(vec![json!("EWR"), json!(4567), json!("a \"b\", c")]);
    let mut out = Vec::new();
    grid.write(format, &mut out).expect("a vector takes every write");
    String::from_utf8(out).expect("output is UTF-8")
}

#[test]
fn json_is_one_object_a_line_in_column_order_with_explicit_nulls() {
    assert_eq!(
        written(Format::Json),
        "{\"origin\":\"JFK\",\"departures\":12,\"note\":null}\n{\"origin\":\"EWR\",\"departures\":4567,\"note\":\"a \\\"b\\\", c\"}\n"
    );
}

#[test]
fn csv_has_a_header_and_quotes_only_where_needed() {
    assert_eq!(
        written(Format::Csv),
        "origin,departures,note\nJFK,12,\nEWR,4567,\"a \"\"b\"\", c\"\n"
    );
}

#[test]
fn a_table_aligns_numbers_to_the_right() {
    let table = written(Format::Table);
    assert!(table.contains("┆         12 ┆"), "{table}");
    assert!(table.contains("│ JFK    ┆"), "{table}");
}
