//! Fetch (API key 1).
//!
//! Whole batches from the asked offset on, never above the high watermark (read_committed: the last stable offset). The first batch may
//! start below the asked offset, and is returned even if it alone exceeds the limits (KIP-74). A fetch that finds too little parks until a
//! watermark of one of its partitions moves; nobody polls.

use std::time::Duration;

use bytes::Bytes;

use super::{AbortedTxn, Broker, BrokerError, Isolation};
use crate::types::{Offset, TopicPartition};

/// What to read of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    /// Which.
    pub partition: TopicPartition,
    /// First offset wanted.
    pub fetch_offset: Offset,
    /// Most bytes of this partition.
    pub max_bytes: usize,
}

/// A fetch over some partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// How long to wait for `min_bytes`.
    pub max_wait: Duration,
    /// Answer at once when so many bytes are there; 0 never waits.
    pub min_bytes: usize,
    /// Most bytes over all partitions; partitions are filled in request order.
    pub max_bytes: usize,
    /// Whether undecided and aborted transactions are seen.
    pub isolation: Isolation,
    /// What to read.
    pub partitions: Vec<FetchPartition>,
}

/// What one partition had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedData {
    /// First offset not yet readable by anyone.
    pub high_watermark: Offset,
    /// First offset of the oldest open transaction, or the high watermark.
    pub last_stable_offset: Offset,
    /// First readable offset.
    pub log_start_offset: Offset,
    /// Aborted transactions to filter by (read_committed only), ascending by first offset.
    pub aborted: Vec<AbortedTxn>,
    /// Whole batches in offset order; each element holds one or more.
    pub batches: Vec<Bytes>,
}

/// Answers in request order.
#[derive(Clone, Debug)]
pub struct FetchResponse {
    /// One per asked partition.
    pub partitions: Vec<(TopicPartition, Result<FetchedData, BrokerError>)>,
}

impl Broker {
    /// Reads batches. Errs per partition with `UnknownTopicOrPartition`, `OffsetOutOfRange` or `KafkaStorageError`; an error
    /// anywhere ends the wait. Cancel-safe: reading changes nothing.
    pub async fn fetch(&self, request: FetchRequest) -> FetchResponse {
        let _ = request;
        unimplemented!()
    }
}
