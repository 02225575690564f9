//! The codec: round trip, the version before, foreign text, and how much there is room for.

use proptest::prelude::*;

use super::*;

#[test]
fn foreign_text_is_an_error() {
    // Text that is no base64, a version of the future, flags of the future.
    for text in ["", "hello", "AQ", "AwAAAAAAAAABAAA", "AgQAAAA", "AgA"] {
        assert!(OffsetMetadata::decode(text).is_err(), "{text:?} was accepted");
    }
}

#[test]
fn what_version_1_wrote_is_read() {
    // Written by the version before: transaction 42, transactional, stores word-counts (up to 17) and sums (up to 300), clock v1;1700000000000.
    let text = "AQEAAAAAAAAAKgACAAt3b3JkLWNvdW50cwAAAAAAAAARAARzdW1zAAAAAAAAASx2MTsxNzAwMDAwMDAwMDAw";
    let read = OffsetMetadata::decode(text).expect("readable");
    assert_eq!((read.txn, read.transactional), (TxnSeq(42), true));
    assert_eq!(read.changelog("word-counts"), Some(Offset::new(17)));
    assert_eq!(read.changelog("sums"), Some(Offset::new(300)));
    assert_eq!(read.changelog("others"), None);
    assert_eq!(&read.clock[..], b"v1;1700000000000");
    for len in (0..text.len() - 22).filter(|len| len % 4 == 0) {
        assert!(
            OffsetMetadata::decode(&text[..len]).is_err(),
            "{len} characters of it were accepted"
        );
    }
}

#[test]
fn damaged_text_never_ends_in_a_panic() {
    let whole = full(3, 100).encode();
    for len in 0..whole.len() {
        drop(OffsetMetadata::decode(&whole[..len]));
    }
}

/// The metadata of a task with so many stores and upstream partitions, all of them far on.
fn full(stores: usize, upstreams: usize) -> OffsetMetadata {
    let names: Vec<String> = (0..stores)
        .map(|number| format!("orders-by-customer-{number:04}"))
        .collect();
    // As the clock writes it; the names of operators are hashes.
    let operators: Vec<String> = (0..stores.min(64) as u64)
        .map(|number| {
            let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
            format!("{:06x}{:x}", hash & 0xff_ffff, hash % 5_000)
        })
        .collect();
    let times: Vec<String> = (0..upstreams as u64)
        .map(|number| {
            format!(
                "{number}:{}",
                1_700_000_000_000 + number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 60_000
            )
        })
        .collect();
    let clock = format!(
        "v1;1700000000000;orders={};%={}",
        times.join(","),
        operators.join(",")
    );
    OffsetMetadata {
        txn: TxnSeq(u64::MAX),
        transactional: true,
        changelogs: ChangelogEnds::of(
            names
                .iter()
                .map(|name| (name.as_str(), Some(Offset::new((1 << 35) - 1)))),
        ),
        clock: clock.into(),
    }
}

#[test]
fn what_there_is_room_for_fits() {
    for (stores, upstreams) in [(300, 0), (12, 200), (100, 100), (1, 300)] {
        let names: Vec<String> = (0..stores)
            .map(|number| format!("orders-by-customer-{number:04}"))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        check_room(TaskId::new(0, 0.into()), &names, upstreams).expect("there is room");
        let text = full(stores, upstreams).encode();
        assert!(
            text.len() <= TEXT_LEN_MAX,
            "{stores} stores, {upstreams} upstreams: {}",
            text.len()
        );
    }
}

#[test]
fn a_task_that_may_outgrow_the_limit_is_told_at_once() {
    let names: Vec<String> = (0..400).map(|number| format!("s{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let error = check_room(TaskId::new(2, 0.into()), &names, 0).expect_err("there is no room");
    let text = error.to_string();
    for part in ["task 2_0", "400 logged stores", "4096", "repartition"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

proptest! {
    #[test]
    fn survives_the_round_trip(
        txn in any::<u64>(),
        transactional in any::<bool>(),
        clock in proptest::collection::vec(any::<u8>(), 0..600),
        repeated in 0..40_usize,
        stores in proptest::collection::btree_map("[a-z-]{1,20}", proptest::option::of(0i64..=i64::MAX), 0..40),
    ) {
        let clock = [clock, b"0:1700000000000,".repeat(repeated)].concat();
        let metadata = OffsetMetadata {
            txn: TxnSeq(txn),
            transactional,
            clock: Bytes::from(clock),
            changelogs: ChangelogEnds::of(stores.iter().map(|(name, end)| (name.as_str(), end.map(Offset::new)))),
        };
        let read = OffsetMetadata::decode(&metadata.encode());
        prop_assert_eq!(read.as_ref(), Ok(&metadata));
        for (name, end) in &stores {
            prop_assert_eq!(metadata.changelog(name), end.map(Offset::new), "{}", name);
        }
    }

    #[test]
    fn foreign_bytes_never_end_in_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), version in 1..=2_u8) {
        let bytes = [vec![version], bytes].concat();
        drop(OffsetMetadata::decode(&STANDARD_NO_PAD.encode(bytes)));
    }
}
