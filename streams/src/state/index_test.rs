//! The index finds every entry it was given, however unlucky the hashes are.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn every_entry_is_among_its_candidates(hashes in proptest::collection::vec(
        // Few low bits and few tags: long runs, equal tags, wrap-around.
        (0u64..4, 0u64..20).prop_map(|(tag, low)| tag << 32 | low), 0..200,
    )) {
        let mut index = Index::default();
        for (id, hash) in hashes.iter().enumerate() {
            index.insert(*hash, id as u32);
        }
        for (id, hash) in hashes.iter().enumerate() {
            prop_assert!(index.candidates(*hash).any(|candidate| candidate == id as u32));
            prop_assert_ne!(index.candidate(*hash), NOTHING);
        }
        prop_assert_eq!(index.candidate(7 << 32), NOTHING);
    }
}

#[test]
fn an_empty_index_has_no_candidates() {
    assert_eq!(Index::default().candidate(5), NOTHING);
}
