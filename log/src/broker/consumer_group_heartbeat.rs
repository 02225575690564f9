//! ConsumerGroupHeartbeat (API key 68): a member of a consumer group (KIP-848) joins, lives or leaves.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError};
use crate::types::GroupId;

pub use crate::coordinator::group::consumer::{
    HeartbeatRequest as ConsumerGroupHeartbeat, HeartbeatResponse as ConsumerGroupHeartbeatAnswer,
    PartitionSet, TopicIdPartition,
};

impl Broker {
    /// Takes a heartbeat: tells the member its epoch, and what to consume if that changed. Errs with `UnknownMemberId`, `FencedMemberEpoch` (give up all
    /// partitions, join again with epoch 0), `UnreleasedInstanceId`, `FencedInstanceId`, `GroupMaxSizeReached`, `UnsupportedAssignor`, `InvalidRegularExpression`,
    /// `InvalidRequest`, `InvalidGroupId`, with `UnsupportedVersion` while `group.version` is 0, and with `GroupIdNotFound` if a classic group has the name and cannot be upgraded. Cancel-safe: a dropped call may or
    /// may not have taken effect; the next heartbeat tells.
    pub fn consumer_group_heartbeat(
        &self,
        group: GroupId,
        request: ConsumerGroupHeartbeat,
    ) -> BoxFuture<'_, Result<ConsumerGroupHeartbeatAnswer, BrokerError>> {
        async move {
            self.check_consumer_protocol()?;
            self.groups().consumer_heartbeat(&group, request).await
        }
        .boxed()
    }
}
