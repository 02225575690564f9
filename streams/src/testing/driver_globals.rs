//! Global tables of a driver: they follow their topics at once, before any task processes more.

use std::time::Duration;

use millpond_log::types::{Offset, PartitionId, TopicName, TopicPartition};

use super::{DriverError, TopologyTestDriver};

impl TopologyTestDriver {
    /// Brings the global tables up to date with their topics.
    pub(super) fn read_globals(&mut self) -> Result<(), DriverError> {
        let Some(globals) = &mut self.globals else {
            return Ok(());
        };
        let topics: Vec<TopicName> = globals.topics().cloned().collect();
        let mut inputs = Vec::new();
        for name in topics {
            let Some(topic) = self.topics.get(&name) else {
                continue;
            };
            for (number, records) in &topic.partitions {
                let partition = TopicPartition {
                    topic: name.clone(),
                    partition: PartitionId::new(*number),
                };
                let next = globals.position(&partition).unwrap_or(Offset::ZERO);
                for record in records.iter().skip(next.get() as usize) {
                    globals.put(
                        &name,
                        record.key.as_deref(),
                        record.value.as_deref(),
                        record.timestamp,
                    );
                }
                inputs.push((partition, Offset::new(records.len() as i64)));
            }
        }
        let now = Duration::from_millis(u64::try_from(self.wall_clock_ms).unwrap_or(0));
        Ok(globals.commit(inputs, now)?)
    }
}
