//! Tests of remembered keys.

use super::*;

fn row(row: &[u8], weight: i64) -> StoredRow<'_> {
    StoredRow {
        row,
        weight,
        matches: weight + 10,
    }
}

fn rows(cache: &mut KeyCache, key: &[u8]) -> Option<Vec<(Vec<u8>, i64, i64)>> {
    let rows = cache.get(key)?;
    Some(
        rows.iter()
            .map(|r| (r.row.to_vec(), r.weight, r.matches))
            .collect(),
    )
}

#[test]
fn rows_that_are_written_stand_in_order_and_those_without_weight_go() {
    let mut cache = KeyCache::new(1 << 20, 1 << 10);
    cache.wrote(b"k", row(b"x", 1));
    assert_eq!(
        rows(&mut cache, b"k"),
        None,
        "a key is here with all its rows or not at all"
    );
    cache.insert(b"k", PackedRows::default());
    for name in [b"c", b"a", b"b"] {
        cache.wrote(b"k", row(name, 1));
    }
    cache.wrote(b"k", row(b"b", -3));
    let expected = vec![
        (b"a".to_vec(), 1, 11),
        (b"b".to_vec(), -3, 7),
        (b"c".to_vec(), 1, 11),
    ];
    assert_eq!(rows(&mut cache, b"k"), Some(expected));
    cache.wrote(b"k", row(b"a", 0));
    cache.wrote(b"k", row(b"c", 0));
    cache.wrote(b"k", row(b"none", 0));
    assert_eq!(rows(&mut cache, b"k"), Some(vec![(b"b".to_vec(), -3, 7)]));
    cache.clear();
    assert_eq!(rows(&mut cache, b"k"), None);
}

#[test]
fn a_key_with_many_rows_is_not_kept() {
    let mut cache = KeyCache::new(1 << 20, 50);
    cache.insert(b"k", PackedRows::default());
    cache.wrote(b"k", row(b"one", 1));
    cache.wrote(b"k", row(b"two", 1));
    assert_eq!(rows(&mut cache, b"k").map(|rows| rows.len()), Some(2));
    cache.wrote(b"k", row(b"three", 1));
    assert_eq!(rows(&mut cache, b"k"), None);
}

#[test]
fn keys_that_are_not_asked_for_make_room() {
    let mut cache = KeyCache::new(4096, 1 << 10);
    cache.insert(b"often", PackedRows::default());
    for number in 0..1000u32 {
        cache.insert(&number.to_be_bytes(), PackedRows::default());
        assert!(cache.get(b"often").is_some(), "after {number}");
    }
    let kept = (0..1000u32)
        .filter(|n| cache.get(&n.to_be_bytes()).is_some())
        .count();
    assert!(kept < 4096 / KEY_OVERHEAD, "{kept}");
    assert!(cache.young.len() + cache.old.len() <= 2 * 4096 / KEY_OVERHEAD);
}

#[test]
fn a_key_that_is_only_written_is_forgotten_and_one_that_is_read_is_not() {
    let mut cache = KeyCache::new(4096, 1 << 10);
    cache.insert(b"read", PackedRows::default());
    cache.insert(b"written", PackedRows::default());
    for number in 0..40u32 {
        cache.insert(&number.to_be_bytes(), PackedRows::default());
        assert!(cache.get(b"read").is_some(), "after {number}");
    }
    for key in [&b"read"[..], b"written"] {
        cache.wrote(key, row(b"a", 1));
    }
    assert_eq!(rows(&mut cache, b"read").map(|rows| rows.len()), Some(1));
    assert_eq!(rows(&mut cache, b"written"), None);
}
