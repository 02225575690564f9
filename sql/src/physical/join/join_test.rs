//! Examples of joins: what leaves, what is stored, and what is refused.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::JoinType;

use super::test_world::{Condition, Row, World, plan};
use super::*;

const A: Row = (Some(1), Some(0), Some(5));
const B: Row = (Some(1), Some(1), Some(7));
const NO_KEY: Row = (None, Some(0), Some(5));

fn world(kind: JoinType, condition: Condition) -> World {
    World::new(plan(kind, &[0], false, condition), LIMITS)
}

/// What leaves, in short: the values of each row, and its weight.
fn left(world: &mut World) -> Vec<(String, i64)> {
    let rows = world.left_so_far();
    rows.into_iter()
        .map(|(row, weight)| (row.join(" "), weight))
        .collect()
}

fn said(rows: &[(&str, i64)]) -> Vec<(String, i64)> {
    rows.iter()
        .map(|(row, weight)| ((*row).to_owned(), *weight))
        .collect()
}

#[test]
fn a_padded_row_goes_when_its_first_partner_comes_and_comes_back_behind_the_last() {
    let mut world = world(JoinType::Left, Condition::None);
    world.send(0, &[(A, 2)]);
    world.send(1, &[(B, 1)]);
    world.send(1, &[(B, 1)]);
    world.send(1, &[(B, -2)]);
    world.commit();
    let expected = [
        ("1 a 5 NULL NULL NULL", 2),
        ("1 a 5 1 b 7", 2),
        ("1 a 5 NULL NULL NULL", -2),
        ("1 a 5 1 b 7", 2),
        ("1 a 5 1 b 7", -4),
        ("1 a 5 NULL NULL NULL", 2),
    ];
    assert_eq!(left(&mut world), said(&expected));
    assert_eq!(world.stored(1), [], "what has no weight is not stored");
}

#[test]
fn a_marked_row_is_always_there_and_changes_its_mark() {
    let mut world = world(JoinType::LeftMark, Condition::None);
    world.send(0, &[(A, 1), (NO_KEY, 1)]);
    world.send(1, &[(B, 1), (NO_KEY, 1)]);
    world.commit();
    let expected = [
        ("NULL a 5 false", 1),
        ("1 a 5 false", 1),
        ("1 a 5 false", -1),
        ("1 a 5 true", 1),
    ];
    assert_eq!(left(&mut world), said(&expected));
    assert_eq!(world.stored(0).len(), 1, "NULL keys need no store");
    assert_eq!(world.stored(1).len(), 1);
}

#[test]
fn rows_taken_back_before_they_come_leave_nothing_behind() {
    let mut world = world(JoinType::Full, Condition::Less);
    world.send(1, &[(B, -1)]);
    world.send(0, &[(A, 1)]);
    world.commit();
    world.send(1, &[(B, 1)]);
    world.send(0, &[(A, -1)]);
    world.commit();
    assert!(world.relation.is_empty(), "{:?}", world.relation);
    assert_eq!(world.stored(0), []);
    assert_eq!(world.stored(1), []);
}

#[test]
fn null_keys_match_only_where_they_are_equal() {
    for (equal, pairs) in [(false, 0), (true, 1)] {
        let plan = plan(JoinType::Inner, &[0], equal, Condition::None);
        let mut world = World::new(plan, LIMITS);
        world.send(0, &[(NO_KEY, 1)]);
        world.send(1, &[(NO_KEY, 1)]);
        world.commit();
        assert_eq!(world.relation.len(), pairs);
        assert_eq!(world.stored(0).len(), pairs);
    }
}

#[test]
fn a_row_and_its_taking_back_in_one_batch_are_nothing() {
    let mut world = world(JoinType::Full, Condition::None);
    world.send(0, &[(A, 1), (B, 1), (NO_KEY, 1), (A, -1), (NO_KEY, -1), (B, -1)]);
    world.commit();
    assert_eq!(left(&mut world), said(&[]));
    assert_eq!(world.stored(0), []);
}

#[test]
fn a_key_with_many_rows_is_joined_in_chunks() {
    let limits = Limits {
        chunk: 100,
        block_rows: 64,
        ..LIMITS
    };
    let mut world = World::new(plan(JoinType::Inner, &[0], false, Condition::Less), limits);
    let rows: Vec<(Row, i64)> = (0..300).map(|v| ((Some(1), None, Some(v)), 1)).collect();
    world.send(0, &rows);
    world.send(1, &rows);
    world.commit();
    // `commit` looks at the length of every batch.
    assert_eq!(world.relation.len(), 300 * 299 / 2);
}

