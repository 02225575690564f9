//! From a request to its handler: one line per API.
//!
//! Always true: a version is served only if `protocol/api.rs` says so; a body is decoded only after its counts were found to fit its length; what
//! cannot be decoded ends the connection, because no answer can be trusted to reach the right request after it.
//! The seam for rights: `dispatch` is where a principal's rights will be checked, once there are principals.

use bytes::BytesMut;
use futures::FutureExt;
use futures::future::BoxFuture;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Decodable, Encodable};
use thiserror::Error;

use super::context::{Request, RequestContext};
use super::handlers;
use super::outbox::PendingReply;
use crate::protocol::reply::{EncodeError, Reply};
use crate::protocol::wire_reader::Malformed;
use crate::protocol::{guard, legacy, offset_requests};

/// A request that ends its connection.
#[derive(Debug, Error)]
pub(super) enum RequestError {
    /// Its body does not have the shape its header promises.
    #[error("malformed {api:?} request of version {version}: {cause}")]
    Malformed {
        api: ApiKey,
        version: i16,
        cause: String,
    },
    /// The same, found by our own reader.
    #[error("malformed {api:?} request of version {version}: {cause}")]
    Unreadable {
        api: ApiKey,
        version: i16,
        cause: Malformed,
    },
    /// A bug of ours.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Works on a request until its answer is known or, for Produce, until its place in the partitions' order is.
pub(super) fn dispatch(request: Request) -> BoxFuture<'static, Result<PendingReply, RequestError>> {
    match request.context.old_version {
        Some(version) => dispatch_old(request, version).boxed(),
        None => serve(request),
    }
}

/// Works on a request of a version that only `protocol/legacy.rs` knows.
async fn dispatch_old(mut request: Request, version: i16) -> Result<PendingReply, RequestError> {
    let api = request.context.api;
    let unreadable = |cause| RequestError::Unreadable { api, version, cause };
    request.body = legacy::upgraded(api, version, request.body).map_err(unreadable)?;
    match serve(request).await? {
        PendingReply::Ready(reply) => {
            let mut frame = reply.into_frame();
            let header = frame.split_to(if api.response_header_version(version) >= 1 {
                5
            } else {
                4
            });
            let body = legacy::downgraded(api, version, frame).map_err(unreadable)?;
            let mut head = BytesMut::with_capacity(9 + body.len());
            head.extend_from_slice(&[0; 4]);
            head.extend_from_slice(&header);
            head.extend_from_slice(&body);
            Ok(PendingReply::Ready(Reply::framed(head, [])))
        }
        later => Ok(later),
    }
}

fn serve(request: Request) -> BoxFuture<'static, Result<PendingReply, RequestError>> {
    macro_rules! serve {
        ($($api:ident => $handler:ident),* $(,)?) => {
            match request.context.api {
                $(ApiKey::$api => async move {
                    let Request { context, body } = request;
                    let decoded = decode(&context, body)?;
                    let answer = handlers::$handler::handle(&context, decoded).await;
                    encode(&context, &answer).map(PendingReply::Ready)
                }
                .boxed(),)*
                api => async move {
                    let version = request.context.version;
                    Err(RequestError::Malformed { api, version, cause: "no handler".to_owned() })
                }
                .boxed(),
            }
        };
    }
    if request.context.api == ApiKey::Produce {
        return handlers::produce::handle(request).boxed();
    }
    if request.context.api == ApiKey::Fetch {
        return handlers::fetch::handle(request).boxed();
    }
    if request.context.api == ApiKey::OffsetCommit {
        return offset_commit(request).boxed();
    }
    if request.context.api == ApiKey::OffsetFetch {
        return offset_fetch(request).boxed();
    }
    serve! {
        ListOffsets => list_offsets,
        Metadata => metadata,
        FindCoordinator => find_coordinator,
        JoinGroup => join_group,
        Heartbeat => heartbeat,
        LeaveGroup => leave_group,
        SyncGroup => sync_group,
        DescribeGroups => describe_groups,
        ListGroups => list_groups,
        ApiVersions => api_versions,
        CreateTopics => create_topics,
        DeleteTopics => delete_topics,
        DeleteRecords => delete_records,
        InitProducerId => init_producer_id,
        OffsetForLeaderEpoch => offset_for_leader_epoch,
        AddPartitionsToTxn => add_partitions_to_txn,
        AddOffsetsToTxn => add_offsets_to_txn,
        EndTxn => end_txn,
        WriteTxnMarkers => write_txn_markers,
        TxnOffsetCommit => txn_offset_commit,
        DescribeAcls => describe_acls,
        CreateAcls => create_acls,
        DeleteAcls => delete_acls,
        DescribeConfigs => describe_configs,
        AlterConfigs => alter_configs,
        AlterReplicaLogDirs => alter_replica_log_dirs,
        DescribeLogDirs => describe_log_dirs,
        CreatePartitions => create_partitions,
        DeleteGroups => delete_groups,
        ElectLeaders => elect_leaders,
        IncrementalAlterConfigs => incremental_alter_configs,
        AlterPartitionReassignments => alter_partition_reassignments,
        ListPartitionReassignments => list_partition_reassignments,
        OffsetDelete => offset_delete,
        DescribeQuorum => describe_quorum,
        UpdateFeatures => update_features,
        DescribeCluster => describe_cluster,
        DescribeProducers => describe_producers,
        UnregisterBroker => unregister_broker,
        DescribeTransactions => describe_transactions,
        ListTransactions => list_transactions,
        ConsumerGroupHeartbeat => consumer_group_heartbeat,
        ConsumerGroupDescribe => consumer_group_describe,
        GetTelemetrySubscriptions => get_telemetry_subscriptions,
        PushTelemetry => push_telemetry,
        ListConfigResources => list_config_resources,
        DescribeTopicPartitions => describe_topic_partitions,
        AddRaftVoter => add_raft_voter,
        RemoveRaftVoter => remove_raft_voter,
    }
}

