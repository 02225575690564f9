//! Protobuf varints with zig-zag, as record fields are written.
//!
//! Always true: a value takes at most 5 (`i32`) or 10 (`i64`) bytes; longer or overflowing encodings are refused.

use bytes::BufMut;

/// Bytes `value` takes as a zig-zag varint.
#[inline]
pub const fn size(value: i64) -> usize {
    let zigzag = ((value << 1) ^ (value >> 63)) as u64;
    let bits = 64 - (zigzag | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Appends `value` as a zig-zag varint.
#[inline]
pub fn put(out: &mut impl BufMut, value: i64) {
    let mut zigzag = ((value << 1) ^ (value >> 63)) as u64;
    if zigzag < 0x80 {
        out.put_u8(zigzag as u8);
        return;
    }
    if zigzag < 0x4000 {
        out.put_slice(&[zigzag as u8 | 0x80, (zigzag >> 7) as u8]);
        return;
    }
    let mut bytes = [0u8; 10];
    let mut length = 0;
    while zigzag >= 0x80 {
        bytes[length] = zigzag as u8 | 0x80;
        zigzag >>= 7;
        length += 1;
    }
    bytes[length] = zigzag as u8;
    out.put_slice(&bytes[..=length]);
}

/// Takes a zig-zag varint of at most 64 bits off the front; `None` if it is cut short or too long.
#[inline]
pub fn take_i64(input: &mut &[u8]) -> Option<i64> {
    match take_short(input) {
        Some(value) => Some(value),
        None => take_long(input),
    }
}

/// Values of one or two bytes are nearly all there are: lengths and deltas of small records. `None`, and nothing taken, for others.
#[inline(always)]
fn take_short(input: &mut &[u8]) -> Option<i64> {
    match **input {
        [first, ref rest @ ..] if first < 0x80 => {
            *input = rest;
            Some(unzigzag(u64::from(first)))
        }
        [first, second, ref rest @ ..] if second < 0x80 => {
            *input = rest;
            Some(unzigzag(u64::from(first & 0x7f) | u64::from(second) << 7))
        }
        _ => None,
    }
}

fn take_long(input: &mut &[u8]) -> Option<i64> {
    let mut value = 0;
    for (index, &byte) in input.iter().enumerate().take(10) {
        let bits = u64::from(byte & 0x7f);
        if index == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * index);
        if byte < 0x80 {
            *input = &input[index + 1..];
            return Some(unzigzag(value));
        }
    }
    None
}

/// Takes a zig-zag varint that must fit 32 bits off the front; `None` if it does not, or is cut short.
#[inline]
pub fn take_i32(input: &mut &[u8]) -> Option<i32> {
    if let Some(value) = take_short(input) {
        return Some(value as i32);
    }
    let mut rest = *input;
    let value = i32::try_from(take_long(&mut rest)?).ok()?;
    if input.len() - rest.len() > 5 {
        return None;
    }
    *input = rest;
    Some(value)
}

#[inline]
const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
#[path = "varint_test.rs"]
mod varint_test;
