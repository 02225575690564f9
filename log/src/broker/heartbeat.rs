//! Heartbeat (API key 12): a member of a classic group shows that it lives.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError};
use crate::types::{GroupId, GroupInstanceId, MemberId};

impl Broker {
    /// Prolongs the member's session. Errs with `RebalanceInProgress` (join again), `UnknownMemberId`, `FencedInstanceId`, `IllegalGeneration`.
    pub fn heartbeat<'a>(
        &'a self,
        group: &'a GroupId,
        member: &'a MemberId,
        instance: Option<&'a GroupInstanceId>,
        generation: i32,
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        async move { self.groups().heartbeat(group, member, instance, generation).await }.boxed()
    }
}
