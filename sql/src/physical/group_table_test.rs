//! Tests of the group table.

use super::*;

#[test]
fn a_group_keeps_its_slot() {
    let mut table = GroupTable::default();
    assert_eq!(table.intern(0, b"JFK"), (0, true));
    assert_eq!(table.intern(0, b"EWR"), (1, true));
    assert_eq!(table.intern(0, b"JFK"), (0, false));
    assert_eq!(table.intern(3_600, b"JFK"), (2, true));
    assert_eq!(table.intern(0, b""), (3, true));
    assert_eq!(
        (table.pane(2), table.key(2), table.key(3)),
        (3_600, &b"JFK"[..], &b""[..])
    );
    table.clear();
    assert!(table.is_empty());
    assert_eq!(table.intern(0, b"EWR"), (0, true));
}

#[test]
fn many_groups_stay_apart() {
    let mut table = GroupTable::default();
    for round in 0..2 {
        for i in 0..50_000_u32 {
            let key = i.to_be_bytes();
            assert_eq!(table.intern(i64::from(i % 7), &key), (i, round == 0));
        }
    }
    assert_eq!(table.len(), 50_000);
}
