//! Tests of how groups are stored.

use std::sync::Arc;

use datafusion::arrow::array::{Int64Array, StringArray};
use datafusion::arrow::datatypes::DataType;

use super::*;

#[test]
fn store_keys_sort_by_time_then_key() {
    let keys = [
        store_key(i64::MIN, b"z"),
        store_key(-3_600, b"a"),
        store_key(0, b""),
        store_key(0, b"b"),
        store_key(3_600, b"a"),
        store_key(i64::MAX, b""),
    ];
    assert!(keys.is_sorted());
    assert_eq!(parse_store_key(&keys[1]).unwrap(), (-3_600, &b"a"[..]));
    assert!(parse_store_key(b"short").is_err());
}

#[test]
fn the_stored_encoding_of_keys_is_what_it_was() {
    let converter = RowConverter::new(vec![
        SortField::new(DataType::Utf8),
        SortField::new(DataType::Int64),
    ])
    .unwrap();
    let rows = converter
        .convert_columns(&[
            Arc::new(StringArray::from(vec![Some("JFK"), None])),
            Arc::new(Int64Array::from(vec![Some(-2), Some(7)])),
        ])
        .unwrap();
    assert_eq!(
        rows.row(0).data(),
        [
            2, b'J', b'F', b'K', 0, 0, 0, 0, 0, 3, 1, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe
        ]
    );
    assert_eq!(rows.row(1).data(), [0, 1, 0x80, 0, 0, 0, 0, 0, 0, 7]);
}

#[test]
fn routing_is_what_it_was_and_spreads() {
    assert_eq!(
        [
            route(b"", 4),
            route(b"JFK", 4),
            route(b"EWR", 4),
            route(b"LGA", 4)
        ],
        ROUTED
    );
    let mut counts = [0; 8];
    for i in 0..8_000_u32 {
        counts[route(format!("N{i}").as_bytes(), 8) as usize] += 1;
    }
    assert!(counts.iter().all(|c| (800..1_200).contains(c)), "{counts:?}");
}

/// Groups in running views lie where this says: changing it loses them.
const ROUTED: [u32; 4] = [0, 1, 0, 3];
