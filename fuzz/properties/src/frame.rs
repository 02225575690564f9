//! Target 1: frames and request headers, before anybody has proved who they are.
//!
//! Input: a byte that says in what pieces the stream comes, then the stream. Promised: a stream comes out the same whatever its pieces; no length
//! costs more memory than was paid for with bytes; a header is read or refused.

use bytes::BytesMut;
use fastrand::Rng;
use millpond_log::protocol::api::lookup;
use millpond_log::protocol::frame::{Cut, TRUSTED_BYTES, cut, make_room};
use millpond_log::protocol::header::RequestHeader;

use crate::{peak, pick};

/// The cap before authentication.
const LIMIT: usize = 512 * 1024;

/// What came out: the frames, and whether the stream was refused after them.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    frames: Vec<Vec<u8>>,
    refused: bool,
}

fn read(stream: &[u8], piece: usize, largest_buffer: &mut usize) -> Read {
    let (mut buffer, mut at, mut frames) = (BytesMut::new(), 0, Vec::new());
    loop {
        match cut(&mut buffer, LIMIT) {
            Err(_) => {
                return Read {
                    frames,
                    refused: true,
                };
            }
            Ok(Cut::Frame(frame)) => frames.push(frame.to_vec()),
            Ok(Cut::Large(whole)) => make_room(&mut buffer, whole),
            Ok(Cut::More) if at == stream.len() => {
                return Read {
                    frames,
                    refused: false,
                };
            }
            Ok(Cut::More) => {
                let room = buffer.capacity() - buffer.len();
                assert!(room > 0, "room was promised");
                let take = piece.min(room).min(stream.len() - at);
                buffer.extend_from_slice(&stream[at..at + take]);
                at += take;
            }
        }
        *largest_buffer = (*largest_buffer).max(buffer.capacity());
    }
}

pub(crate) fn property(input: &[u8]) -> bool {
    let Some((&piece, stream)) = input.split_first() else {
        return false;
    };
    let mut buffer = 0;
    let whole = read(stream, usize::MAX, &mut buffer);
    assert_eq!(
        whole,
        read(stream, usize::from(piece) + 1, &mut buffer),
        "pieces of {} bytes",
        usize::from(piece) + 1
    );
    let most = 2 * TRUSTED_BYTES + 8 * stream.len();
    assert!(
        buffer <= most,
        "{buffer} bytes of buffer for {} sent",
        stream.len()
    );
    let mut sound = false;
    for frame in &whole.frames {
        let (mut rest, _held) = pick::held(frame);
        let (header, memory) = peak(|| RequestHeader::take(&mut rest));
        assert!(
            memory <= frame.len() + 1024,
            "{memory} bytes for a header in {}",
            frame.len()
        );
        let Ok(header) = header else { continue };
        assert!(rest.len() + 10 <= frame.len());
        lookup(header.api_key, header.api_version);
        sound = true;
    }
    sound
}

pub(crate) fn sample(rng: &mut Rng) -> Vec<u8> {
    let mut input = vec![rng.u8(..)];
    for _ in 0..rng.usize(1..4) {
        let request = pick::sample(rng);
        let (head, body) = request.split_at(4);
        let mut frame = head.to_vec();
        frame.extend(rng.i32(..).to_be_bytes());
        match rng.usize(..4) {
            0 => frame.extend((-1i16).to_be_bytes()),
            length => {
                frame.extend((length as i16).to_be_bytes());
                frame.extend(std::iter::repeat_with(|| rng.alphanumeric() as u8).take(length));
            }
        }
        // Tagged fields, where the header has them: none, or one.
        frame.extend([&[0][..], &[1, 9, 2, 7, 7]][rng.usize(..2)]);
        frame.extend(body);
        input.extend((frame.len() as i32).to_be_bytes());
        input.extend(frame);
    }
    input
}
