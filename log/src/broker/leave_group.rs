//! LeaveGroup (API key 13): members leave a classic group, or an administrator takes them out.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError};
use crate::types::GroupId;

pub use crate::coordinator::group::classic::LeavingMember;

impl Broker {
    /// Takes members out; one answer each, in order. A member without id is named by its instance. Errs per member with `UnknownMemberId`,
    /// `FencedInstanceId`.
    pub fn leave_group<'a>(
        &'a self,
        group: &'a GroupId,
        leaving: Vec<LeavingMember>,
    ) -> BoxFuture<'a, Result<Vec<Result<(), BrokerError>>, BrokerError>> {
        async move {
            let left = self.groups().leave(group, &leaving).await?;
            Ok(left.into_iter().map(|left| Ok(left?)).collect())
        }
        .boxed()
    }
}
