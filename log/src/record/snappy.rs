//! Snappy as Kafka's clients pack it: in the framing of the Java library (xerial: magic, versions, then length-prefixed blocks), or as one bare block.
//!
//! Written framed, read in both forms. Always true: a block unpacks to at most [`MAX_RATIO`] times its size and to at most the room its reader gives;
//! what the sender claims reserves no more than that. Next: `compression.rs` has the other codecs.

use std::io::{self, Read};

/// First bytes of xerial framing: magic, then version 1, compatible with 1.
const HEADER: [u8; 16] = [
    0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1,
];
const MAGIC_LENGTH: usize = 8;
/// Uncompressed bytes per block, as the Java library writes them.
const BLOCK_SIZE: usize = 32 << 10;
/// No snappy element yields more than 64 bytes from two: a block cannot honestly claim more than this many times its size.
const MAX_RATIO: usize = 32;

/// Why a payload cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub(super) enum SnappyError {
    #[error("{0}")]
    Corrupt(&'static str),
    #[error("{0}")]
    Block(#[from] snap::Error),
    #[error("block unpacks to more than is allowed")]
    TooLarge,
}

/// Appends `records`, packed and framed, to `out`.
pub(super) fn compress(records: &[u8], out: &mut Vec<u8>) -> Result<(), snap::Error> {
    out.extend_from_slice(&HEADER);
    let mut encoder = snap::raw::Encoder::new();
    for block in records.chunks(BLOCK_SIZE) {
        let at = out.len();
        out.resize(at + 4 + snap::raw::max_compress_len(block.len()), 0);
        let size = encoder.compress(block, &mut out[at + 4..])?;
        out[at..at + 4].copy_from_slice(&(size as u32).to_be_bytes());
        out.truncate(at + 4 + size);
    }
    Ok(())
}

/// The blocks of a payload, in order.
#[derive(Debug)]
pub(super) struct Blocks<'a> {
    rest: &'a [u8],
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Framed,
    /// One block without a frame, still to be read.
    Bare,
    /// Nothing is left of it.
    Done,
}

impl<'a> Blocks<'a> {
    pub(super) fn of(payload: &'a [u8]) -> Result<Self, SnappyError> {
        if !payload.starts_with(&HEADER[..MAGIC_LENGTH]) {
            return Ok(Self {
                rest: payload,
                form: Form::Bare,
            });
        }
        let rest = payload
            .get(HEADER.len()..)
            .ok_or(SnappyError::Corrupt("xerial header is cut short"))?;
        Ok(Self {
            rest,
            form: Form::Framed,
        })
    }

    /// Appends the next block, unpacked, to `out`, which may take `room` bytes more; false after the last.
    pub(super) fn unpack_next(&mut self, out: &mut Vec<u8>, room: usize) -> Result<bool, SnappyError> {
        match self.form {
            Form::Done => return Ok(false),
            Form::Bare => {
                self.form = Form::Done;
                unpack(self.rest, out, room)?;
                return Ok(true);
            }
            Form::Framed => {}
        }
        // Two framed payloads back to back are legal: the header then stands where a block would.
        while let Some(rest) = self.rest.strip_prefix(&HEADER) {
            self.rest = rest;
        }
        if self.rest.is_empty() {
            return Ok(false);
        }
        let (length, tail) = self
            .rest
            .split_first_chunk()
            .ok_or(SnappyError::Corrupt("block length is cut short"))?;
        let (block, tail) = tail
            .split_at_checked(u32::from_be_bytes(*length) as usize)
            .ok_or(SnappyError::Corrupt("block is cut short"))?;
        unpack(block, out, room)?;
        self.rest = tail;
        Ok(true)
    }
}

fn unpack(block: &[u8], out: &mut Vec<u8>, room: usize) -> Result<(), SnappyError> {
    let size = snap::raw::decompress_len(block)?;
    if size / MAX_RATIO > block.len() {
        return Err(SnappyError::Corrupt("block claims more than it can hold"));
    }
    if size > room {
        return Err(SnappyError::TooLarge);
    }
    let at = out.len();
    out.resize(at + size, 0);
    snap::raw::Decoder::new().decompress(block, &mut out[at..])?;
    Ok(())
}

/// Reads a payload block by block; holds one block unpacked.
#[derive(Debug)]
pub(super) struct BlockReader<'a> {
    blocks: Blocks<'a>,
    block: Vec<u8>,
    at: usize,
    block_bytes_max: usize,
}

impl<'a> BlockReader<'a> {
    /// Over a payload none of whose blocks may unpack to more than `block_bytes_max`.
    pub(super) fn new(payload: &'a [u8], block_bytes_max: usize) -> Result<Self, SnappyError> {
        Ok(Self {
            blocks: Blocks::of(payload)?,
            block: Vec::new(),
            at: 0,
            block_bytes_max,
        })
    }
}

impl Read for BlockReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            self.block.clear();
            self.at = 0;
            let next = self.blocks.unpack_next(&mut self.block, self.block_bytes_max);
            if !next.map_err(io::Error::other)? {
                return Ok(0);
            }
        }
        let length = out.len().min(self.block.len() - self.at);
        out[..length].copy_from_slice(&self.block[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}
