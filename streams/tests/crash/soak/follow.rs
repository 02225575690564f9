//! Reads inputs and outputs on where it stopped, and compares what is final so far.

use std::collections::BTreeMap;
use std::sync::Arc;

use millpond_log::broker::OffsetSpec;
use millpond_log::types::{Offset, TopicPartition};
use millpond_streams::runtime::LogClient;

use crate::job::check::{Compared, Outputs, compare};
use crate::job::log_io::{Read, offset_of, read_on};
use crate::job::recompute::{Input, expected};
use crate::job::topology::BAGS;
use crate::job::{INPUTS, PARTITIONS, Plan, topic};

pub(super) struct Follower {
    log: Arc<dyn LogClient>,
    read: BTreeMap<TopicPartition, (Vec<Read>, Offset)>,
}

impl Follower {
    pub(super) fn new(log: Arc<dyn LogClient>) -> Follower {
        Follower {
            log,
            read: BTreeMap::new(),
        }
    }

    /// Compares what these jobs have told.
    pub(super) async fn look(&mut self, plans: &[Plan]) -> Result<Compared, String> {
        // Outputs first: whatever they rest on is in the input that is read after them.
        let mut told = Vec::new();
        for plan in plans {
            let mut outputs = Outputs::new();
            for name in BAGS {
                outputs.insert(name, self.records(&plan.output(name), 1).await);
            }
            told.push(outputs);
        }
        let mut input = Input::new();
        for name in INPUTS {
            input.insert(name.to_owned(), self.records(name, PARTITIONS).await);
        }
        let expected = expected(&input);
        let mut compared = Compared {
            input: input.values().map(Vec::len).sum(),
            output: 0,
        };
        for (outputs, plan) in told.iter().zip(plans) {
            compare(outputs, &expected, false).map_err(|error| format!("job {:?}: {error}", plan.job))?;
            compared.output += outputs.values().map(Vec::len).sum::<usize>();
        }
        Ok(compared)
    }

    async fn records(&mut self, name: &str, partitions: i32) -> Vec<Read> {
        let mut all = Vec::new();
        for partition in 0..partitions {
            let partition = TopicPartition::new(topic(name), partition);
            let end = offset_of(&*self.log, &partition, OffsetSpec::LastStable).await;
            let (records, next) = self.read.entry(partition.clone()).or_default();
            let (more, after) = read_on(&*self.log, &partition, *next, end).await;
            records.extend(more);
            *next = after;
            all.extend(records.iter().cloned());
        }
        all
    }
}
