//! The future of a record's offset.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::channel::oneshot;
use futures::future::{FutureExt, Shared};

use crate::broker::{BrokerError, ErrorCode};
use crate::types::{Offset, TopicPartition};

/// Resolves when a batch is done; shared by its records.
pub(super) type Completion = Shared<oneshot::Receiver<Result<Offset, BrokerError>>>;

/// Where a record landed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordMetadata {
    /// Its partition.
    pub partition: TopicPartition,
    /// Its offset.
    pub offset: Offset,
}

/// Resolves to the record's place once it is acknowledged. Dropping it changes nothing: the record is sent all the same. Cancel-safe.
#[derive(Clone, Debug)]
#[must_use = "without awaiting it (or `flush`) nobody learns whether the record was written"]
pub struct Delivery {
    pub(super) completion: Completion,
    pub(super) partition: TopicPartition,
    /// Place in the batch.
    pub(super) index: i64,
}

impl Delivery {
    /// The partition it goes to.
    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata, BrokerError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.completion.poll_unpin(context).map(|done| {
            let base = done.unwrap_or_else(|_| Err(producer_gone()))?;
            Ok(RecordMetadata {
                partition: self.partition.clone(),
                offset: base.plus(self.index),
            })
        })
    }
}

/// The runtime the producer lived on is gone.
pub(super) fn producer_gone() -> BrokerError {
    BrokerError::new(
        ErrorCode::RequestTimedOut,
        "producer was stopped before the record was acknowledged",
    )
    .maybe_done()
}
