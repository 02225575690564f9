//! Frames of the journal: bytes ⇄ values, no I/O.
//!
//! A frame is what one flush cycle made durable: for each piece of a segment its partition, place and bytes, under one CRC-32C. A journal
//! file is written from its start again after each checkpoint, so every frame carries the file's generation and its number within it;
//! replay ends at the first frame that does not continue the run. Whatever follows is torn or left over from an older generation.
//!
//! A frame starts at a multiple of a page and is filled up with zeros to the next one, so that it can be written past the page cache and no
//! write ever touches a page that holds an acknowledged frame. (Frames of magic 1 stood back to back; such a file is still read.)
//!
//! Frame, little endian: magic u32, crc u32 (of all that follows), generation u64, number u64, body length u32, pieces u32, then per piece
//! topic id 16 bytes, segment base i64, position u64, base offset i64, next offset i64, directory length u16, data length u32, directory, data.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use uuid::Uuid;

use super::disk::DIRECT_ALIGN;
use crate::types::Offset;

const MAGIC: u32 = 0x4d50_4a32;
/// Frames back to back, without filling.
const MAGIC_UNALIGNED: u32 = 0x4d50_4a31;
const HEADER_BYTES: usize = 4 + 4 + 8 + 8 + 4 + 4;
const PIECE_BYTES: usize = 16 + 8 + 8 + 8 + 8 + 2 + 4;
/// Most bytes a frame adds to its pieces.
pub const FRAME_OVERHEAD_MAX: usize = HEADER_BYTES + DIRECT_ALIGN - 1;
static FILLING: [u8; DIRECT_ALIGN] = [0; DIRECT_ALIGN];

/// Bytes that belong at one place of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalPiece {
    /// Topic the directory must still belong to.
    pub topic_id: Uuid,
    /// Name of the partition directory.
    pub directory: String,
    /// Base offset of the segment.
    pub segment_base: Offset,
    /// Position in its log file.
    pub position: u64,
    /// First offset in `data`.
    pub base_offset: Offset,
    /// One beyond the last offset in `data`.
    pub next_offset: Offset,
    /// Whole batches.
    pub data: Bytes,
}

/// Bytes a frame adds for a piece, without its data.
pub fn piece_overhead(directory: &str) -> usize {
    PIECE_BYTES + directory.len()
}

/// Encodes one frame as buffers to be written one after the other, whole pages in all; the data is shared, not copied.
pub fn encode_frame(generation: u64, number: u64, pieces: &[JournalPiece]) -> Vec<Bytes> {
    let mut buffers = Vec::with_capacity(pieces.len() * 2 + 2);
    let mut body_bytes = 0;
    buffers.push(Bytes::new());
    for piece in pieces {
        let mut head = BytesMut::with_capacity(piece_overhead(&piece.directory));
        head.put_slice(piece.topic_id.as_bytes());
        head.put_i64_le(piece.segment_base.get());
        head.put_u64_le(piece.position);
        head.put_i64_le(piece.base_offset.get());
        head.put_i64_le(piece.next_offset.get());
        head.put_u16_le(piece.directory.len() as u16);
        head.put_u32_le(piece.data.len() as u32);
        head.put_slice(piece.directory.as_bytes());
        body_bytes += head.len() + piece.data.len();
        buffers.push(head.freeze());
        buffers.push(piece.data.clone());
    }
    let mut rest = BytesMut::with_capacity(HEADER_BYTES - 8);
    rest.put_u64_le(generation);
    rest.put_u64_le(number);
    rest.put_u32_le(body_bytes as u32);
    rest.put_u32_le(pieces.len() as u32);
    let crc = buffers[1..]
        .iter()
        .fold(crc32c::crc32c(&rest), |crc, b| crc32c::crc32c_append(crc, b));
    let mut header = BytesMut::with_capacity(HEADER_BYTES);
    header.put_u32_le(MAGIC);
    header.put_u32_le(crc);
    header.put_slice(&rest);
    buffers[0] = header.freeze();
    let length = HEADER_BYTES + body_bytes;
    buffers.push(Bytes::from_static(
        &FILLING[..length.next_multiple_of(DIRECT_ALIGN) - length],
    ));
    buffers
}

/// What a journal file holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct JournalContents {
    /// Generation of the run at its start; 0 if there is none.
    pub generation: u64,
    /// The pieces, in the order they were made durable.
    pub pieces: Vec<JournalPiece>,
}

/// Decodes the run of frames at the start of a journal file. Never fails: the run ends where it is torn.
pub fn decode_file(file: &Bytes) -> JournalContents {
    let mut contents = JournalContents::default();
    let mut at = 0;
    let mut number = 0;
    while let Some((generation, frame_bytes, pieces)) =
        decode_frame(&file.slice(at.min(file.len())..), number)
    {
        if number == 0 {
            contents.generation = generation;
        } else if generation != contents.generation {
            break;
        }
        contents.pieces.extend(pieces);
        at += frame_bytes;
        number += 1;
    }
    contents
}

fn decode_frame(file: &Bytes, number: u64) -> Option<(u64, usize, Vec<JournalPiece>)> {
    let mut header = file.get(..HEADER_BYTES)?;
    let aligned = match header.get_u32_le() {
        MAGIC => true,
        MAGIC_UNALIGNED => false,
        _ => return None,
    };
    let crc = header.get_u32_le();
    let generation = header.get_u64_le();
    if header.get_u64_le() != number {
        return None;
    }
    let body_bytes = header.get_u32_le() as usize;
    let count = header.get_u32_le() as usize;
    let end = HEADER_BYTES.checked_add(body_bytes)?;
    if crc32c::crc32c(file.get(8..end)?) != crc {
        return None;
    }
    let mut body = file.slice(HEADER_BYTES..end);
    let mut pieces = Vec::with_capacity(count.min(body_bytes / PIECE_BYTES + 1));
    for _ in 0..count {
        if body.len() < PIECE_BYTES {
            return None;
        }
        let mut id = [0; 16];
        body.copy_to_slice(&mut id);
        let segment_base = Offset::new(body.get_i64_le());
        let position = body.get_u64_le();
        let base_offset = Offset::new(body.get_i64_le());
        let next_offset = Offset::new(body.get_i64_le());
        let directory_bytes = body.get_u16_le() as usize;
        let data_bytes = body.get_u32_le() as usize;
        if body.len() < directory_bytes + data_bytes {
            return None;
        }
        let directory = String::from_utf8(body.split_to(directory_bytes).to_vec()).ok()?;
        let data = body.split_to(data_bytes);
        pieces.push(JournalPiece {
            topic_id: Uuid::from_bytes(id),
            directory,
            segment_base,
            position,
            base_offset,
            next_offset,
            data,
        });
    }
    let next = if aligned {
        end.next_multiple_of(DIRECT_ALIGN)
    } else {
        end
    };
    Some((generation, next, pieces))
}
