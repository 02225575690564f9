//! EndTxn (API key 26).
//!
//! With TV2 (version 5 on) ending a transaction bumps the producer's epoch, so that nothing late can enter the next one (KIP-890), and a retried
//! call is told apart from a new one by its epoch and answered as the first was. An older client keeps its epoch: a retry of it is known by the
//! outcome alone, and one that comes so late that the next transaction is open ends that one (KAFKA-17754).

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError, ProducerIdentity};
use crate::types::{ProducerEpoch, ProducerId, TransactionVersion, TransactionalId};

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TxnResult {
    /// Its records and offsets become visible, all together.
    Commit,
    /// They never will.
    Abort,
}

impl Broker {
    /// Ends the open transaction and answers the identity to use for the next one. When it answers, readers of committed data see the
    /// outcome on every partition. Aborting with no transaction open is allowed and bumps the epoch too.
    ///
    /// Errs with `InvalidTxnState` (nothing to commit, or the other outcome was decided), `ProducerFenced`, `InvalidProducerIdMapping`. An error whose
    /// `outcome_unknown()` is true must be resolved by `init_producer_id` and the committed offsets. Cancel-safe: once begun, the
    /// call runs to its end even if the future is dropped; repeating it is answered right.
    pub fn end_txn<'a>(
        &'a self,
        transactional_id: &'a TransactionalId,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        result: TxnResult,
    ) -> BoxFuture<'a, Result<ProducerIdentity, BrokerError>> {
        async move {
            let producer = ProducerIdentity {
                producer_id,
                producer_epoch,
            };
            self.transactions()
                .end(transactional_id, producer, result, TransactionVersion::V2)
                .await
        }
        .boxed()
    }

    /// The same by the protocol of the client: below TV2 the epoch stays, and aborting with no transaction open is refused (`InvalidTxnState`).
    pub fn end_txn_by<'a>(
        &'a self,
        version: TransactionVersion,
        transactional_id: &'a TransactionalId,
        producer: ProducerIdentity,
        result: TxnResult,
    ) -> BoxFuture<'a, Result<ProducerIdentity, BrokerError>> {
        async move {
            self.transactions()
                .end(transactional_id, producer, result, version)
                .await
        }
        .boxed()
    }
}
