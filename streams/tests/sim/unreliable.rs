//! Ends of transactions that get lost, before or after they happen, or happen late: the network between a worker and its coordinator.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use millpond_log::broker::{ProducerIdentity, TxnResult};
use millpond_log::clock::Clock;
use millpond_log::rng::Rng;
use millpond_log::types::TransactionalId;
use millpond_streams::runtime::{LogClient, LogError};

use super::hooked_log::EndTxn;

/// Draws the fate of every `end_txn` from the seed.
#[derive(Debug)]
pub(crate) struct Unreliable {
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) clock: Arc<dyn Clock>,
    /// One in this many ends goes wrong.
    pub(crate) one_in: u64,
}

#[async_trait]
impl EndTxn for Unreliable {
    async fn end_txn(
        &self,
        log: &Arc<dyn LogClient>,
        id: TransactionalId,
        identity: ProducerIdentity,
        result: TxnResult,
    ) -> Result<ProducerIdentity, LogError> {
        self.clock.sleep(Duration::from_millis(self.rng.below(4))).await;
        if self.rng.below(self.one_in) > 0 {
            return log.end_txn(id, identity, result).await;
        }
        match self.rng.below(3) {
            0 => {}
            1 => drop(log.end_txn(id, identity, result).await?),
            _ => {
                // The request is on its way, and arrives when nobody expects it any more.
                let (log, clock) = (log.clone(), self.clock.clone());
                let delay = Duration::from_millis(1 + self.rng.below(60));
                tokio::spawn(async move {
                    clock.sleep(delay).await;
                    // Refused when the worker has fenced meanwhile, which is the point.
                    log.end_txn(id, identity, result).await.ok();
                });
            }
        }
        Err(LogError::Unknown("connection lost".into()))
    }
}
