//! FindCoordinator (API key 10): which node coordinates a group or a transactional id.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError, ErrorCode};
use crate::types::GroupId;

/// What a coordinator is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinatorKind {
    /// A group.
    Group,
    /// A transactional id.
    Transaction,
}

impl Broker {
    /// The id of the node that coordinates it; makes the internal topic if there is none. Errs with `InvalidGroupId`, `InvalidRequest`. Cancel-safe.
    pub fn find_coordinator<'a>(
        &'a self,
        kind: CoordinatorKind,
        key: &'a str,
    ) -> BoxFuture<'a, Result<i32, BrokerError>> {
        async move {
            match kind {
                CoordinatorKind::Group => {
                    self.groups().partition_of(&GroupId::new(key)).await?;
                }
                CoordinatorKind::Transaction if key.is_empty() => {
                    let message = "transactional id is empty";
                    return Err(BrokerError::new(ErrorCode::InvalidRequest, message));
                }
                // Its topic is made by the first InitProducerId.
                CoordinatorKind::Transaction => {}
            }
            Ok(self.node_id())
        }
        .boxed()
    }
}
