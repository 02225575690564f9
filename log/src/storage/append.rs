//! What goes into a partition and what comes back.

use crate::record::{BatchBytes, Compression};
use crate::types::{Offset, Timestamp};

/// Who appends; decides which checks apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A producer: records and sequences are checked, control batches refused.
    Client,
    /// A coordinator of this node: offsets are assigned, sequences need not follow.
    Coordinator,
    /// A leader's copy: offsets are already assigned and kept.
    Replication,
}

/// Whether the checksum of each batch is checked before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Verification {
    /// Check every batch.
    #[default]
    Checksum,
    /// The caller built or checked the batches in this process.
    Trusted,
}

/// One append: whole batches, all or none of which are written.
#[derive(Clone, Debug)]
pub struct AppendRequest {
    /// One or more record batches, back to back.
    pub batches: BatchBytes,
    /// Who appends.
    pub origin: AppendOrigin,
    /// Whether checksums are checked.
    pub verify: Verification,
    /// Wait for the topic's durability before answering; false answers as soon as the bytes are written.
    pub acks_durable: bool,
    /// The log end when the coordinator was asked whether the transaction of these batches is open here. If a marker of their producer came after it, the
    /// answer is out of date and the append is refused. None: nobody was asked.
    pub verified_from: Option<Offset>,
    /// The codec the batches are stored with, if not the one they came in. Only for `AppendOrigin::Client`.
    pub stored_as: Option<Compression>,
}

impl AppendRequest {
    /// A client's append, verified, answered when durable.
    pub fn client(batches: impl Into<BatchBytes>) -> Self {
        Self {
            batches: batches.into(),
            origin: AppendOrigin::Client,
            verify: Verification::Checksum,
            acks_durable: true,
            verified_from: None,
            stored_as: None,
        }
    }

    /// A coordinator's append of batches built in this process, answered when durable.
    pub fn coordinator(batches: impl Into<BatchBytes>) -> Self {
        Self {
            batches: batches.into(),
            origin: AppendOrigin::Coordinator,
            verify: Verification::Trusted,
            acks_durable: true,
            verified_from: None,
            stored_as: None,
        }
    }
}

/// Where an append landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendAck {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Offset of the last record, inclusive.
    pub last_offset: Offset,
    /// The time the records were stamped with, if the topic stamps them.
    pub log_append_time: Option<Timestamp>,
    /// First offset of the log at that moment.
    pub log_start_offset: Offset,
    /// True if these very batches had been appended before; the offsets are those of the first time.
    pub duplicate: bool,
}
