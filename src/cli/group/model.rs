//! Groups as the cluster tells them: who there is, their members, their offsets.

use std::collections::BTreeMap;

use anyhow::Context;
use bytes::Buf;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerProtocolAssignment, DescribeGroupsRequest, GroupId,
    ListGroupsRequest, OffsetFetchRequest,
};
use kafka_protocol::protocol::Decodable;

use crate::cli::wire::{Client, To, kafka_failure, text};

/// The last version of OffsetFetch and OffsetCommit that names topics.
pub(super) const OFFSETS_VERSION_MAX: i16 = 9;

/// A group in a list.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) name: String,
    /// `classic` or `consumer`.
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) protocol_type: String,
    pub(crate) coordinator: i32,
}

impl Listed {
    /// Whether it has members and offsets as consumers do; share and streams groups have others.
    pub(crate) fn is_of_consumers(&self) -> bool {
        matches!(self.kind.as_str(), "classic" | "consumer")
    }
}

/// A group with its members.
#[derive(Clone, Debug)]
pub(super) struct Described {
    pub(super) state: String,
    pub(super) assignor: Option<String>,
    pub(super) members: Vec<Member>,
}

/// A member and what it reads.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) instance_id: Option<String>,
    pub(super) client_id: String,
    pub(super) host: String,
    pub(super) partitions: Vec<(String, i32)>,
}

/// An offset of a group.
#[derive(Clone, Debug)]
pub(crate) struct Commit {
    pub(crate) offset: i64,
    pub(crate) metadata: Option<String>,
}

/// All groups of all brokers, by name.
pub(crate) async fn listed(client: &mut Client) -> anyhow::Result<Vec<Listed>> {
    let mut groups = Vec::new();
    for node in client.nodes.keys().copied().collect::<Vec<_>>() {
        let answer = client
            .ask(
                To::Node(node),
                |_| ListGroupsRequest::default(),
                |answer| answer.error_code,
            )
            .await?;
        if answer.error_code != 0 {
            return Err(kafka_failure(&format!("groups of broker {node}"), answer.error_code, None).into());
        }
        groups.extend(answer.groups.into_iter().map(|group| Listed {
            name: group.group_id.0.to_string(),
            kind: match group.group_type.as_str() {
                "" => "classic".to_owned(),
                kind => kind.to_lowercase(),
            },
            state: group.group_state.to_string(),
            protocol_type: group.protocol_type.to_string(),
            coordinator: node,
        }));
    }
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    groups.dedup_by(|a, b| a.name == b.name);
    Ok(groups)
}

/// A group with its members, or Kafka's code.
pub(super) async fn described(client: &mut Client, group: &Listed) -> anyhow::Result<Result<Described, i16>> {
    if group.kind == "consumer" {
        return described_consumer(client, &group.name).await;
    }
    let answer = client
        .ask(
            To::Group(&group.name),
            |_| DescribeGroupsRequest::default().with_groups(vec![GroupId(text(group.name.clone()))]),
            |answer| answer.groups.first().map_or(0, |group| group.error_code),
        )
        .await?;
    let found = answer
        .groups
        .into_iter()
        .next()
        .context("no answer about the group")?;
    if found.error_code != 0 {
        return Ok(Err(found.error_code));
    }
    let mut members = Vec::new();
    for member in found.members {
        let partitions = match found.protocol_type.as_str() {
            "consumer" => assignment(member.member_assignment)
                .with_context(|| format!("assignment of {} in group {}", member.member_id, group.name))?,
            // Other protocols (Connect) write something of their own there.
            _ => Vec::new(),
        };
        members.push(Member {
            id: member.member_id.to_string(),
            instance_id: member.group_instance_id.map(|id| id.to_string()),
            client_id: member.client_id.to_string(),
            host: member.client_host.to_string(),
            partitions,
        });
    }
    Ok(Ok(Described {
        state: found.group_state.to_string(),
        assignor: Some(found.protocol_data.to_string()).filter(|name| !name.is_empty()),
        members,
    }))
}

