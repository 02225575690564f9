//! DescribeTransactions (API key 65).

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError, ErrorCode};
use crate::types::{ProducerEpoch, ProducerId, Timestamp, TopicPartition, TransactionalId};

/// What the coordinator knows of a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionDescription {
    /// Whose.
    pub transactional_id: TransactionalId,
    /// Kafka's name of the state: `Empty`, `Ongoing`, `PrepareCommit`, `PrepareAbort`, `CompleteCommit`, `CompleteAbort`.
    pub state: &'static str,
    /// Current producer.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
    /// How long a transaction may stay open.
    pub timeout: Duration,
    /// When the open transaction began.
    pub started_at: Option<Timestamp>,
    /// Partitions in the open transaction, in order.
    pub partitions: Vec<TopicPartition>,
}

impl Broker {
    /// Describes one transactional id. Errs with `TransactionalIdNotFound`. Cancel-safe.
    pub fn describe_transaction<'a>(
        &'a self,
        transactional_id: &'a TransactionalId,
    ) -> BoxFuture<'a, Result<TransactionDescription, BrokerError>> {
        async move {
            self.transactions().describe(transactional_id).ok_or_else(|| {
                let message = format!("unknown transactional id {transactional_id}");
                BrokerError::new(ErrorCode::TransactionalIdNotFound, message)
            })
        }
        .boxed()
    }
}
