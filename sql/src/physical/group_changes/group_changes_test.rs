//! Examples of GROUP BY over rows that change, and the bytes that are stored.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema};
use millpond_streams::testing::DriverError;

use super::test_world::{NO_LIMITS, Relation, Row, World, query, table};
use super::*;

/// A row of k, i and s.
fn row(k: Option<i64>, i: Option<i64>, s: Option<i64>) -> Row {
    [k, None, i, s, None, None, None, None]
}

fn world(sql: &str) -> World {
    World::new(query(sql, false), NO_LIMITS)
}

fn shown(rows: &[&[&str]]) -> Relation {
    let rows = rows
        .iter()
        .map(|row| row.iter().map(|text| (*text).to_owned()).collect());
    rows.map(|row| (row, 1)).collect()
}

#[test]
fn a_group_leaves_with_its_last_row_and_nothing_stays_stored() {
    let mut world = world(
        "SELECT k, COUNT(*), SUM(i), MIN(i), COUNT(DISTINCT s), STRING_AGG(s, '+' ORDER BY s) FROM t GROUP BY k",
    );
    let (a, b) = (row(Some(1), Some(5), Some(1)), row(Some(1), Some(3), Some(2)));
    world.send(&[(a, 1), (b, 2)]);
    world.commit();
    assert_eq!(world.relation, shown(&[&["k1", "3", "11", "3", "2", "s1+s2+s2"]]));
    world.send(&[(b, -2)]);
    world.commit();
    assert_eq!(world.relation, shown(&[&["k1", "1", "5", "5", "1", "s1"]]));
    world.send(&[(a, -1)]);
    world.commit();
    assert_eq!(world.relation, Relation::new());
    assert!(world.entries("groups").is_empty() && world.entries("values").is_empty());
}

#[test]
fn changes_that_come_to_nothing_let_nothing_out() {
    let mut world = world("SELECT k, MAX(i), COUNT(*) FROM t GROUP BY k");
    world.send(&[(row(Some(1), Some(5), None), 1)]);
    world.commit();
    assert_eq!(world.rows_that_left(), 1);
    world.send(&[(row(Some(1), Some(9), None), 1)]);
    world.send(&[(row(Some(1), Some(9), None), -1), (row(Some(2), None, None), 0)]);
    world.commit();
    assert_eq!(world.rows_that_left(), 1);
}

#[test]
fn a_row_may_be_taken_back_before_it_comes() {
    let mut world = world("SELECT k, COUNT(*), SUM(i), MAX(i), SUM(DISTINCT i) FROM t GROUP BY k");
    let (a, b) = (row(None, Some(5), None), row(None, Some(7), None));
    world.send(&[(a, 1), (b, -1)]);
    world.commit();
    assert_eq!(world.relation, Relation::new());
    world.restart();
    world.send(&[(b, 1)]);
    world.commit();
    assert_eq!(world.relation, shown(&[&["NULL", "1", "5", "5", "5"]]));
}

#[test]
fn without_keys_the_one_group_stays() {
    let mut world = world("SELECT COUNT(*), SUM(i), MIN(i), ARRAY_AGG(i) FROM t");
    world.commit();
    assert_eq!(world.relation, Relation::new());
    let a = row(None, Some(5), None);
    world.send(&[(a, 1)]);
    world.commit();
    world.restart();
    world.send(&[(a, -1)]);
    world.commit();
    assert_eq!(world.relation, shown(&[&["0", "NULL", "NULL", "NULL"]]));
}

