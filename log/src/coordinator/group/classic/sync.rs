//! SyncGroup: the leader's assignment is stored, then handed out.
//!
//! Always true: nobody is told an assignment before it is durable. A member that asks before the leader waits; one that asks later gets what is stored.
//! If the group goes on to another rebalance meanwhile, what was stored is of no generation and is not handed out.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::coordinator::group::error::GroupError;
use crate::types::MemberId;

use super::command::{AfterStore, ClassicCommand, ClassicTimer, RequestId, Step, SyncRequest, SyncedGroup};
use super::group::{ClassicGroup, ClassicState};

impl ClassicGroup {
    /// A member asks for its assignment; the leader brings everybody's.
    pub fn sync(&mut self, request: SyncRequest, id: RequestId, step: &mut Step<'_>) {
        if let Err(error) = self.check_sync(&request) {
            return step.answer_sync(id, Err(error));
        }
        let member = request.member_id.clone();
        match self.state {
            ClassicState::CompletingRebalance => {
                if let Some(known) = self.members.get_mut(&member)
                    && let Some(superseded) = known.syncing.replace(id)
                {
                    step.answer_sync(superseded, Err(GroupError::RebalanceInProgress));
                }
                self.has_synced(&member, step);
                if self.is_leader(&member) && self.storing != Some(self.generation) {
                    self.store_assignment(request.assignments, step);
                }
            }
            ClassicState::Stable => {
                self.has_synced(&member, step);
                let known = &self.members[&member];
                step.set(ClassicTimer::Session(member.clone()), known.session_timeout_ms);
                let answer = self.synced(known.assignment.clone());
                step.answer_sync(id, Ok(answer));
            }
            ClassicState::PreparingRebalance => step.answer_sync(id, Err(GroupError::RebalanceInProgress)),
            ClassicState::Empty | ClassicState::Dead => {
                step.answer_sync(id, Err(GroupError::UnknownMember { member }));
            }
        }
    }

    fn check_sync(&self, request: &SyncRequest) -> Result<(), GroupError> {
        if self.state == ClassicState::Dead {
            return Err(GroupError::NotAvailable);
        }
        self.validate_member(&request.member_id, request.instance_id.as_ref())?;
        if request.generation != self.generation {
            return Err(GroupError::IllegalGeneration {
                found: request.generation,
                current: self.generation,
            });
        }
        let differs = |said: &Option<String>, is: &Option<String>| {
            said.as_ref()
                .is_some_and(|said| is.as_ref().is_some_and(|is| is != said))
        };
        if differs(&request.protocol_type, &self.protocol_type) || differs(&request.protocol, &self.protocol)
        {
            return Err(GroupError::InconsistentProtocol);
        }
        Ok(())
    }

    fn has_synced(&mut self, member: &MemberId, step: &mut Step<'_>) {
        if self.pending_syncs.remove(member) && self.pending_syncs.is_empty() {
            step.cancel(ClassicTimer::Sync);
        }
    }

    /// Members the leader forgot get nothing; members it invented are left out.
    fn store_assignment(&mut self, assignments: Vec<(MemberId, Bytes)>, step: &mut Step<'_>) {
        let known = assignments
            .into_iter()
            .filter(|(member, _)| self.members.contains_key(member));
        let assignments: BTreeMap<MemberId, Bytes> = known.collect();
        let generation = self.generation;
        self.storing = Some(generation);
        let stored = self.to_stored(Some(&assignments));
        let then = AfterStore::Assignment {
            generation,
            assignments,
        };
        step.commands.push(ClassicCommand::Store(stored, then));
    }

    /// What was to be stored is durable, or could not be stored.
    pub fn on_stored(&mut self, then: AfterStore, stored: bool, step: &mut Step<'_>) {
        match then {
            AfterStore::Emptied => {}
            AfterStore::StaticMember(replaced) => self.on_static_stored(*replaced, stored, step),
            AfterStore::Assignment {
                generation,
                assignments,
            } => {
                if self.storing == Some(generation) {
                    self.storing = None;
                }
                if self.state != ClassicState::CompletingRebalance || self.generation != generation {
                    return;
                }
                if stored {
                    self.hand_out(assignments, step);
                } else {
                    self.refuse_syncs(GroupError::NotAvailable, step);
                    self.prepare_rebalance_or_complete_join(step);
                }
            }
        }
    }

    fn hand_out(&mut self, mut assignments: BTreeMap<MemberId, Bytes>, step: &mut Step<'_>) {
        self.transition(ClassicState::Stable, step.now);
        let members: Vec<MemberId> = self.members.keys().cloned().collect();
        for id in members {
            let assignment = assignments.remove(&id).unwrap_or_default();
            let answer = self.synced(assignment.clone());
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            member.assignment = assignment;
            if let Some(request) = member.syncing.take() {
                step.set(ClassicTimer::Session(id), member.session_timeout_ms);
                step.answer_sync(request, Ok(answer));
            }
        }
    }

    /// Answers all waiting syncs with an error; what members had been assigned is no longer theirs.
    pub(super) fn refuse_syncs(&mut self, error: GroupError, step: &mut Step<'_>) {
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
            if let Some(request) = member.syncing.take() {
                step.set(
                    ClassicTimer::Session(member.id.clone()),
                    member.session_timeout_ms,
                );
                step.answer_sync(request, Err(error.clone()));
            }
        }
    }

    fn synced(&self, assignment: Bytes) -> SyncedGroup {
        SyncedGroup {
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment,
        }
    }
}