#[test]
fn a_pair_that_cannot_be_compared_does_not_match_and_is_told_of() {
    let mut world = world(JoinType::Left, Condition::Quotient);
    let near: Row = (Some(1), Some(1), Some(3));
    world.send(1, &[(A, 1), (near, 1)]);
    world.send(0, &[(A, 1)]);
    world.commit();
    assert_eq!(left(&mut world), said(&[("1 a 5 1 b 3", 1)]));
    let letters = world.driver().counters().dead_letters;
    assert_eq!(letters, 1);
    world.send(0, &[(A, -1)]);
    world.commit();
    assert!(world.relation.is_empty(), "{:?}", world.relation);
}

#[test]
fn sides_without_columns_and_keys_are_counted() {
    let nothing = Arc::new(Schema::empty());
    let plan = JoinPlan {
        keys: Vec::new(),
        left: nothing,
        schema: test_world::side_schema(),
        ..plan(JoinType::Inner, &[], false, Condition::None)
    };
    let left = SideCodec::new(&plan.left, Vec::new(), false).unwrap();
    let rows = super::super::calc::batch_of(&plan.left, Vec::new(), 3).unwrap();
    let delta = Delta::new(&left, &ColumnBatch::plain(rows), NullKeys::Drop).unwrap();
    assert_eq!((delta.len(), delta.weight(0), delta.keys.get(0)), (1, 3, &[][..]));
    assert!(left.decode([&[][..]].into_iter()).unwrap().is_empty());
    Join::new(plan).unwrap();
}

#[test]
fn stored_bytes_stay_as_they_are() {
    let mut world = world(JoinType::Left, Condition::None);
    world.send(0, &[(A, 3)]);
    world.send(1, &[((Some(1), None, Some(-1)), 2)]);
    world.commit();
    // BIGINT: 1 (not NULL), then the value with its sign turned; VARCHAR: 2, blocks of 8 bytes padded with zeros, each with its length.
    let key = [1, 0x80, 0, 0, 0, 0, 0, 0, 1];
    let five = [1, 0x80, 0, 0, 0, 0, 0, 0, 5];
    let text = [2, b'a', 0, 0, 0, 0, 0, 0, 0, 1];
    let row = [&key[..], &key, &text, &five].concat();
    let value = [[0, 0, 0, 0, 0, 0, 0, 3], [0, 0, 0, 0, 0, 0, 0, 2]].concat();
    assert_eq!(world.stored(0), [(row, value)]);
    let minus_one = [1, 0x7f, 255, 255, 255, 255, 255, 255, 255];
    let row = [&key[..], &key, &[0], &minus_one].concat();
    assert_eq!(world.stored(1), [(row, vec![0, 0, 0, 0, 0, 0, 0, 2])]);
}

#[test]
fn layouts_say_what_is_kept_of_each_side() {
    let layouts = |plan: &JoinPlan| join_layouts(plan).unwrap();
    let mut semi = plan(JoinType::LeftSemi, &[0, 1], false, Condition::None);
    let rows = "row [int64, utf8, int64]; kept:";
    assert_eq!(
        layouts(&semi),
        [
            format!("rows of a join; key [int64, utf8]; {rows} weight, matches"),
            format!("rows of a join; key [int64, utf8]; {rows} weight"),
        ]
    );
    semi.null_equals_null = true;
    assert!(layouts(&semi)[1].contains("key [int64, utf8], or null;"));
}

#[test]
fn columns_that_cannot_be_kept_or_compared_are_refused_by_name() {
    let with = |column: &str, kind: DataType| {
        let mut fields = test_world::side_schema().fields().to_vec();
        fields[0] = Arc::new(Field::new(column, kind, true));
        JoinPlan {
            right: Arc::new(Schema::new(fields)),
            ..plan(JoinType::Inner, &[0], false, Condition::None)
        }
    };
    let refused = |plan: JoinPlan| Join::new(plan).err().expect("an error");
    let spelt = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    let error = refused(with("spelt", spelt));
    assert!(error.message.contains("\"spelt\""), "{}", error.message);
    assert!(error.hint.unwrap().contains("cast"));
    let error = refused(with("other", DataType::Int32));
    for piece in ["\"a\"", "int64", "\"other\"", "int32"] {
        assert!(error.message.contains(piece), "{piece}: {}", error.message);
    }
}
