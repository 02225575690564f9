//! Behaviour of varints.

use proptest::prelude::*;

use super::*;

#[test]
fn known_encodings() {
    for (value, bytes) in [
        (0i64, &[0u8][..]),
        (-1, &[1]),
        (1, &[2]),
        (63, &[0x7e]),
        (-64, &[0x7f]),
        (64, &[0x80, 0x01]),
        (i64::from(i32::MAX), &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
        (
            i64::MIN,
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ),
    ] {
        let mut out = Vec::new();
        put(&mut out, value);
        assert_eq!(out, bytes, "{value}");
        assert_eq!(size(value), bytes.len(), "{value}");
    }
}

#[test]
fn cut_short_overlong_and_overflowing_encodings_are_refused() {
    for bad in [
        &[][..],
        &[0x80],
        &[0x80; 10],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
    ] {
        let mut input = bad;
        assert_eq!(take_i64(&mut input), None, "{bad:x?}");
        assert_eq!(take_i32(&mut input), None, "{bad:x?}");
        assert_eq!(input, bad, "a refused value is not consumed");
    }
    // Fits i64 but not i32, and zero spread over six bytes.
    assert_eq!(take_i32(&mut &[0x80, 0x80, 0x80, 0x80, 0x10][..]), None);
    assert_eq!(take_i32(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00][..]), None);
}

proptest! {
    #[test]
    fn values_round_trip_and_leave_what_follows(value: i64, tail: Vec<u8>) {
        let mut out = Vec::new();
        put(&mut out, value);
        prop_assert_eq!(out.len(), size(value));
        out.extend_from_slice(&tail);
        let mut input = &out[..];
        prop_assert_eq!(take_i64(&mut input), Some(value));
        prop_assert_eq!(input, &tail[..]);
        let mut input = &out[..];
        prop_assert_eq!(take_i32(&mut input), i32::try_from(value).ok());
    }
}
