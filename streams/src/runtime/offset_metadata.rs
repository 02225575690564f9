//! The text that travels beside every committed input offset: which transaction wrote it, what time it was, and where the changelogs ended.
//!
//! It makes three things possible: a transaction can be recognised after an unknown outcome (I4), the task's clock resumes where it stood, and
//! an opened store can be checked against the inputs it claims to reflect (I5). Layout, base64 without padding around it:
//! version byte, flags byte (1 = transactional), transaction number (u64), number of changelogs (u16), each as name length (u16), store name, next offset (i64), then the clock's own bytes. Big-endian.
//!
//! Kafka's limit on this text is `offset.metadata.max.bytes` (4096): a dozen stores and a hundred upstream partitions fit.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{Buf, BufMut, Bytes};
use millpond_log::types::Offset;

use super::commit::TxnSeq;

const VERSION: u8 = 1;

/// What one task writes beside the offsets of its inputs. Every input partition of the task carries the same text in one commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OffsetMetadata {
    /// The transaction that wrote it.
    pub txn: TxnSeq,
    /// Whether changelogs and offsets were written in one transaction; without one the changelog may be ahead after a crash.
    pub transactional: bool,
    /// Per logged store: offset after the last changelog record that belongs to these positions.
    pub changelogs: Vec<(String, Offset)>,
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
        let mut bytes = Vec::with_capacity(16 + self.clock.len() + self.changelogs.len() * 32);
        bytes.put_u8(VERSION);
        bytes.put_u8(u8::from(self.transactional));
        bytes.put_u64(self.txn.0);
        bytes.put_u16(u16::try_from(self.changelogs.len()).expect("a task has fewer than 65536 stores"));
        for (name, next) in &self.changelogs {
            bytes.put_u16(
                u16::try_from(name.len()).expect("store names are topic name parts, at most 249 bytes"),
            );
            bytes.put_slice(name.as_bytes());
            bytes.put_i64(next.get());
        }
        bytes.put_slice(&self.clock);
        STANDARD_NO_PAD.encode(bytes)
    }

    /// Reads the text form. Errs on foreign or damaged text, never guesses.
    pub fn decode(text: &str) -> Result<OffsetMetadata, BadOffsetMetadata> {
        let bad = |reason| BadOffsetMetadata { reason };
        let mut bytes = Bytes::from(STANDARD_NO_PAD.decode(text).map_err(|_| bad("not base64"))?);
        if bytes.remaining() < 12 {
            return Err(bad("too short"));
        }
        if bytes.get_u8() != VERSION {
            return Err(bad("unknown version"));
        }
        let transactional = bytes.get_u8() == 1;
        let txn = TxnSeq(bytes.get_u64());
        let count = bytes.get_u16();
        let mut changelogs = Vec::new();
        for _ in 0..count {
            if bytes.remaining() < 2 {
                return Err(bad("cut off in a store name"));
            }
            let length = usize::from(bytes.get_u16());
            if bytes.remaining() < length + 8 {
                return Err(bad("cut off in a store name"));
            }
            let name = String::from_utf8(bytes.split_to(length).to_vec())
                .map_err(|_| bad("store name is not UTF-8"))?;
            changelogs.push((name, Offset::new(bytes.get_i64())));
        }
        Ok(OffsetMetadata {
            txn,
            transactional,
            changelogs,
            clock: bytes,
        })
    }

    /// The recorded end of one store's changelog.
    #[must_use]
    pub fn changelog(&self, store: &str) -> Option<Offset> {
        self.changelogs
            .iter()
            .find(|(name, _)| name == store)
            .map(|(_, next)| *next)
    }
}

#[cfg(test)]
#[path = "offset_metadata_test.rs"]
mod offset_metadata_test;
