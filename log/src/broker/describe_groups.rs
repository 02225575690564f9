//! DescribeGroups (API key 15): classic groups in detail.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError};
use crate::coordinator::group::classic::{ClassicGroup, ClassicState};
use crate::coordinator::group::{Group, GroupError, GroupRules};
use crate::types::{GroupId, GroupInstanceId, MemberId};

/// A classic group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its name.
    pub group: GroupId,
    /// Kafka's name of its state.
    pub state: &'static str,
    /// `consumer` for consumers; empty if it never had members.
    pub protocol_type: String,
    /// The chosen protocol; empty unless stable.
    pub protocol: String,
    /// Its members.
    pub members: Vec<MemberDescription>,
}

/// A member of a classic group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberDescription {
    /// Its id.
    pub member_id: MemberId,
    /// Of a static member.
    pub instance_id: Option<GroupInstanceId>,
    /// As it names itself.
    pub client_id: String,
    /// Where it connects from.
    pub client_host: String,
    /// What it says about itself in the chosen protocol; empty unless the group is stable.
    pub metadata: Bytes,
    /// What it was given; empty unless the group is stable.
    pub assignment: Bytes,
}

impl Broker {
    /// Describes groups; one answer each, in order. Errs with `GroupIdNotFound`, also for a group of another kind.
    pub fn describe_groups(
        &self,
        groups: Vec<GroupId>,
    ) -> BoxFuture<'_, Vec<Result<GroupDescription, BrokerError>>> {
        async move { groups.iter().map(|group| self.describe_group(group)).collect() }.boxed()
    }

    fn describe_group(&self, id: &GroupId) -> Result<GroupDescription, BrokerError> {
        let described = self.groups().look_at(id, |group| match group {
            Group::Classic(group) => Ok(describe(group)),
            Group::Consumer(_) => Err(GroupError::WrongKind {
                group: id.clone(),
                expected: "classic",
            }),
        });
        let not_found = || GroupError::GroupIdNotFound { group: id.clone() };
        Ok(described.unwrap_or_else(|| Err(not_found()))?)
    }
}

fn describe(group: &ClassicGroup) -> GroupDescription {
    let stable = group.state() == ClassicState::Stable;
    let protocol = group.protocol().filter(|_| stable).unwrap_or_default();
    let members = group.members().map(|member| MemberDescription {
        member_id: member.id.clone(),
        instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        metadata: if stable {
            member.metadata(protocol)
        } else {
            Bytes::new()
        },
        assignment: if stable {
            member.assignment.clone()
        } else {
            Bytes::new()
        },
    });
    GroupDescription {
        group: group.id().clone(),
        state: group.state_name(),
        protocol_type: GroupRules::protocol_type(group).to_owned(),
        protocol: protocol.to_owned(),
        members: members.collect(),
    }
}
