//! Who shall own what: computed anew for each group epoch by the assignor most members ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::assignor::{self, GroupSpec, MemberSpec};
use super::change::{Context, Draft};
use super::config::ConsumerGroupConfig;
use super::group::ConsumerGroup;
use super::partitions::PartitionSet;
use super::record::{ConsumerGroupRecord, TargetMetadata};
use crate::broker::ErrorCode;
use crate::coordinator::group::error::GroupError;
use crate::types::MemberId;

impl ConsumerGroup {
    /// The assignor most members ask for; the first in name of those asked for equally often, the first configured if none is asked for.
    pub fn preferred_assignor<'a>(&'a self, config: &'a ConsumerGroupConfig) -> &'a str {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for metadata in self
            .members
            .values()
            .filter(|metadata| metadata.classic.is_none())
        {
            // One that was taken out of the settings meanwhile has no vote.
            if let Some(assignor) = &metadata.server_assignor
                && config.assignors.contains(assignor)
            {
                *votes.entry(assignor).or_default() += 1;
            }
        }
        let most = votes.iter().rev().max_by_key(|(_, votes)| **votes);
        match most {
            Some((name, _)) => name,
            None => config.assignors.first().map_or("uniform", String::as_str),
        }
    }

    fn spec(&self, context: Context<'_>) -> GroupSpec {
        let mut spec = GroupSpec::default();
        for (id, metadata) in &self.members {
            let subscribed = self.subscribed_topics(metadata, context.topics);
            for topic in &subscribed {
                spec.topics
                    .entry(*topic)
                    .or_insert_with(|| context.topics.partition_count(topic));
            }
            let member = MemberSpec {
                instance_id: metadata.instance_id.clone(),
                rack_id: metadata.rack_id.clone(),
                subscribed,
                assigned: self.target(id),
            };
            spec.members.insert(id.clone(), member);
        }
        spec
    }
}

impl Draft {
    /// Computes the target anew if the group moved on since. Only what changed is written.
    pub(super) fn update_target(&mut self, context: Context<'_>) -> Result<(), GroupError> {
        let epoch = self.group.epoch();
        if epoch <= self.group.assignment_epoch() {
            return Ok(());
        }
        let name = self.group.preferred_assignor(context.config).to_owned();
        let assignor = assignor::by_name(&name).ok_or_else(|| {
            let message =
                format!("assignor {name:?} is configured but does not exist; known are uniform and range");
            GroupError::refused(ErrorCode::UnknownServerError, message)
        })?;
        let mut computed: BTreeMap<MemberId, PartitionSet> = assignor.assign(&self.group.spec(context));
        let ids: Vec<MemberId> = self.group.members.keys().cloned().collect();
        for id in ids {
            let target = computed.remove(&id).unwrap_or_default();
            // A member without a record yet gets one even if it shall own nothing: it says that the member was counted.
            if self.group.targets.get(&id).is_none_or(|old| **old != target) {
                self.write(ConsumerGroupRecord::Target(id, Some(Arc::new(target))));
            }
        }
        let metadata = TargetMetadata {
            epoch,
            computed_at: context.now,
        };
        self.write(ConsumerGroupRecord::TargetMetadata(Some(metadata)));
        Ok(())
    }
}
