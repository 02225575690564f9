//! Tests of the rows that go through a repartition topic.

use std::sync::Arc;

use datafusion::arrow::array::{Array, Int64Array, StringArray};

use super::*;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Utf8, true),
        Field::new("n", DataType::Int64, true),
    ]))
}

fn rows(keys: &[Option<&str>], weights: Option<Vec<i64>>) -> ColumnBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(keys.to_vec())),
        Arc::new(Int64Array::from_iter_values(0..keys.len() as i64)),
    ];
    ColumnBatch {
        weights: weights.map(Int64Array::from),
        ..ColumnBatch::plain(RecordBatch::try_new(schema(), columns).unwrap())
    }
}

#[test]
fn equal_keys_meet_and_weights_arrive() {
    let mut writer = ShuffleWriter::new(&schema(), vec![0], 3).unwrap();
    writer
        .add(&rows(&[Some("a"), Some("b"), None, Some("a")], None))
        .unwrap();
    writer.add(&rows(&[Some("a"), None], Some(vec![-1, 2]))).unwrap();
    let parts = writer.drain().unwrap().parts;
    let reader = ShuffleReader::new(schema(), 1);
    let mut home = std::collections::BTreeMap::new();
    let mut sum = 0;
    for (partition, batch) in parts {
        let value = super::super::exchange::encode_exchange(&batch).unwrap();
        let got = reader.rows(&value).unwrap();
        assert_eq!(got.port, 1);
        let keys = got.batch.column(0).as_string::<i32>();
        for row in 0..got.batch.num_rows() {
            let key = keys.is_valid(row).then(|| keys.value(row).to_owned());
            assert_eq!(*home.entry(key).or_insert(partition), partition);
            sum += got.weight(row);
        }
    }
    assert_eq!((home.len(), sum), (3, 5));
    assert!(writer.drain().unwrap().parts.is_empty());
}

#[test]
fn without_keys_all_rows_go_to_one_task() {
    let mut writer = ShuffleWriter::new(&schema(), Vec::new(), 4).unwrap();
    writer.add(&rows(&[Some("a"), None], None)).unwrap();
    let parts = writer.drain().unwrap().parts;
    assert_eq!(
        parts.iter().map(|(p, b)| (*p, b.num_rows())).collect::<Vec<_>>(),
        [(0, 2)]
    );
}
