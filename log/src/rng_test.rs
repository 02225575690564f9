//! Behaviour of the random sources.

use super::*;

#[test]
fn the_same_seed_gives_the_same_numbers() {
    let numbers = |seed| {
        let rng = SeededRng::new(seed);
        (0..8).map(|_| rng.next_u64()).collect::<Vec<_>>()
    };
    assert_eq!(numbers(7), numbers(7));
    assert_ne!(numbers(7), numbers(8));
}

#[test]
fn numbers_below_a_bound_reach_every_value_and_stay_below() {
    let rng = SeededRng::new(3);
    let mut seen = [false; 10];
    for _ in 0..1_000 {
        seen[rng.below(10) as usize] = true;
    }
    assert_eq!(seen, [true; 10]);
    assert_eq!(rng.below(0), 0);
    assert_eq!(rng.below(1), 0);
}

#[test]
fn filled_buffers_of_odd_length_are_filled_to_the_end() {
    let rng = SeededRng::new(5);
    let mut last_bytes = std::collections::BTreeSet::new();
    for _ in 0..64 {
        let mut bytes = [0u8; 13];
        rng.fill(&mut bytes);
        last_bytes.insert(bytes[12]);
    }
    assert!(last_bytes.len() > 16);
}

#[test]
fn uuids_are_version_four_and_differ() {
    let rng = SystemRng;
    let (one, other) = (rng.uuid(), rng.uuid());
    assert_eq!(one.get_version_num(), 4);
    assert_ne!(one, other);
}
