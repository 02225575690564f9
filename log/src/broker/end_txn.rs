//! EndTxn (API key 26, version 5: TV2).
//!
//! Ending a transaction bumps the producer's epoch, so that nothing late can enter the next one (KIP-890). A retried call is told apart
//! from a new one by its epoch and answered as the first was.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError, ProducerIdentity};
use crate::types::{ProducerEpoch, ProducerId, TransactionalId};

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
            self.transactions()
                .end(transactional_id, producer_id, producer_epoch, result)
                .await
        }
        .boxed()
    }
}
