//! Heartbeat and LeaveGroup, and what a commit of a member means for its session.

use crate::coordinator::group::error::GroupError;
use crate::types::{GroupInstanceId, MemberId};

use super::command::{ClassicTimer, LeavingMember, Step};
use super::group::{ClassicGroup, ClassicState};

impl ClassicGroup {
    /// A member shows that it lives. `RebalanceInProgress` tells it to join again.
    pub fn heartbeat(
        &mut self,
        member: &MemberId,
        instance: Option<&GroupInstanceId>,
        generation: i32,
        step: &mut Step<'_>,
    ) -> Result<(), GroupError> {
        if self.state == ClassicState::Dead {
            return Err(GroupError::NotAvailable);
        }
        self.validate_member(member, instance)?;
        if generation != self.generation {
            return Err(GroupError::IllegalGeneration {
                found: generation,
                current: self.generation,
            });
        }
        self.prolong_session(member, step);
        match self.state {
            ClassicState::PreparingRebalance => Err(GroupError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// A commit shows it too.
    pub fn on_commit(&mut self, member: &MemberId, step: &mut Step<'_>) {
        if matches!(
            self.state,
            ClassicState::Stable | ClassicState::PreparingRebalance
        ) {
            self.prolong_session(member, step);
        }
    }

    fn prolong_session(&self, member: &MemberId, step: &mut Step<'_>) {
        if let Some(known) = self.members.get(member) {
            step.set(ClassicTimer::Session(member.clone()), known.session_timeout_ms);
        }
    }

    /// Members leave; one answer each, in order. The others rebalance once.
    pub fn leave(
        &mut self,
        leaving: &[LeavingMember],
        step: &mut Step<'_>,
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        if self.state == ClassicState::Dead {
            return Err(GroupError::NotAvailable);
        }
        let answers: Vec<_> = leaving
            .iter()
            .map(|member| self.leave_one(member, step))
            .collect();
        if answers.iter().any(Result::is_ok) {
            match self.state {
                ClassicState::Stable | ClassicState::CompletingRebalance => {
                    self.prepare_rebalance_or_complete_join(step);
                }
                ClassicState::PreparingRebalance => self.maybe_complete_join(step),
                ClassicState::Empty | ClassicState::Dead => {}
            }
        }
        Ok(answers)
    }

    fn leave_one(&mut self, leaving: &LeavingMember, step: &mut Step<'_>) -> Result<(), GroupError> {
        let member = match &leaving.instance_id {
            // An administrator knows only the instance.
            Some(instance) if leaving.member_id.as_str().is_empty() => self
                .static_members
                .get(instance)
                .cloned()
                .ok_or(GroupError::UnknownMember {
                    member: leaving.member_id.clone(),
                })?,
            _ => leaving.member_id.clone(),
        };
        if !self.pending_joins.contains(&member) {
            self.validate_member(&member, leaving.instance_id.as_ref())?;
        }
        self.remove(&member, step);
        Ok(())
    }
}
