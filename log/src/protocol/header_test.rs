//! Request headers, sound and not.

use bytes::BytesMut;

use super::*;

fn frame(parts: &[&[u8]]) -> BytesMut {
    BytesMut::from(&parts.concat()[..])
}

#[test]
fn a_plain_header_leaves_the_body() {
    let mut bytes = frame(&[b"\0\x03\0\x01\0\0\0\x07\0\x03abc", b"body"]);
    let header = RequestHeader::take(&mut bytes).unwrap();
    assert_eq!(
        (header.api_key, header.api_version, header.correlation_id),
        (3, 1, 7)
    );
    assert_eq!(header.client_id.as_deref(), Some("abc"));
    assert_eq!(&bytes[..], b"body");
}

#[test]
fn unknown_tagged_fields_of_a_flexible_header_are_skipped() {
    // Metadata 9, null client id, two tagged fields of 1 and 3 bytes.
    let mut bytes = frame(&[
        b"\0\x03\0\x09\0\0\0\x07\xff\xff",
        b"\x02\x05\x01x\x09\x03xyz",
        b"body",
    ]);
    let header = RequestHeader::take(&mut bytes).unwrap();
    assert_eq!(header.client_id, None);
    assert_eq!(&bytes[..], b"body");
}

#[test]
fn lengths_beyond_the_frame_are_errors() {
    for broken in [
        &b"\0\x03\0\x01\0\0"[..],
        b"\0\x03\0\x01\0\0\0\x07\x7f\xffabc",
        b"\0\x03\0\x01\0\0\0\x07\xff\xfeabc",
        b"\0\x03\0\x09\0\0\0\x07\xff\xff",
        b"\0\x03\0\x09\0\0\0\x07\xff\xff\x01\x00\xff\xff\xff\xff\x0f",
        b"\0\x03\0\x09\0\0\0\x07\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let mut bytes = BytesMut::from(broken);
        assert!(RequestHeader::take(&mut bytes).is_err(), "{broken:?}");
    }
}
