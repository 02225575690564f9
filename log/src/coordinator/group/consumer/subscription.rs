//! What a group is subscribed to, and whether that changed under it: new topics, more partitions, topics made again.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::change::{Context, Draft};
use super::group::ConsumerGroup;
use super::pattern;
use super::record::{ConsumerGroupRecord, ResolvedPattern};
use super::topics::Topics;
use crate::coordinator::group::error::GroupError;

impl ConsumerGroup {
    /// A hash of the subscribed topics that exist, with their ids and partition counts; 0 if there are none. Kept across restarts, so it may not depend
    /// on anything else.
    pub(super) fn hash_of_topics(&self, topics: &dyn Topics) -> i64 {
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for metadata in self.members.values() {
            names.extend(metadata.subscribed_names.iter().map(String::as_str));
            let resolved = metadata
                .subscribed_pattern
                .as_ref()
                .and_then(|text| self.patterns.get(text));
            names.extend(
                resolved
                    .into_iter()
                    .flat_map(|it| it.topics.iter().map(String::as_str)),
            );
        }
        let mut hash = Fnv::default();
        let mut any = false;
        for name in names {
            if let Some(id) = topics.id_of(name) {
                any = true;
                hash.eat(name.as_bytes());
                hash.eat(id.get().as_bytes());
                hash.eat(&topics.partition_count(&id).to_be_bytes());
            }
        }
        // 0 means none.
        match (any, hash.0 as i64) {
            (false, _) => 0,
            (true, 0) => 1,
            (true, hash) => hash,
        }
    }
}

/// FNV-1a, 64 bits.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn eat(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

impl Draft {
    /// Errs if what none of the members had is no pattern.
    pub(super) fn check_new_pattern(&mut self, text: &str) -> Result<(), GroupError> {
        match self.group.patterns.contains_key(text) {
            true => Ok(()),
            false => pattern::compile(text).map(drop),
        }
    }

    /// Looks up the topics of the patterns that earlier changes brought. True if some pattern matches any. What brings a pattern is answered without
    /// its topics, as in Kafka, where they are looked up in the background: the named topics come first.
    fn resolve_due_patterns(&mut self, context: Context<'_>) -> Result<bool, GroupError> {
        let mut matched = false;
        for text in std::mem::take(&mut self.due_patterns) {
            if self.group.unresolved.contains(&text) {
                let topics = pattern::matching(&pattern::compile(&text)?, context.topics);
                matched |= !topics.is_empty();
                self.write_pattern(&text, topics, context);
            }
        }
        Ok(matched)
    }

    fn write_pattern(&mut self, text: &str, topics: BTreeSet<String>, context: Context<'_>) {
        let resolved = ResolvedPattern {
            topics,
            version: context.topics.version(),
            resolved_at: context.now,
        };
        self.write(ConsumerGroupRecord::Pattern(
            text.to_owned(),
            Some(Arc::new(resolved)),
        ));
    }

    /// Forgets patterns that no member has any more.
    pub(super) fn forget_unused_patterns(&mut self) {
        let used: BTreeSet<&String> = self
            .group
            .members
            .values()
            .filter_map(|metadata| metadata.subscribed_pattern.as_ref())
            .collect();
        let unused: Vec<String> = self
            .group
            .patterns
            .keys()
            .filter(|text| !used.contains(text))
            .cloned()
            .collect();
        for text in unused {
            self.write(ConsumerGroupRecord::Pattern(text, None));
        }
    }

    /// Looks up the topics of all patterns again if topics changed and the last time is not just gone. True if some pattern matches other topics
    /// than before.
    fn refresh_patterns(&mut self, context: Context<'_>) -> Result<bool, GroupError> {
        let version = context.topics.version();
        if self.group.topics_seen == Some(version) {
            return Ok(false);
        }
        if self.group.patterns.is_empty() {
            self.group.topics_seen = Some(version);
            return Ok(false);
        }
        let due = match self.group.patterns_looked_at {
            // A clock that went back makes it due as well.
            Some(last) => !(0..context.config.pattern_refresh_ms).contains(&(context.now - last)),
            None => true,
        };
        if !due {
            return Ok(false);
        }
        self.group.topics_seen = Some(version);
        self.group.patterns_looked_at = Some(context.now);
        let known: Vec<_> = self
            .group
            .patterns
            .iter()
            .map(|(text, known)| (text.clone(), known.clone()))
            .collect();
        let mut changed = false;
        for (text, known) in known {
            let topics = pattern::matching(&pattern::compile(&text)?, context.topics);
            if topics != known.topics {
                self.write_pattern(&text, topics, context);
                changed = true;
            }
        }
        Ok(changed)
    }

    /// Gives the group its next epoch if `must` or if its topics changed.
    pub(super) fn bump_epoch_if(&mut self, must: bool, context: Context<'_>) -> Result<(), GroupError> {
        let looked_at = self.group.topics_seen;
        let resolved = self.resolve_due_patterns(context)?;
        let refreshed = self.refresh_patterns(context)? || resolved;
        if !must && !refreshed && looked_at == Some(context.topics.version()) {
            return Ok(());
        }
        let mut metadata = self.group.metadata.unwrap_or_default();
        let hash = self.group.hash_of_topics(context.topics);
        if must || refreshed || hash != metadata.metadata_hash {
            metadata.epoch += 1;
            metadata.metadata_hash = hash;
            if self.group.old_partition_metadata {
                self.write(ConsumerGroupRecord::PartitionMetadata(None));
            }
            self.write(ConsumerGroupRecord::Metadata(Some(metadata)));
        }
        Ok(())
    }
}
