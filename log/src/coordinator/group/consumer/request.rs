//! A heartbeat as the coordinator sees it, its form checked before anything else.

use std::collections::BTreeSet;

use super::config::ConsumerGroupConfig;
use super::partitions::PartitionSet;
use crate::broker::ErrorCode;
use crate::coordinator::group::error::GroupError;
use crate::types::MemberId;

/// The epoch of a member that joins.
pub(super) const JOIN_EPOCH: i32 = 0;

/// The epoch of a static member that leaves and will be back.
pub(super) const LEAVE_STATIC_EPOCH: i32 = -2;

/// ConsumerGroupHeartbeat. What is none did not change since the last one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeartbeatRequest {
    /// Who; chosen by the client (KIP-1082), or by the caller for version 0.
    pub member_id: String,
    /// The epoch it has; 0 joins, -1 leaves, -2 leaves for a while.
    pub member_epoch: i32,
    /// Name that outlives the process.
    pub instance_id: Option<String>,
    /// Where it runs.
    pub rack_id: Option<String>,
    /// Longest time it takes to give up partitions.
    pub rebalance_timeout_ms: Option<i32>,
    /// Topics it wants.
    pub subscribed_names: Option<BTreeSet<String>>,
    /// Pattern of further topics; empty for none.
    pub subscribed_pattern: Option<String>,
    /// The assignor it asks for.
    pub server_assignor: Option<String>,
    /// What it owns.
    pub owned: Option<PartitionSet>,
    /// Its `client.id`.
    pub client_id: String,
    /// The address it comes from.
    pub client_host: String,
}

/// The answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatResponse {
    /// Who.
    pub member_id: MemberId,
    /// The epoch it has now.
    pub member_epoch: i32,
    /// When to speak next.
    pub heartbeat_interval_ms: i32,
    /// All it may consume, if that changed or it told everything anew.
    pub assignment: Option<PartitionSet>,
}

fn invalid(message: impl Into<String>) -> GroupError {
    GroupError::refused(ErrorCode::InvalidRequest, message)
}

fn refuse_blank(what: &str, value: Option<&str>) -> Result<(), GroupError> {
    match value {
        Some(value) if value.trim().is_empty() => {
            Err(invalid(format!("{what} is empty; leave it out or name one")))
        }
        _ => Ok(()),
    }
}

impl HeartbeatRequest {
    /// True if it tells everything: the answer then carries the assignment.
    pub(super) fn is_full(&self) -> bool {
        self.member_epoch == JOIN_EPOCH
            || (self.rebalance_timeout_ms.is_some()
                && self.subscribed_names.is_some()
                && self.owned.is_some())
    }

    /// Checks what can be checked without knowing the group.
    pub(super) fn check(&self, config: &ConsumerGroupConfig) -> Result<(), GroupError> {
        refuse_blank("member id", Some(&self.member_id))?;
        refuse_blank("group instance id", self.instance_id.as_deref())?;
        refuse_blank("rack id", self.rack_id.as_deref())?;
        match self.member_epoch {
            JOIN_EPOCH => self.check_join()?,
            LEAVE_STATIC_EPOCH if self.instance_id.is_none() => {
                return Err(invalid(
                    "a member without group instance id cannot leave for a while; leave with epoch -1",
                ));
            }
            epoch if epoch < LEAVE_STATIC_EPOCH => {
                return Err(invalid(format!(
                    "member epoch {epoch} means nothing; the lowest is -2"
                )));
            }
            _ => {}
        }
        if let Some(assignor) = &self.server_assignor
            && !config.assignors.contains(assignor)
        {
            let supported = config.assignors.join(", ");
            let message = format!("assignor {assignor:?} is not supported; choose one of {supported}");
            return Err(GroupError::refused(ErrorCode::UnsupportedAssignor, message));
        }
        Ok(())
    }

    fn check_join(&self) -> Result<(), GroupError> {
        if self.rebalance_timeout_ms.is_none() {
            return Err(invalid("a joining member must give its rebalance timeout"));
        }
        if self.owned.as_ref().is_none_or(|owned| !owned.is_empty()) {
            return Err(invalid("a joining member must own no partitions and say so"));
        }
        if self.subscribed_names.is_none() && self.subscribed_pattern.is_none() {
            return Err(invalid(
                "a joining member must subscribe to topic names or a pattern, if to none of them",
            ));
        }
        Ok(())
    }
}
