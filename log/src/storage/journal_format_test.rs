//! The bytes of the journal: frames, generations, whole pages, damage.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use uuid::Uuid;

use super::disk::DIRECT_ALIGN;
use super::journal_format::{JournalPiece, decode_file, encode_frame, piece_overhead};
use crate::types::Offset;

fn piece(directory: &str, position: u64, data: &[u8]) -> JournalPiece {
    JournalPiece {
        topic_id: Uuid::from_u128(9),
        directory: directory.to_owned(),
        segment_base: Offset::new(40),
        position,
        base_offset: Offset::new(41),
        next_offset: Offset::new(43),
        data: Bytes::copy_from_slice(data),
    }
}

fn file(frames: &[(u64, u64, Vec<JournalPiece>)]) -> BytesMut {
    let mut file = BytesMut::new();
    for (generation, number, pieces) in frames {
        for part in encode_frame(*generation, *number, pieces) {
            file.extend_from_slice(&part);
        }
    }
    file
}

#[test]
fn a_run_ends_at_the_first_frame_of_an_older_generation() {
    let old = vec![piece("a-0", 0, b"old")];
    let new = vec![piece("a-0", 3, b"new"), piece("b-1", 0, b"")];
    let bytes = file(&[(5, 0, new.clone()), (4, 1, old)]).freeze();
    let contents = decode_file(&bytes);
    assert_eq!(contents.generation, 5);
    assert_eq!(contents.pieces, new);
}

#[test]
fn frames_fill_whole_pages() {
    let sizes = [0, 1, 4096 - 120, 4096, 9000];
    for bytes in sizes.map(|size| file(&[(1, 0, vec![piece("a-0", 0, &vec![1; size])])])) {
        assert!(bytes.len().is_multiple_of(DIRECT_ALIGN), "{} bytes", bytes.len());
    }
}

/// A journal left by a node whose frames stood back to back.
#[test]
fn frames_of_the_first_format_are_still_read() {
    let frames: Vec<_> = (0..3).map(|number| vec![piece("a-0", number, b"four")]).collect();
    let mut bytes = BytesMut::new();
    for (number, pieces) in frames.iter().enumerate() {
        let frame = file(&[(7, number as u64, pieces.clone())]);
        let length = 32 + piece_overhead("a-0") + 4;
        bytes.extend_from_slice(&0x4d50_4a31_u32.to_le_bytes());
        bytes.extend_from_slice(&frame[4..length]);
    }
    let contents = decode_file(&bytes.freeze());
    assert_eq!(contents.generation, 7);
    assert_eq!(contents.pieces, frames.concat());
}

proptest! {
    #[test]
    fn a_cut_or_flipped_file_gives_a_prefix_of_what_was_written(
        sizes in prop::collection::vec(0usize..300, 1..8), cut in 0usize..36_000, flip in 0usize..36_000,
    ) {
        let frames: Vec<_> = sizes.iter().enumerate().map(|(i, n)| (1u64, i as u64, vec![piece("topic-0", i as u64, &vec![i as u8; *n])])).collect();
        let all: Vec<_> = frames.iter().flat_map(|f| f.2.clone()).collect();
        let whole = file(&frames);
        let contents = decode_file(&whole.clone().freeze());
        prop_assert_eq!(&contents.pieces, &all);

        let mut damaged = whole.clone();
        damaged.truncate(cut.min(whole.len()));
        if let Some(byte) = damaged.get_mut(flip) {
            *byte ^= 0x10;
        }
        let read = decode_file(&damaged.freeze()).pieces;
        prop_assert_eq!(&read[..], &all[..read.len()]);
    }
}
