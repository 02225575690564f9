//! Where the changelogs of a task's stores ended at a commit, in the few bytes that fit beside an offset.
//!
//! A store is written as a code of 28 bits, the hash of its name; codes are sorted and written as differences, so three hundred stores take some eight bytes each with their
//! offsets. Always true: two stores of one task never share a code here. Those whose codes are equal are written by name instead, so no name has to be changed for it.
//! A code of a store that was dropped may be that of one that is added (one in 268 million for each pair): then the new one does not start and says why; nothing is lost.
//!
//! Next: `offset_metadata.rs`, which carries it.

use bytes::{Buf, BufMut, Bytes};
use millpond_log::types::Offset;

/// Four groups of seven bits.
const CODE_BITS: u32 = 28;

/// Offsets after the last changelog records that belong to a commit, by store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChangelogEnds {
    /// By the code of the store's name, ascending.
    coded: Vec<(u32, Offset)>,
    /// By name: stores whose codes are equal, and all of them in the format's version 1.
    named: Vec<(String, Offset)>,
}

impl ChangelogEnds {
    /// Of **all** logged stores of a task; those without an offset were never written to.
    #[must_use]
    pub fn of<'a>(stores: impl IntoIterator<Item = (&'a str, Option<Offset>)>) -> ChangelogEnds {
        let mut stores: Vec<_> = stores
            .into_iter()
            .map(|(name, end)| (code(name), name, end))
            .collect();
        stores.sort_unstable();
        let mut ends = ChangelogEnds::default();
        for alike in stores.chunk_by(|left, right| left.0 == right.0) {
            // A store without an offset counts: it must not be taken for the one that has.
            for (code, name, end) in alike {
                match end {
                    None => {}
                    Some(end) if alike.len() == 1 => ends.coded.push((*code, *end)),
                    Some(end) => ends.named.push(((*name).to_owned(), *end)),
                }
            }
        }
        ends
    }

    /// By name only: what the format's version 1 says.
    pub(super) fn named(named: Vec<(String, Offset)>) -> ChangelogEnds {
        ChangelogEnds {
            coded: Vec::new(),
            named,
        }
    }

    /// The recorded end of one store's changelog.
    #[must_use]
    pub fn get(&self, store: &str) -> Option<Offset> {
        let by_name = self.named.iter().find(|(name, _)| name == store);
        by_name.map(|(_, end)| *end).or_else(|| {
            let place = self.coded.binary_search_by_key(&code(store), |(code, _)| *code);
            place.ok().map(|place| self.coded[place].1)
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(self.coded.len() as u64, out);
        let mut before = 0;
        for (code, end) in &self.coded {
            put_varint(u64::from(code - before), out);
            put_varint(end.get() as u64, out);
            before = *code;
        }
        put_varint(self.named.len() as u64, out);
        for (name, end) in &self.named {
            put_varint(name.len() as u64, out);
            out.put_slice(name.as_bytes());
            put_varint(end.get() as u64, out);
        }
    }

    /// Reads what [`encode`](Self::encode) wrote from the front of `bytes`. Errs with what is wrong.
    pub(super) fn decode(bytes: &mut Bytes) -> Result<ChangelogEnds, &'static str> {
        let mut ends = ChangelogEnds::default();
        let mut before = None;
        for _ in 0..take_varint(bytes)? {
            let step = take_varint(bytes)?;
            let code = step
                .checked_add(before.unwrap_or(0))
                .filter(|code| *code >> CODE_BITS == 0 && before.is_none_or(|before| before < *code))
                .ok_or("codes of stores are out of order")?;
            before = Some(code);
            ends.coded.push((code as u32, take_offset(bytes)?));
        }
        for _ in 0..take_varint(bytes)? {
            let length = usize::try_from(take_varint(bytes)?).unwrap_or(usize::MAX);
            if bytes.remaining() < length {
                return Err("cut off in a store name");
            }
            let name =
                String::from_utf8(bytes.split_to(length).to_vec()).map_err(|_| "store name is not UTF-8")?;
            ends.named.push((name, take_offset(bytes)?));
        }
        Ok(ends)
    }
}

/// The same in every version: FNV-1a of 64 bits, folded.
fn code(name: &str) -> u32 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    ((hash ^ (hash >> 32)) & ((1 << CODE_BITS) - 1)) as u32
}

/// Seven bits a byte, the lowest first; the top bit says that there are more.
pub(super) fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.put_u8(number as u8 | 0x80);
        number >>= 7;
    }
    out.put_u8(number as u8);
}

pub(super) fn take_varint(bytes: &mut Bytes) -> Result<u64, &'static str> {
    let mut number = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = bytes.try_get_u8().map_err(|_| "cut off in a number")?;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            break;
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err("a number is too large")
}

fn take_offset(bytes: &mut Bytes) -> Result<Offset, &'static str> {
    let offset = i64::try_from(take_varint(bytes)?).map_err(|_| "an offset is too large")?;
    Ok(Offset::new(offset))
}

#[cfg(test)]
#[path = "changelog_ends_test.rs"]
mod changelog_ends_test;
