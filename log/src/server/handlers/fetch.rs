//! Fetch (key 1), versions 4 to 18.
//!
//! Version 7 has sessions (KIP-227, `fetch_session.rs`), 9 checks leader epochs (KIP-320), 12 is flexible, 13 names topics by id (KIP-516). Left out until there are
//! more nodes: diverging epochs (12), the preferred read replica (11, KIP-392), followers' state (15, 18). A follower's fetch is refused here: replication has a
//! listener of its own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::FetchRequest;

use super::wire::topic_partition;
use crate::broker::{self, BrokerError, ErrorCode, FetchPartition, FetchedData, Isolation};
use crate::protocol::fetch_response::{FetchResponse, FetchedPartition, FetchedTopic, encode};
use crate::protocol::reply::Reply;
use crate::server::context::{Request, RequestContext};
use crate::server::dispatch::{RequestError, decode};
use crate::server::fetch_session::{Opened, SessionPartition, Told, Wanted};
use crate::server::outbox::PendingReply;
use crate::types::{LeaderEpoch, Offset, TopicId};

/// First version that names topics by id.
const BY_ID: i16 = 13;

pub(in crate::server) async fn handle(request: Request) -> Result<PendingReply, RequestError> {
    let Request { context, body } = request;
    let request: FetchRequest = decode(&context, body)?;
    let answer = answer(&context, request).await;
    Ok(PendingReply::Ready(framed(&context, answer)))
}

fn framed(context: &RequestContext, answer: FetchResponse) -> Reply {
    encode(answer, context.version, context.correlation_id)
}

async fn answer(context: &RequestContext, request: FetchRequest) -> FetchResponse {
    let replica = request.replica_id.0.max(request.replica_state.replica_id.0);
    if replica >= 0 {
        return failed(ErrorCode::ClusterAuthorizationFailed);
    }
    let by_id = context.version >= BY_ID;
    let wanted = wanted_of(&request);
    let now = context.broker().clock().monotonic();
    let opened = if context.version < 7 {
        Ok(Opened::Sessionless)
    } else {
        context.shared.fetch_sessions.lock().open(
            request.session_id,
            request.session_epoch,
            by_id,
            &wanted,
            &forgotten_of(&request),
            now,
        )
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(code) => return failed(code),
    };
    let (partitions, session) = match opened {
        Opened::Sessionless => (wanted, None),
        Opened::Full => (wanted, Some(0)),
        Opened::Incremental {
            session_id,
            partitions,
        } => (partitions, Some(session_id)),
    };
    let fetched = fetch(context, &request, &partitions).await;
    let told = |outcome: &Result<FetchedData, BrokerError>| {
        outcome.as_ref().ok().map(|data| Told {
            high_watermark: data.high_watermark.get(),
            log_start_offset: data.log_start_offset.get(),
        })
    };
    let mut sessions = context.shared.fetch_sessions.lock();
    let (session_id, answered) = match session {
        None => (0, partitions.into_iter().zip(fetched).collect::<Vec<_>>()),
        Some(0) => {
            let named = partitions.iter().zip(&fetched);
            let named =
                named.map(|((partition, wanted), outcome)| (partition.clone(), *wanted, told(outcome)));
            let fresh = context.broker().rng().next_u64() as i32;
            let id = sessions.begin(by_id, named.collect(), fresh, now);
            context.shared.metrics.on_fetch_sessions(sessions.len());
            (id, partitions.into_iter().zip(fetched).collect())
        }
        Some(id) => {
            let news = |((partition, _), outcome): &((SessionPartition, Wanted), _)| {
                let has_data = matches!(outcome, Ok(FetchedData { batches, .. }) if !batches.is_empty());
                sessions.tell(id, partition, told(outcome), has_data)
            };
            (id, partitions.into_iter().zip(fetched).filter(news).collect())
        }
    };
    drop(sessions);
    let committed_only = request.isolation_level == 1;
    let partitions = answered
        .into_iter()
        .map(|((partition, _), outcome)| (partition, outcome));
    FetchResponse {
        error_code: 0,
        session_id,
        topics: grouped(partitions, committed_only),
    }
}

fn failed(code: ErrorCode) -> FetchResponse {
    FetchResponse {
        error_code: code.code(),
        ..FetchResponse::default()
    }
}

fn wanted_of(request: &FetchRequest) -> Vec<(SessionPartition, Wanted)> {
    let mut wanted = Vec::new();
    for topic in &request.topics {
        let name: Arc<str> = Arc::from(topic.topic.as_str());
        wanted.extend(topic.partitions.iter().map(|partition| {
            let named = SessionPartition {
                name: name.clone(),
                id: topic.topic_id,
                index: partition.partition,
            };
            let wanted = Wanted {
                current_leader_epoch: partition.current_leader_epoch,
                fetch_offset: partition.fetch_offset,
                max_bytes: partition.partition_max_bytes,
            };
            (named, wanted)
        }));
    }
    wanted
}

