//! Fetch (API key 1).
//!
//! Whole batches from the asked offset on, never above the high watermark (read_committed: the last stable offset). The first batch may
//! start below the asked offset, and is returned even if it alone exceeds the limits (KIP-74). A fetch that finds too little parks until a
//! watermark of one of its partitions moves; nobody polls. What is no longer in memory is read by a thread that may wait for the disk.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, Either, select, select_all};

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
    pub fn fetch(&self, request: FetchRequest) -> BoxFuture<'_, FetchResponse> {
        async move {
            let deadline = self.clock().sleep(request.max_wait);
            let mut out_of_time = pin!(deadline);
            loop {
                let read = self.read_all(&request).await;
                if request.min_bytes == 0
                    || request.max_wait.is_zero()
                    || read.bytes >= request.min_bytes
                    || read.failed
                {
                    return read.response;
                }
                let moved = pin!(select_all(read.waits));
                if let Either::Left(_) = select(out_of_time.as_mut(), moved).await {
                    // What came meanwhile is answered too, however little.
                    return self.read_all(&request).await.response;
                }
            }
        }
        .boxed()
    }

    async fn read_all(&self, request: &FetchRequest) -> Round {
        let mut left = request.max_bytes.min(self.config().fetch_max_bytes);
        let mut round = Round {
            response: FetchResponse {
                partitions: Vec::with_capacity(request.partitions.len()),
            },
            bytes: 0,
            failed: false,
            // Never resolves: a fetch of no partitions waits out its time.
            waits: vec![Box::pin(std::future::pending())],
        };
        for asked in &request.partitions {
            let result = self.read_one(asked, left, request.isolation, &mut round).await;
            if let Ok(data) = &result {
                let bytes: usize = data.batches.iter().map(Bytes::len).sum();
                round.bytes += bytes;
                left = left.saturating_sub(bytes);
            }
            round.failed |= result.is_err();
            round.response.partitions.push((asked.partition.clone(), result));
        }
        round
    }

    async fn read_one(
        &self,
        asked: &FetchPartition,
        left: usize,
        isolation: Isolation,
        round: &mut Round,
    ) -> Result<FetchedData, BrokerError> {
        let log = self.node().partition(&asked.partition)?;
        // The first batch is returned whole, but only for the first partition that has one: else many partitions would add up (KIP-74).
        let max_bytes = if round.bytes > 0 && left == 0 {
            None
        } else {
            Some(asked.max_bytes.min(left))
        };
        let (offsets, batches, aborted) = match max_bytes {
            Some(max_bytes) => {
                let mut read = log
                    .read_unblocked(asked.fetch_offset, max_bytes, isolation)
                    .await?;
                if round.bytes > 0 && read.size_bytes() > left {
                    // One batch that is larger than what is left: another answer will have it, or librdkafka would refuse this one.
                    read.batches.clear();
                }
                (read.offsets, read.batches, read.aborted)
            }
            None => (log.offsets(), Vec::new(), Vec::new()),
        };
        if batches.is_empty() {
            // Whatever lies between the asked offset and the limit of this read was looked at; only a higher limit brings more.
            let seen = asked.fetch_offset.max(offsets.read_limit(isolation));
            round.waits.push(Box::pin(log.wait_beyond(seen, isolation)));
        } else {
            round.waits.push(Box::pin(
                log.wait_beyond(offsets.read_limit(isolation), isolation),
            ));
        }
        Ok(FetchedData {
            high_watermark: offsets.high_watermark,
            last_stable_offset: offsets.last_stable_offset,
            log_start_offset: offsets.log_start_offset,
            aborted,
            batches,
        })
    }
}

/// One look at all partitions.
struct Round {
    response: FetchResponse,
    bytes: usize,
    failed: bool,
    /// Resolve when a partition has more than this look saw.
    waits: Vec<BoxFuture<'static, ()>>,
}
