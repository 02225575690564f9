//! OffsetFetch (key 9), versions 1 to 10.
//!
//! Version 2 may ask for all partitions (null topics), 5 answers leader epochs, 7 asks for stable offsets only (KIP-447), 8 asks for many groups at once
//! (KIP-709), 9 says which member asks (KIP-848), 10 names topics by id. Every asked partition is answered: -1 and empty metadata where nothing was committed.

use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse, TopicName as WireTopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::group_wire::{group, member, offset_topic};
use super::wire::text;
use crate::broker::{BrokerError, FetchedOffset, GroupOffsetFetch, OffsetAndMetadata};
use crate::protocol::offset_requests::TOPIC_IDS;
use crate::server::context::RequestContext;
use crate::types::{GroupId, MemberId, TopicName, TopicPartition};

/// A topic as the request names it: by name or, from version 10 on, by id.
type Named = (WireTopicName, Uuid);
type Asked = Option<Vec<(Named, Vec<i32>)>>;
type Answered = Vec<(Named, Vec<(i32, Result<Option<OffsetAndMetadata>, BrokerError>)>)>;

/// Who asks.
struct Asker {
    group: GroupId,
    member_id: Option<MemberId>,
    member_epoch: i32,
    require_stable: bool,
}

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    let require_stable = request.require_stable;
    if context.version >= 8 {
        let mut groups = Vec::with_capacity(request.groups.len());
        for asked in request.groups {
            groups.push(of_group(context, asked, require_stable).await);
        }
        return OffsetFetchResponse::default().with_groups(groups);
    }
    let topics = request.topics.map(|topics| {
        let topics = topics.into_iter();
        topics
            .map(|topic| ((topic.name, Uuid::nil()), topic.partition_indexes))
            .collect()
    });
    let asker = Asker {
        group: group(&request.group_id),
        member_id: None,
        member_epoch: -1,
        require_stable,
    };
    // The first version has no place for an error of the whole group but the partitions.
    let asked: Asked = topics;
    match fetch(context, asker, asked.clone()).await {
        Ok(answered) => OffsetFetchResponse::default().with_topics(of_topics(context.version, answered)),
        Err(error) if context.version < 2 => {
            let failed = asked.unwrap_or_default().into_iter().map(|(topic, partitions)| {
                let partitions = partitions.into_iter();
                (
                    topic,
                    partitions
                        .map(|partition| (partition, Err(error.clone())))
                        .collect(),
                )
            });
            OffsetFetchResponse::default().with_topics(of_topics(context.version, failed.collect()))
        }
        Err(error) => OffsetFetchResponse::default().with_error_code(error.code().code()),
    }
}

async fn of_group(
    context: &RequestContext,
    asked: OffsetFetchRequestGroup,
    require_stable: bool,
) -> OffsetFetchResponseGroup {
    let asker = Asker {
        group: group(&asked.group_id),
        member_id: asked.member_id.as_ref().map(member),
        member_epoch: asked.member_epoch,
        require_stable,
    };
    let topics = asked.topics.map(|topics| {
        let topics = topics.into_iter();
        topics
            .map(|topic| ((topic.name, topic.topic_id), topic.partition_indexes))
            .collect()
    });
    let answer = OffsetFetchResponseGroup::default().with_group_id(asked.group_id);
    let answered = match fetch(context, asker, topics).await {
        Ok(answered) => answered,
        Err(error) => return answer.with_error_code(error.code().code()),
    };
    let topics = answered.into_iter().map(|((name, id), partitions)| {
        let partitions = partitions.into_iter().map(|(partition, found)| {
            let found = Told::of(found);
            OffsetFetchResponsePartitions::default()
                .with_partition_index(partition)
                .with_committed_offset(found.offset)
                .with_committed_leader_epoch(found.leader_epoch)
                .with_metadata(Some(found.metadata))
                .with_error_code(found.error_code)
        });
        OffsetFetchResponseTopics::default()
            .with_name(name)
            .with_topic_id(id)
            .with_partitions(partitions.collect())
    });
    answer.with_topics(topics.collect())
}