async fn described_consumer(client: &mut Client, name: &str) -> anyhow::Result<Result<Described, i16>> {
    let answer = client
        .ask(
            To::Group(name),
            |_| ConsumerGroupDescribeRequest::default().with_group_ids(vec![GroupId(text(name))]),
            |answer| answer.groups.first().map_or(0, |group| group.error_code),
        )
        .await?;
    let found = answer
        .groups
        .into_iter()
        .next()
        .context("no answer about the group")?;
    if found.error_code != 0 {
        return Ok(Err(found.error_code));
    }
    let members = found
        .members
        .into_iter()
        .map(|member| Member {
            id: member.member_id.to_string(),
            instance_id: member.instance_id.map(|id| id.to_string()),
            client_id: member.client_id.to_string(),
            host: member.client_host.to_string(),
            partitions: member
                .assignment
                .topic_partitions
                .iter()
                .flat_map(|topic| {
                    let name = topic.topic_name.0.to_string();
                    topic
                        .partitions
                        .iter()
                        .map(move |partition| (name.clone(), *partition))
                })
                .collect(),
        })
        .collect();
    Ok(Ok(Described {
        state: found.group_state.to_string(),
        assignor: Some(found.assignor_name.to_string()).filter(|name| !name.is_empty()),
        members,
    }))
}

/// What a classic member was assigned, as its leader wrote it.
fn assignment(mut bytes: bytes::Bytes) -> anyhow::Result<Vec<(String, i32)>> {
    if bytes.len() < 2 {
        return Ok(Vec::new());
    }
    // Later versions only append fields.
    let version = bytes.get_i16().clamp(0, 3);
    let assignment = ConsumerProtocolAssignment::decode(&mut bytes, version)?;
    Ok(assignment
        .assigned_partitions
        .into_iter()
        .flat_map(|topic| {
            let name = topic.topic.0.to_string();
            topic
                .partitions
                .into_iter()
                .map(move |partition| (name.clone(), partition))
        })
        .collect())
}

/// The offsets of a group, or Kafka's code.
pub(crate) async fn committed(
    client: &mut Client,
    group: &str,
) -> anyhow::Result<Result<BTreeMap<(String, i32), Commit>, i16>> {
    let answer = client
        .ask_below(
            To::Group(group),
            OFFSETS_VERSION_MAX,
            |version| {
                let id = GroupId(text(group));
                if version >= 8 {
                    let mut asked = OffsetFetchRequestGroup::default()
                        .with_group_id(id)
                        .with_topics(None);
                    if version >= 9 {
                        asked.member_epoch = -1;
                    }
                    OffsetFetchRequest::default().with_groups(vec![asked])
                } else {
                    OffsetFetchRequest::default().with_group_id(id).with_topics(None)
                }
            },
            |answer| {
                answer
                    .groups
                    .first()
                    .map_or(answer.error_code, |group| group.error_code)
            },
        )
        .await?;
    let mut offsets = BTreeMap::new();
    if answer.error_code != 0 {
        return Ok(Err(answer.error_code));
    }
    for topic in answer.topics {
        for partition in topic.partitions {
            if partition.error_code != 0 {
                return Ok(Err(partition.error_code));
            }
            let commit = Commit {
                offset: partition.committed_offset,
                metadata: partition.metadata.map(|metadata| metadata.to_string()),
            };
            offsets.insert((topic.name.0.to_string(), partition.partition_index), commit);
        }
    }
    for group in answer.groups {
        if group.error_code != 0 {
            return Ok(Err(group.error_code));
        }
        for topic in group.topics {
            for partition in topic.partitions {
                if partition.error_code != 0 {
                    return Ok(Err(partition.error_code));
                }
                let commit = Commit {
                    offset: partition.committed_offset,
                    metadata: partition.metadata.map(|metadata| metadata.to_string()),
                };
                offsets.insert((topic.name.0.to_string(), partition.partition_index), commit);
            }
        }
    }
    offsets.retain(|_, commit| commit.offset >= 0);
    Ok(Ok(offsets))
}
