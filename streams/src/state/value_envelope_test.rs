//! Envelopes come back as they went in, and damaged ones are refused instead of read wrongly.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn parses_what_was_appended(
        timestamp in any::<i64>(),
        headers in proptest::collection::vec(any::<(Vec<u8>, Option<Vec<u8>>)>(), 0..4),
        value in any::<Vec<u8>>(),
    ) {
        let mut bytes = Vec::new();
        let borrowed = headers.iter().map(|(key, value)| (key.as_slice(), value.as_deref()));
        ValueEnvelope::append(timestamp, borrowed.clone(), &value, &mut bytes);
        let envelope = ValueEnvelope::parse(&bytes).unwrap();
        prop_assert_eq!(envelope.timestamp, timestamp);
        prop_assert_eq!(envelope.value, value.as_slice());
        prop_assert_eq!(envelope.headers().unwrap(), borrowed.collect::<Vec<_>>());
    }

    #[test]
    fn never_panics_on_any_bytes(bytes in any::<Vec<u8>>()) {
        if let Ok(envelope) = ValueEnvelope::parse(&bytes) {
            prop_assert!(envelope.value.len() <= bytes.len());
            if let Ok(headers) = envelope.headers() {
                prop_assert!(headers.len() <= bytes.len());
            }
        }
    }
}

#[test]
fn a_value_without_headers_costs_nine_bytes() {
    let bytes = ValueEnvelope::plain(7, b"count");
    assert_eq!(bytes.len(), PLAIN_LEN + 5);
    assert_eq!(
        ValueEnvelope::parse(&bytes),
        Ok(ValueEnvelope {
            timestamp: 7,
            header_bytes: b"",
            value: b"count"
        })
    );
}

#[test]
fn bytes_cut_inside_the_front_are_refused() {
    let bytes = ValueEnvelope::plain(7, b"");
    assert_eq!(ValueEnvelope::parse(&bytes[..8]), Err(CutShort));
}

#[test]
fn layout_stays_what_stores_on_disk_already_hold() {
    let mut bytes = Vec::new();
    ValueEnvelope::append(
        1,
        [(b"h".as_slice(), Some(b"x".as_slice())), (b"n", None)].into_iter(),
        b"v",
        &mut bytes,
    );
    assert_eq!(bytes, b"\0\0\0\0\0\0\0\x01\x08\x02\x01h\x02x\x01n\0v");
}
