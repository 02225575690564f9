//! ListGroups (API key 16): groups of all kinds.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::Broker;
use crate::types::GroupId;

pub use crate::coordinator::group::GroupType;

/// One group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// Its name.
    pub group: GroupId,
    /// `consumer` for consumers; empty if it never had members.
    pub protocol_type: String,
    /// Kafka's name of its state.
    pub state: &'static str,
    /// Its kind.
    pub group_type: GroupType,
}

impl Broker {
    /// Groups in one of these states (in any case) and of one of these kinds; no states, or no kinds, means all of them.
    pub fn list_groups<'a>(
        &'a self,
        states: &'a [String],
        types: &'a [GroupType],
    ) -> BoxFuture<'a, Vec<GroupListing>> {
        async move {
            let mut listed = Vec::new();
            self.groups().look_at_all(|groups| {
                listed.extend(groups.list(states, types).map(|(group, rules)| GroupListing {
                    group: group.clone(),
                    protocol_type: rules.protocol_type().to_owned(),
                    state: rules.state_name(),
                    group_type: rules.group_type(),
                }));
            });
            listed.sort_by(|a, b| a.group.cmp(&b.group));
            listed
        }
        .boxed()
    }
}
