//! The name of a task: one sub-topology × one partition, as in Kafka Streams (`0_3`).

use std::fmt;
use std::str::FromStr;

use millpond_log::types::PartitionId;

/// Identity of a task; its [`Display`](fmt::Display) form names the state directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// Index of the sub-topology in the topology.
    pub sub_topology: u32,
    /// The partition of the sub-topology's sources it reads.
    pub partition: PartitionId,
}

impl TaskId {
    /// No task: the state of the global tables, which every task of an instance reads. Its directory is called `global`, as in Kafka Streams.
    pub const GLOBAL: TaskId = TaskId::new(u32::MAX, PartitionId::new(0));

    /// The task of `partition` in `sub_topology`.
    pub const fn new(sub_topology: u32, partition: PartitionId) -> Self {
        Self {
            sub_topology,
            partition,
        }
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == TaskId::GLOBAL {
            return out.write_str("global");
        }
        write!(out, "{}_{}", self.sub_topology, self.partition.get())
    }
}

impl FromStr for TaskId {
    type Err = InvalidTaskId;

    fn from_str(text: &str) -> Result<Self, InvalidTaskId> {
        let invalid = || InvalidTaskId(text.to_owned());
        let (sub_topology, partition) = text.split_once('_').ok_or_else(invalid)?;
        Ok(Self {
            sub_topology: sub_topology.parse().map_err(|_| invalid())?,
            partition: PartitionId::new(partition.parse().map_err(|_| invalid())?),
        })
    }
}

/// A text that does not name a task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a task id (expected <sub-topology>_<partition>)")]
pub struct InvalidTaskId(String);
