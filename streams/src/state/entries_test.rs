//! Entries keep their numbers, however many pieces they fill.

use super::*;
use crate::state::hot_table::HotTable;

#[test]
fn every_entry_is_found_by_its_number_in_every_piece() {
    let count = 2 * PIECE + 3;
    let mut table = HotTable::new(true);
    let key = |number: usize| (number as u64).to_be_bytes();
    for number in 0..count {
        assert_eq!(table.entries.len(), number);
        assert_eq!(
            table.find_or_add((number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15), &key(number)) as usize,
            number
        );
    }
    for number in 0..count {
        assert_eq!(table.key(number as u32), key(number));
    }
    assert_eq!(table.entries.iter().count(), count);
    assert_eq!(Entries::default().len(), 0);
}
