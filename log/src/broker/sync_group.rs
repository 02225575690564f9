//! SyncGroup (API key 14): a member of a classic group asks for its assignment; the leader brings everybody's.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError};
use crate::types::GroupId;

pub use crate::coordinator::group::classic::{SyncRequest as SyncGroup, SyncedGroup};

impl Broker {
    /// Answers with the member's assignment once the leader's is durable. Errs with `UnknownMemberId`, `FencedInstanceId`, `IllegalGeneration`,
    /// `RebalanceInProgress`, `InconsistentGroupProtocol`. Cancel-safe.
    pub fn sync_group(
        &self,
        group: GroupId,
        request: SyncGroup,
    ) -> BoxFuture<'_, Result<SyncedGroup, BrokerError>> {
        async move { self.groups().sync(&group, request).await }.boxed()
    }
}
