//! Stores that share a code, and codes that must never change.

use super::*;

/// Two names of one code, the first that a search over `s0`, `s1`, … meets.
fn twins() -> (String, String) {
    let mut seen = std::collections::BTreeMap::new();
    (0..)
        .map(|number| format!("s{number}"))
        .find_map(|name| Some((seen.insert(code(&name), name.clone())?, name)))
        .expect("28 bits are not endless")
}

#[test]
fn codes_are_the_same_in_every_version() {
    // Committed offsets hold them: an entry that changes here makes every store of every job unknown.
    assert_eq!(code("word-counts"), 0x0916_29c5);
    assert_eq!(code(""), 0x0fd0_bfc1);
}

#[test]
fn stores_that_share_a_code_keep_their_own_offsets() {
    let (first, second) = twins();
    let other = "other";
    let ends = ChangelogEnds::of([
        (first.as_str(), Some(Offset::new(7))),
        (other, Some(Offset::new(8))),
        (second.as_str(), Some(Offset::new(9))),
    ]);
    let mut bytes = Vec::new();
    ends.encode(&mut bytes);
    let read = ChangelogEnds::decode(&mut Bytes::from(bytes)).expect("sound");
    for (name, end) in [(first.as_str(), 7), (other, 8), (second.as_str(), 9)] {
        assert_eq!(read.get(name), Some(Offset::new(end)), "{name}");
    }
}

#[test]
fn a_store_that_was_never_written_is_not_taken_for_its_twin() {
    let (first, second) = twins();
    let ends = ChangelogEnds::of([(first.as_str(), Some(Offset::new(7))), (second.as_str(), None)]);
    assert_eq!(ends.get(&first), Some(Offset::new(7)));
    assert_eq!(ends.get(&second), None);
}
