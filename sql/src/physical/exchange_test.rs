//! Tests of the exchange format.

use datafusion::arrow::array::{BinaryArray, Int64Array};

use super::*;

#[test]
fn a_record_reads_back() {
    let batch = RecordBatch::try_new(
        exchange_schema(&[]),
        vec![
            Arc::new(Int64Array::from(vec![5, 6])),
            Arc::new(BinaryArray::from(vec![&b"a"[..], b""])),
        ],
    )
    .unwrap();
    let bytes = encode_exchange(&batch).unwrap();
    assert_eq!(decode_exchange(&bytes).unwrap(), batch);
}

#[test]
fn foreign_bytes_are_refused() {
    assert!(decode_exchange(b"").is_err());
    assert!(decode_exchange(&[0; 40]).is_err());
    assert!(decode_exchange(&HEADER).is_err());
}
