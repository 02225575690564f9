//! One member's next step from what it owns to what it shall own.
//!
//! Always true: a partition is given to a member only when nobody owns it, and somebody owns it until he says that he gave it up; the member's epoch
//! moves to the target's only when it has nothing left to give up (KIP-848, "reconciliation").
//!
//! ```text
//!            target moved, must give up            gave up
//!   STABLE ────────────────────────► UNREVOKED ──────────────► next step
//!     ▲  └── nothing to give up: epoch = target's, gets what is free
//!     └────── all free ◄──── UNRELEASED (waits for what others still own)
//! ```

use std::sync::Arc;

use super::change::{Draft, TimerKind};
use super::partitions::{OwnedPartitions, PartitionSet};
use super::record::{ConsumerGroupRecord, CurrentAssignment, MemberState};
use crate::broker::ErrorCode;
use crate::coordinator::group::error::GroupError;
use crate::types::MemberId;

impl Draft {
    /// Takes the member as far as it goes now. `owned` is what it says it owns, if it said so.
    pub(super) fn reconcile(
        &mut self,
        id: &MemberId,
        owned: Option<&PartitionSet>,
    ) -> Result<(), GroupError> {
        let target_epoch = self.group.assignment_epoch();
        let current = self.group.current(id);
        if current.is_reconciled_to(target_epoch) {
            return Ok(());
        }
        let next = match current.state {
            MemberState::UnrevokedPartitions if still_owns(owned, &current.revoking) => return Ok(()),
            MemberState::Unknown if owned.is_none_or(|owned| !owned.is_empty()) => {
                let message = format!(
                    "member {id} is in a state of a later version; it must give up its partitions and join again"
                );
                return Err(GroupError::refused(ErrorCode::FencedMemberEpoch, message));
            }
            _ => self.next_assignment(id, &current, target_epoch, owned),
        };
        if next == *current {
            return Ok(());
        }
        let state = next.state;
        self.write(ConsumerGroupRecord::Current(id.clone(), Some(Arc::new(next))));
        let metadata = self.group.members.get(id).cloned().unwrap_or_default();
        // Classic members are watched by their join and sync timers instead.
        if metadata.classic.is_none() {
            match state {
                MemberState::UnrevokedPartitions => {
                    self.start(id, TimerKind::Rebalance, metadata.rebalance_timeout_ms);
                }
                _ => self.stop(id, TimerKind::Rebalance),
            }
        }
        Ok(())
    }

    fn next_assignment(
        &self,
        id: &MemberId,
        current: &CurrentAssignment,
        target_epoch: i32,
        owned: Option<&PartitionSet>,
    ) -> CurrentAssignment {
        let target = self.group.target(id);
        let (mut assigned, revoking): (OwnedPartitions, OwnedPartitions) = current
            .assigned
            .iter()
            .partition(|(partition, _)| target.contains(partition));
        if still_owns(owned, &revoking) {
            return CurrentAssignment {
                epoch: current.epoch,
                previous_epoch: current.previous_epoch,
                state: MemberState::UnrevokedPartitions,
                assigned,
                revoking,
            };
        }
        let mut state = MemberState::Stable;
        for partition in target.iter() {
            if assigned.contains_key(partition) {
                continue;
            }
            // What the member itself was giving up it may have back: nobody else can own it.
            match self.group.owner(partition) {
                Some(owner) if owner != id => state = MemberState::UnreleasedPartitions,
                _ => {
                    assigned.insert(*partition, target_epoch);
                }
            }
        }
        CurrentAssignment {
            epoch: target_epoch,
            // The epoch before stays acceptable until the member has seen this one.
            previous_epoch: if current.epoch == target_epoch {
                current.previous_epoch
            } else {
                current.epoch
            },
            state,
            assigned,
            revoking: OwnedPartitions::new(),
        }
    }
}

/// True if the member owns some of `revoking`, for all we know.
fn still_owns(owned: Option<&PartitionSet>, revoking: &OwnedPartitions) -> bool {
    match owned {
        Some(owned) => revoking.keys().any(|partition| owned.contains(partition)),
        None => !revoking.is_empty(),
    }
}
