//! Tests of decoding and writing rows.

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{Float64Type, Int32Type, TimestampMicrosecondType};

use super::*;
use crate::catalog::{ColumnDefinition, SqlType, StreamDefinition};

fn stream(format: Format) -> TopicTable {
    let column = |name: &str, sql_type| ColumnDefinition {
        name: name.into(),
        sql_type,
        not_null: false,
    };
    StreamDefinition {
        name: "flights".into(),
        columns: vec![
            column("carrier", SqlType::Varchar),
            column("flight", SqlType::Int),
            column("dep_delay", SqlType::Double),
            column("scheduled", SqlType::Timestamp),
        ],
        watermark: None,
        topic: "flights".into(),
        format,
        csv_delimiter: None,
        partitions: 1,
        sequence: 0,
        sql: String::new(),
    }
    .topic_table()
}

fn decode(format: Format, values: &[&str]) -> Decoded {
    let values: Vec<_> = values.iter().map(|v| Some(v.as_bytes())).collect();
    RowDecoder::new(&stream(format), None)
        .unwrap()
        .decode(&values)
        .unwrap()
}

#[test]
fn json_rows_become_columns() {
    let decoded = decode(
        Format::Json,
        &[
            r#"{"carrier":"UA","flight":1545,"dep_delay":2.0,"scheduled":"2013-01-01T10:15:00Z","more":[1,{}]}"#,
            r#"{"carrier":null,"scheduled":"2013-01-01 10:15:00.5"}"#,
            r#"{"scheduled":"2013-01-01T12:15:00+02:00"}"#,
        ],
    );
    assert_eq!(decoded.bad, []);
    assert_eq!(decoded.row_to_value, None);
    let batch = decoded.batch;
    assert_eq!(batch.column(0).as_string::<i32>().value(0), "UA");
    assert!(batch.column(0).is_null(1));
    assert_eq!(batch.column(1).as_primitive::<Int32Type>().value(0), 1545);
    assert_eq!(batch.column(2).as_primitive::<Float64Type>().value(0), 2.0);
    let times = batch.column(3).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(
        times.values(),
        &[
            1_357_035_300_000_000,
            1_357_035_300_500_000,
            1_357_035_300_000_000
        ]
    );
}

#[test]
fn bad_json_rows_are_named_and_the_others_stay() {
    let values = [
        r#"{"carrier":"A","flight":1}"#,
        r#"{"carrier":"B","flight":"#,
        r#"{"carrier":"C","flight":"many"}"#,
        r#"not json"#,
        r#""#,
        r#"{"carrier":"D"} {"carrier":"E"}"#,
        r#"[1,2]"#,
        r#"{"carrier":5}"#,
        r#"{"carrier":"F","scheduled":"yesterday"}"#,
        "{\"carrier\":\"G\"}\n",
    ];
    let decoded = decode(Format::Json, &values);
    let carriers: Vec<_> = decoded
        .batch
        .column(0)
        .as_string::<i32>()
        .iter()
        .flatten()
        .collect();
    assert_eq!(carriers, ["A", "G"]);
    assert_eq!(decoded.row_to_value, Some(vec![0, 9]));
    assert_eq!(
        decoded.bad.iter().map(|b| b.index).collect::<Vec<_>>(),
        (1..9).collect::<Vec<_>>()
    );
    assert_eq!(decoded.bad[0].reason, "the JSON text ends too early");
    assert!(
        decoded.bad[1].reason.contains("flight"),
        "{}",
        decoded.bad[1].reason
    );
    assert_eq!(decoded.bad[3].reason, "the value is empty");
    assert_eq!(
        decoded.bad[4].reason,
        "the value holds more than one JSON document"
    );
}

