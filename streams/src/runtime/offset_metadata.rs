//! The text that travels beside every committed input offset: which transaction wrote it, what time it was, and where the changelogs ended.
//!
//! It makes three things possible: a transaction can be recognised after an unknown outcome (I4), the task's clock resumes where it stood, and
//! an opened store can be checked against the inputs it claims to reflect (I5). Layout, base64 without padding around it:
//! version byte 2, flags byte (1 = transactional, 2 = clock deflated), transaction number (varint), the ends of the changelogs (`changelog_ends.rs`), then the clock's own bytes.
//! Version 1 is still read: version byte, flags byte (1 = transactional), transaction number (u64), number of changelogs (u16), each as name length (u16), store name, next offset (i64), then
//! the clock; big-endian. It took more than 4096 characters from some ninety stores on.
//!
//! Kafka's limit on this text is `offset.metadata.max.bytes` (4096): three hundred stores with their operators' times fit, or a dozen with two hundred upstream partitions; a task that may outgrow it does not
//! start ([`check_room`]). Of operators' times no more than 64 are saved (about 14 bytes each, about 9 deflated); the operators beyond go by the task's stream time.

use std::io::{Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{Buf, BufMut, Bytes};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use millpond_log::types::Offset;

use super::changelog_ends::{ChangelogEnds, put_varint, take_varint};
use super::commit::TxnSeq;
use super::error::RuntimeError;
use crate::processor::OPERATOR_TIMES_MAX;
use crate::state::TaskId;

const VERSION: u8 = 2;
/// Names in full, numbers in full. Read, not written.
const VERSION_NAMED: u8 = 1;

const TRANSACTIONAL: u8 = 1;
const DEFLATED: u8 = 2;

/// A shorter clock is not worth the work.
const DEFLATED_FROM: usize = 256;
/// No clock is nearly as long; damaged text must not fill the memory.
const CLOCK_BYTES_MAX: u64 = 1 << 20;

/// Kafka's default for `offset.metadata.max.bytes`, in characters of the text.
pub(crate) const TEXT_LEN_MAX: usize = 4096;

/// What one task writes beside the offsets of its inputs. Every input partition of the task carries the same text in one commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OffsetMetadata {
    /// The transaction that wrote it.
    pub txn: TxnSeq,
    /// Whether changelogs and offsets were written in one transaction; without one the changelog may be ahead after a crash.
    pub transactional: bool,
    /// Per logged store: offset after the last changelog record that belongs to these positions.
    pub changelogs: ChangelogEnds,
    /// The saved task clock, opaque here.
    pub clock: Bytes,
}

/// The text beside a committed offset is not ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("metadata of a committed offset is not readable: {reason}")]
pub struct BadOffsetMetadata {
    reason: &'static str,
}

impl OffsetMetadata {
    /// The text form.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut clock = self.clock.clone();
        let mut flags = if self.transactional { TRANSACTIONAL } else { 0 };
        if clock.len() >= DEFLATED_FROM {
            let deflated = deflate(&clock);
            if deflated.len() < clock.len() {
                clock = deflated.into();
                flags |= DEFLATED;
            }
        }
        let mut bytes = vec![VERSION, flags];
        put_varint(self.txn.0, &mut bytes);
        self.changelogs.encode(&mut bytes);
        bytes.put_slice(&clock);
        STANDARD_NO_PAD.encode(bytes)
    }

    /// Reads the text form. Errs on foreign or damaged text, never guesses.
    pub fn decode(text: &str) -> Result<OffsetMetadata, BadOffsetMetadata> {
        let bad = |reason| BadOffsetMetadata { reason };
        let mut bytes = Bytes::from(STANDARD_NO_PAD.decode(text).map_err(|_| bad("not base64"))?);
        let version = bytes.try_get_u8().map_err(|_| bad("too short"))?;
        let flags = bytes.try_get_u8().map_err(|_| bad("too short"))?;
        let (txn, changelogs) = match version {
            VERSION => {
                let txn = take_varint(&mut bytes).map_err(bad)?;
                (txn, ChangelogEnds::decode(&mut bytes).map_err(bad)?)
            }
            VERSION_NAMED => decode_named(&mut bytes).map_err(bad)?,
            _ => return Err(bad("unknown version")),
        };
        let known = if version == VERSION {
            TRANSACTIONAL | DEFLATED
        } else {
            TRANSACTIONAL
        };
        if flags & !known != 0 {
            return Err(bad("unknown flags"));
        }
        if flags & DEFLATED != 0 {
            bytes = inflate(&bytes).map_err(bad)?;
        }
        Ok(OffsetMetadata {
            txn: TxnSeq(txn),
            transactional: flags & TRANSACTIONAL != 0,
            changelogs,
            clock: bytes,
        })
    }

    /// The recorded end of one store's changelog.
    #[must_use]
    pub fn changelog(&self, store: &str) -> Option<Offset> {
        self.changelogs.get(store)
    }
}

/// Version 1 behind its flags, up to the clock.
fn decode_named(bytes: &mut Bytes) -> Result<(u64, ChangelogEnds), &'static str> {
    let cut = "cut off in a store name";
    let txn = bytes.try_get_u64().map_err(|_| "too short")?;
    let count = bytes.try_get_u16().map_err(|_| "too short")?;
    let mut named = Vec::new();
    for _ in 0..count {
        let length = usize::from(bytes.try_get_u16().map_err(|_| cut)?);
        if bytes.remaining() < length + 8 {
            return Err(cut);
        }
        let name =
            String::from_utf8(bytes.split_to(length).to_vec()).map_err(|_| "store name is not UTF-8")?;
        named.push((name, Offset::new(bytes.get_i64())));
    }
    Ok((txn, ChangelogEnds::named(named)))
}

fn deflate(clock: &[u8]) -> Vec<u8> {
    let mut out = DeflateEncoder::new(Vec::new(), Compression::default());
    let written = out.write_all(clock).and_then(|()| out.finish());
    written.expect("memory takes what is written")
}

fn inflate(bytes: &[u8]) -> Result<Bytes, &'static str> {
    let mut clock = Vec::new();
    let mut source = DeflateDecoder::new(bytes).take(CLOCK_BYTES_MAX);
    match source.read_to_end(&mut clock) {
        Ok(_) if source.limit() > 0 => Ok(clock.into()),
        Ok(_) => Err("the clock is too long"),
        Err(_) => Err("the clock is damaged"),
    }
}

/// Errs when the metadata of a task with these logged stores may outgrow the limit some day: better at the start than at a commit in a year. Reckoned with offsets up to 2^35, with nine bytes
/// for each operator's time (up to 64; as many as there are stores) and with eight for the time of each upstream partition.
pub(crate) fn check_room(task: TaskId, stores: &[&str], upstreams: usize) -> Result<(), RuntimeError> {
    let far = Offset::new((1 << 35) - 1);
    let mut bytes = Vec::new();
    ChangelogEnds::of(stores.iter().map(|name| (*name, Some(far)))).encode(&mut bytes);
    let clock = 9 * stores.len().min(OPERATOR_TIMES_MAX) + 8 * upstreams;
    // Version, flags, a transaction number of any length, the time of the task.
    let text_len = (bytes.len() + clock + 32).div_ceil(3) * 4;
    if text_len <= TEXT_LEN_MAX {
        return Ok(());
    }
    Err(RuntimeError::PositionTooLarge {
        task: task.to_string(),
        stores: stores.len(),
        upstreams,
        text_len,
        text_len_max: TEXT_LEN_MAX,
    })
}

#[cfg(test)]
#[path = "offset_metadata_test.rs"]
mod offset_metadata_test;
