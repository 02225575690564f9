//! Cutting a byte stream into frames: four bytes of length, then so many bytes.
//!
//! The caller owns the buffer and fills it; this file says how much more is wanted and cuts what is whole. Always true: a length above the
//! cap, or negative, is refused before memory is taken; for a long frame memory is taken only after its first 64 KiB have come, so that a length alone
//! costs its sender more than us. A frame of its own allocation can be kept or changed in place without holding on to its neighbours.

use bytes::{Buf, BytesMut};
use thiserror::Error;

/// What is taken on trust: the buffer before a long frame has shown that it is coming.
pub const TRUSTED_BYTES: usize = 64 * 1024;

/// Room asked for when nothing is known of what comes.
pub(super) const SMALL_READ: usize = 8 * 1024;

/// A length that is refused.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("frame of {length} bytes refused: the most allowed is {limit}")]
pub struct FrameTooLarge {
    /// As it stood in the stream.
    pub length: i64,
    /// The cap.
    pub limit: usize,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Cut {
    /// A whole frame, without its length.
    Frame(BytesMut),
    /// Read more into the buffer: room was made.
    More,
    /// The frame is long and coming: it takes so many bytes, its length included. Call [`make_room`] once they may be taken.
    Large(usize),
}

/// Cuts the next frame off `buffer`, or makes room for more of it.
pub fn cut(buffer: &mut BytesMut, limit: usize) -> Result<Cut, FrameTooLarge> {
    let Some(length) = buffer
        .first_chunk::<4>()
        .map(|prefix| i32::from_be_bytes(*prefix))
    else {
        reserve(buffer, SMALL_READ);
        return Ok(Cut::More);
    };
    let refused = FrameTooLarge {
        length: length.into(),
        limit,
    };
    let Ok(length) = usize::try_from(length) else {
        return Err(refused);
    };
    if length > limit {
        return Err(refused);
    }
    let whole = length + 4;
    if buffer.len() >= whole {
        buffer.advance(4);
        return Ok(Cut::Frame(buffer.split_to(length)));
    }
    if whole <= SMALL_READ {
        reserve(buffer, SMALL_READ);
        return Ok(Cut::More);
    }
    if buffer.capacity() >= whole {
        return Ok(Cut::More);
    }
    if whole <= TRUSTED_BYTES {
        make_room(buffer, whole);
        return Ok(Cut::More);
    }
    if buffer.len() < TRUSTED_BYTES {
        reserve(buffer, TRUSTED_BYTES - buffer.len());
        return Ok(Cut::More);
    }
    Ok(Cut::Large(whole))
}

/// Gives a long frame an allocation of its own, of exactly its size: what comes behind it goes elsewhere.
pub fn make_room(buffer: &mut BytesMut, whole: usize) {
    let mut own = BytesMut::with_capacity(whole);
    own.extend_from_slice(buffer);
    *buffer = own;
}

fn reserve(buffer: &mut BytesMut, room: usize) {
    if buffer.capacity() - buffer.len() < room {
        buffer.reserve(room);
    }
}

#[cfg(test)]
#[path = "frame_test.rs"]
mod frame_test;