#[test]
fn invalid_utf8_is_a_bad_row() {
    let good: &[u8] = br#"{"carrier":"A"}"#;
    let bad: &[u8] = b"{\"carrier\":\"\xff\"}";
    let decoded = RowDecoder::new(&stream(Format::Json), None)
        .unwrap()
        .decode(&[Some(good), Some(bad), None, Some(good)])
        .unwrap();
    assert_eq!(decoded.batch.num_rows(), 2);
    assert_eq!(decoded.row_to_value, Some(vec![0, 3]));
    assert_eq!(decoded.bad.len(), 1);
    assert_eq!(decoded.bad[0].index, 1);
}

#[test]
fn rows_keep_their_index_over_many_runs() {
    let values: Vec<String> = (0..20_000)
        .map(|i| {
            if i == 9_000 {
                "broken".to_owned()
            } else {
                format!("{{\"flight\":{i}}}")
            }
        })
        .collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let decoded = decode(Format::Json, &values);
    assert_eq!(decoded.batch.num_rows(), 19_999);
    assert_eq!(decoded.bad.len(), 1);
    let flights = decoded.batch.column(1).as_primitive::<Int32Type>();
    for row in [0, 8_191, 8_192, 8_999, 9_000, 19_998] {
        assert_eq!(flights.value(row) as usize, decoded.value_of(row));
    }
}

#[test]
fn only_asked_columns_are_decoded() {
    let mut decoder = RowDecoder::new(&stream(Format::Json), Some(&[1])).unwrap();
    let decoded = decoder.decode(&[Some(br#"{"carrier":"A","flight":7}"#)]).unwrap();
    assert_eq!(decoded.batch.num_columns(), 1);
    assert_eq!(decoded.batch.column(0).as_primitive::<Int32Type>().value(0), 7);
    let mut none = RowDecoder::new(&stream(Format::Json), Some(&[])).unwrap();
    assert_eq!(
        none.decode(&[Some(b"{}"), Some(b"{}")]).unwrap().batch.num_rows(),
        2
    );
}

#[test]
fn csv_rows_become_columns_and_bad_ones_are_named() {
    let values = [
        "UA,1545,2.5,2013-01-01T10:15:00Z",
        "\"with, comma\",,,2013-01-01 10:15:00\n",
        "too,few",
        "AA,notanumber,1,2013-01-01 10:15:00",
        "",
        "\"open,1,1,2013-01-01 10:15:00",
        "A,1,1,2013-01-01 10:15:00\nB,1,1,2013-01-01 10:15:00",
        "DL,3,,",
    ];
    let decoded = decode(Format::Csv, &values);
    let carriers: Vec<_> = decoded
        .batch
        .column(0)
        .as_string::<i32>()
        .iter()
        .flatten()
        .collect();
    assert_eq!(carriers, ["UA", "with, comma", "DL"]);
    assert!(decoded.batch.column(1).is_null(1));
    assert_eq!(
        decoded.bad.iter().map(|b| b.index).collect::<Vec<_>>(),
        [2, 3, 4, 5, 6]
    );
    assert_eq!(decoded.row_to_value, Some(vec![0, 1, 7]));
}

#[test]
fn written_json_reads_back() {
    let values = [
        r#"{"carrier":"line\nbreak \"quoted\"","flight":1,"dep_delay":0.1,"scheduled":"2013-01-01T10:15:00.25Z"}"#,
        r#"{"carrier":null,"flight":null,"dep_delay":null,"scheduled":null}"#,
    ];
    let batch = decode(Format::Json, &values).batch;
    let rows = JsonWriter::new().rows(&batch).unwrap();
    assert_eq!(
        std::str::from_utf8(&rows[0]).unwrap(),
        r#"{"carrier":"line\nbreak \"quoted\"","flight":1,"dep_delay":0.1,"scheduled":"2013-01-01T10:15:00.250Z"}"#
    );
    let texts: Vec<&str> = rows.iter().map(|r| std::str::from_utf8(r).unwrap()).collect();
    assert_eq!(decode(Format::Json, &texts).batch, batch);
}