fn forgotten_of(request: &FetchRequest) -> Vec<SessionPartition> {
    let topics = request.forgotten_topics_data.iter();
    let partitions = topics.flat_map(|topic| {
        let name: Arc<str> = Arc::from(topic.topic.as_str());
        topic.partitions.iter().map(move |index| SessionPartition {
            name: name.clone(),
            id: topic.topic_id,
            index: *index,
        })
    });
    partitions.collect()
}

/// Reads the partitions; one outcome each, in order.
async fn fetch(
    context: &RequestContext,
    request: &FetchRequest,
    partitions: &[(SessionPartition, Wanted)],
) -> Vec<Result<FetchedData, BrokerError>> {
    let mut asked = Vec::with_capacity(partitions.len());
    let mut places = Vec::with_capacity(partitions.len());
    for (partition, wanted) in partitions {
        places.push(resolve(context, partition, wanted).map(|resolved| {
            asked.push(resolved);
            asked.len() - 1
        }));
    }
    // An error is told at once.
    let max_wait = match places.iter().any(Result::is_err) {
        true => Duration::ZERO,
        false => Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)),
    };
    let fetched = context
        .broker()
        .fetch(broker::FetchRequest {
            max_wait,
            min_bytes: usize::try_from(request.min_bytes).unwrap_or(0),
            max_bytes: usize::try_from(request.max_bytes).unwrap_or(0),
            isolation: match request.isolation_level {
                1 => Isolation::ReadCommitted,
                _ => Isolation::ReadUncommitted,
            },
            partitions: asked,
        })
        .await;
    let mut fetched = fetched.partitions.into_iter().map(|(_, outcome)| outcome);
    let gone = || {
        Err(BrokerError::new(
            ErrorCode::UnknownServerError,
            "partition was not read",
        ))
    };
    let places = places.into_iter();
    places
        .map(|place| place.and_then(|_| fetched.next().unwrap_or_else(gone)))
        .collect()
}

fn resolve(
    context: &RequestContext,
    partition: &SessionPartition,
    wanted: &Wanted,
) -> Result<FetchPartition, BrokerError> {
    let broker = context.broker();
    let resolved = if context.version >= BY_ID {
        let id = TopicId::new(partition.id);
        let name = broker.topic_name_of(id).ok_or_else(|| {
            BrokerError::new(ErrorCode::UnknownTopicId, format!("no topic has the id {id}"))
        })?;
        crate::types::TopicPartition::new(name, partition.index)
    } else {
        topic_partition(&partition.name, partition.index)?
    };
    broker.check_leader_epoch(&resolved, LeaderEpoch::new(wanted.current_leader_epoch))?;
    Ok(FetchPartition {
        partition: resolved,
        fetch_offset: Offset::new(wanted.fetch_offset),
        max_bytes: usize::try_from(wanted.max_bytes).unwrap_or(0),
    })
}

/// By topic, as the wire has it; topics in the order of their first partition.
fn grouped(
    partitions: impl Iterator<Item = (SessionPartition, Result<FetchedData, BrokerError>)>,
    committed_only: bool,
) -> Vec<FetchedTopic> {
    let mut topics: Vec<FetchedTopic> = Vec::new();
    for (partition, outcome) in partitions {
        let fetched = fetched_partition(partition.index, outcome, committed_only);
        match topics.last_mut() {
            Some(last) if last.name == partition.name && last.id == partition.id => {
                last.partitions.push(fetched);
            }
            _ => topics.push(FetchedTopic {
                name: partition.name,
                id: partition.id,
                partitions: vec![fetched],
            }),
        }
    }
    topics
}

fn fetched_partition(
    index: i32,
    outcome: Result<FetchedData, BrokerError>,
    committed_only: bool,
) -> FetchedPartition {
    match outcome {
        Ok(data) => FetchedPartition {
            index,
            error_code: 0,
            high_watermark: data.high_watermark.get(),
            last_stable_offset: data.last_stable_offset.get(),
            log_start_offset: data.log_start_offset.get(),
            aborted: committed_only.then_some(data.aborted),
            batches: data
                .batches
                .into_iter()
                .filter(|run: &Bytes| !run.is_empty())
                .collect(),
        },
        Err(error) => FetchedPartition {
            index,
            error_code: error.code().code(),
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            aborted: None,
            batches: Vec::new(),
        },
    }
}
