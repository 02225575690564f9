//! Markers that end a transaction in a partition: one control record, alone in its batch.
//!
//! Key = version i16 (0), type i16 (0 abort, 1 commit); value = version i16 (0), coordinator epoch i32.

use bytes::Bytes;

use super::builder::{BatchBuilder, BatchOptions};
use super::error::BatchError;
use crate::types::{ProducerEpoch, ProducerId, Sequence, Timestamp};

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ControlRecord {
    /// Its records never happened.
    Abort {
        /// Term of the transaction coordinator; a marker of an older one is refused.
        coordinator_epoch: i32,
    },
    /// Its records are part of the log.
    Commit {
        /// Term of the transaction coordinator; a marker of an older one is refused.
        coordinator_epoch: i32,
    },
}

const ABORT: i16 = 0;
const COMMIT: i16 = 1;
const VERSION: i16 = 0;

impl ControlRecord {
    /// Term of the coordinator that wrote it.
    pub const fn coordinator_epoch(self) -> i32 {
        match self {
            ControlRecord::Abort { coordinator_epoch } | ControlRecord::Commit { coordinator_epoch } => {
                coordinator_epoch
            }
        }
    }

    /// True if the transaction's records count.
    pub const fn is_commit(self) -> bool {
        matches!(self, ControlRecord::Commit { .. })
    }

    /// The key of the record.
    pub fn key(self) -> [u8; 4] {
        let kind = if self.is_commit() { COMMIT } else { ABORT };
        let (version, kind) = (VERSION.to_be_bytes(), kind.to_be_bytes());
        [version[0], version[1], kind[0], kind[1]]
    }

    /// The value of the record.
    pub fn value(self) -> [u8; 6] {
        let mut value = [0; 6];
        value[..2].copy_from_slice(&VERSION.to_be_bytes());
        value[2..].copy_from_slice(&self.coordinator_epoch().to_be_bytes());
        value
    }

    /// Reads the key and value of a record in a control batch. `None` for a type this version does not know: Kafka
    /// asks readers to skip those.
    pub fn parse(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Option<ControlRecord>, BatchError> {
        let invalid = BatchError::InvalidControlRecord;
        // Later versions may only append fields, so a longer key or value is read by its front.
        let key = key
            .and_then(|key| key.first_chunk::<4>())
            .ok_or(invalid("its key is shorter than 4 bytes"))?;
        if i16::from_be_bytes([key[0], key[1]]) < 0 {
            return Err(invalid("its key has a negative version"));
        }
        let commit = match i16::from_be_bytes([key[2], key[3]]) {
            ABORT => false,
            COMMIT => true,
            _ => return Ok(None),
        };
        let value = value
            .and_then(|value| value.first_chunk::<6>())
            .ok_or(invalid("its value is shorter than 6 bytes"))?;
        if i16::from_be_bytes([value[0], value[1]]) < 0 {
            return Err(invalid("its value has a negative version"));
        }
        let coordinator_epoch = i32::from_be_bytes([value[2], value[3], value[4], value[5]]);
        Ok(Some(if commit {
            ControlRecord::Commit { coordinator_epoch }
        } else {
            ControlRecord::Abort { coordinator_epoch }
        }))
    }

    /// A whole batch with this marker; base offset and leader epoch are patched at append.
    pub fn to_batch(
        self,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        timestamp: Timestamp,
    ) -> Bytes {
        let mut builder = BatchBuilder::new(BatchOptions {
            producer: Some((producer_id, producer_epoch, Sequence::NONE)),
            transactional: true,
            control: true,
            ..BatchOptions::default()
        });
        let appended = builder.append(timestamp, Some(&self.key()), Some(&self.value()), &[]);
        debug_assert_eq!(appended, Ok(()), "a marker always fits");
        builder.build()
    }
}
