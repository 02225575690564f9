//! The state of the node in a few numbers, for metrics and health.

use std::time::Duration;

use super::Broker;
use crate::types::GroupId;

/// A look at the node.
#[derive(Clone, Debug, Default)]
pub struct Vitals {
    /// Topics, internal ones included.
    pub topics: usize,
    /// Partitions on this node.
    pub partitions: usize,
    /// Bytes of all segments.
    pub log_bytes: u64,
    /// Partitions that recovery found damaged.
    pub damaged_partitions: usize,
    /// Transactions that are ongoing or being ended.
    pub open_transactions: usize,
    /// Age of the oldest of them.
    pub oldest_transaction: Duration,
    /// Every group with its lag.
    pub groups: Vec<GroupLag>,
}

/// How far a group is behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLag {
    /// The group.
    pub id: GroupId,
    /// Records below the high watermarks that it has not committed, over the partitions it has offsets for.
    pub lag: u64,
}

impl Broker {
    /// Looks at the node. Answered from memory; the work is proportional to partitions and committed offsets.
    pub fn vitals(&self) -> Vitals {
        let Ok(store) = self.node().store() else {
            return Vitals::default();
        };
        let partitions = store.partitions();
        let now = self.clock().now_ms();
        let open: Vec<_> = self
            .transactions()
            .describe_all()
            .into_iter()
            .filter_map(|transaction| transaction.started_at)
            .collect();
        let oldest = open
            .iter()
            .map(|started| now.saturating_sub(*started))
            .max()
            .unwrap_or(0);
        Vitals {
            topics: self.node().image().topic_count(),
            partitions: partitions.len(),
            log_bytes: partitions.iter().map(|partition| partition.size_bytes()).sum(),
            damaged_partitions: partitions
                .iter()
                .filter(|partition| partition.damage().is_some())
                .count(),
            open_transactions: open.len(),
            oldest_transaction: Duration::from_millis(oldest.unsigned_abs()),
            groups: self.group_lags(),
        }
    }

    fn group_lags(&self) -> Vec<GroupLag> {
        let mut lags = Vec::new();
        for (id, offsets) in self.groups().committed_offsets() {
            let behind = |(partition, offset): &(crate::types::TopicPartition, crate::types::Offset)| {
                let end = self.node().partition(partition).ok()?.offsets().high_watermark;
                Some(end.distance_from(*offset).max(0).unsigned_abs())
            };
            let lag = offsets.iter().filter_map(behind).sum();
            lags.push(GroupLag { id, lag });
        }
        lags
    }

    /// Why the node cannot do its work, if it cannot: the log directory failed, or the broker was shut down.
    pub fn failure(&self) -> Option<String> {
        match self.node().store() {
            Ok(store) => store.failure().map(|failure| failure.to_string()),
            Err(stopped) => Some(stopped.to_string()),
        }
    }
}
