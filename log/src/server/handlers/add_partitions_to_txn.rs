//! AddPartitionsToTxn (key 24), versions 0 to 5.
//!
//! Up to version 3 one transaction, from clients; from 4 on several, from brokers that may only ask (`verify_only`, KIP-890). Version 2 knows PRODUCER_FENCED.

use std::collections::BTreeMap;

use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, ApiKey};

use super::txn_codes;
use super::wire::topic_partition;
use crate::broker::{BrokerError, ErrorCode, ProducerIdentity};
use crate::server::context::RequestContext;
use crate::types::{ProducerEpoch, ProducerId, TransactionalId};

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    if context.version < 4 {
        let transaction = AddPartitionsToTxnTransaction::default()
            .with_transactional_id(request.v3_and_below_transactional_id)
            .with_producer_id(request.v3_and_below_producer_id)
            .with_producer_epoch(request.v3_and_below_producer_epoch)
            .with_topics(request.v3_and_below_topics);
        let result = add(context, transaction).await;
        return AddPartitionsToTxnResponse::default()
            .with_results_by_topic_v3_and_below(result.topic_results);
    }
    let mut results = Vec::new();
    for transaction in request.transactions {
        results.push(add(context, transaction).await);
    }
    AddPartitionsToTxnResponse::default().with_results_by_transaction(results)
}

async fn add(
    context: &RequestContext,
    transaction: AddPartitionsToTxnTransaction,
) -> AddPartitionsToTxnResult {
    let named = transaction
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(move |number| (topic, *number)));
    let named: Vec<_> = named
        .map(|(topic, number)| topic_partition(&topic.name, number))
        .collect();
    let outcomes = match named.iter().find_map(|named| named.as_ref().err()) {
        // A name that no topic can have: like one that no topic has.
        Some(_) => named.into_iter().map(unless_other_failed).collect(),
        None => {
            let partitions = named.into_iter().filter_map(Result::ok).collect();
            let id = TransactionalId::new(transaction.transactional_id.as_str());
            let producer = ProducerIdentity {
                producer_id: ProducerId::new(transaction.producer_id.0),
                producer_epoch: ProducerEpoch::new(transaction.producer_epoch),
            };
            let broker = context.broker();
            if transaction.verify_only {
                broker.verify_partitions_in_txn(&id, producer, partitions).await
            } else {
                broker.add_each_partition_to_txn(&id, producer, partitions).await
            }
        }
    };
    AddPartitionsToTxnResult::default()
        .with_transactional_id(transaction.transactional_id)
        .with_topic_results(results(context, transaction.topics, outcomes))
}

fn unless_other_failed<T>(named: Result<T, BrokerError>) -> Result<(), BrokerError> {
    named.and_then(|_| {
        let message = "not added because others of the request cannot be";
        Err(BrokerError::new(ErrorCode::OperationNotAttempted, message))
    })
}

fn results(
    context: &RequestContext,
    topics: Vec<AddPartitionsToTxnTopic>,
    outcomes: Vec<Result<(), BrokerError>>,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let mut outcomes = outcomes.into_iter();
    let mut results: BTreeMap<_, AddPartitionsToTxnTopicResult> = BTreeMap::new();
    for topic in topics {
        let by_partition = topic
            .partitions
            .iter()
            .zip(&mut outcomes)
            .map(|(number, outcome)| {
                let code = outcome.err().map_or(ErrorCode::None, |error| error.code());
                let code = txn_codes::of_coordinator(ApiKey::AddPartitionsToTxn, context.version, code);
                AddPartitionsToTxnPartitionResult::default()
                    .with_partition_index(*number)
                    .with_partition_error_code(code.code())
            });
        let by_partition: Vec<_> = by_partition.collect();
        // Old clients name a topic once for each partition.
        results
            .entry(topic.name.to_string())
            .or_insert_with(|| AddPartitionsToTxnTopicResult::default().with_name(topic.name))
            .results_by_partition
            .extend(by_partition);
    }
    results.into_values().collect()
}
