//! ElectLeaders (API key 43): with one replica, the leader is always the right one.

use super::node::{unknown_partition, unknown_topic};
use super::{Broker, BrokerError, ErrorCode};
use crate::types::TopicPartition;

impl Broker {
    /// Judges an election for a partition. Never succeeds: errs with `ElectionNotNeeded` where the partition exists, else with
    /// `UnknownTopicOrPartition`.
    pub fn elect_leader(&self, partition: &TopicPartition) -> Result<(), BrokerError> {
        let image = self.node().image();
        let Some(topic) = image.topic(&partition.topic) else {
            return Err(unknown_topic(&partition.topic));
        };
        if !topic.partitions.contains_key(&partition.partition) {
            return Err(unknown_partition(partition));
        }
        let message = format!("{partition} is led by its preferred replica already; no election is needed");
        Err(BrokerError::new(ErrorCode::ElectionNotNeeded, message))
    }
}
