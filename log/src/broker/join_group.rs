//! JoinGroup (API key 11): a member joins a classic group.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError};
use crate::types::{GroupId, MemberId};

pub use crate::coordinator::group::classic::{
    JoinRequest as JoinGroup, JoinedGroup, JoinedMember, Protocol as GroupProtocol,
};

/// A refusal of JoinGroup.
#[derive(Clone, Debug)]
pub struct JoinRefused {
    /// Why.
    pub error: BrokerError,
    /// The id to come back with (`MemberIdRequired`); empty to come back as a new member.
    pub member_id: MemberId,
}

impl Broker {
    /// Joins a group; answers when the rebalance it joined has all its members, or is over without some. Errs with `MemberIdRequired` (the
    /// refusal has the id to come back with), `UnknownMemberId`, `FencedInstanceId`, `InconsistentGroupProtocol`, `GroupMaxSizeReached`,
    /// `InvalidSessionTimeout`, `InvalidGroupId`, `RebalanceInProgress` when a newer request of the same member took the place of this one. A dropped
    /// call leaves the member in the group until its session is over.
    pub fn join_group(
        &self,
        group: GroupId,
        request: JoinGroup,
    ) -> BoxFuture<'_, Result<JoinedGroup, JoinRefused>> {
        async move {
            let member_id = request.member_id.clone();
            match self.groups().join(&group, request).await {
                Ok(Ok(joined)) => Ok(joined),
                Ok(Err(refusal)) => Err(JoinRefused {
                    error: refusal.error.into(),
                    member_id: refusal.member_id,
                }),
                Err(error) => Err(JoinRefused { error, member_id }),
            }
        }
        .boxed()
    }
}
