//! What a store keeps per key: the record's timestamp, its headers and its value, readable in place.
//!
//! ```text
//! timestamp  i64 big-endian | length of headers  varint | headers | value (to the end)
//! headers = count varint, then per header: key length varint, key, value length + 1 varint (0 = null), value
//! ```
//! Without headers that is nine bytes in front of the value, always: fixed-width values stay fixed-width, so that an
//! update overwrites them in place. Timestamp and headers are there from the first version, because a store written
//! without them could not be read by a later one that needs them.

use millpond_log::types::Timestamp;

/// Bytes in front of a value that has no headers.
pub const PLAIN_LEN: usize = 9;

/// A stored value, borrowed from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueEnvelope<'a> {
    /// Timestamp of the record that wrote it, or the largest of those it was folded from.
    pub timestamp: Timestamp,
    /// Encoded headers; empty when there are none. [`headers`](Self::headers) walks them.
    pub header_bytes: &'a [u8],
    /// The value itself.
    pub value: &'a [u8],
}

/// One header: key and, unless null, value.
pub type HeaderRef<'a> = (&'a [u8], Option<&'a [u8]>);

/// Stored bytes that are no envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stored value is cut short")]
pub struct CutShort;

impl<'a> ValueEnvelope<'a> {
    /// Reads an envelope in place.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, CutShort> {
        let (timestamp, rest) = bytes.split_first_chunk::<8>().ok_or(CutShort)?;
        let (header_len, rest) = take_varint(rest)?;
        let (header_bytes, value) = rest.split_at_checked(header_len).ok_or(CutShort)?;
        Ok(Self {
            timestamp: Timestamp::from_be_bytes(*timestamp),
            header_bytes,
            value,
        })
    }

    /// Appends an envelope without headers to `buffer`.
    pub fn append_plain(timestamp: Timestamp, value: &[u8], buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&timestamp.to_be_bytes());
        buffer.push(0);
        buffer.extend_from_slice(value);
    }

    /// An envelope without headers.
    pub fn plain(timestamp: Timestamp, value: &[u8]) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(PLAIN_LEN + value.len());
        Self::append_plain(timestamp, value, &mut buffer);
        buffer
    }

    /// Appends an envelope to `buffer`.
    pub fn append<'h>(
        timestamp: Timestamp,
        headers: impl ExactSizeIterator<Item = HeaderRef<'h>>,
        value: &[u8],
        buffer: &mut Vec<u8>,
    ) {
        if headers.len() == 0 {
            return Self::append_plain(timestamp, value, buffer);
        }
        let mut encoded = Vec::new();
        put_varint(headers.len(), &mut encoded);
        for (key, value) in headers {
            put_varint(key.len(), &mut encoded);
            encoded.extend_from_slice(key);
            put_varint(value.map_or(0, |value| value.len() + 1), &mut encoded);
            encoded.extend_from_slice(value.unwrap_or_default());
        }
        buffer.extend_from_slice(&timestamp.to_be_bytes());
        put_varint(encoded.len(), buffer);
        buffer.extend_from_slice(&encoded);
        buffer.extend_from_slice(value);
    }

    /// The headers, in the order they were written.
    pub fn headers(&self) -> Result<Vec<HeaderRef<'a>>, CutShort> {
        if self.header_bytes.is_empty() {
            return Ok(Vec::new());
        }
        let (count, mut rest) = take_varint(self.header_bytes)?;
        let mut headers = Vec::new();
        for _ in 0..count {
            let (key_len, after) = take_varint(rest)?;
            let (key, after) = after.split_at_checked(key_len).ok_or(CutShort)?;
            let (value_len, after) = take_varint(after)?;
            let (value, after) = after
                .split_at_checked(value_len.saturating_sub(1))
                .ok_or(CutShort)?;
            headers.push((key, (value_len > 0).then_some(value)));
            rest = after;
        }
        Ok(headers)
    }
}

fn put_varint(mut number: usize, buffer: &mut Vec<u8>) {
    while number >= 0x80 {
        buffer.push(number as u8 | 0x80);
        number >>= 7;
    }
    buffer.push(number as u8);
}

fn take_varint(bytes: &[u8]) -> Result<(usize, &[u8]), CutShort> {
    let mut number = 0usize;
    for (place, byte) in bytes.iter().enumerate().take(9) {
        number |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok((number, &bytes[place + 1..]));
        }
    }
    Err(CutShort)
}

#[cfg(test)]
#[path = "value_envelope_test.rs"]
mod value_envelope_test;