#[test]
fn what_does_not_fit_is_a_dead_letter_until_it_fits_again() {
    let mut world = world("SELECT k, SUM(i), COUNT(*) FROM t GROUP BY k");
    let (large, small) = (row(Some(1), Some(i64::MAX), None), row(Some(1), Some(2), None));
    world.send(&[(large, 1), (row(Some(2), Some(1), None), 1)]);
    world.commit();
    world.send(&[(small, 1)]);
    world.commit();
    assert_eq!(world.relation, shown(&[&["k2", "1", "1"]]));
    let letters = world.dead_letters();
    let [(key, reason)] = letters.as_slice() else {
        panic!("{letters:?}")
    };
    assert_eq!(key, r#"{"k":"k1"}"#);
    assert_eq!(
        reason,
        "cannot compute sum(t.i): 9223372036854775809 is out of range"
    );
    world.send(&[(large, -1)]);
    world.commit();
    assert_eq!(world.relation, shown(&[&["k1", "2", "1"], &["k2", "1", "1"]]));
}

#[test]
fn values_without_order_come_in_the_order_of_their_bytes() {
    let sql = "SELECT ARRAY_AGG(i), ARRAY_AGG(DISTINCT i), FIRST_VALUE(i) IGNORE NULLS FROM t";
    let mut world = world(sql);
    for i in [Some(3), None, Some(-1), Some(3)] {
        world.send(&[(row(None, i, None), 1)]);
    }
    world.commit();
    assert_eq!(world.relation, shown(&[&["[, -1, 3, 3]", "[, -1, 3]", "-1"]]));
}

/// DataFusion's own plan counts the two equal values, whose bits cancel.
#[test]
fn distinct_is_so_for_functions_that_do_not_know_it() {
    let mut world = world("SELECT BIT_XOR(DISTINCT i), BIT_XOR(i), STDDEV_POP(DISTINCT i) FROM t");
    world.send(&[(row(None, Some(2), None), 2), (row(None, Some(4), None), 4)]);
    world.commit();
    assert_eq!(world.relation, shown(&[&["6", "0", "1.000000000e0"]]));
}

#[test]
fn large_weights_are_fed_in_parts() {
    let mut world =
        world("SELECT APPROX_DISTINCT(i), VAR_POP(i), COVAR_POP(i, i), BIT_XOR(i), MEDIAN(i) FROM t");
    world.send(&[
        (row(None, Some(2), None), 20_000),
        (row(None, Some(4), None), 20_001),
    ]);
    world.commit();
    let shown = world.relation.keys().next().unwrap();
    assert_eq!(
        (shown[0].as_str(), shown[3].as_str(), shown[4].as_str()),
        ("2", "4", "4.000000000e0")
    );
    assert!(
        shown[1].starts_with("9.999999") && shown[2].starts_with("9.999999"),
        "{shown:?}"
    );
}

#[test]
fn an_extreme_of_added_rows_refuses_rows_taken_back() {
    let mut world = World::new(query("SELECT k, MIN(i) FROM t GROUP BY k", true), NO_LIMITS);
    world.send(&[(row(None, Some(5), None), 1), (row(None, None, None), 1)]);
    let error = world.try_send(&table(&[row(None, Some(5), None)]), vec![-1]);
    let error = error.and_then(|()| world.driver.as_mut().unwrap().commit().map_err(|e| text(&e)));
    assert!(
        error
            .unwrap_err()
            .contains("taken back from rows that are only added")
    );
}

fn text(error: &DriverError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[test]
fn types_that_cannot_be_kept_are_refused_by_the_name_of_their_column() {
    let mut plan = query("SELECT k, MIN(i) FROM t GROUP BY k", false).plan;
    let inner = Fields::from(vec![Field::new("x", DataType::Int64, true)]);
    let fields = vec![
        plan.input.field(0).clone(),
        Field::new("odd", DataType::Struct(inner), true),
    ];
    plan.input = Arc::new(Schema::new(fields));
    let error = GroupChanges::new(plan).err().unwrap();
    assert!(error.message.contains("\"odd\""), "{error}");
    assert!(error.hint.unwrap().contains("cast"));
}

#[test]
fn sets_of_values_are_shared() {
    let plan = query(
        "SELECT k, MIN(i), COUNT(DISTINCT i), SUM(DISTINCT i), MAX(i), MEDIAN(i) FROM t GROUP BY k",
        false,
    )
    .plan;
    assert_eq!(
        group_changes_layout(&plan).unwrap(),
        "keys [utf8]; results [int64, int64, int64, int64, float64]; kept [values 0, count of values 0, \
         128-bit sum of values 0, values 1, values 2]; values [(int64 ascending nulls first without nulls), \
         (int64 descending nulls first without nulls), (float64 ascending nulls first)]"
    );
    assert_eq!(group_changes_stores(&plan).unwrap(), ["groups", "values"]);
    let plan = query("SELECT k, COUNT(*), SUM(f) FROM t GROUP BY k", false).plan;
    assert_eq!(group_changes_stores(&plan).unwrap(), ["groups"]);
}

/// arrow-row promises no fixed encoding between its versions: this test tells when it changes, or when we change the layout.
#[test]
fn stored_bytes_are_what_they_were() {
    let sql = "SELECT n, COUNT(*), SUM(i), MAX(b), SUM(f), AVG(d), BOOL_OR(b) FROM t GROUP BY n";
    let mut world = world(sql);
    world.send(&[([None, Some(1), Some(2), None, Some(2), Some(3), None, Some(1)], 2)]);
    world.commit();
    let groups = world.entries("groups");
    let count = 2_i64.to_le_bytes();
    let shown = [
        &[1, 0x80, 0, 0, 0, 0, 0, 0, 2][..],
        &[1, 0x80, 0, 0, 0, 0, 0, 0, 4],
        &[1, 0],
        &[1, 0xbf, 0xf0, 0, 0, 0, 0, 0, 0],
        &[1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x75, 0x30],
        &[1, 0],
    ];
    let mut decimal = [0; 32];
    decimal[0] = 6;
    let value = [
        &[1][..],
        &count,
        &count,
        &4_i128.to_le_bytes(),
        &count,
        &count,
        &[1],
        &1_f64.to_le_bytes(),
        &[0, 0],
        &decimal,
        &count,
        &0_i64.to_le_bytes(),
        &count,
        &[1],
    ];
    let key = vec![1, 0x80, 0, 0, 1];
    assert_eq!(groups, [(key.clone(), [value.concat(), shown.concat()].concat())]);
    let values = world.entries("values");
    let value_key = [key.as_slice(), &[0], &[1, 0xff]].concat();
    assert_eq!(values, [(value_key, count.to_vec())]);
}
