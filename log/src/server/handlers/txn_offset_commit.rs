//! TxnOffsetCommit (key 28), versions 0 to 5.
//!
//! Version 2 tells leader epochs, 3 names the member on whose behalf the offsets are committed (KIP-447), 4 knows TRANSACTION_ABORTABLE, 5 is TV2: it
//! adds the group's partition by itself (KIP-890).

use kafka_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestPartition;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{ApiKey, TxnOffsetCommitRequest, TxnOffsetCommitResponse};

use super::txn_codes;
use super::wire::topic_partition;
use crate::broker::{BrokerError, Committer, ErrorCode, OffsetAndMetadata, TxnOffsetCommit};
use crate::server::context::RequestContext;
use crate::types::{
    GroupId, GroupInstanceId, LeaderEpoch, MemberId, Offset, ProducerEpoch, ProducerId, TransactionVersion,
    TransactionalId,
};

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let mut offsets = Vec::new();
    let mut places = Vec::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            places.push(
                topic_partition(&topic.name, partition.partition_index).map(|named| {
                    offsets.push((named, offset(partition)));
                    offsets.len() - 1
                }),
            );
        }
    }
    let committer = Committer {
        member_id: MemberId::new(request.member_id.as_str()),
        instance_id: request
            .group_instance_id
            .map(|id| GroupInstanceId::new(id.as_str())),
        generation_or_epoch: request.generation_id,
        ..Committer::transaction()
    };
    let commit = TxnOffsetCommit {
        transactional_id: TransactionalId::new(request.transactional_id.as_str()),
        group: GroupId::new(request.group_id.as_str()),
        producer_id: ProducerId::new(request.producer_id.0),
        producer_epoch: ProducerEpoch::new(request.producer_epoch),
        offsets,
    };
    let version = TransactionVersion::of_txn_offset_commit(context.version);
    let committed = context
        .broker()
        .txn_offset_commit_by(version, committer, commit, false)
        .await;
    let mut places = places.into_iter();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic
            .partitions
            .iter()
            .zip(&mut places)
            .map(|(partition, place)| {
                let outcome = place.and_then(|at| match &committed {
                    Ok(answers) => answers[at].clone(),
                    Err(error) => Err(error.clone()),
                });
                TxnOffsetCommitResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(code(context, outcome).code())
            });
        let partitions = partitions.collect();
        TxnOffsetCommitResponseTopic::default()
            .with_name(topic.name)
            .with_partitions(partitions)
    });
    TxnOffsetCommitResponse::default().with_topics(topics.collect())
}

fn offset(partition: &TxnOffsetCommitRequestPartition) -> OffsetAndMetadata {
    let leader_epoch = partition.committed_leader_epoch;
    OffsetAndMetadata {
        offset: Offset::new(partition.committed_offset),
        leader_epoch: (leader_epoch >= 0).then(|| LeaderEpoch::new(leader_epoch)),
        metadata: partition
            .committed_metadata
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
    }
}

fn code(context: &RequestContext, outcome: Result<(), BrokerError>) -> ErrorCode {
    let code = outcome.err().map_or(ErrorCode::None, |error| error.code());
    // A client that speaks of a generation of a group that is gone is told what it acts on: its generation is over.
    let code = match code {
        ErrorCode::GroupIdNotFound => ErrorCode::IllegalGeneration,
        code => code,
    };
    txn_codes::of_coordinator(ApiKey::TxnOffsetCommit, context.version, code)
}
