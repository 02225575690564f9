//! The rebalance itself: waiting for members to join, the next generation, waiting for them to sync.
//!
//! An empty group waits `group.initial.rebalance.delay.ms` for more members than the first, again for each that comes, up to the
//! rebalance timeout; any other waits until all members have joined or the rebalance timeout is over, and goes on without those that have not.

use crate::coordinator::group::error::GroupError;
use crate::types::MemberId;

use super::command::{AfterStore, ClassicCommand, ClassicTimer, JoinedGroup, Step};
use super::group::{ClassicGroup, ClassicState};

impl ClassicGroup {
    /// A timer that was set has come to its moment.
    pub fn on_timer(&mut self, timer: &ClassicTimer, step: &mut Step<'_>) {
        match timer {
            ClassicTimer::Join => self.on_join_timer(step),
            ClassicTimer::Sync => self.on_sync_timer(step),
            ClassicTimer::Session(member) => self.on_session_timer(member, step),
        }
    }

    /// Its members were those of another kind of group until now: everybody joins again.
    pub fn start_rebalance(&mut self, step: &mut Step<'_>) {
        self.on_loaded(step);
        self.prepare_rebalance_or_complete_join(step);
    }

    /// It becomes a group of another kind: everybody who waits is told to join again.
    pub fn dissolve(&mut self, step: &mut Step<'_>) {
        self.refuse_syncs(GroupError::RebalanceInProgress, step);
        for member in self.members.values_mut() {
            if let Some(request) = member.joining.take() {
                step.refuse_join(request, GroupError::RebalanceInProgress, member.id.clone());
            }
        }
    }

    pub(super) fn prepare_rebalance_or_complete_join(&mut self, step: &mut Step<'_>) {
        match self.state {
            ClassicState::Empty | ClassicState::CompletingRebalance | ClassicState::Stable => {
                self.prepare_rebalance(step);
            }
            ClassicState::PreparingRebalance => self.maybe_complete_join(step),
            ClassicState::Dead => {}
        }
    }

    fn prepare_rebalance(&mut self, step: &mut Step<'_>) {
        if self.state == ClassicState::CompletingRebalance {
            self.refuse_syncs(GroupError::RebalanceInProgress, step);
        }
        self.pending_syncs.clear();
        step.cancel(ClassicTimer::Sync);
        let initial = self.state == ClassicState::Empty;
        self.transition(ClassicState::PreparingRebalance, step.now);
        if initial {
            let delay = step.rules.initial_rebalance_delay_ms;
            let rest = (self.rebalance_timeout_ms() - delay).max(0);
            self.new_member_added = false;
            self.initial_wait = Some((delay, rest));
            step.set(ClassicTimer::Join, delay);
        } else if self.all_have_joined() {
            self.complete_join(step);
        } else {
            step.set(ClassicTimer::Join, self.rebalance_timeout_ms());
        }
    }

    /// Completes the join if nobody is missing; the initial wait is for members nobody knows of, so it runs to its end.
    pub(super) fn maybe_complete_join(&mut self, step: &mut Step<'_>) {
        if self.state == ClassicState::PreparingRebalance
            && self.previous_state != ClassicState::Empty
            && self.all_have_joined()
        {
            self.complete_join(step);
        }
    }

    fn all_have_joined(&self) -> bool {
        self.pending_joins.is_empty() && self.members.values().all(|member| member.joining.is_some())
    }

    fn on_join_timer(&mut self, step: &mut Step<'_>) {
        if self.state != ClassicState::PreparingRebalance {
            return;
        }
        match self.initial_wait {
            Some((delay, rest)) if self.new_member_added && rest > 0 => {
                self.new_member_added = false;
                let next = step.rules.initial_rebalance_delay_ms.min(rest);
                self.initial_wait = Some((next, (rest - delay).max(0)));
                step.set(ClassicTimer::Join, next);
            }
            _ => self.complete_join(step),
        }
    }

    fn complete_join(&mut self, step: &mut Step<'_>) {
        self.initial_wait = None;
        step.cancel(ClassicTimer::Join);
        let absent = |id: &&MemberId| {
            let member = &self.members[*id];
            member.joining.is_none() && member.instance_id.is_none()
        };
        let absent: Vec<MemberId> = self.members.keys().filter(absent).cloned().collect();
        for member in &absent {
            self.remove(member, step);
        }
        if !self.members.is_empty() && !self.elect_joined_leader() {
            // Only static members that have not come back: their sessions decide.
            return step.set(ClassicTimer::Join, self.rebalance_timeout_ms());
        }
        self.generation = self.generation.checked_add(1).unwrap_or(0);
        self.pending_syncs.clear();
        self.protocol = self.select_protocol();
        if self.members.is_empty() {
            self.transition(ClassicState::Empty, step.now);
            let stored = self.to_stored(None);
            return step
                .commands
                .push(ClassicCommand::Store(stored, AfterStore::Emptied));
        }
        self.transition(ClassicState::CompletingRebalance, step.now);
        self.answer_joins(step);
        step.set(ClassicTimer::Sync, self.rebalance_timeout_ms());
    }

    fn answer_joins(&mut self, step: &mut Step<'_>) {
        let mut everyone = self.joined_members();
        let members: Vec<MemberId> = self.members.keys().cloned().collect();
        for id in members {
            let mut joined = self.joined(id.clone(), self.leader.clone());
            if self.is_leader(&id) {
                joined.members = std::mem::take(&mut everyone);
            }
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            member.is_new = false;
            step.set(ClassicTimer::Session(id.clone()), member.session_timeout_ms);
            if let Some(request) = member.joining.take() {
                step.commands
                    .push(ClassicCommand::AnswerJoin(request, Ok::<JoinedGroup, _>(joined)));
            }
            self.pending_syncs.insert(id);
        }
    }

    /// Makes sure that the leader is one that has joined. False if nobody has.
    fn elect_joined_leader(&mut self) -> bool {
        let has_joined = |id: &MemberId| {
            self.members
                .get(id)
                .is_some_and(|member| member.joining.is_some())
        };
        if self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        let Some(joined) = self.members.keys().find(|id| has_joined(id)).cloned() else {
            return false;
        };
        self.leader = Some(joined);
        true
    }

    /// Members that joined and never asked for their assignment are taken out.
    fn on_sync_timer(&mut self, step: &mut Step<'_>) {
        let syncs = matches!(
            self.state,
            ClassicState::CompletingRebalance | ClassicState::Stable
        );
        if !syncs || self.pending_syncs.is_empty() {
            return;
        }
        for member in std::mem::take(&mut self.pending_syncs) {
            self.remove(&member, step);
        }
        self.prepare_rebalance_or_complete_join(step);
    }

    fn on_session_timer(&mut self, id: &MemberId, step: &mut Step<'_>) {
        if self.pending_joins.remove(id) {
            return self.maybe_complete_join(step);
        }
        let Some(member) = self.members.get(id) else {
            return;
        };
        // Whoever waits for an answer is not silent; but a new member's connection may be gone without anybody noticing.
        if member.is_waiting() && !member.is_new {
            return;
        }
        self.remove(id, step);
        self.prepare_rebalance_or_complete_join(step);
    }
}
