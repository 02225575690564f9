//! Committed offsets of the log in memory, which forgets them as a cluster does: each `offsets.retention.minutes` after its own last commit.
//!
//! Always true: what is forgotten is as if it had never been committed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millpond_log::broker::OffsetAndMetadata;
use millpond_log::clock::Clock;
use millpond_log::types::{GroupId, TopicPartition};

/// Offsets of all groups.
#[derive(Debug, Default)]
pub(super) struct FakeOffsets {
    /// With the time of the commit.
    committed: BTreeMap<(GroupId, TopicPartition), (OffsetAndMetadata, Duration)>,
    /// For ever, when there is none.
    retention: Option<Duration>,
    clock: Option<Arc<dyn Clock>>,
}

impl FakeOffsets {
    pub(super) fn new(clock: Arc<dyn Clock>) -> FakeOffsets {
        FakeOffsets {
            clock: Some(clock),
            ..FakeOffsets::default()
        }
    }

    pub(super) fn forget_after(&mut self, retention: Duration) {
        self.retention = Some(retention);
    }

    pub(super) fn commit(&mut self, group: GroupId, partition: TopicPartition, offset: OffsetAndMetadata) {
        let now = self.now();
        self.committed.insert((group, partition), (offset, now));
    }

    pub(super) fn fetch(&self, group: &GroupId, partition: &TopicPartition) -> Option<OffsetAndMetadata> {
        let (offset, at) = self.committed.get(&(group.clone(), partition.clone()))?;
        let age = self.now().saturating_sub(*at);
        self.retention
            .is_none_or(|retention| age < retention)
            .then(|| offset.clone())
    }

    fn now(&self) -> Duration {
        self.clock
            .as_ref()
            .map_or(Duration::ZERO, |clock| clock.monotonic())
    }
}
