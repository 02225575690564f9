//! Changes as bytes, for the repartition topic of a grouped table.
//!
//! Both halves of a change that stay under one key travel in one record, so that the aggregate is never seen without either (KIP-904):
//! ```text
//! 0 | new                       an addition
//! 1 | old                       a removal
//! 2 | length of new, varint | new | old
//! ```
//! A change of nothing to nothing is never sent.

use super::change::Change;
use crate::serde::{Serde, SerdeError, SerdeRef};

const NEW: u8 = 0;
const OLD: u8 = 1;
const BOTH: u8 = 2;

/// Reads and writes changes of values that the inner serde takes.
pub(in crate::dsl) struct ChangeSerde<V>(pub(in crate::dsl) SerdeRef<V>);

impl<V: 'static> Serde<Change<V>> for ChangeSerde<V> {
    fn serialize(&self, change: &Change<V>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        match (&change.new, &change.old) {
            (Some(new), None) => {
                out.push(NEW);
                self.0.serialize(new, out)
            }
            (None, Some(old)) => {
                out.push(OLD);
                self.0.serialize(old, out)
            }
            (Some(new), Some(old)) => {
                let mut bytes = Vec::new();
                self.0.serialize(new, &mut bytes)?;
                out.push(BOTH);
                put_varint(bytes.len(), out);
                out.extend_from_slice(&bytes);
                self.0.serialize(old, out)
            }
            (None, None) => Err(damaged("neither a value before nor one after")),
        }
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Change<V>, SerdeError> {
        let (kind, rest) = bytes.split_first().ok_or_else(|| damaged("no bytes"))?;
        let (new, old) = match *kind {
            NEW => (Some(rest), None),
            OLD => (None, Some(rest)),
            BOTH => {
                let (new_len, rest) = take_varint(rest).ok_or_else(|| damaged("a length is cut short"))?;
                let halves = rest.split_at_checked(new_len);
                let (new, old) = halves.ok_or_else(|| damaged("a value is cut short"))?;
                (Some(new), Some(old))
            }
            _ => return Err(damaged("an unknown kind of change")),
        };
        let read = |half: Option<&[u8]>| half.map(|bytes| self.0.deserialize(bytes)).transpose();
        Ok(Change::latest(read(new)?, read(old)?))
    }

    fn detach(&self, change: &mut Change<V>) {
        let halves = [&mut change.new, &mut change.old].into_iter().flatten();
        halves.for_each(|value| self.0.detach(value));
    }

    fn heap_bytes(&self, change: &Change<V>) -> Option<usize> {
        let halves = [&change.new, &change.old].into_iter().flatten();
        halves.map(|value| self.0.heap_bytes(value)).sum()
    }
}

fn damaged(what: &str) -> SerdeError {
    SerdeError::Format {
        format: "change",
        cause: what.to_owned(),
    }
}

/// Appends a length, seven bits a byte, lowest first.
pub(in crate::dsl) fn put_varint(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A length and the bytes after it.
pub(in crate::dsl) fn take_varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0_usize;
    for (place, byte) in bytes.iter().enumerate().take(9) {
        number |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
#[path = "change_serde_test.rs"]
mod change_serde_test;
