//! Pieces keep their bytes; freed ones of the same class are used again.

use super::*;

#[test]
fn a_freed_piece_is_used_again_for_one_of_its_class() {
    let mut arena = Arena::default();
    let first = arena.add(b"0123456789");
    let second = arena.add(b"abc");
    arena.free(first, 10);
    let third = arena.add(b"9876543210ab");
    assert_eq!(third, first);
    assert_eq!(arena.get(second, 3), b"abc");
    assert_eq!(arena.get(third, 12), b"9876543210ab");
}

#[test]
fn a_value_is_overwritten_in_place_only_when_it_fits_exactly() {
    let mut arena = Arena::default();
    let place = arena.add(&[1; 8]);
    let neighbour = arena.add(&[2; 8]);
    assert!(arena.try_overwrite(place, 8, &[3; 5]));
    assert!(!arena.try_overwrite(place, 5, &[4; 9]));
    assert_eq!(arena.get(place, 5), &[3; 5]);
    assert_eq!(arena.get(neighbour, 8), &[2; 8]);
}

#[test]
fn freed_large_pieces_count_as_garbage() {
    let mut arena = Arena::default();
    let place = arena.add(&[1; 1_000]);
    arena.free(place, 1_000);
    assert_eq!(arena.garbage_bytes(), 1_000);
}

#[test]
fn empty_pieces_take_no_room() {
    let mut arena = Arena::default();
    let place = arena.add(b"");
    arena.free(place, 0);
    assert_eq!((arena.get(place, 0), arena.size_bytes()), (b"".as_slice(), 0));
}
