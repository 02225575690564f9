//! What a consumer reads, and how much it keeps.

use std::time::Duration;

use crate::broker::Isolation;
use crate::types::GroupId;

/// Where to start when there is no committed offset, or the position fell out of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OffsetReset {
    /// At the first readable record.
    #[default]
    Earliest,
    /// At the end: only what comes after.
    Latest,
    /// Nowhere: tell the caller with `OffsetOutOfRange`.
    Error,
}

/// Settings of a [`Consumer`](super::Consumer). Defaults: committed records only, from the start, 4 MiB ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerOptions {
    /// Whose offsets are committed and resumed from; none keeps no offsets.
    pub group: Option<GroupId>,
    /// Whether undecided and aborted transactions are seen. Default read committed (Kafka: uncommitted).
    pub isolation: Isolation,
    /// Where to start without a committed offset. Default earliest (Kafka: latest).
    pub offset_reset: OffsetReset,
    /// Most bytes of batches fetched ahead of the application. Default 4 MiB.
    pub fetch_bytes: usize,
    /// Most bytes of one partition in a fetch. Default 1 MiB.
    pub partition_bytes: usize,
    /// How long a fetch waits at the broker for a first record. Default 5 s; records arrive as soon as they are there, whatever it is.
    pub fetch_wait: Duration,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            group: None,
            isolation: Isolation::ReadCommitted,
            offset_reset: OffsetReset::Earliest,
            fetch_bytes: 4 << 20,
            partition_bytes: 1 << 20,
            fetch_wait: Duration::from_secs(5),
        }
    }
}

impl ConsumerOptions {
    /// A consumer that resumes from, and commits to, this group.
    pub fn group(id: impl Into<GroupId>) -> Self {
        Self {
            group: Some(id.into()),
            ..Self::default()
        }
    }
}
