//! What the output topics of a worker refuse, and what is learned when the log refuses a batch.
//!
//! A batch that is too large costs one recovery, not the job: the rule it broke is noted, the work is done again, and then a sink finds the record by itself and asks the
//! policy of its node (`processor/refusal.rs`), or the records are spread over smaller batches. What was noted before and is broken again comes from no
//! sink (a changelog, a dead letter): nobody can leave it out, and the worker stops.

use std::collections::BTreeMap;
use std::sync::Arc;

use millpond_log::record::Compression;
use millpond_log::types::TopicName;

use super::log_calls::TooLargeBatch;
use crate::processor::TopicRules;

/// The rules of all topics a worker writes.
#[derive(Debug, Default)]
pub(super) struct OutputRules {
    rules: BTreeMap<TopicName, TopicRules>,
    /// Largest batch by topic where that is known, in bytes.
    batch_bytes: Arc<BTreeMap<TopicName, usize>>,
}

impl OutputRules {
    /// Rules as the topics' settings have them, for batches that are packed with `compression`.
    pub(super) fn new(mut rules: BTreeMap<TopicName, TopicRules>, compression: Compression) -> OutputRules {
        for rule in rules.values_mut() {
            rule.compression = compression;
        }
        let known = rules
            .iter()
            .filter_map(|(name, rule)| Some((name.clone(), rule.max_message_bytes?)));
        OutputRules {
            batch_bytes: Arc::new(known.collect()),
            rules,
        }
    }

    /// For tasks.
    pub(super) fn rules(&self) -> &BTreeMap<TopicName, TopicRules> {
        &self.rules
    }

    /// For collectors: largest batch by topic, in bytes.
    pub(super) fn batch_bytes(&self) -> Arc<BTreeMap<TopicName, usize>> {
        self.batch_bytes.clone()
    }

    /// Takes in that a batch was too large. `false`: nothing new, doing the work again would end the same way.
    pub(super) fn learn(&mut self, batch: &TooLargeBatch) -> bool {
        if batch.size <= 1 {
            return false;
        }
        let is_single = batch.records <= 1;
        let (largest, known) = match is_single {
            true => {
                let rule = self
                    .rules
                    .get(&batch.topic)
                    .and_then(|rule| rule.max_message_bytes);
                (batch.size - 1, rule)
            }
            // How small is small enough is not known; halving gets there.
            false => (batch.size / 2, self.batch_bytes.get(&batch.topic).copied()),
        };
        if known.is_some_and(|known| known <= largest) {
            return false;
        }
        let batch_bytes = Arc::make_mut(&mut self.batch_bytes);
        let most = batch_bytes.entry(batch.topic.clone()).or_insert(largest);
        *most = largest.min(*most);
        if is_single {
            self.rules
                .entry(batch.topic.clone())
                .or_default()
                .max_message_bytes = Some(largest);
        }
        true
    }
}

#[cfg(test)]
#[path = "output_rules_test.rs"]
mod output_rules_test;
