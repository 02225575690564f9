//! DeleteGroups (API key 42): groups without members, with their offsets.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError};
use crate::types::GroupId;

impl Broker {
    /// Deletes groups; one answer each, in order. Errs per group with `GroupIdNotFound`, `NonEmptyGroup`, `InvalidGroupId`. Cancel-safe: a
    /// group is deleted or not.
    pub fn delete_groups(&self, groups: Vec<GroupId>) -> BoxFuture<'_, Vec<Result<(), BrokerError>>> {
        async move {
            let mut deleted = Vec::with_capacity(groups.len());
            for group in &groups {
                deleted.push(self.groups().delete_group(group).await);
            }
            deleted
        }
        .boxed()
    }
}
