//! Every accumulator: rows then results, merge of states, and the stored encoding.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};

use super::*;

fn spec(function: AggregateFunctionKind, argument_type: DataType) -> AggregateSpec {
    AggregateSpec {
        function,
        argument: None,
        argument_type: argument_type.clone(),
        filter: None,
        output_type: argument_type,
        text: String::new(),
    }
}

/// Feeds values to slots 0 and 1 in two accumulators, merges them, and checks the results after a round trip.
fn check(function: AggregateFunctionKind, values: ArrayRef, wanted: ArrayRef) {
    let spec = spec(function, values.data_type().clone());
    let rows = values.len();
    let slots: Vec<u32> = (0..rows).map(|i| (i % 2) as u32).collect();
    let half = rows / 2;
    let mut left = accumulator_for(&spec).unwrap();
    let mut right = accumulator_for(&spec).unwrap();
    left.resize(3);
    right.resize(2);
    left.update(&slots[..half], Some(&values.slice(0, half)), None)
        .unwrap();
    right
        .update(&slots[half..], Some(&values.slice(half, rows - half)), None)
        .unwrap();
    left.merge(&[0, 1], &right.state(&[0, 1])).unwrap();
    assert_eq!(&left.evaluate(&[0, 1, 2]).unwrap(), &wanted, "{function}");
    let mut stored = Vec::new();
    (0..3).for_each(|slot| left.encode(slot, &mut stored));
    let mut read = accumulator_for(&spec).unwrap();
    read.resize(3);
    let mut rest = stored.as_slice();
    (0..3).for_each(|slot| read.decode(slot, &mut rest).unwrap());
    assert!(rest.is_empty());
    assert_eq!(&read.evaluate(&[0, 1, 2]).unwrap(), &wanted, "{function}");
    assert!(read.decode(0, &mut &stored[..0]).is_err());
    let types: Vec<DataType> = left.state(&[0]).iter().map(|c| c.data_type().clone()).collect();
    assert_eq!(types, left.state_types());
}

#[test]
fn counts_rows_that_are_not_null() {
    let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(4), None]));
    check(
        AggregateFunctionKind::Count,
        values,
        Arc::new(Int64Array::from(vec![2, 1, 0])),
    );
}

#[test]
fn sums_are_null_until_a_row_counts() {
    let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3), None, Some(-10)]));
    check(
        AggregateFunctionKind::Sum,
        values,
        Arc::new(Int64Array::from(vec![Some(-6), None, None])),
    );
    let values: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.5), Some(2.0), None, Some(4.0)]));
    check(
        AggregateFunctionKind::Sum,
        values,
        Arc::new(Float64Array::from(vec![Some(1.5), Some(6.0), None])),
    );
}

#[test]
fn averages_divide_by_rows_that_are_not_null() {
    let values: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), None, Some(2.0), None]));
    check(
        AggregateFunctionKind::Avg,
        values,
        Arc::new(Float64Array::from(vec![Some(1.5), None, None])),
    );
}

#[test]
fn extremes_keep_their_type() {
    let values: ArrayRef = Arc::new(Int32Array::from(vec![
        Some(5),
        Some(-1),
        Some(7),
        None,
        Some(6),
        Some(-3),
    ]));
    check(
        AggregateFunctionKind::Max,
        values.clone(),
        Arc::new(Int32Array::from(vec![Some(7), Some(-1), None])),
    );
    check(
        AggregateFunctionKind::Min,
        values,
        Arc::new(Int32Array::from(vec![Some(5), Some(-3), None])),
    );
    let values: ArrayRef = Arc::new(StringArray::from(vec![
        Some("b"),
        None,
        Some("a"),
        Some("ä"),
        Some(""),
    ]));
    check(
        AggregateFunctionKind::Min,
        values.clone(),
        Arc::new(StringArray::from(vec![Some(""), Some("ä"), None])),
    );
    check(
        AggregateFunctionKind::Max,
        values,
        Arc::new(StringArray::from(vec![Some("b"), Some("ä"), None])),
    );
    let values: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![Some(9), Some(8), Some(10)]));
    let wanted: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![Some(10), Some(8), None]));
    check(AggregateFunctionKind::Max, values, wanted);
    let values: ArrayRef = Arc::new(Date32Array::from(vec![Some(9), Some(8), Some(10)]));
    check(
        AggregateFunctionKind::Min,
        values,
        Arc::new(Date32Array::from(vec![Some(9), Some(8), None])),
    );
    let values: ArrayRef = Arc::new(BooleanArray::from(vec![Some(false), Some(true), Some(true)]));
    check(
        AggregateFunctionKind::Max,
        values,
        Arc::new(BooleanArray::from(vec![Some(true), Some(true), None])),
    );
    let values: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.5), Some(1.0), Some(-2.0)]));
    check(
        AggregateFunctionKind::Min,
        values,
        Arc::new(Float64Array::from(vec![Some(-2.0), Some(1.0), None])),
    );
}

#[test]
fn extremes_with_nan_do_not_depend_on_where_batches_end() {
    let rows: ArrayRef = Arc::new(Float64Array::from(vec![5.0, f64::NAN, 3.0, -f64::NAN, -0.0, 0.0]));
    for (function, wanted) in [
        (AggregateFunctionKind::Max, f64::NAN),
        (AggregateFunctionKind::Min, -0.0),
    ] {
        let spec = spec(function, DataType::Float64);
        for cut in 0..=rows.len() {
            let mut whole = accumulator_for(&spec).unwrap();
            whole.resize(1);
            for piece in [rows.slice(cut, rows.len() - cut), rows.slice(0, cut)] {
                let mut part = accumulator_for(&spec).unwrap();
                part.resize(1);
                part.update(&vec![0; piece.len()], Some(&piece), None).unwrap();
                whole.merge(&[0], &part.state(&[0])).unwrap();
            }
            let found = whole.evaluate(&[0]).unwrap();
            let found = found.as_any().downcast_ref::<Float64Array>().unwrap().value(0);
            let same = found == wanted && found.is_sign_negative() == wanted.is_sign_negative();
            assert!(
                same || found.is_nan() && wanted.is_nan(),
                "{function}, cut at {cut}: {found}"
            );
        }
    }
}

#[test]
fn a_filter_skips_rows_where_it_is_not_true() {
    let mut count = accumulator_for(&spec(AggregateFunctionKind::Count, DataType::Int64)).unwrap();
    count.resize(1);
    let mask = BooleanArray::from(vec![Some(true), Some(false), None, Some(true)]);
    count.update(&[0, 0, 0, 0], None, Some(&mask)).unwrap();
    assert_eq!(
        &count.evaluate(&[0]).unwrap(),
        &(Arc::new(Int64Array::from(vec![2])) as ArrayRef)
    );
}
