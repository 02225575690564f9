//! DescribeProducers (API key 61).
//!
//! What a partition knows of its producers, straight from the state that judges their batches: hanging transactions are found by comparing it with what
//! the coordinator knows.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError};
pub use crate::storage::ProducerDescription;
use crate::types::TopicPartition;

impl Broker {
    /// The producers a partition knows, by id; those with a transaction open there among them. Errs with `UnknownTopicOrPartition`. Cancel-safe.
    pub fn describe_producers<'a>(
        &'a self,
        partition: &'a TopicPartition,
    ) -> BoxFuture<'a, Result<Vec<ProducerDescription>, BrokerError>> {
        async move { Ok(self.node().partition(partition)?.describe_producers().await?) }.boxed()
    }
}
