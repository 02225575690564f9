//! Exact sums of floats.

use super::*;

fn sum(values: &[(f64, i64)]) -> ExactSum {
    let mut sum = ExactSum::default();
    values.iter().for_each(|(value, weight)| sum.add(*value, *weight));
    sum
}

#[test]
fn a_large_value_taken_back_leaves_nothing_behind() {
    let left = sum(&[(1e300, 1), (1e16, 1), (1.0, 1), (1e300, -1), (1e16, -1)]);
    assert_eq!(left.value(), 1.0);
    let nothing = sum(&[(0.1, 3), (1e308, 5), (0.7, 2), (0.1, -3), (0.7, -2), (1e308, -5)]);
    assert!(nothing.is_zero(), "{nothing:?}");
}

#[test]
fn the_sum_is_rounded_once() {
    assert_eq!(sum(&[(0.1, 10)]).value(), 1.0);
    assert_eq!(
        sum(&[(1e16, 1), (1.0, 1), (1e-16, 1)]).value(),
        10_000_000_000_000_002.0
    );
    assert_eq!(sum(&[(1e16, 1), (1.0, 1)]).value(), 1e16);
    assert_eq!(sum(&[(f64::MAX, 2), (f64::MAX, -1)]).value(), f64::MAX);
    assert_eq!(sum(&[(f64::MAX, 2)]).value(), f64::INFINITY);
    assert_eq!(sum(&[(5e-324, 3), (5e-324, -2)]).value(), 5e-324);
    assert_eq!(sum(&[(0.5, i64::MAX)]).value(), i64::MAX as f64 / 2.0);
    assert_eq!(sum(&[]).value(), 0.0);
}

#[test]
fn what_is_not_finite_goes_when_it_is_taken_back() {
    let mut some = sum(&[(1.5, 1), (f64::INFINITY, 1)]);
    assert_eq!(some.value(), f64::INFINITY);
    some.add(f64::NEG_INFINITY, 1);
    assert!(some.value().is_nan());
    some.add(f64::INFINITY, -1);
    assert_eq!(some.value(), f64::NEG_INFINITY);
    some.add(f64::NEG_INFINITY, -1);
    some.add(f64::NAN, 1);
    assert!(some.value().is_nan());
    some.add(f64::NAN, -1);
    assert_eq!(some.value(), 1.5);
}

#[test]
fn states_come_back_from_their_bytes() {
    for values in [
        &[][..],
        &[(0.1, 3), (1e-30, 1), (1e300, 1)],
        &[(f64::NAN, -2), (0.25, 1)],
    ] {
        let (sum, mut bytes) = (sum(values), Vec::new());
        sum.encode(&mut bytes);
        let mut rest = bytes.as_slice();
        let again = ExactSum::decode(&mut rest).unwrap();
        assert!(rest.is_empty());
        assert_eq!(format!("{again:?}"), format!("{sum:?}"));
        for length in 0..bytes.len() {
            assert!(ExactSum::decode(&mut &bytes[..length]).is_err());
        }
    }
}
