//! ListTransactions (key 66), versions 0 to 2.
//!
//! Version 1 filters by duration (KIP-994), 2 by a pattern of transactional ids (KIP-1152).

use std::time::Duration;

use kafka_protocol::messages::list_transactions_response::TransactionState;
use kafka_protocol::messages::{ListTransactionsRequest, ListTransactionsResponse, TransactionalId};

use super::wire::text;
use crate::broker::{TransactionFilter, TransactionalIdPattern};
use crate::server::context::RequestContext;
use crate::types::ProducerId;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: ListTransactionsRequest,
) -> ListTransactionsResponse {
    let pattern = request
        .transactional_id_pattern
        .filter(|pattern| !pattern.is_empty());
    let pattern = match pattern
        .map(|pattern| TransactionalIdPattern::new(&pattern))
        .transpose()
    {
        Ok(pattern) => pattern,
        Err(error) => return ListTransactionsResponse::default().with_error_code(error.code().code()),
    };
    let filter = TransactionFilter {
        states: request.state_filters.iter().map(ToString::to_string).collect(),
        producer_ids: request
            .producer_id_filters
            .iter()
            .map(|id| ProducerId::new(id.0))
            .collect(),
        running_longer_than: u64::try_from(request.duration_filter)
            .ok()
            .map(Duration::from_millis),
        pattern,
    };
    let listing = context.broker().list_transactions_matching(filter).await;
    let states = listing.transactions.iter().map(|transaction| {
        TransactionState::default()
            .with_transactional_id(TransactionalId(text(transaction.transactional_id.as_str())))
            .with_producer_id(transaction.producer_id.get().into())
            .with_transaction_state(text(transaction.state))
    });
    ListTransactionsResponse::default()
        .with_unknown_state_filters(listing.unknown_states.into_iter().map(text).collect())
        .with_transaction_states(states.collect())
}
