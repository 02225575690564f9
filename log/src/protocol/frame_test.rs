//! Frames cut from streams that come in pieces, and lengths that are refused.

use bytes::BytesMut;

use super::*;

fn framed(length: usize) -> Vec<u8> {
    let mut bytes = (length as i32).to_be_bytes().to_vec();
    bytes.extend((0..length).map(|at| at as u8));
    bytes
}

/// Feeds `stream` in pieces of `piece` bytes, never more than there is room for, and collects the frames.
fn cut_all(stream: &[u8], piece: usize, limit: usize) -> Result<Vec<Vec<u8>>, FrameTooLarge> {
    let (mut buffer, mut at, mut frames) = (BytesMut::new(), 0, Vec::new());
    loop {
        match cut(&mut buffer, limit)? {
            Cut::Frame(frame) => frames.push(frame.to_vec()),
            Cut::Large(whole) => make_room(&mut buffer, whole),
            Cut::More if at == stream.len() => return Ok(frames),
            Cut::More => {
                let room = buffer.capacity() - buffer.len();
                assert!(room > 0, "room was promised");
                let take = piece.min(room).min(stream.len() - at);
                buffer.extend_from_slice(&stream[at..at + take]);
                at += take;
            }
        }
    }
}

#[test]
fn frames_come_out_whole_whatever_the_pieces() {
    let lengths = [0, 1, 5, 8 * 1024, TRUSTED_BYTES - 4, TRUSTED_BYTES, 300_000, 3];
    let stream: Vec<u8> = lengths.iter().flat_map(|length| framed(*length)).collect();
    for piece in [1, 7, 4096, 1 << 20] {
        let frames = cut_all(&stream, piece, 1 << 20).unwrap();
        let got: Vec<_> = frames.iter().map(Vec::len).collect();
        assert_eq!(got, lengths, "pieces of {piece}");
        assert_eq!(frames[6], framed(300_000)[4..]);
    }
}

#[test]
fn a_length_above_the_cap_or_negative_is_refused_before_memory_is_taken() {
    for length in [101i32, i32::MAX, -1, i32::MIN] {
        let mut buffer = BytesMut::from(&length.to_be_bytes()[..]);
        let refused = cut(&mut buffer, 100).unwrap_err();
        assert_eq!(
            refused,
            FrameTooLarge {
                length: length.into(),
                limit: 100
            }
        );
        assert!(buffer.capacity() <= 64);
    }
}

#[test]
fn a_promised_length_alone_takes_no_more_than_the_trusted_bytes() {
    let mut buffer = BytesMut::from(&(100i32 << 20).to_be_bytes()[..]);
    assert_eq!(cut(&mut buffer, 100 << 20), Ok(Cut::More));
    assert!(
        buffer.capacity() <= 2 * TRUSTED_BYTES,
        "took {}",
        buffer.capacity()
    );
}
