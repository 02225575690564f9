//! What a batch of metadata records changed: which topics to open, close or set anew, and whose other settings.
//!
//! The broker acts on deltas, not on whole images, so that one new topic among thousands costs one topic.

use std::collections::BTreeSet;

use super::record::ConfigOwner;
use crate::types::{TopicId, TopicPartition};

/// The topics a batch of records touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataDelta {
    /// Topics that are new, or got partitions.
    pub created: BTreeSet<TopicId>,
    /// Topics whose settings changed.
    pub reconfigured: BTreeSet<TopicId>,
    /// Partitions of topics that are gone, with the id they had.
    pub removed: BTreeSet<(TopicPartition, TopicId)>,
    /// Brokers, groups and client metrics subscriptions whose settings changed.
    pub configured: BTreeSet<ConfigOwner>,
}

impl MetadataDelta {
    /// Adds what came after.
    pub fn merge(&mut self, later: MetadataDelta) {
        for (_, id) in &later.removed {
            self.created.remove(id);
            self.reconfigured.remove(id);
        }
        self.created.extend(later.created);
        self.reconfigured.extend(later.reconfigured);
        self.removed.extend(later.removed);
        self.configured.extend(later.configured);
    }
}
