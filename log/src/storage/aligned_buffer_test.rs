//! The buffer for direct writes: where it lies and how long it is.

use super::AlignedBuffer;
use crate::storage::disk::DIRECT_ALIGN;

#[test]
fn gathers_pieces_at_an_aligned_address_up_to_whole_blocks() {
    let mut buffer = AlignedBuffer::default();
    for capacity in [1, DIRECT_ALIGN, 3 * DIRECT_ALIGN - 1, 10] {
        buffer.reset(capacity);
        let whole = capacity.next_multiple_of(DIRECT_ALIGN);
        assert_eq!(buffer.fill(b"abc"), 3);
        assert_eq!(buffer.filled(), b"abc");
        assert_eq!(buffer.fill(&vec![7; whole]), whole - 3);
        assert!(buffer.is_full());
        assert_eq!(buffer.filled().len(), whole);
        assert_eq!(buffer.filled().as_ptr().align_offset(DIRECT_ALIGN), 0);
        buffer.clear();
        assert!(buffer.filled().is_empty());
    }
}
