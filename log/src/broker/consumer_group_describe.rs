//! ConsumerGroupDescribe (API key 69): consumer groups (KIP-848) in detail.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError};
use crate::coordinator::group::{Group, GroupError};
use crate::types::GroupId;

pub use crate::coordinator::group::consumer::{
    ConsumerGroupState, DescribedConsumerGroup, DescribedMember as DescribedConsumerGroupMember,
    DescribedPartitions,
};

impl Broker {
    /// Describes consumer groups; one answer each, in order. Errs with `GroupIdNotFound`, also for a classic group, and with `UnsupportedVersion`
    /// while `group.version` is 0.
    pub fn consumer_group_describe(
        &self,
        groups: Vec<GroupId>,
    ) -> BoxFuture<'_, Vec<Result<DescribedConsumerGroup, BrokerError>>> {
        async move {
            groups
                .iter()
                .map(|group| self.describe_consumer_group(group))
                .collect()
        }
        .boxed()
    }

    fn describe_consumer_group(&self, id: &GroupId) -> Result<DescribedConsumerGroup, BrokerError> {
        self.check_consumer_protocol()?;
        let image = self.node().image();
        let config = &self.config().groups.consumer;
        let described = self.groups().look_at(id, |group| match group {
            Group::Consumer(group) => Ok(group.describe(&image, config)),
            Group::Classic(_) => Err(GroupError::WrongKind {
                group: id.clone(),
                expected: "consumer",
            }),
        });
        let not_found = || GroupError::GroupIdNotFound { group: id.clone() };
        Ok(described.unwrap_or_else(|| Err(not_found()))?)
    }
}
