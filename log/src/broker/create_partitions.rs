//! CreatePartitions (API key 37).

use std::collections::BTreeMap;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::assignment::check_assignment;
use super::node::{BROKER_ID, is_internal, new_partition_record, unknown_topic};
use super::{Broker, BrokerError, ErrorCode};
use crate::metadata::{MetadataImage, MetadataRecord, limits};
use crate::types::TopicName;

/// A topic that is to get more partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartitions {
    /// Which.
    pub topic: TopicName,
    /// How many it is to have in all.
    pub count: i32,
    /// Brokers of each new partition, in order; empty lets them be chosen here.
    pub assignments: Vec<Vec<i32>>,
}

impl Broker {
    /// Gives topics more partitions, or with `validate_only` tells whether that could be done; one answer per topic, in order. Errs per topic with
    /// `UnknownTopicOrPartition`, `InvalidPartitions` (not more than there are, or above the cap), `InvalidReplicaAssignment`, `InvalidRequest`
    /// (named twice, or the broker's own) or `PolicyViolation` (a cap). Cancel-safe.
    pub fn create_partitions(
        &self,
        requests: Vec<NewPartitions>,
        validate_only: bool,
    ) -> BoxFuture<'_, Vec<Result<(), BrokerError>>> {
        async move {
            let mut named = BTreeMap::new();
            for request in &requests {
                *named.entry(request.topic.clone()).or_insert(0) += 1;
            }
            let mut answers = Vec::with_capacity(requests.len());
            for request in requests {
                answers.push(match named.get(&request.topic) {
                    Some(1) => self.grow(request, validate_only).await,
                    _ => {
                        let message = format!(
                            "topic {} is named twice in the request; name it once",
                            request.topic
                        );
                        Err(BrokerError::new(ErrorCode::InvalidRequest, message))
                    }
                });
            }
            answers
        }
        .boxed()
    }

    async fn grow(&self, request: NewPartitions, validate_only: bool) -> Result<(), BrokerError> {
        let store = self.node().store()?;
        let decide = move |image: &MetadataImage| {
            let records = records(image, &request)?;
            store.check_room(records.len() as u64)?;
            Ok(records)
        };
        if validate_only {
            return decide(&self.node().image()).map(drop);
        }
        self.node().change_metadata(decide).await.map(drop)
    }
}

fn records(image: &MetadataImage, request: &NewPartitions) -> Result<Vec<MetadataRecord>, BrokerError> {
    let refused = |code, message: String| Err(BrokerError::new(code, message));
    let NewPartitions {
        topic: name,
        count,
        assignments,
    } = request;
    let topic = image.topic(name).ok_or_else(|| unknown_topic(name))?;
    if is_internal(name) {
        let message = format!("partitions of {name} are fixed: the broker finds its records by their number");
        return refused(ErrorCode::InvalidRequest, message);
    }
    let current = topic.partition_count();
    if *count == current {
        let message = format!("topic {name} already has {current} partitions; ask for more");
        return refused(ErrorCode::InvalidPartitions, message);
    }
    if *count < current {
        let message = format!(
            "topic {name} has {current} partitions, {count} would not be more; partitions cannot be taken away"
        );
        return refused(ErrorCode::InvalidPartitions, message);
    }
    if *count > limits::PARTITIONS_PER_TOPIC {
        let limit = limits::PARTITIONS_PER_TOPIC;
        let message = format!("topic {name} cannot have {count} partitions: at most {limit} are allowed");
        return refused(ErrorCode::InvalidPartitions, message);
    }
    let more = (count - current) as usize;
    if image.partition_count() + more > limits::PARTITIONS {
        let message = format!("cluster may not have more than {} partitions", limits::PARTITIONS);
        return refused(ErrorCode::PolicyViolation, message);
    }
    if !assignments.is_empty() && assignments.len() != more {
        let message = format!(
            "{more} partitions are to be added, but {} assignments are given; give one for each",
            assignments.len()
        );
        return refused(ErrorCode::InvalidReplicaAssignment, message);
    }
    for replicas in assignments {
        check_assignment(replicas, BROKER_ID)?;
    }
    Ok((current..*count)
        .map(|partition| new_partition_record(topic.id, partition))
        .collect())
}