/// OffsetCommit, at more versions than the codec reads. What is answered at versions 0 and 1 is what is answered at 2.
async fn offset_commit(request: Request) -> Result<PendingReply, RequestError> {
    let Request { context, body } = request;
    let decoded = if offset_requests::codec_reads_commit(context.version) {
        decode(&context, body)?
    } else {
        by_hand(&context, body, |body| {
            offset_requests::decode_commit(body, context.version)
        })?
    };
    let answer = handlers::offset_commit::handle(&context, decoded).await;
    let version = context.version.max(2);
    encode(&RequestContext { version, ..context }, &answer).map(PendingReply::Ready)
}

/// OffsetFetch, at one version more than the codec reads.
async fn offset_fetch(request: Request) -> Result<PendingReply, RequestError> {
    let Request { context, body } = request;
    let decoded = match context.version {
        offset_requests::TOPIC_IDS => by_hand(&context, body, offset_requests::decode_fetch)?,
        _ => decode(&context, body)?,
    };
    let answer = handlers::offset_fetch::handle(&context, decoded).await;
    encode(&context, &answer).map(PendingReply::Ready)
}

fn by_hand<T>(
    context: &RequestContext,
    body: BytesMut,
    read: impl FnOnce(BytesMut) -> Result<T, Malformed>,
) -> Result<T, RequestError> {
    let (api, version) = (context.api, context.version);
    let unreadable = |cause| RequestError::Unreadable { api, version, cause };
    guard::check_request(api, version, &body).map_err(unreadable)?;
    read(body).map_err(unreadable)
}

/// Bytes behind the message are ignored, as Kafka does: librdkafka pads some counts.
pub(super) fn decode<T: Decodable>(context: &RequestContext, body: BytesMut) -> Result<T, RequestError> {
    let (api, version) = (context.api, context.version);
    guard::check_request(api, version, &body).map_err(|cause| RequestError::Unreadable {
        api,
        version,
        cause,
    })?;
    let mut body = body.freeze();
    T::decode(&mut body, context.version).map_err(|cause| RequestError::Malformed {
        api: context.api,
        version: context.version,
        cause: format!("{cause:#}"),
    })
}

pub(super) fn encode<T: Encodable>(context: &RequestContext, answer: &T) -> Result<Reply, RequestError> {
    Ok(Reply::encode(
        context.api,
        context.version,
        context.correlation_id,
        answer,
    )?)
}

/// The answer to an ApiVersions request of a version we do not know (KIP-511): version 0, error 35, and the versions of this one API.
pub(super) fn fallback_versions(correlation_id: i32) -> Result<Reply, RequestError> {
    let answer = handlers::api_versions::unsupported_version();
    Ok(Reply::encode(ApiKey::ApiVersions, 0, correlation_id, &answer)?)
}
