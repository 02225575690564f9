//! The codec: round trip, and foreign text.

use proptest::prelude::*;

use super::*;

#[test]
fn foreign_text_is_an_error() {
    for text in ["", "hello", "AQ", "AgAAAAAAAAABAAA"] {
        assert!(OffsetMetadata::decode(text).is_err(), "{text:?} was accepted");
    }
}

proptest! {
    #[test]
    fn survives_the_round_trip(
        txn in any::<u64>(),
        transactional in any::<bool>(),
        clock in proptest::collection::vec(any::<u8>(), 0..64),
        stores in proptest::collection::vec(("[a-z-]{1,20}", 0i64..i64::MAX), 0..4),
    ) {
        let metadata = OffsetMetadata {
            txn: TxnSeq(txn),
            transactional,
            clock: Bytes::from(clock),
            changelogs: stores.into_iter().map(|(name, next)| (name, Offset::new(next))).collect(),
        };
        prop_assert_eq!(OffsetMetadata::decode(&metadata.encode()), Ok(metadata));
    }
}
