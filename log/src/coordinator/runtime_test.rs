//! Which partition of an internal topic a key belongs to.

use super::runtime::partition_for;

#[test]
fn keys_go_where_kafka_sends_them() {
    // Java: "hello".hashCode() == 99162322, "abc" 96354, "" 0; that of "polygenelubricants" is Integer.MIN_VALUE.
    assert_eq!(partition_for("hello", 50).get(), 99_162_322 % 50);
    assert_eq!(partition_for("abc", 4).get(), 96_354 % 4);
    assert_eq!(partition_for("", 50).get(), 0);
    assert_eq!(partition_for("polygenelubricants", 50).get(), 0);
}
