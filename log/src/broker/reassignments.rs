//! AlterPartitionReassignments (API key 45) and ListPartitionReassignments (46): with one broker, every partition is where it can be.

use super::assignment::check_assignment;
use super::node::{unknown_partition, unknown_topic};
use super::{Broker, BrokerError, ErrorCode};
use crate::types::TopicPartition;

impl Broker {
    /// Moves a partition to these brokers, or with none takes a move back. Done at once where it is there already. Errs with
    /// `UnknownTopicOrPartition`, `InvalidReplicaAssignment` (a broker that does not exist) and `NoReassignmentInProgress`.
    pub fn reassign_partition(
        &self,
        partition: &TopicPartition,
        replicas: Option<&[i32]>,
    ) -> Result<(), BrokerError> {
        let image = self.node().image();
        let Some(topic) = image.topic(&partition.topic) else {
            return Err(unknown_topic(&partition.topic));
        };
        if !topic.partitions.contains_key(&partition.partition) {
            return Err(unknown_partition(partition));
        }
        match replicas {
            Some(replicas) => check_assignment(replicas, self.node_id()),
            None => {
                let message =
                    format!("no reassignment of {partition} is under way; there is nothing to cancel");
                Err(BrokerError::new(ErrorCode::NoReassignmentInProgress, message))
            }
        }
    }
}
