//! DescribeTransactions (key 65), version 0.

use std::collections::BTreeMap;

use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use kafka_protocol::messages::{DescribeTransactionsRequest, DescribeTransactionsResponse, TopicName};

use super::wire::text;
use crate::broker::TransactionDescription;
use crate::server::context::RequestContext;
use crate::types::TransactionalId;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: DescribeTransactionsRequest,
) -> DescribeTransactionsResponse {
    let mut states = Vec::new();
    for id in request.transactional_ids {
        let described = context
            .broker()
            .describe_transaction(&TransactionalId::new(id.as_str()))
            .await;
        let state = TransactionState::default().with_transactional_id(id);
        states.push(match described {
            Ok(described) => fill(state, &described),
            Err(error) => state.with_error_code(error.code().code()),
        });
    }
    DescribeTransactionsResponse::default().with_transaction_states(states)
}

fn fill(state: TransactionState, described: &TransactionDescription) -> TransactionState {
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in &described.partitions {
        by_topic
            .entry(partition.topic.as_str())
            .or_default()
            .push(partition.partition.get());
    }
    let topics = by_topic.into_iter().map(|(topic, partitions)| {
        TopicData::default()
            .with_topic(TopicName(text(topic)))
            .with_partitions(partitions)
    });
    state
        .with_transaction_state(text(described.state))
        .with_transaction_timeout_ms(i32::try_from(described.timeout.as_millis()).unwrap_or(i32::MAX))
        .with_transaction_start_time_ms(described.started_at.unwrap_or(-1))
        .with_producer_id(described.producer_id.get().into())
        .with_producer_epoch(described.producer_epoch.get())
        .with_topics(topics.collect())
}
