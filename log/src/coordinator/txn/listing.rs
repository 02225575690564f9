//! What can be seen of transactional ids.
//!
//! Reads committed state only; one id is one consistent snapshot, several are not.

use crate::broker::{TransactionDescription, TransactionFilter};
use crate::types::TransactionalId;

use super::coordinator::TxnCoordinator;
use super::state::TxnMetadata;

impl TxnCoordinator {
    /// What is known of one id.
    pub(crate) fn describe(&self, id: &TransactionalId) -> Option<TransactionDescription> {
        let entry = self.entries.read().get(id).cloned()?;
        let state = entry.state.read();
        state.as_ref().map(|state| description(id, state))
    }

    /// What is known of every id, in order.
    pub(crate) fn describe_all(&self) -> Vec<TransactionDescription> {
        self.describe_matching(&TransactionFilter::default())
    }

    /// What is known of the ids that pass the filter, in order.
    pub(crate) fn describe_matching(&self, filter: &TransactionFilter) -> Vec<TransactionDescription> {
        let now = self.node.clock.now_ms();
        let entries = self.entries.read().clone();
        let described = entries
            .iter()
            .filter_map(|(id, entry)| entry.state.read().as_ref().map(|state| description(id, state)));
        described
            .filter(|described| filter.admits(described, now))
            .collect()
    }
}

fn description(id: &TransactionalId, state: &TxnMetadata) -> TransactionDescription {
    TransactionDescription {
        transactional_id: id.clone(),
        state: state.state.name(),
        producer_id: state.producer_id,
        producer_epoch: state.producer_epoch,
        timeout: std::time::Duration::from_millis(state.timeout_ms.unsigned_abs().into()),
        started_at: state.started_at,
        partitions: state.partitions.iter().cloned().collect(),
    }
}