fn of_topics(version: i16, answered: Answered) -> Vec<OffsetFetchResponseTopic> {
    let topics = answered.into_iter().map(|((topic, _), partitions)| {
        let partitions = partitions.into_iter().map(|(partition, found)| {
            let found = Told::of(found);
            let answer = OffsetFetchResponsePartition::default()
                .with_partition_index(partition)
                .with_committed_offset(found.offset)
                .with_metadata(Some(found.metadata))
                .with_error_code(found.error_code);
            match version {
                5.. => answer.with_committed_leader_epoch(found.leader_epoch),
                _ => answer,
            }
        });
        OffsetFetchResponseTopic::default()
            .with_name(topic)
            .with_partitions(partitions.collect())
    });
    topics.collect()
}

/// A partition's answer on the wire.
struct Told {
    offset: i64,
    leader_epoch: i32,
    metadata: StrBytes,
    error_code: i16,
}

impl Told {
    fn of(found: Result<Option<OffsetAndMetadata>, BrokerError>) -> Self {
        let error_code = found.as_ref().map_or_else(|error| error.code().code(), |_| 0);
        match found {
            Ok(Some(found)) => Self {
                offset: found.offset.get(),
                leader_epoch: found.leader_epoch.map_or(-1, |epoch| epoch.get()),
                metadata: text(found.metadata),
                error_code,
            },
            Ok(None) | Err(_) => Self {
                offset: -1,
                leader_epoch: -1,
                metadata: StrBytes::default(),
                error_code,
            },
        }
    }
}

/// Fetches, and puts the answers back under the topics as they were asked for.
async fn fetch(context: &RequestContext, asker: Asker, asked: Asked) -> Result<Answered, BrokerError> {
    let names: Option<Vec<Result<TopicName, BrokerError>>> = asked.as_ref().map(|topics| {
        let named = topics
            .iter()
            .map(|((name, id), _)| offset_topic(context, name, *id));
        named.collect()
    });
    let partitions = asked.as_ref().zip(names.as_ref()).map(|(topics, names)| {
        let all = topics.iter().zip(names).flat_map(|((_, partitions), name)| {
            name.iter().flat_map(|name| {
                partitions
                    .iter()
                    .map(|partition| TopicPartition::new(name.clone(), *partition))
            })
        });
        all.collect()
    });
    let fetch = GroupOffsetFetch {
        group: asker.group,
        member_id: asker.member_id,
        member_epoch: asker.member_epoch,
        partitions,
        require_stable: asker.require_stable,
    };
    let fetched = context.broker().offset_fetch_by(fetch).await?;
    let (Some(asked), Some(names)) = (asked, names) else {
        return Ok(by_topic(context, fetched));
    };
    let mut fetched = fetched.into_iter();
    let answered = asked.into_iter().zip(names).map(|((topic, partitions), name)| {
        let partitions = partitions.into_iter().map(|partition| {
            let found = match &name {
                Ok(_) => fetched.next().map_or(Ok(None), |(_, found)| found),
                // A name no topic can have has no offset either; an id is one of a topic that is gone.
                Err(_) if context.version < TOPIC_IDS => Ok(None),
                Err(unknown) => Err(unknown.clone()),
            };
            (partition, found)
        });
        let partitions = partitions.collect();
        (topic, partitions)
    });
    Ok(answered.collect())
}

/// All there is, put under its topics. By id a topic that was deleted a moment ago cannot be told of.
fn by_topic(context: &RequestContext, fetched: Vec<FetchedOffset>) -> Answered {
    let mut answered: Answered = Vec::new();
    for (partition, found) in fetched {
        let (number, name) = (partition.partition.get(), partition.topic.as_str());
        match answered.last_mut() {
            Some(((topic, _), partitions)) if topic.as_str() == name => partitions.push((number, found)),
            _ => {
                let id = match (context.version, context.broker().topic_id_of(&partition.topic)) {
                    (TOPIC_IDS.., None) => continue,
                    (_, id) => id.map_or(Uuid::nil(), |id| id.get()),
                };
                answered.push(((text(name).into(), id), vec![(number, found)]));
            }
        }
    }
    answered
}
