//! What the coordinator knows of one transactional id.
//!
//! Always true: `partitions` is empty unless a transaction is open or being ended; `started_at` is set exactly while one is open or being
//! ended; `next_producer_id` is set only in a `Prepare*` state whose epoch is used up; no predecessor is remembered while a transaction is open. The state is plain data: `transition.rs` alone says
//! how it changes, `log_format.rs` how it is stored.

use std::collections::BTreeSet;

use crate::broker::{ProducerIdentity, TxnResult};
use crate::types::{ProducerEpoch, ProducerId, Timestamp, TopicPartition, TransactionVersion};

/// Where a transactional id stands. The numbers are those of Kafka's transaction log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub enum TxnState {
    /// A producer exists; nothing was begun.
    Empty = 0,
    /// A transaction is open.
    Ongoing = 1,
    /// Commit is decided; markers are being written.
    PrepareCommit = 2,
    /// Abort is decided; markers are being written.
    PrepareAbort = 3,
    /// The last transaction committed, on every partition.
    CompleteCommit = 4,
    /// The last transaction aborted, on every partition.
    CompleteAbort = 5,
}

impl TxnState {
    /// The state with this number in Kafka's transaction log.
    pub fn from_code(code: i8) -> Option<Self> {
        Some(match code {
            0 => Self::Empty,
            1 => Self::Ongoing,
            2 => Self::PrepareCommit,
            3 => Self::PrepareAbort,
            4 => Self::CompleteCommit,
            5 => Self::CompleteAbort,
            _ => return None,
        })
    }

    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }

    /// True if a state, or one that this broker never stores, has this name in Kafka.
    pub fn is_name(name: &str) -> bool {
        (0..=5)
            .filter_map(Self::from_code)
            .any(|state| state.name() == name)
            || matches!(name, "Dead" | "PrepareEpochFence")
    }

    /// The decision whose markers are still being written.
    pub fn preparing(self) -> Option<TxnResult> {
        match self {
            Self::PrepareCommit => Some(TxnResult::Commit),
            Self::PrepareAbort => Some(TxnResult::Abort),
            _ => None,
        }
    }

    /// The decision that was carried out last.
    pub fn completed(self) -> Option<TxnResult> {
        match self {
            Self::CompleteCommit => Some(TxnResult::Commit),
            Self::CompleteAbort => Some(TxnResult::Abort),
            _ => None,
        }
    }

    pub(super) fn prepare(result: TxnResult) -> Self {
        match result {
            TxnResult::Commit => Self::PrepareCommit,
            TxnResult::Abort => Self::PrepareAbort,
        }
    }

    pub(super) fn complete(result: TxnResult) -> Self {
        match result {
            TxnResult::Commit => Self::CompleteCommit,
            TxnResult::Abort => Self::CompleteAbort,
        }
    }
}

/// Everything the transaction log holds about one transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnMetadata {
    /// The producer id in use.
    pub producer_id: ProducerId,
    /// The one used before the epochs of that one ran out, while a retried request may still name it; else `NONE`.
    pub previous_producer_id: ProducerId,
    /// The one to go on with once markers are written, because the epochs ran out; else `NONE`.
    pub next_producer_id: ProducerId,
    /// The current epoch. In `Prepare*` already the one that markers carry: bumped, so that nothing late gets in (KIP-890), unless an old
    /// client ended the transaction.
    pub producer_epoch: ProducerEpoch,
    /// The epoch before, while a request that carries it can only be a retry of the one that bumped it; else `NONE`. `NONE` after somebody else
    /// took over: the predecessor is fenced then.
    pub last_producer_epoch: ProducerEpoch,
    /// How long a transaction may stay open, in milliseconds.
    pub timeout_ms: i32,
    /// Where it stands.
    pub state: TxnState,
    /// Partitions that may hold data or offsets of the transaction.
    pub partitions: BTreeSet<TopicPartition>,
    /// When this was last written.
    pub last_update: Timestamp,
    /// When the open transaction began.
    pub started_at: Option<Timestamp>,
    /// The protocol of the client that wrote to the transaction or ended it last.
    pub client_version: TransactionVersion,
}

impl TxnMetadata {
    /// The producer that may act now.
    pub fn identity(&self) -> ProducerIdentity {
        ProducerIdentity {
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
        }
    }

    /// True if nothing is open or being ended and nothing happened since `before`.
    pub fn may_expire(&self, before: Timestamp) -> bool {
        let idle = self.state == TxnState::Empty || self.state.completed().is_some();
        idle && self.last_update < before
    }

    /// True if `identity` is the one the current one came from, and its owner may be asking again because an answer was lost.
    pub fn is_predecessor(&self, identity: ProducerIdentity) -> bool {
        let before = if self.previous_producer_id.is_some() {
            self.previous_producer_id
        } else {
            self.producer_id
        };
        self.last_producer_epoch != ProducerEpoch::NONE
            && self.last_producer_epoch == identity.producer_epoch
            && before == identity.producer_id
    }
}
