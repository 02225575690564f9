//! A comparison that cannot miss: each kind of disagreement, alone.

use super::*;

fn answer(rows: &[(&str, &str)]) -> Answer {
    let mut answer = Answer::default();
    for (key, value) in rows {
        answer.insert((*key).to_owned(), (*value).to_owned());
    }
    answer
}

fn texts(found: &Answer, expected: &Answer) -> Vec<String> {
    found
        .differences_from(expected)
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn equal_answers_have_no_differences() {
    let rows = answer(&[("a", "1"), ("b", "2")]);
    assert_eq!(texts(&rows, &answer(&[("b", "2"), ("a", "1")])), [""; 0]);
}

#[test]
fn names_what_is_missing_unexpected_and_different() {
    let found = answer(&[("b", "3"), ("c", "4")]);
    let expected = answer(&[("a", "1"), ("b", "2")]);
    assert_eq!(
        texts(&found, &expected),
        [
            "missing: a = 1",
            "differs: b = 3, batch says 2",
            "unexpected: c = 4"
        ]
    );
}

#[test]
fn a_row_that_came_twice_is_a_difference_even_with_the_same_value() {
    assert_eq!(
        texts(&answer(&[("a", "1"), ("a", "1")]), &answer(&[("a", "1")])),
        ["repeated: a"]
    );
}
