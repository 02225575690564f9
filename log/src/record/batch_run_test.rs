//! Runs of batches: borrowed walks agree with owning ones, and own bytes are not copied.

use bytes::{Bytes, BytesMut};

use super::*;
use crate::record::{BatchBuilder, BatchIter, BatchOptions};

fn run(batches: usize) -> Bytes {
    let mut run = BytesMut::new();
    for number in 0..batches {
        let mut batch = BatchBuilder::new(BatchOptions::default());
        batch
            .append(7, Some(format!("key {number}").as_bytes()), Some(b"value"), &[])
            .unwrap();
        run.extend_from_slice(&batch.build());
    }
    run.freeze()
}

#[test]
fn a_borrowed_walk_sees_what_an_owning_one_sees() {
    let run = run(3);
    for end in 0..=run.len() {
        let cut = run.slice(..end);
        let borrowed: Vec<_> = batches_of(&cut)
            .map(|batch| batch.map(|batch| (batch.header, batch.bytes.to_vec())))
            .collect();
        let owned: Vec<_> = BatchIter::new(cut.clone())
            .map(|batch| batch.map(|batch| (*batch.header(), batch.bytes().to_vec())))
            .collect();
        assert_eq!(borrowed, owned, "cut at {end}");
    }
}

#[test]
fn a_changed_byte_fails_the_checksum() {
    let mut bytes = run(1).to_vec();
    assert!(batches_of(&bytes).all(|batch| batch.unwrap().check_crc().is_ok()));
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert!(batches_of(&bytes).all(|batch| batch.unwrap().check_crc().is_err()));
}

#[test]
fn pieces_of_one_frame_stay_where_they_are() {
    let mut frame = BytesMut::from(&run(2)[..]);
    let second = frame.split_off(frame.len() / 2);
    let (at_first, at_second) = (frame.as_ptr(), second.as_ptr());
    assert_eq!(BatchBytes::from(frame).into_own().as_ptr(), at_first);
    assert_eq!(BatchBytes::from(second).into_own().freeze().as_ptr(), at_second);
}

#[test]
fn shared_bytes_are_copied_and_left_as_they_are() {
    let shared = run(1);
    let mut own = BatchBytes::from(shared.clone()).into_own();
    own[0] ^= 0xff;
    assert_ne!(own[0], shared[0]);
}
