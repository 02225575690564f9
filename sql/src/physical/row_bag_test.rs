//! Tests of the rows of a result as they lie in the store.

use datafusion::arrow::array::{Int64Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};

use super::*;

fn layout(key: Option<Vec<usize>>) -> RowLayout {
    let fields = vec![
        Field::new("k", DataType::Utf8, true),
        Field::new("n", DataType::Int64, true),
    ];
    RowLayout::new(&RowsResult {
        key,
        store: "rows".into(),
        schema: Arc::new(Schema::new(fields)),
    })
    .unwrap()
}

fn batch(layout: &RowLayout) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![Some("a"), None])),
        Arc::new(Int64Array::from(vec![1, 2])),
    ];
    RecordBatch::try_new(layout.schema(), columns).unwrap()
}

/// arrow-row promises no fixed encoding between its versions: this test tells when it changes.
#[test]
fn stored_bytes_are_what_they_were() {
    let keyed = layout(Some(vec![0]));
    let (keys, rows) = keyed.encode(&batch(&keyed)).unwrap();
    let keys = keys.unwrap();
    assert_eq!(keys.row(0).data(), [2, b'a', 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(keys.row(1).data(), [0]);
    assert_eq!(rows.row(1).data(), [0, 1, 0x80, 0, 0, 0, 0, 0, 0, 2]);
    let mut value = Vec::new();
    RowBag::write(&[(b"r", 2), (b"s", -1)], &mut value);
    let expected = [
        &[1_u8][..],
        &2_i64.to_le_bytes(),
        &[1, 0, 0, 0, b'r'],
        &(-1_i64).to_le_bytes(),
        &[1, 0, 0, 0, b's'],
    ];
    assert_eq!(value, expected.concat());
    assert_eq!(RowBag::parse(&value).unwrap(), [(&b"r"[..], 2), (&b"s"[..], -1)]);
    assert_eq!(keyed.words().unwrap(), "rows [utf8, int64] by [0]");
    assert_eq!(layout(None).words().unwrap(), "rows [utf8, int64]");
}

#[test]
fn rows_come_back_from_their_bytes() {
    for key in [None, Some(vec![0]), Some(vec![])] {
        let layout = layout(key);
        let batch = batch(&layout);
        let (_, rows) = layout.encode(&batch).unwrap();
        assert_eq!(
            layout.decode([rows.row(0).data(), rows.row(1).data()]).unwrap(),
            batch
        );
    }
}

#[test]
fn lists_add_up_and_what_cancels_is_gone() {
    let sum = RowBag::add(&[(b"a", 1), (b"c", 2)], &[(b"a", -1), (b"b", -3), (b"c", 1)]);
    assert_eq!(sum, [(&b"b"[..], -3), (&b"c"[..], 3)]);
}

#[test]
fn damaged_entries_are_refused() {
    let layout = layout(None);
    for value in [
        &b""[..],
        &[2],
        &[1, 0],
        &[1, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1],
    ] {
        assert!(layout.shown(b"k", value).is_err(), "{value:?}");
    }
}
