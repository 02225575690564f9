//! WriteTxnMarkers (API key 27), as an administrator uses it to end a hanging transaction.
//!
//! The coordinator writes its own markers past this. What is asked for here must not contradict it: a marker for a transaction that its coordinator
//! holds open aborts the whole of it, one that would commit a part of it is refused.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError, ProducerIdentity, TxnResult};
use crate::types::TopicPartition;

/// One marker for some partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WritableTxnMarker {
    /// Whose transaction.
    pub producer: ProducerIdentity,
    /// How it ends.
    pub result: TxnResult,
    /// Term of the coordinator on whose behalf it is written; a partition refuses an older one than it has seen.
    pub coordinator_epoch: i32,
    /// Where to.
    pub partitions: Vec<TopicPartition>,
}

impl Broker {
    /// Writes a marker; one answer per partition, in order.
    ///
    /// Errs per partition with `UnknownTopicOrPartition`, `InvalidProducerEpoch` (a newer epoch wrote there), `TransactionCoordinatorFenced`,
    /// `InvalidTxnState` (the coordinator decided otherwise or has not decided). Cancel-safe: a dropped call may have written some; writing
    /// them again is harmless.
    pub fn write_txn_marker(&self, marker: WritableTxnMarker) -> BoxFuture<'_, Vec<Result<(), BrokerError>>> {
        async move {
            let WritableTxnMarker {
                producer,
                result,
                coordinator_epoch,
                partitions,
            } = marker;
            self.transactions()
                .write_markers_of(producer, result, coordinator_epoch, partitions)
                .await
        }
        .boxed()
    }
}
