//! Where records go by their keys.

use super::{murmur2, partition_for_key};

#[test]
fn keys_are_hashed_as_kafkas_java_client_does() {
    // The values of Kafka's own UtilsTest.
    let known: [(&[u8], i32); 7] = [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
        (b"", 275646681),
    ];
    for (key, hash) in known {
        assert_eq!(murmur2(key) as i32, hash, "{:?}", String::from_utf8_lossy(key));
    }
}

#[test]
fn a_negative_hash_still_names_a_partition() {
    assert_eq!(
        partition_for_key(b"21", 10).get(),
        (-973932308i32 & 0x7fff_ffff) % 10
    );
}
