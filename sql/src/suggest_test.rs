//! Tests of near names.

use super::*;

#[test]
fn finds_a_slip_of_the_finger() {
    let columns = ["carrier", "origin", "dest", "dep_delay"];
    assert_eq!(near("orgin", columns), Some("origin"));
    assert_eq!(near("detp_delay", columns), Some("dep_delay"));
    assert_eq!(near("CARRIER", columns), Some("carrier"));
    assert_eq!(near("dep", columns), Some("dep_delay"));
}

#[test]
fn stays_silent_when_nothing_is_near() {
    assert_eq!(near("temperature", ["carrier", "origin"]), None);
    assert_eq!(
        hint("temperature", ["carrier", "origin"], "columns"),
        "known columns: carrier, origin"
    );
    assert_eq!(hint("x", [], "streams"), "there are no streams yet");
}

#[test]
fn counts_a_swap_of_neighbours_as_one_change() {
    assert_eq!(edit_distance("count", "cuont"), 1);
    assert_eq!(edit_distance("", "abc"), 3);
    assert_eq!(edit_distance("kitten", "sitting"), 3);
}
