//! An update in the buffer of `suppress`, and its bytes in the store.
//!
//! ```text
//! store key    1 | key                       0 alone, for the time: largest timestamp i64, big-endian | 8 bytes no longer used
//! store value  envelope of timestamp and headers around:
//!              buffer time i64 big-endian | 1 = prior, 2 = new, 3 = both | length of prior, varint | prior | new
//! ```

use millpond_log::types::Timestamp;

use crate::dsl::change_serde::{put_varint, take_varint};
use crate::processor::{BoxError, Headers, NO_TIME};
use crate::serde::{Data, SerdeRef, held};
use crate::state::ValueEnvelope;

/// Store key of the time seen so far.
pub(super) const TIME_KEY: [u8; 1] = [0];
const ENTRY: u8 = 1;
const PRIOR: u8 = 1;
const NEW: u8 = 2;

/// The latest update of a key, held back.
pub(super) struct BufferEntry<K, V> {
    pub(super) key: K,
    /// What the receivers know.
    pub(super) prior: Option<V>,
    pub(super) new: Option<V>,
    pub(super) timestamp: Timestamp,
    pub(super) headers: Headers,
    /// Size that counts against the buffer's bound; 0 when there is none.
    pub(super) bytes: u64,
    /// The store has an entry under this key.
    pub(super) stored: bool,
}

/// Appends the store key of a key in bytes.
pub(super) fn append_store_key(key: &[u8], out: &mut Vec<u8>) {
    out.push(ENTRY);
    out.extend_from_slice(key);
}

/// The key in a store key; none for the one that holds stream time.
pub(super) fn key_of(store_key: &[u8]) -> Option<&[u8]> {
    store_key.strip_prefix(&[ENTRY])
}

/// How far time went for a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BufferTime {
    /// Largest timestamp that came by, or the time idle input went on to, in ms.
    pub(super) stream_time: Timestamp,
}

impl BufferTime {
    pub(super) const UNKNOWN: BufferTime = BufferTime { stream_time: NO_TIME };

    /// Time never goes back.
    pub(super) fn advance(&mut self, to: Timestamp) {
        self.stream_time = self.stream_time.max(to);
    }

    pub(super) fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.stream_time.to_be_bytes());
        bytes
    }

    pub(super) fn read(stored: &[u8]) -> Result<BufferTime, BoxError> {
        let read = || {
            let time = stored.first_chunk::<8>()?;
            Some(BufferTime {
                stream_time: Timestamp::from_be_bytes(*time),
            })
        };
        Ok(read().ok_or(DamagedEntry)?)
    }
}

/// A stored value that is no entry of a buffer.
#[derive(Debug, thiserror::Error)]
#[error("stored entry of the suppression buffer is cut short")]
pub(super) struct DamagedEntry;

impl<K: 'static, V: Data> BufferEntry<K, V> {
    /// It stays for longer than the batch it came in.
    pub(super) fn detach(&mut self, key: &SerdeRef<K>, value: &SerdeRef<V>) {
        held::detach(&**key, &mut self.key);
        let values = [&mut self.prior, &mut self.new].into_iter().flatten();
        values.for_each(|kept| held::detach(&**value, kept));
    }

    pub(super) fn write(
        &self,
        time: Timestamp,
        value: &SerdeRef<V>,
        out: &mut Vec<u8>,
    ) -> Result<(), BoxError> {
        let mut bytes = time.to_be_bytes().to_vec();
        let flag = |there: bool, flag: u8| if there { flag } else { 0 };
        bytes.push(flag(self.prior.is_some(), PRIOR) | flag(self.new.is_some(), NEW));
        let mut prior = Vec::new();
        if let Some(known) = &self.prior {
            value.serialize(known, &mut prior)?;
        }
        put_varint(prior.len(), &mut bytes);
        bytes.extend_from_slice(&prior);
        if let Some(new) = &self.new {
            value.serialize(new, &mut bytes)?;
        }
        append_envelope(self.timestamp, &self.headers, &bytes, out);
        Ok(())
    }

    /// The entry and its buffer time.
    pub(super) fn read(key: K, value: &SerdeRef<V>, stored: &[u8]) -> Result<(Timestamp, Self), BoxError> {
        let envelope = ValueEnvelope::parse(stored)?;
        let Parts { time, prior, new } = Parts::parse(envelope.value).ok_or(DamagedEntry)?;
        let read = |half: Option<&[u8]>| half.map(|bytes| value.deserialize(bytes)).transpose();
        let entry = BufferEntry {
            key,
            prior: read(prior)?,
            new: read(new)?,
            timestamp: envelope.timestamp,
            headers: read_headers(&envelope)?,
            bytes: 0,
            stored: true,
        };
        Ok((time, entry))
    }
}

/// What the receivers know of a stored, buffered key.
pub(super) fn read_prior<V: 'static>(value: &SerdeRef<V>, stored: &[u8]) -> Result<Option<V>, BoxError> {
    let parts = Parts::parse(ValueEnvelope::parse(stored)?.value).ok_or(DamagedEntry)?;
    Ok(parts.prior.map(|bytes| value.deserialize(bytes)).transpose()?)
}

struct Parts<'a> {
    time: Timestamp,
    prior: Option<&'a [u8]>,
    new: Option<&'a [u8]>,
}

impl<'a> Parts<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (time, rest) = bytes.split_first_chunk::<8>()?;
        let (flags, rest) = rest.split_first()?;
        let (prior_len, rest) = take_varint(rest)?;
        let (prior, new) = rest.split_at_checked(prior_len)?;
        Some(Parts {
            time: Timestamp::from_be_bytes(*time),
            prior: (flags & PRIOR != 0).then_some(prior),
            new: (flags & NEW != 0).then_some(new),
        })
    }
}

/// Appends a stored value with the headers of its record.
fn append_envelope(timestamp: Timestamp, headers: &Headers, value: &[u8], out: &mut Vec<u8>) {
    if headers.is_empty() {
        return ValueEnvelope::append_plain(timestamp, value, out);
    }
    let headers: Vec<_> = headers
        .iter()
        .map(|header| (header.key.as_ref(), header.value.as_deref()))
        .collect();
    ValueEnvelope::append(timestamp, headers.into_iter(), value, out);
}

/// The headers a stored value was written with.
fn read_headers(envelope: &ValueEnvelope<'_>) -> Result<Headers, BoxError> {
    let headers = envelope
        .headers()?
        .into_iter()
        .map(|(key, value)| millpond_log::record::Header {
            key: bytes::Bytes::copy_from_slice(key),
            value: value.map(bytes::Bytes::copy_from_slice),
        });
    Ok(headers.collect())
}
