//! InitProducerId (API key 22).
//!
//! Without a transactional id: a fresh producer id, unique for ever. With one: the newest producer of that id takes over, every older one
//! is fenced, and an open transaction of theirs is aborted before the answer.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError, ErrorCode};
use crate::types::{ProducerEpoch, ProducerId, TransactionalId};

/// Who a producer is in every batch it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerIdentity {
    /// The id.
    pub producer_id: ProducerId,
    /// Its incarnation; older ones are refused.
    pub producer_epoch: ProducerEpoch,
}

impl Broker {
    /// Gives out a producer identity. `timeout` is how long a transaction may stay open. `expected` is the identity the caller believes to
    /// have, when it asks for a new epoch to recover from an error (KIP-360); it is refused if somebody else took over, and answered the same
    /// when it is asked twice.
    ///
    /// Errs with `InvalidTransactionTimeout`, `ProducerFenced`, or `InvalidRequest` for an empty transactional id. Cancel-safe: a dropped
    /// call may have fenced older producers; calling again is right.
    pub fn init_producer_id(
        &self,
        transactional_id: Option<TransactionalId>,
        timeout: Duration,
        expected: Option<(ProducerId, ProducerEpoch)>,
    ) -> BoxFuture<'_, Result<ProducerIdentity, BrokerError>> {
        async move {
            let Some(id) = transactional_id else {
                let producer_id = self.producer_ids().allocate().await?;
                return Ok(ProducerIdentity {
                    producer_id,
                    producer_epoch: ProducerEpoch::ZERO,
                });
            };
            let longest = self.config().transaction_max_timeout_ms;
            let timeout_ms = i32::try_from(timeout.as_millis())
                .ok()
                .filter(|ms| (1..=longest).contains(ms));
            let Some(timeout_ms) = timeout_ms else {
                let message = format!(
                    "transaction timeout {} ms is out of range: expected 1 to {longest}",
                    timeout.as_millis()
                );
                return Err(BrokerError::new(ErrorCode::InvalidTransactionTimeout, message));
            };
            self.transactions().init(&id, timeout_ms, expected).await
        }
        .boxed()
    }
}
